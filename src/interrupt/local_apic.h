// A processor's local APIC (SDM volume 3, chapter 11): the xAPIC page, the x2APIC registers, the timer,
// and the virtual wire from the 8259 pair.
//
// The processor's thread asks it for vectors; I/O APIC, other processors, timer and PIC make vectors
// pending from their own threads and wake the processor through its EventFlags. Nothing is called
// outwards (bus, PIC) while its lock is held, so that an EOI or an acknowledge may come back to it.
#pragma once

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>

#include "base/clock.h"
#include "base/state_stream.h"
#include "cpu/apic_keeper.h"
#include "cpu/event_flags.h"
#include "cpu/interrupt_source.h"
#include "interrupt/apic_bus.h"
#include "interrupt/apic_timer.h"
#include "interrupt/pic.h"
#include "memory/io_handler.h"
#include "x86/msr.h"

namespace eidolon::interrupt {

/// A set of vectors, as IRR, ISR and TMR are.
struct VectorSet {
  std::array<uint32_t, 8> words{};

  [[nodiscard]] bool test(uint8_t vector) const { return (words[vector >> 5] >> (vector & 31) & 1) != 0; }
  void set(uint8_t vector) { words[vector >> 5] |= 1u << (vector & 31); }
  void clear(uint8_t vector) { words[vector >> 5] &= ~(1u << (vector & 31)); }
  [[nodiscard]] int highest() const;  ///< -1 if empty
};

class LocalApic final : public memory::IoHandler,
                        public cpu::InterruptSource,
                        public cpu::ExternalInterrupts,
                        public Stateful {
 public:
  static constexpr uint64_t kAddress = 0xfee00000;
  static constexpr uint64_t kLength = 0x1000;
  static constexpr uint32_t kVersion = 0x00050014;  ///< integrated, six LVT entries

  /// `pic` answers ExtINT acknowledges; null where there is none.
  LocalApic(ApicBus& bus, TimerQueue& timers, uint32_t id, bool bootstrap, Pic* pic = nullptr);

  /// Once, before the machine runs: the processor whose APIC this is.
  void attach(cpu::EventFlags& events, TscReference tsc);
  /// Called with no lock held when the guest moves or disables the register page.
  void set_base_observer(std::function<void(uint64_t)> observer) { base_observer_ = std::move(observer); }

  /// The initial ID. It stays: of the xAPIC's ID register the SDM (11.4.6) leaves to each model whether
  /// software can change it.
  [[nodiscard]] uint32_t id() const { return id_; }
  /// Of a processor that is not plugged in: nothing reaches it. It is there until somebody says so.
  void set_present(bool present);

  // From the bus.
  /// Takes no lock.
  [[nodiscard]] bool addressed_by(const ApicMessage& message) const;
  /// Returns whether the message was taken.
  bool accept(const ApicMessage& message);
  /// What it competes with for a message of the lowest priority; nothing if it takes none.
  [[nodiscard]] std::optional<uint8_t> arbitration_priority() const;

  // By the bus, while the processor stands (cpu/apic_keeper.h).
  /// False: it is refused, and stays.
  [[nodiscard]] bool lend(cpu::ApicKeeper& keeper);
  void take_back();
  /// Pending or in service.
  [[nodiscard]] bool holds(uint8_t vector) const;
  // cpu::ExternalInterrupts, while it is lent
  [[nodiscard]] bool external_pending() override;
  [[nodiscard]] std::optional<uint8_t> acknowledge_external() override;

  /// The pins: LINT0 carries the PIC's INT, LINT1 the board's NMI.
  void set_lint(unsigned pin, bool level);
  // cpu::InterruptSource
  [[nodiscard]] bool interrupt_pending() override;
  [[nodiscard]] std::optional<uint8_t> acknowledge() override;
  [[nodiscard]] uint8_t task_priority() override;
  void set_task_priority(uint8_t cr8) override;
  [[nodiscard]] bool shares_priority() const override { return true; }
  [[nodiscard]] cpu::Outcome<uint64_t> read_msr(uint32_t msr) override;
  [[nodiscard]] cpu::Outcome<> write_msr(uint32_t msr, uint64_t value) override;
  void tsc_changed(uint64_t offset) override;
  void init() override;

  // The xAPIC page: 32-bit registers on 16-byte boundaries.
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  enum Lvt : unsigned { kLvtTimer, kLvtThermal, kLvtPerformance, kLvtLint0, kLvtLint1, kLvtError, kLvtCount };

  /// What a register write asks of the rest of the machine, once the lock is released.
  struct Followup {
    enum class Kind : uint8_t { kNone, kEndOfInterrupt, kSend, kSendToOthers } kind = Kind::kNone;
    uint8_t vector = 0;
    ApicMessage message{};
  };

  [[nodiscard]] bool globally_enabled() const { return (base_ & x86::kApicBaseEnable) != 0; }
  [[nodiscard]] bool x2() const { return (base_ & x86::kApicBaseX2Apic) != 0; }
  [[nodiscard]] bool enabled() const;

  void reset_registers();
  void load_locked(StateReader& from);
  [[nodiscard]] uint32_t read_register(unsigned index);
  [[nodiscard]] Followup write_register(unsigned index, uint32_t value);
  void write_spurious(uint32_t value);
  void write_lvt(unsigned which, uint32_t value);
  [[nodiscard]] Followup send(uint32_t low);
  [[nodiscard]] Followup end_of_interrupt();
  void carry_out(const Followup& followup);

  // local_apic_lent.cpp
  [[nodiscard]] cpu::ApicImage image();
  void take(const cpu::ApicImage& image);
  [[nodiscard]] bool pass_on(const ApicMessage& message);
  [[nodiscard]] uint32_t read_lent(unsigned index);
  [[nodiscard]] Followup write_lent(unsigned index, uint32_t value);
  void put_again();

  [[nodiscard]] cpu::Outcome<> write_base(uint64_t value);
  [[nodiscard]] cpu::Outcome<uint64_t> read_x2(unsigned index);
  [[nodiscard]] cpu::Outcome<> write_x2(unsigned index, uint64_t value);

  [[nodiscard]] uint8_t priority() const;
  [[nodiscard]] int deliverable() const;
  [[nodiscard]] bool ext_int_pending() const;
  void make_pending(uint8_t vector, bool level);
  void local_interrupt(unsigned which);
  void set_error(uint32_t error);
  void publish_waiting();
  void publish_address();
  void wake();
  void raise(uint32_t events);
  void timer_expired();

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    uint8_t task_priority = self.priority_->task;
    s(self.base_, self.logical_, self.format_, self.spurious_, task_priority, self.request_.words,
      self.service_.words, self.trigger_.words, self.command_, self.lvt_, self.errors_, self.error_status_,
      self.lint_, self.ext_int_);
    // Generated code writes it without the lock: saving must not.
    if constexpr (!std::is_const_v<Self>) self.priority_->task = task_priority;
    ApicTimer::fields(self.timer_, s);
  }

