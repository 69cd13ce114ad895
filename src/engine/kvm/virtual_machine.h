// What the processors of one machine share in KVM: guest memory as slots, and which MSRs KVM keeps itself.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "engine/kvm/dirty_log.h"
#include "engine/kvm/system.h"
#include "memory/guest_memory.h"

namespace eidolon::engine::kvm {

class KernelApics;
class KernelDoorbells;

enum class Irqchip : uint8_t {
  kUser,   ///< all interrupt controllers are the monitor's
  kSplit,  ///< the local APICs are in the kernel
};

/// Whether KVM reads and writes the register itself; all others are what cpu/msr.h says of them.
[[nodiscard]] bool kept_by_kvm(uint32_t msr, Irqchip irqchip);

class VirtualMachine {
 public:
  /// `memory` outlives it.
  static Result<std::unique_ptr<VirtualMachine>> create(const memory::GuestMemory& memory,
                                                        Irqchip irqchip = Irqchip::kUser);
  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  [[nodiscard]] const System& system() const { return system_; }
  [[nodiscard]] Result<FileDescriptor> create_vcpu(unsigned number) const;
  /// Null: they are the monitor's.
  [[nodiscard]] KernelApics* apics() const { return apics_.get(); }
  /// Null: this KVM has none.
  [[nodiscard]] KernelDoorbells* doorbells() const { return doorbells_.get(); }
  [[nodiscard]] Irqchip irqchip() const { return apics_ != nullptr ? Irqchip::kSplit : Irqchip::kUser; }
  /// Bytes of KVM_GET_XSAVE2; 0: there is only KVM_GET_XSAVE, of 4096.
  [[nodiscard]] size_t xsave_bytes() const { return xsave_bytes_; }

  /// Guest memory lies elsewhere than at the last call: makes KVM's slots the same. From any thread, while
  /// other processors run; accesses of theirs to what is gone for a moment come to the monitor. What KVM does
  /// not take (the error) comes there for good.
  Result<> follow_memory();

  // Which pages of RAM are written by processors in the guest; what the monitor writes, for devices or while
  // an instruction is stepped, is not in it. From any thread, while processors run.
  /// On failure it is off.
  Result<> log_dirty(bool on);
  /// Tells what was written since the last call, or since the log was begun. A sink calls nothing of this
  /// object.
  Result<> collect_dirty(const DirtySink& sink);

 private:
  VirtualMachine(const memory::GuestMemory& memory, System system, FileDescriptor vm);
  Result<> keep_msrs();
  Result<> place_hidden_pages();
  Result<> set_slot(uint32_t number, const memory::Region& region, uint64_t length);
  Result<> mark_slots();
  [[nodiscard]] bool logged(const memory::Region& region) const;
  void leave_behind(const memory::Region& slot);

  const memory::GuestMemory& memory_;
  System system_;
  FileDescriptor vm_;
  std::unique_ptr<KernelApics> apics_;
  std::unique_ptr<KernelDoorbells> doorbells_;
  const DirtyLog dirty_log_;
  size_t xsave_bytes_ = 0;
  std::mutex mutex_;                   ///< of what follows
  std::vector<memory::Region> slots_;  ///< by number; of length 0: free
  bool logs_dirty_ = false;
  std::vector<DirtyRun> left_behind_;  ///< of slots that are gone, not collected yet
};

}  // namespace eidolon::engine::kvm
