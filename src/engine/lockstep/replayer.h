// Stands around the second processor in place of a machine, and answers from the tape.
#pragma once

#include "cpu/interrupt_source.h"
#include "cpu/tsc.h"
#include "engine/lockstep/tape.h"
#include "memory/io_bus.h"

namespace eidolon::engine::lockstep {

class Replayer final : public cpu::InterruptSource, public cpu::TscSource {
 public:
  explicit Replayer(Tape& tape);

  memory::IoBus ports;
  memory::IoBus mmio;

  [[nodiscard]] bool interrupt_pending() override { return tape_.peek(Entry::Kind::kAcknowledge) != nullptr; }
  [[nodiscard]] std::optional<uint8_t> acknowledge() override;
  [[nodiscard]] uint8_t task_priority() override;
  void set_task_priority(uint8_t cr8) override;
  [[nodiscard]] cpu::Outcome<uint64_t> read_msr(uint32_t msr) override;
  [[nodiscard]] cpu::Outcome<> write_msr(uint32_t msr, uint64_t value) override;
  void init() override;
  [[nodiscard]] uint64_t host_tsc() override;

 private:
  class Bus final : public memory::IoHandler {
   public:
    Bus(Tape& tape, Entry::Kind read, Entry::Kind write) : tape_(tape), read_(read), write_(write) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    Tape& tape_;
    const Entry::Kind read_, write_;
  };

  Tape& tape_;
  Bus port_handler_, mmio_handler_;
};

}  // namespace eidolon::engine::lockstep
