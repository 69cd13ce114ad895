// Sits between the first processor and the machine around it, and writes what passes onto the tape.
#pragma once

#include "cpu/cpu.h"
#include "cpu/tsc.h"
#include "engine/lockstep/tape.h"

namespace eidolon::engine::lockstep {

class Recorder final : public cpu::InterruptSource, public cpu::TscSource {
 public:
  /// In place until destroyed.
  Recorder(cpu::Cpu& cpu, Tape& tape);
  ~Recorder() override;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  [[nodiscard]] bool interrupt_pending() override { return source_->interrupt_pending(); }
  [[nodiscard]] std::optional<uint8_t> acknowledge() override;
  [[nodiscard]] uint8_t task_priority() override;
  void set_task_priority(uint8_t cr8) override;
  [[nodiscard]] cpu::Outcome<uint64_t> read_msr(uint32_t msr) override;
  [[nodiscard]] cpu::Outcome<> write_msr(uint32_t msr, uint64_t value) override;
  void init() override;
  void tsc_changed(uint64_t offset) override { source_->tsc_changed(offset); }
  [[nodiscard]] uint64_t host_tsc() override;

 private:
  class Bus final : public memory::IoObserver {
   public:
    Bus(Tape& tape, Entry::Kind read, Entry::Kind write) : tape_(tape), read_(read), write_(write) {}
    void after_read(uint64_t address, unsigned size, uint64_t value) override;
    void before_write(uint64_t address, unsigned size, uint64_t value) override;

   private:
    Tape& tape_;
    const Entry::Kind read_, write_;
  };

  cpu::Cpu& cpu_;
  Tape& tape_;
  cpu::InterruptSource* const source_;
  Bus ports_, mmio_;
};

}  // namespace eidolon::engine::lockstep
