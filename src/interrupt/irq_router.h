// Where the wires of a PC's board go: an ISA interrupt reaches both the 8259 pair and the I/O APIC, as the
// MADT tells the guest (ISA IRQ 0 is pin 2, the others are pin n).
//
// Several devices may share a wire: each has a source of its own, and the wire is their OR.
#pragma once

#include <array>
#include <deque>
#include <mutex>

#include "base/state_stream.h"
#include "interrupt/io_apic.h"
#include "interrupt/irq_line.h"
#include "interrupt/pic.h"

namespace eidolon::interrupt {

class IrqRouter final : public Stateful {
 public:
  /// Either may be null.
  IrqRouter(Pic* pic, IoApic* io_apic) : pic_(pic), io_apic_(io_apic) {}

  /// A new source on ISA interrupt 0..15. Lives as long as the router. While the machine is wired.
  [[nodiscard]] IrqLine& isa(unsigned irq);
  /// A new source on a pin of the I/O APIC. Pins 3-15 share their wire with the ISA interrupt.
  [[nodiscard]] IrqLine& pin(unsigned pin);

  /// The pin of the I/O APIC that an ISA interrupt is wired to.
  [[nodiscard]] static constexpr unsigned pin_of_isa(unsigned irq) { return irq == 0 ? 2 : irq; }

  // Of the levels that sources have now; the controllers keep what they were told.
  [[nodiscard]] std::string_view name() const override { return "irq-lines"; }
  void reset() override {}
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

  // While a snapshot is loaded, devices set their wires as they find them, and take them back, while the
  // controllers have their state already: between hold() and release() they are told nothing. release() tells
  // them what is different at the end.
  void hold();
  void release();

 private:
  class Source final : public IrqLine {
   public:
    Source(IrqRouter& router, unsigned pin) : router_(router), pin_(pin) {}
    void set(bool level) override { router_.set(*this, level); }

   private:
    friend class IrqRouter;
    IrqRouter& router_;
    const unsigned pin_;
    bool level_ = false;  ///< guarded by the router's mutex
  };
  void set(Source& source, bool level);
  void tell(unsigned pin);

  mutable std::mutex mutex_;  ///< lock order: irq_line.h
  bool held_ = false;
  Pic* const pic_;
  IoApic* const io_apic_;
  std::deque<Source> sources_;
  std::array<unsigned, IoApic::kPins> asserted_{};  ///< sources that assert each wire
  std::array<bool, IoApic::kPins> told_{};          ///< the level that the controllers know
};

}  // namespace eidolon::interrupt
