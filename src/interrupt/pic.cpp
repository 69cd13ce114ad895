#include "interrupt/pic.h"

namespace eidolon::interrupt {

namespace {
constexpr unsigned kCascade = 2;
constexpr uint8_t kCascadeMask = 1u << kCascade;
/// IRQs 0, 1, 2, 8 and 13 are always edge-triggered (82378ZB, 4.10).
constexpr std::array<uint8_t, 2> kElcrWritable{0xf8, 0xde};
}  // namespace

Pic::Pic() { reset(); }

void Pic::reset() {
  std::lock_guard lock(mutex_);
  elcr_ = {};
  // The slave's INT is followed as a level: it stays asserted while the slave has another request.
  master_.set_level_lines(kCascadeMask);
  slave_.set_level_lines(0);
  master_.reset();
  slave_.reset();
  update();
}

void Pic::set_irq(unsigned irq, bool level) {
  if (irq == kCascade || irq > 15) return;
  std::lock_guard lock(mutex_);
  if (irq < 8) {
    master_.set_line(irq, level);
  } else {
    slave_.set_line(irq - 8, level);
  }
  update();
}

void Pic::update() {
  master_.set_line(kCascade, slave_.output());
  const bool now = master_.output();
  if (now == asserted_) return;
  asserted_ = now;
  if (output_) output_(now);
}

uint8_t Pic::acknowledge() {
  std::lock_guard lock(mutex_);
  const int line = master_.acknowledge();
  const uint8_t vector =
      line == static_cast<int>(kCascade) ? slave_.vector(slave_.acknowledge()) : master_.vector(line);
  update();
  return vector;
}

bool Pic::output() const {
  std::lock_guard lock(mutex_);
  return asserted_;
}

uint8_t Pic::read(PicChip& chip, unsigned offset) {
  std::lock_guard lock(mutex_);
  const uint8_t value = (offset & 1) == 0 ? chip.read_command() : chip.read_data();
  update();  // a poll acknowledges
  return value;
}

void Pic::write(PicChip& chip, unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  if ((offset & 1) == 0) {
    chip.write_command(value);
  } else {
    chip.write_data(value);
  }
  update();
}

uint8_t Pic::read_elcr(unsigned offset) {
  std::lock_guard lock(mutex_);
  return elcr_[offset & 1];
}

void Pic::write_elcr(unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  const unsigned chip = offset & 1;
  elcr_[chip] = value & kElcrWritable[chip];
  if (chip == 0) {
    master_.set_level_lines(elcr_[0] | kCascadeMask);
  } else {
    slave_.set_level_lines(elcr_[1]);
  }
  update();
}

void Pic::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  PicChip::fields(master_, to);
  PicChip::fields(slave_, to);
  to(elcr_);
  to.end();
}

void Pic::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  PicChip master;
  PicChip slave;
  std::array<uint8_t, 2> elcr{};
  from.begin(name());
  PicChip::fields(master, from);
  PicChip::fields(slave, from);
  from(elcr);
  from.end();
  if (from.failed()) return;
  master.sanitize();
  slave.sanitize();
  master_ = master;
  slave_ = slave;
  elcr_ = elcr;
  update();
}

}  // namespace eidolon::interrupt
