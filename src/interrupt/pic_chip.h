// One 8259A programmable interrupt controller (Intel 8259A datasheet, 231468). The pair of a PC, with
// its locking and its ports, is Pic.
#pragma once

#include <cstdint>

namespace eidolon::interrupt {

class PicChip {
 public:
  /// Power-on: uninitialized, everything masked. Lines keep their levels.
  void reset();

  void set_line(unsigned line, bool level);
  /// Lines whose request is their level (ELCR, and the cascade), not their rising edge.
  void set_level_lines(uint8_t mask);

  /// Whether INT is asserted.
  [[nodiscard]] bool output() const { return pending_line() >= 0; }
  /// The two INTA cycles: the line that enters service, or -1 if the request went away (the vector is
  /// then that of line 7, and nothing is in service).
  int acknowledge();
  [[nodiscard]] uint8_t vector(int line) const {
    return static_cast<uint8_t>(vector_base_ | (line < 0 ? 7 : line));
  }

  void write_command(uint8_t value);  ///< A0 = 0: ICW1, OCW2, OCW3
  void write_data(uint8_t value);     ///< A0 = 1: ICW2-4, OCW1
  [[nodiscard]] uint8_t read_command();
  [[nodiscard]] uint8_t read_data();

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.lines_, self.request_, self.service_, self.mask_, self.level_lines_, self.vector_base_,
      self.top_line_, self.init_step_, self.needs_icw4_, self.single_, self.auto_eoi_, self.rotate_auto_,
      self.special_mask_, self.nested_, self.all_level_, self.read_service_, self.poll_);
  }
  /// Brings loaded values into their ranges.
  void sanitize();

 private:
  [[nodiscard]] uint8_t level_mask() const { return all_level_ ? 0xff : level_lines_; }
  /// Distance of the highest-priority set bit of `set` from the top line; 8 if there is none.
  [[nodiscard]] unsigned priority(uint8_t set) const;
  [[nodiscard]] int pending_line() const;
  void write_icw1(uint8_t value);
  void write_ocw2(uint8_t value);
  void write_ocw3(uint8_t value);

  uint8_t lines_ = 0;
  uint8_t request_ = 0;  ///< IRR
  uint8_t service_ = 0;  ///< ISR
  uint8_t mask_ = 0xff;  ///< IMR
  uint8_t level_lines_ = 0;
  uint8_t vector_base_ = 0;
  uint8_t top_line_ = 0;   ///< the line with the highest priority
  uint8_t init_step_ = 0;  ///< the ICW expected next (2, 3 or 4), 0: operating
  bool needs_icw4_ = false;
  bool single_ = false;
  bool auto_eoi_ = false;
  bool rotate_auto_ = false;
  bool special_mask_ = false;
  bool nested_ = false;  ///< special fully nested mode
  bool all_level_ = false;
  bool read_service_ = false;
  bool poll_ = false;
};

}  // namespace eidolon::interrupt