  mutable std::mutex mutex_;  ///< lock order: irq_line.h
  ApicBus& bus_;
  Pic* const pic_;
  const uint32_t id_;
  const std::string name_ = fmt::format("lapic{}", id_);
  const bool bootstrap_;
  cpu::EventFlags* events_ = nullptr;
  std::function<void(uint64_t)> base_observer_;

  cpu::ApicKeeper* keeper_ = nullptr;  ///< who has it; null: it is here
  bool present_ = true;
  std::atomic<uint32_t> address_{0};  ///< what addressed_by needs of the registers: publish_address
  uint64_t base_ = 0;                 ///< IA32_APIC_BASE
  uint32_t logical_ = 0;
  uint32_t format_ = 0;
  uint32_t spurious_ = 0;
  cpu::SharedPriority own_priority_;  ///< until there is a processor to share it with
  cpu::SharedPriority* priority_ = &own_priority_;
  VectorSet request_;
  VectorSet service_;
  VectorSet trigger_;
  uint64_t command_ = 0;  ///< ICR
  std::array<uint32_t, kLvtCount> lvt_{};
  uint32_t errors_ = 0;        ///< collected since the last write of ESR
  uint32_t error_status_ = 0;  ///< what ESR reads
  std::array<bool, 2> lint_{};
  bool ext_int_ = false;  ///< an ExtINT message came over the bus
  ApicTimer timer_;       ///< last: its destruction waits for a callback that uses the rest
};

}  // namespace eidolon::interrupt
