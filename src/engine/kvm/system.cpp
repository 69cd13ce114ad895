#include "engine/kvm/system.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/try.h"
#include "engine/kvm/tables.h"
#include "x86/cpuid.h"

namespace eidolon::engine::kvm {

namespace {

struct Needed {
  int capability;
  const char* name;
};
/// In Linux since 5.10, but for a KVM that is not the kernel's own.
constexpr Needed kNeeded[] = {
    {KVM_CAP_USER_MEMORY, "memory of the monitor's"},
    {KVM_CAP_READONLY_MEM, "read-only memory"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"},
    {KVM_CAP_VCPU_EVENTS, "pending events"},
    {KVM_CAP_DEBUGREGS, "debug registers"},
    {KVM_CAP_XSAVE, "extended state"},
    {KVM_CAP_USER_NMI, "NMIs"},
    {KVM_CAP_X86_USER_SPACE_MSR, "MSRs of the monitor's"},
    {KVM_CAP_X86_MSR_FILTER, "filters of MSRs"},
};

struct Known {
  int capability;
  const char* key;
  const char* name;
};
constexpr Known kAbilities[] = {
    {KVM_CAP_SPLIT_IRQCHIP, "split_irqchip", "local APICs of its own"},
    {KVM_CAP_SIGNAL_MSI, "msi", "MSIs"},
    {KVM_CAP_IOEVENTFD, "ioeventfd", "ioeventfd"},
    {KVM_CAP_IRQFD, "irqfd", "irqfd"},
    {KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "partial_dirty_log", "dirty log by parts"},
    {KVM_CAP_XSAVE2, "xsave2", "XSAVE2"},
    {KVM_CAP_EXIT_ON_EMULATION_FAILURE, "emulation_exits", "exits for what it cannot emulate"},
    {KVM_CAP_NESTED_STATE, "nested_state", "state of nested guests"},
};

/// What the monitor answers for by itself when KVM asks: MSRs that come to it, and the local APIC.
cpu::FeatureWords own_features() {
  using namespace x86::cpuid;
  return {.leaf1_ecx = kX2Apic | kHypervisorPresent,
          .leaf1_edx = kApic | kMtrr | kMca | kMce | kPat,
          .leaf7_ebx = kTscAdjust | kFdpExceptionOnly | kNoFcsFds};
}

}  // namespace

Result<System> System::open() {
  FileDescriptor device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device.valid()) {
    if (errno == ENOENT) return fail("there is no /dev/kvm on this host; use --engine translate");
    return fail("cannot open /dev/kvm ({}); join the group that owns it, or use --engine translate",
                std::strerror(errno));
  }
  System system(std::move(device));
  const int version = ioctl(system.device_.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) return fail("/dev/kvm does not answer as KVM does; use --engine translate");
  for (const Needed& needed : kNeeded)
    if (system.extension(needed.capability) <= 0)
      return fail("this host's KVM lacks {}, as those before Linux 5.10 do; use --engine translate",
                  needed.name);
  const int bytes = ioctl(system.device_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (bytes < static_cast<int>(sizeof(kvm_run)))
    return fail("/dev/kvm tells no size of its processors; use --engine translate");
  system.run_bytes_ = static_cast<size_t>(bytes);
  return system;
}

int System::extension(int capability) const { return ioctl(device_.get(), KVM_CHECK_EXTENSION, capability); }

std::vector<Ability> System::abilities() const {
  std::vector<Ability> list;
  for (const Known& known : kAbilities)
    list.push_back({.key = known.key, .name = known.name, .there = extension(known.capability) > 0});
  return list;
}

Result<FileDescriptor> System::create_vm() const {
  for (;;) {
    FileDescriptor vm(ioctl(device_.get(), KVM_CREATE_VM, 0));
    if (vm.valid()) return vm;
    if (errno != EINTR)
      return fail("KVM makes no virtual machine ({}); use --engine translate", std::strerror(errno));
  }
}

Result<cpu::FeatureWords> System::features() const {
  constexpr uint32_t kMost = 256;  // KVM_MAX_CPUID_ENTRIES
  Room<CpuidTable> table(kMost);
  table->count = kMost;
  if (ioctl(device_.get(), kGetSupportedCpuid, table.get()) != 0)
    return fail("KVM does not say which processors it runs ({}); use --engine translate",
                std::strerror(errno));

  namespace id = x86::cpuid;
  cpu::FeatureWords words;
  for (uint32_t i = 0; i < std::min(table->count, kMost); ++i) {
    const kvm_cpuid_entry2& entry = table->entries[i];
    if (entry.function == id::kVersion) {
      words.leaf1_ecx = entry.ecx;
      words.leaf1_edx = entry.edx;
    } else if (entry.function == id::kStructured && entry.index == 0) {
      words.leaf7_ebx = entry.ebx;
      words.leaf7_ecx = entry.ecx;
      words.leaf7_edx = entry.edx;
    } else if (entry.function == id::kStructured && entry.index == 1) {
      words.leaf7_1_eax = entry.eax;
    } else if (entry.function == id::kXsave && entry.index == 1) {
      words.leafd_1_eax = entry.eax;
    } else if (entry.function == id::kExtendedVersion) {
      words.extended1_ecx = entry.ecx;
      words.extended1_edx = entry.edx;
    } else if (entry.function == id::kAddressSizes) {
      words.extended8_ebx = entry.ebx;
    }
  }
  // VMX takes writes to IA32_TSC_DEADLINE itself, whoever has the local APIC, and forgets them.
  words.leaf1_ecx &= ~id::kTscDeadline;
  return words | own_features();
}

Result<cpu::FeatureWords> supported_features() {
  const System system = EIDOLON_TRY(System::open());
  return system.features();
}

}  // namespace eidolon::engine::kvm
