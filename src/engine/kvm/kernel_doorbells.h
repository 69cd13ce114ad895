// Notifications that the kernel takes: a write of the guest's raises an event descriptor, and the processor
// does not leave the guest for the monitor (KVM API, 4.59 KVM_IOEVENTFD).
#pragma once

#include <memory>

#include "engine/kvm/system.h"
#include "memory/doorbells.h"

namespace eidolon::engine::kvm {

class KernelDoorbells final : public memory::Doorbells {
 public:
  /// Null: this KVM does not do it. `vm` outlives it.
  static std::unique_ptr<KernelDoorbells> create(const System& system, int vm);

  [[nodiscard]] bool connect(uint64_t address, int event) override;
  void disconnect(uint64_t address, int event) override;

 private:
  KernelDoorbells(int vm, uint32_t bytes) : vm_(vm), bytes_(bytes) {}
  [[nodiscard]] bool tell(uint64_t address, int event, uint32_t flags) const;

  const int vm_;
  const uint32_t bytes_;  ///< of the writes that it takes; 0: of any
};

}  // namespace eidolon::engine::kvm
