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

  [[nodiscard]] bool connect(const memory::Doorbell& doorbell) override;
  void disconnect(const memory::Doorbell& doorbell) override;

 private:
  KernelDoorbells(int vm, uint32_t bytes) : vm_(vm), bytes_(bytes) {}
  [[nodiscard]] bool tell(const memory::Doorbell& doorbell, uint32_t flags) const;

  const int vm_;
  const uint32_t bytes_;  ///< of writes of whatever; 0: of any length
};

}  // namespace eidolon::engine::kvm
