// /dev/kvm: what it can do, and the virtual machines that it makes.
//
// The interface is that of Linux, Documentation/virt/kvm/api.rst ("KVM API" below).
#pragma once

#include <linux/kvm.h>

#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "cpu/cpuid_builder.h"

namespace eidolon::engine::kvm {

/// Something that not every KVM does, and that a machine runs without as well.
struct Ability {
  const char* key;   ///< for programs
  const char* name;  ///< for a person
  bool there;
};

class System {
 public:
  /// Fails with a sentence if there is none, if it may not be opened, or if it lacks what the engine stands
  /// on.
  static Result<System> open();

  [[nodiscard]] Result<FileDescriptor> create_vm() const;
  /// Bytes of a processor's shared page (struct kvm_run) and what follows it.
  [[nodiscard]] size_t run_bytes() const { return run_bytes_; }
  /// The features of processors that this KVM runs, and those for which it needs no support because their
  /// registers are the monitor's (local APIC, MTRRs).
  [[nodiscard]] Result<cpu::FeatureWords> features() const;
  /// KVM_CHECK_EXTENSION: 0 if it is not there.
  [[nodiscard]] int extension(int capability) const;
  [[nodiscard]] std::vector<Ability> abilities() const;

 private:
  explicit System(FileDescriptor device) : device_(std::move(device)) {}
  FileDescriptor device_;
  size_t run_bytes_ = 0;
};

/// The features that the host's KVM leaves of a processor; a failure says why there is none.
[[nodiscard]] Result<cpu::FeatureWords> supported_features();

}  // namespace eidolon::engine::kvm
