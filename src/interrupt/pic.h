// The PC's two cascaded 8259A controllers, and the edge/level control registers of the 82378ZB at 0x4d0.
#pragma once

#include <functional>
#include <mutex>

#include "base/state_stream.h"
#include "interrupt/pic_chip.h"
#include "memory/io_window.h"

namespace eidolon::interrupt {

class Pic final : public Stateful {
 public:
  static constexpr uint64_t kMasterPort = 0x20;  ///< two ports
  static constexpr uint64_t kSlavePort = 0xa0;   ///< two ports
  static constexpr uint64_t kElcrPort = 0x4d0;   ///< two ports

  Pic();

  /// Told of every change of INT, with the controller's lock held. To be set before the machine runs.
  void set_output(std::function<void(bool)> output) { output_ = std::move(output); }

  /// `irq` is 0..15; 2 is the cascade and not wired.
  void set_irq(unsigned irq, bool level);
  /// The processor's acknowledge: the vector, that of a spurious IRQ 7 or 15 if the request went away.
  uint8_t acknowledge();
  [[nodiscard]] bool output() const;

  [[nodiscard]] memory::IoHandler& master_ports() { return master_window_; }
  [[nodiscard]] memory::IoHandler& slave_ports() { return slave_window_; }
  [[nodiscard]] memory::IoHandler& elcr_ports() { return elcr_window_; }

  [[nodiscard]] std::string_view name() const override { return "pic"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  uint8_t read_master(unsigned offset) { return read(master_, offset); }
  void write_master(unsigned offset, uint8_t value) { write(master_, offset, value); }
  uint8_t read_slave(unsigned offset) { return read(slave_, offset); }
  void write_slave(unsigned offset, uint8_t value) { write(slave_, offset, value); }
  uint8_t read_elcr(unsigned offset);
  void write_elcr(unsigned offset, uint8_t value);
  uint8_t read(PicChip& chip, unsigned offset);
  void write(PicChip& chip, unsigned offset, uint8_t value);
  void update();

  mutable std::mutex mutex_;  ///< lock order: irq_line.h
  PicChip master_;
  PicChip slave_;
  std::array<uint8_t, 2> elcr_{};
  bool asserted_ = false;
  std::function<void(bool)> output_;
  memory::ByteWindow<Pic, &Pic::read_master, &Pic::write_master> master_window_{*this};
  memory::ByteWindow<Pic, &Pic::read_slave, &Pic::write_slave> slave_window_{*this};
  memory::ByteWindow<Pic, &Pic::read_elcr, &Pic::write_elcr> elcr_window_{*this};
};

}  // namespace eidolon::interrupt
