// What all virtio devices share, whatever carries them: features, status, queues (virtio 1.2, chapter 2
// and 3.1).
//
//   status 0 --features, queues, DRIVER_OK--> running --hostile driver--> NEEDS_RESET
//      ^                                         |                            |
//      +----------------- status 0 written ------+----------------------------+
//
// One lock. Hooks are called with it held unless they say otherwise, and a device may signal with it held:
// the transport and what is behind it never call back. A device whose threads touch guest memory without the
// lock waits for them in quiesce().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/dma.h"
#include "device/virtio/ring.h"

namespace eidolon::device::virtio {

// Device status (2.1).
inline constexpr uint8_t kStatusAcknowledge = 1, kStatusDriver = 2, kStatusDriverOk = 4,
                         kStatusFeaturesOk = 8, kStatusNeedsReset = 64, kStatusFailed = 128;

/// What the driver speaks: legacy is that of before virtio 1.0.
enum class Interface : uint8_t { kModern, kLegacy };

// What an interrupt is for, where it does not say so itself: the ISR status (4.1.4.5), InterruptStatus
// (4.2.2).
inline constexpr uint8_t kCauseQueue = 1, kCauseConfig = 2;

/// What carries the device's interrupts. Called with the device's lock held.
class Signals {
 public:
  virtual ~Signals() = default;
  virtual void signal_queue(unsigned queue) = 0;
  virtual void signal_config() = 0;
};

class Device {
 public:
  struct Shape {
    std::string name;  ///< unique in a machine
    uint16_t type;     ///< chapter 5
    uint64_t features = 0;
    std::vector<uint16_t> queue_sizes;  ///< the most entries of each queue
    uint32_t class_code = 0x00ff00;     ///< on a PCI bus
  };
  explicit Device(Shape shape) : shape_(std::move(shape)), queues_(shape_.queue_sizes.size()) {}
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// By the transport, before the machine runs.
  void connect(Dma& dma, Signals& signals);

  // The driver's actions, from vCPU threads by way of the transport. Queue numbers that are not there do
  // nothing.
  [[nodiscard]] uint64_t offered_features() const { return shape_.features | kRingFeatures; }
  [[nodiscard]] uint64_t accepted_features();
  void accept_features(uint64_t features);
  [[nodiscard]] uint8_t status();
  /// By the legacy interface features were accepted when the driver is ready, and not before (3.1.2).
  void set_status(uint8_t status, Interface interface = Interface::kModern);
  [[nodiscard]] RingPlace queue_place(unsigned queue);
  [[nodiscard]] bool queue_enabled(unsigned queue);
  void change_queue(unsigned queue, const std::function<void(RingPlace&)>& change);
  void enable_queue(unsigned queue);
  /// When this returns, nothing is done with the queue any more. While the driver is ready, that is for a
  /// reset to make good: buffers that the device holds cannot be given back.
  void disable_queue(unsigned queue);
  void notify(unsigned queue);
  /// An event descriptor whose being raised is notify() of the queue, from another thread; -1: it has none.
  [[nodiscard]] virtual int doorbell(unsigned /*queue*/) const { return -1; }
  [[nodiscard]] uint64_t read_config(uint64_t offset, unsigned size);
  void write_config(uint64_t offset, unsigned size, uint64_t value);

  void reset();
  void save(StateWriter& to);
  void load(StateReader& from);
  // As of device::Holdable.
  [[nodiscard]] virtual bool hold(std::chrono::milliseconds /*patience*/) { return true; }
  virtual void release() {}
  [[nodiscard]] virtual std::string_view obstacle() const { return {}; }

 protected:
  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] Lock lock() { return Lock(mutex_); }
  [[nodiscard]] std::mutex& mutex() { return mutex_; }

  // For the device, with the lock held.
  [[nodiscard]] Dma& dma() { return *dma_; }
  [[nodiscard]] bool running() const;
  [[nodiscard]] bool negotiated(uint64_t feature) const { return (accepted_ & feature) != 0; }
  /// The next buffer of a queue; a broken ring, and a queue that is not enabled, have none.
  [[nodiscard]] bool take(unsigned queue, Chain& chain);
  /// The buffer that was just taken is the queue's next one again.
  void put_back(unsigned queue);
  void give_back(unsigned queue, const Chain& chain, uint32_t written);
  /// In place of give_back(), for buffers that the driver is to see all at once: without letting go of the
  /// lock in between.
  void fill(unsigned queue, const Chain& chain, uint32_t written);
  void publish(unsigned queue);
  /// After one or several that came back: the driver's interrupt, if it wants one.
  void signal(unsigned queue);
  /// When a queue was found empty: true if it is not any more.
  [[nodiscard]] bool rearm(unsigned queue);
  void signal_config() { signals_->signal_config(); }
  /// The driver did what it must not: the device stops until it is reset.
  void need_reset();

  // What a device adds.
  virtual void queue_notified(unsigned queue) = 0;
  virtual void driver_ready() {}
  virtual void reset_device() {}
  /// No lock held: returns when no thread of the device uses guest memory, and none begins until resume().
  virtual void quiesce() {}
  virtual void resume() {}
  /// The device configuration, as bytes.
  [[nodiscard]] virtual std::vector<uint8_t> config() { return {}; }
  virtual void config_byte_written(uint64_t /*offset*/, uint8_t /*value*/) {}
  virtual void save_device(StateWriter& /*to*/) const {}
  virtual void load_device(StateReader& /*from*/) {}

 private:
  struct Queue {
    RingPlace place;
    bool enabled = false;
    std::unique_ptr<Ring> ring;
  };
  void reset_locked();
  void make_ring(Queue& queue);
  [[nodiscard]] Ring* ring(unsigned queue);

  const Shape shape_;
  std::mutex mutex_;
  Dma* dma_ = nullptr;
  Signals* signals_ = nullptr;
  uint64_t accepted_ = 0;
  uint8_t status_ = 0;
  std::vector<Queue> queues_;
};

}  // namespace eidolon::device::virtio
