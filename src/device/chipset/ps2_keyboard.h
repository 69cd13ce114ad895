// A PS/2 keyboard with 102 keys and more (IBM PS/2 keyboard technical reference): commands from the
// controller, scan codes of sets 1, 2 and 3. It repeats a key as often as the user's side says that it is
// pressed: VNC clients and terminals repeat keys by themselves.
//
// No lock: the controller has one.
#pragma once

#include <bitset>
#include <deque>

#include "device/chipset/ps2_queue.h"
#include "device/chipset/scan_codes.h"
#include "device/input/events.h"

namespace eidolon::device {

class Ps2Keyboard {
 public:
  /// Keys that wait until the guest takes them; typed text is as long as that.
  static constexpr size_t kMostWaiting = 4096;

  Ps2Keyboard() { reset(); }
  void reset();

  /// From the controller.
  void write(uint8_t byte);
  [[nodiscard]] std::optional<uint8_t> take();
  [[nodiscard]] bool has_byte() const { return !queue_.empty(); }

  void key(const input::KeyEvent& event);
  [[nodiscard]] bool scanning() const { return scanning_; }

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  /// How a key of set 3 behaves; in the other sets all keys do everything.
  enum KeyType : uint8_t { kReleases = 1, kRepeats = 2 };

  void set_defaults();
  void set_all_types(uint8_t type);
  void command(uint8_t byte);
  void argument(uint8_t command, uint8_t byte);
  void feed();
  /// False if there is no room for its codes yet.
  bool send(const input::KeyEvent& event);
  [[nodiscard]] std::vector<uint8_t> codes(const input::KeyEvent& event, bool repeated) const;
  [[nodiscard]] std::vector<uint8_t> set2_codes(const input::KeyEvent& event) const;
  [[nodiscard]] std::vector<uint8_t> set3_codes(const input::KeyEvent& event, bool repeated) const;
  [[nodiscard]] bool held(uint16_t left, uint16_t right) const { return down_[left] || down_[right]; }

  Ps2Queue queue_;
  std::deque<input::KeyEvent> waiting_;
  std::bitset<256> down_;  ///< as the guest was told
  uint8_t set_ = 2;
  uint8_t leds_ = 0;
  uint8_t rate_ = 0;
  bool scanning_ = true;
  uint8_t awaiting_ = 0;              ///< the command whose argument comes next, or 0
  std::array<uint8_t, 256> types_{};  ///< of set 3, by its codes
};

}  // namespace eidolon::device
