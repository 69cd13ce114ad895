// Which pages of a slot the guest has written, as KVM notes them (KVM API, 4.8 KVM_GET_DIRTY_LOG, 4.117
// KVM_CLEAR_DIRTY_LOG).
#pragma once

#include <functional>

#include "base/result.h"
#include "memory/guest_memory.h"

namespace eidolon::engine::kvm {

/// Whole pages that were written, one after the other.
struct DirtyRun {
  memory::GuestPhysical address;  ///< where the guest had them
  const uint8_t* host;            ///< where they are: the same bytes may be shown to the guest elsewhere, too
  uint64_t length;
};
using DirtySink = std::function<void(const DirtyRun&)>;

class DirtyLog {
 public:
  /// Asks KVM to leave it to collect() when pages are watched anew, which then is done by parts: processors
  /// do not wait for the whole of a large guest.
  explicit DirtyLog(int vm);
  /// Each run is told after its pages are watched again: what is written while the sink copies it comes
  /// again.
  Result<> collect(int vm, uint32_t slot, const memory::Region& region, const DirtySink& sink) const;

 private:
  bool by_parts_;
};

}  // namespace eidolon::engine::kvm
