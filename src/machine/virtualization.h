// What the host's processor has to run guests with, and what of it the host's KVM uses: from /proc/cpuinfo
// and the parameters of the modules kvm_intel and kvm_amd, for `eidolon check`.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eidolon::machine {

struct HostFacts;

/// The module that drives the processor for KVM.
struct KvmModule {
  std::string name;                               ///< "kvm_intel", "kvm_amd", another one, or "": none
  std::map<std::string, std::string> parameters;  ///< those that can be read
};
/// `modules` is /sys/module.
[[nodiscard]] KvmModule read_kvm_module(const std::filesystem::path& modules);

struct VirtualizationFact {
  std::string_view key, title;
  std::optional<bool> usable;  ///< nothing: it cannot be known, and `words` says why
  std::string words;           ///< half a sentence
};
/// Hardware virtualization, nested paging, real mode, the interrupt controller in hardware, nested guests.
[[nodiscard]] std::vector<VirtualizationFact> virtualization_facts(const HostFacts& facts);

}  // namespace eidolon::machine
