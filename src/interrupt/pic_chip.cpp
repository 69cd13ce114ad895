#include "interrupt/pic_chip.h"

#include <bit>

namespace eidolon::interrupt {

namespace {
constexpr unsigned kCascadeLine = 2;
constexpr uint8_t bit_of(unsigned line) { return static_cast<uint8_t>(1u << (line & 7)); }
}  // namespace

void PicChip::reset() {
  const uint8_t lines = lines_;
  const uint8_t level_lines = level_lines_;
  *this = PicChip{};
  lines_ = lines;
  level_lines_ = level_lines;
  request_ = lines & level_lines;
}

void PicChip::set_line(unsigned line, bool level) {
  const uint8_t mask = bit_of(line);
  const bool was = (lines_ & mask) != 0;
  if (level) {
    lines_ |= mask;
    if (!was || (level_mask() & mask) != 0) request_ |= mask;
  } else {
    // Also for edges: a line that falls before it is acknowledged takes its request back (datasheet,
    // "Edge and level triggered modes").
    lines_ &= static_cast<uint8_t>(~mask);
    request_ &= static_cast<uint8_t>(~mask);
  }
}

void PicChip::set_level_lines(uint8_t mask) {
  level_lines_ = mask;
  request_ |= lines_ & level_mask();
}

unsigned PicChip::priority(uint8_t set) const {
  if (set == 0) return 8;
  return static_cast<unsigned>(std::countr_zero(std::rotr(set, top_line_)));
}

int PicChip::pending_line() const {
  if (init_step_ != 0) return -1;
  const unsigned wanted = priority(request_ & static_cast<uint8_t>(~mask_));
  if (wanted == 8) return -1;
  const int line = static_cast<int>((wanted + top_line_) & 7);
  // In special mask mode only a line's own service holds it back.
  if (special_mask_) return (service_ & bit_of(static_cast<unsigned>(line))) == 0 ? line : -1;
  uint8_t blocking = service_;
  if (nested_) blocking &= static_cast<uint8_t>(~bit_of(kCascadeLine));
  return wanted < priority(blocking) ? line : -1;
}

int PicChip::acknowledge() {
  const int line = pending_line();
  if (line < 0) return -1;
  const uint8_t mask = bit_of(static_cast<unsigned>(line));
  if ((level_mask() & mask) == 0) request_ &= static_cast<uint8_t>(~mask);
  if (!auto_eoi_) {
    service_ |= mask;
  } else if (rotate_auto_) {
    top_line_ = static_cast<uint8_t>((line + 1) & 7);
  }
  return line;
}

void PicChip::write_command(uint8_t value) {
  if ((value & 0x10) != 0) {
    write_icw1(value);
  } else if ((value & 0x08) != 0) {
    write_ocw3(value);
  } else {
    write_ocw2(value);
  }
}

void PicChip::write_icw1(uint8_t value) {
  const uint8_t lines = lines_;
  const uint8_t level_lines = level_lines_;
  *this = PicChip{};
  lines_ = lines;  // a line that is high must fall and rise again to count as an edge
  level_lines_ = level_lines;
  mask_ = 0;
  needs_icw4_ = (value & 0x01) != 0;
  single_ = (value & 0x02) != 0;
  all_level_ = (value & 0x08) != 0;
  request_ = lines_ & level_mask();
  init_step_ = 2;
}

void PicChip::write_data(uint8_t value) {
  switch (init_step_) {
    case 2:
      vector_base_ = value & 0xf8;
      init_step_ = static_cast<uint8_t>(single_ ? (needs_icw4_ ? 4 : 0) : 3);
      break;
    case 3:  // the wiring of the cascade is fixed
      init_step_ = needs_icw4_ ? 4 : 0;
      break;
    case 4:
      auto_eoi_ = (value & 0x02) != 0;
      nested_ = (value & 0x10) != 0;
      init_step_ = 0;
      break;
    default:
      mask_ = value;
  }
}

void PicChip::write_ocw2(uint8_t value) {
  const bool rotate = (value & 0x80) != 0;
  const bool specific = (value & 0x40) != 0;
  const bool eoi = (value & 0x20) != 0;
  unsigned line = value & 7;
  if (!eoi && !specific) {
    rotate_auto_ = rotate;
    return;
  }
  if (eoi && !specific) {
    // In special mask mode a masked line's service is not the one that is meant.
    const uint8_t candidates = special_mask_ ? static_cast<uint8_t>(service_ & ~mask_) : service_;
    const unsigned highest = priority(candidates);
    if (highest == 8) return;
    line = (highest + top_line_) & 7;
  }
  if (eoi) service_ &= static_cast<uint8_t>(~bit_of(line));
  if (rotate) top_line_ = static_cast<uint8_t>((line + 1) & 7);
}

void PicChip::write_ocw3(uint8_t value) {
  if ((value & 0x40) != 0) special_mask_ = (value & 0x20) != 0;
  if ((value & 0x02) != 0) read_service_ = (value & 0x01) != 0;
  poll_ = (value & 0x04) != 0;
}

uint8_t PicChip::read_command() {
  if (poll_) {
    poll_ = false;
    const int line = acknowledge();
    return line < 0 ? 0 : static_cast<uint8_t>(0x80 | line);
  }
  return read_service_ ? service_ : request_;
}

uint8_t PicChip::read_data() {
  if (poll_) return read_command();
  return mask_;
}

void PicChip::sanitize() {
  vector_base_ &= 0xf8;
  top_line_ &= 7;
  if (init_step_ == 1 || init_step_ > 4) init_step_ = 0;
}

}  // namespace eidolon::interrupt
