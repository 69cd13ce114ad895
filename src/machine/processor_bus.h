// Guest-physical addresses that are no memory, as one processor sees them: its own local APIC's page, and
// behind it what all processors share.
#pragma once

#include "interrupt/local_apic.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class ProcessorBus {
 public:
  /// Both outlive it. Where another device or RAM is, those go on answering.
  ProcessorBus(const memory::IoBus& shared, interrupt::LocalApic& apic);
  ProcessorBus(const ProcessorBus&) = delete;
  ProcessorBus& operator=(const ProcessorBus&) = delete;

  [[nodiscard]] memory::IoBus& bus() { return bus_; }
  /// The APIC as at power-on. By whoever has the processor's turn.
  void reset_apic();

 private:
  class Shared final : public memory::IoHandler {
   public:
    explicit Shared(const memory::IoBus& bus) : bus_(bus) {}
    [[nodiscard]] uint64_t io_read(uint64_t address, unsigned size) override {
      return bus_.read(address, size);
    }
    void io_write(uint64_t address, unsigned size, uint64_t value) override {
      bus_.write(address, size, value);
    }
    [[nodiscard]] bool has_handler(uint64_t address) const { return bus_.has_handler(address); }

   private:
    const memory::IoBus& bus_;
  };
  /// 0: disabled. By whoever has the processor's turn: nobody else uses this bus.
  void move_apic(uint64_t address);

  Shared shared_;
  interrupt::LocalApic& apic_;
  memory::IoBus bus_;
  uint64_t apic_page_ = 0;  ///< 0: not on the bus
};

}  // namespace eidolon::machine
