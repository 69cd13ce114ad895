// What a driver says by registers whatever the transport (virtio 1.2, 4.1.4.3 and 4.2.2): features by halves
// of 32 bits, and queues, of which one is selected.
//
// A lock of its own, with which nothing is called.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/state_stream.h"
#include "device/virtio/device.h"

namespace eidolon::device::virtio {

class DriverRegisters {
 public:
  /// `device` outlives this.
  explicit DriverRegisters(Device& device) : device_(device) {}

  // Of which half of the features the others speak; there are two, and what is behind them is zero.
  [[nodiscard]] uint32_t device_feature_select() const;
  void select_device_features(uint32_t half);
  [[nodiscard]] uint32_t device_features() const;
  [[nodiscard]] uint32_t driver_feature_select() const;
  void select_driver_features(uint32_t half);
  [[nodiscard]] uint32_t driver_features() const;
  void set_driver_features(uint32_t value);

  [[nodiscard]] unsigned queue() const;
  void select_queue(uint32_t queue);
  [[nodiscard]] RingPlace queue_place() const { return device_.queue_place(queue()); }
  [[nodiscard]] bool queue_enabled() const { return device_.queue_enabled(queue()); }
  void set_queue_size(uint32_t size);
  /// One half of one of the addresses of the selected queue.
  void set_queue_address(GuestPhysical RingPlace::*which, bool upper, uint32_t value);
  void enable_queue() { device_.enable_queue(queue()); }
  void disable_queue() { device_.disable_queue(queue()); }

  void reset();
  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  struct Fields {
    uint32_t device_feature_select = 0, driver_feature_select = 0;
    uint64_t driver_features = 0;
    uint16_t queue = 0;
  };
  [[nodiscard]] Fields fields() const;

  Device& device_;
  mutable std::mutex mutex_;
  Fields fields_;  ///< guarded by it
};

/// Half of 64 bits, 0 for the lower one; there is no third.
[[nodiscard]] constexpr uint32_t half_of(uint64_t whole, uint32_t half) {
  return half < 2 ? static_cast<uint32_t>(whole >> (32 * half)) : 0;
}

}  // namespace eidolon::device::virtio
