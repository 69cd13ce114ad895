// KVM's paravirtual interface, which Linux's stock kernels use unasked: the clock, time stolen, kicks of
// halted processors (spin locks), TLB flushes of processors that sleep, IPIs to many at once.
#pragma once

#include <fmt/format.h>

#include <array>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/state_stream.h"
#include "cpu/cpu.h"
#include "cpu/paravirt.h"
#include "interrupt/apic_bus.h"
#include "paravirt/kvm/interface.h"

namespace eidolon::paravirt::kvm {

/// What the processors of a machine share. The clock and the TSC are read once, so that all processors'
/// clocks are one.
class Host {
 public:
  Host(const Clock& clock, const interrupt::ApicBus& bus, uint32_t tsc_khz);
  /// While the machine is put together.
  void add(cpu::Cpu& cpu, uint32_t apic_id);

  /// Guest time was `nanoseconds` when the host's TSC was `tsc`.
  struct Base {
    uint64_t tsc;
    Nanoseconds nanoseconds;
  };
  [[nodiscard]] const Base& base() const { return base_; }
  /// After the clock stood, and for a machine that goes on from a snapshot. While no processor runs.
  void set_base(const Base& base) { base_ = base; }
  /// The guest's time has jumped, and all processors are told when they are next told the time. While none
  /// runs.
  void note_jump() { ++jumps_; }
  [[nodiscard]] uint64_t jumps() const { return jumps_; }
  /// From TSC ticks to nanoseconds: shift, multiply, take the upper half of 64 bits.
  [[nodiscard]] uint32_t multiplier() const { return multiplier_; }
  [[nodiscard]] int8_t shift() const { return shift_; }
  [[nodiscard]] Nanoseconds now() const { return clock_.now(); }
  /// Ends the halt of a processor, this one or the next. From any thread.
  void kick(uint32_t apic_id) const;
  void send(const interrupt::ApicMessage& message) const { (void)bus_.deliver(message); }

 private:
  const Clock& clock_;
  const interrupt::ApicBus& bus_;
  Base base_;
  uint64_t jumps_ = 0;
  uint32_t multiplier_ = 0;
  int8_t shift_ = 0;
  std::vector<cpu::Cpu*> by_apic_id_;
};

/// Whether the guest is offered hypercalls. A host's KVM keeps those to itself.
enum class Calls : uint8_t { kOffered, kNone };

/// Shows the interface in CPUID, behind our own name: guests look at every multiple of 0x100.
void show(cpu::CpuidModel& model, Calls calls = Calls::kOffered);
/// Whether show() has offered hypercalls.
[[nodiscard]] bool shows_calls(const cpu::CpuidModel& model);

class Kvm final : public cpu::Paravirt, public Stateful {
 public:
  /// `stolen` tells how long the calling thread was ready and did not run, since its start (ns).
  Kvm(cpu::Cpu& cpu, const Host& host, std::function<uint64_t()> stolen);

  [[nodiscard]] bool has_msr(uint32_t msr) const override;
  [[nodiscard]] cpu::Outcome<uint64_t> read_msr(uint32_t msr) override;
  [[nodiscard]] cpu::Outcome<> write_msr(uint32_t msr, uint64_t value) override;
  void hypercall() override;
  void tsc_changed() override;
  void sleeps() override;
  void wakes() override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override;
  void save(StateWriter& to) const override;
  /// Addresses that are not RAM any more are not written to, as always.
  void load(StateReader& from) override;

 private:
  static constexpr uint64_t kEnabled = 1;
  static constexpr Nanoseconds kStealPeriod = 100'000'000;

  template <typename T>
  [[nodiscard]] T* shared(uint64_t address) const;
  void publish_system_time();
  void publish_wall_clock(uint64_t address);
  /// Null: the guest has not asked for it, or names no RAM.
  [[nodiscard]] StealTime* steal_time() const;
  void publish_steal_time();
  [[nodiscard]] uint64_t call(uint64_t number, const std::array<uint64_t, 4>& argument);
  [[nodiscard]] uint64_t send_ipis(const std::array<uint64_t, 4>& argument);

  cpu::Cpu& cpu_;
  const std::string name_ = fmt::format("kvm-paravirt{}", cpu_.index);
  const Host& host_;
  const std::function<uint64_t()> stolen_;
  uint64_t wall_clock_ = 0, system_time_ = 0, steal_time_ = 0;  ///< the MSRs
  uint64_t stolen_before_ = 0;                                  ///< of `stolen`, when it was last told
  Nanoseconds told_at_ = 0;
  uint64_t told_jumps_ = 0;
};

}  // namespace eidolon::paravirt::kvm
