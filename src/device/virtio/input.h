// What input devices share (virtio 1.2, 5.8): the configuration, by which the driver asks what there is to
// come, and a queue for events. A device says how the guest sees keys and positions, and how they should be;
// what is between them becomes events as the driver has room for them. So no key stays down because it was
// let go while nobody looked.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <initializer_list>

#include "device/virtio/device.h"

namespace eidolon::device::virtio {

/// As in Linux's input-event-codes.h.
struct InputEvent {
  uint16_t type;
  uint16_t code;
  uint32_t value;
  [[nodiscard]] bool operator==(const InputEvent&) const = default;
};
inline constexpr uint16_t kInputKey = 1, kInputRelative = 2, kInputAbsolute = 3, kInputLight = 0x11,
                          kInputRepeat = 0x14;

/// The codes of one type that a device has.
struct InputCodes {
  uint16_t type;
  std::vector<uint16_t> codes;
};

class Input : public Device {
 public:
  struct About {
    std::string name;     ///< unique in a machine
    std::string product;  ///< for the guest's eyes
    uint16_t number;      ///< of the product
    uint32_t class_code;
    std::vector<InputCodes> codes;
    int32_t range = 0;  ///< absolute positions are from 0 to this
  };
  explicit Input(About about);

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  /// The guest has made it ready. From any thread.
  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }

  // With the lock held.
  /// What has changed is told to the guest, as far as it has room.
  void update();
  /// Some events have not gone.
  [[nodiscard]] bool behind() const { return !events_.empty(); }
  /// For tell(): what changes at one time. False: later.
  [[nodiscard]] bool add_events(std::span<const InputEvent> events);

  // What a device adds, called with the lock held.
  /// Makes events of what the guest has not been told, until there is no more of it or add_events() says so.
  virtual void tell() = 0;
  virtual void light(uint16_t /*number*/, bool /*on*/) {}
  /// Nothing is pressed, and the guest knows it.
  virtual void clear() = 0;
  virtual void save_input(StateWriter& to) const = 0;
  virtual void load_input(StateReader& from) = 0;

 private:
  /// That wait for the guest: as many keys as the PS/2 keyboard keeps, each with the end of its packet.
  static constexpr size_t kMostEvents = 2 * 4096;
  enum Queues : unsigned { kEvents, kStatus };

  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void config_byte_written(uint64_t offset, uint8_t value) override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  [[nodiscard]] std::vector<uint8_t> answer() const;
  [[nodiscard]] std::vector<uint8_t> bits_of(uint8_t type) const;
  /// Whether any event has gone.
  bool deliver();
  void take_status();

  const About about_;
  std::atomic<bool> ready_{false};
  bool held_ = false;
  uint8_t select_ = 0, subselect_ = 0;
  std::deque<InputEvent> events_;
};

}  // namespace eidolon::device::virtio
