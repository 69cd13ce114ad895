// A PS/2 mouse (IBM PS/2 mouse technical reference), with the wheel of the IntelliMouse and the five buttons
// of the IntelliMouse Explorer once the driver has knocked for them with sample rates.
//
// No lock: the controller has one.
#pragma once

#include <deque>

#include "device/chipset/ps2_queue.h"
#include "device/input/events.h"

namespace eidolon::device {

class Ps2Mouse {
 public:
  /// Button changes that wait for the guest; movements between them are added up.
  static constexpr size_t kMostWaiting = 64;

  Ps2Mouse() { reset(); }
  void reset();

  /// From the controller.
  void write(uint8_t byte);
  [[nodiscard]] std::optional<uint8_t> take();
  [[nodiscard]] bool has_byte() const { return !queue_.empty(); }

  /// Relative.
  void pointer(const input::PointerEvent& event);
  [[nodiscard]] bool reporting() const { return reporting_; }

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  enum class Mode : uint8_t { kStream, kRemote, kWrap };

  void set_defaults();
  void command(uint8_t byte);
  void argument(uint8_t command, uint8_t byte);
  void set_sample_rate(uint8_t rate);
  void answer_status();
  void feed();
  /// What has moved since the last packet, as far as a packet can tell; the rest stays.
  [[nodiscard]] std::vector<uint8_t> take_packet();
  [[nodiscard]] int32_t scaled(int32_t counts) const;

  struct Movement {
    int32_t x, y, wheel;
    uint8_t buttons;
    [[nodiscard]] bool moved() const { return x != 0 || y != 0 || wheel != 0; }
  };

  Ps2Queue queue_;
  std::deque<Movement>
      waiting_;          ///< the front one is next; the back one grows while its buttons stay the same
  uint8_t buttons_ = 0;  ///< as the guest was told
  uint8_t id_ = 0;
  uint8_t rate_ = 100;
  uint8_t resolution_ = 2;
  bool doubled_ = false;  ///< scaling 2:1
  bool reporting_ = false;
  Mode mode_ = Mode::kStream;
  Mode before_wrap_ = Mode::kStream;
  uint8_t awaiting_ = 0;
  std::array<uint8_t, 3> knocks_{};  ///< the last sample rates, newest last
};

}  // namespace eidolon::device
