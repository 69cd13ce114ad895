// The local APICs in the kernel, and the rest of the interrupt controllers ours: KVM's "split irqchip" (KVM
// API, 7.5). Interrupts between processors, APIC timers, EOIs and halts then cost no exit, and where the
// processor has APICv or AVIC, KVM uses it.
#pragma once

#include <linux/kvm.h>

#include <array>
#include <functional>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "cpu/apic_keeper.h"
#include "cpu/cpu.h"
#include "engine/kvm/vcpu.h"

namespace eidolon::engine::kvm {

class KernelApics final : public cpu::ApicKeeper {
 public:
  static constexpr unsigned kPins = 24;  ///< of the I/O APIC

  /// Before the virtual machine has processors. It outlives this.
  static Result<std::unique_ptr<KernelApics>> create(int vm);
  KernelApics(const KernelApics&) = delete;
  KernelApics& operator=(const KernelApics&) = delete;

  /// A processor by the ID of its APIC, until remove().
  void add(uint32_t id, const Vcpu& vcpu, cpu::Cpu& cpu);
  void remove(uint32_t id);
  /// Null: its APIC is not here.
  [[nodiscard]] cpu::ExternalInterrupts* external(uint32_t id) const { return processors_[id].external; }
  void end_of_interrupt(uint8_t vector) const {
    if (ended_) ended_(vector);
  }

  [[nodiscard]] bool put(uint32_t id, const cpu::ApicImage& image,
                         cpu::ExternalInterrupts& external) override;
  [[nodiscard]] bool get(uint32_t id, cpu::ApicImage& image) override;
  bool deliver(const cpu::Msi& message) override;
  void route(unsigned pin, const std::optional<cpu::Msi>& message) override;
  void set_end_of_interrupt(std::function<void(uint8_t)> ended) override { ended_ = std::move(ended); }
  [[nodiscard]] bool read_msr(uint32_t id, uint32_t msr, uint64_t& value) override;
  [[nodiscard]] bool write_msr(uint32_t id, uint32_t msr, uint64_t value) override;

 private:
  static constexpr uint32_t kIds = 256;
  struct Processor {
    const Vcpu* vcpu = nullptr;
    cpu::Cpu* cpu = nullptr;
    cpu::ExternalInterrupts* external = nullptr;
  };
  explicit KernelApics(int vm) : vm_(vm) {}
  [[nodiscard]] const Vcpu* vcpu(uint32_t id) const { return id < kIds ? processors_[id].vcpu : nullptr; }
  void take_arrivals(const Processor& processor) const;
  void set_routes() const;

  const int vm_;
  std::array<Processor, kIds> processors_{};
  std::function<void(uint8_t)> ended_;
  std::mutex mutex_;  ///< of what follows
  std::array<std::optional<cpu::Msi>, kPins> routes_;
};

}  // namespace eidolon::engine::kvm
