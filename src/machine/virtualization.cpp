// The names are those of Linux: arch/x86/kvm's module parameters, asm/vmxfeatures.h, asm/cpufeatures.h.
#include "machine/virtualization.h"

#include <fmt/format.h>

#include <fstream>

#include "machine/host_facts.h"

namespace eidolon::machine {

namespace {

namespace fs = std::filesystem;

/// What a processor has under a name of its vendor's, and the parameter that says whether KVM uses it.
struct Extension {
  std::string_view key, title;
  const char* name;
  const char* flag;  ///< in /proc/cpuinfo
  const char* parameter;
};
constexpr Extension kIntelExtensions[] = {
    {"nested_paging", "nested paging", "EPT", "ept", "ept"},
    {"real_mode", "real mode in hardware", "unrestricted guest", "unrestricted_guest", "unrestricted_guest"},
    {"interrupts", "interrupts in hardware", "APICv", "apicv", "enable_apicv"}};
constexpr Extension kAmdExtensions[] = {{"nested_paging", "nested paging", "NPT", "npt", "npt"},
                                        {"interrupts", "interrupts in hardware", "AVIC", "avic", "avic"}};

enum class Vendor : uint8_t { kNone, kIntel, kAmd };

Vendor vendor(const HostFacts& facts) {
  if (facts.has("vmx")) return Vendor::kIntel;
  return facts.has("svm") ? Vendor::kAmd : Vendor::kNone;
}
const char* module_of(Vendor vendor) { return vendor == Vendor::kIntel ? "kvm_intel" : "kvm_amd"; }

/// A parameter that is "Y" or "N", or a number; nothing if the module does not tell it.
std::optional<bool> parameter(const KvmModule& module, const std::string& name) {
  const auto found = module.parameters.find(name);
  if (found == module.parameters.end() || found->second.empty()) return std::nullopt;
  const char first = found->second.front();
  return first == 'Y' || first == 'y' || (first >= '1' && first <= '9');
}

VirtualizationFact hardware(const HostFacts& facts) {
  VirtualizationFact fact{.key = "hardware", .title = "virtualization", .usable = true, .words = {}};
  const Vendor maker = vendor(facts);
  if (maker == Vendor::kNone) {
    fact.usable = false;
    fact.words = facts.has("hypervisor")
                     ? "the processor shows neither VT-x nor AMD-V to this host, which is a guest itself"
                     : "the processor has neither VT-x nor AMD-V, or the firmware has switched it off";
    if (!facts.kvm_module.name.empty())
      fact.words += fmt::format("; its KVM is software ({})", facts.kvm_module.name);
    return fact;
  }
  fact.words = maker == Vendor::kIntel ? "VT-x" : "AMD-V";
  fact.words += facts.kvm_module.name == module_of(maker)
                    ? fmt::format(", which {} drives", facts.kvm_module.name)
                    : fmt::format("; {} is not loaded", module_of(maker));
  return fact;
}

VirtualizationFact without_hardware(std::string_view key, std::string_view title) {
  return {.key = key, .title = title, .usable = false, .words = "there is neither VT-x nor AMD-V"};
}

/// What KVM uses counts; where it does not tell, what the processor has is no answer yet.
VirtualizationFact fact_of(const HostFacts& facts, const Extension& extension) {
  VirtualizationFact fact{.key = extension.key, .title = extension.title, .usable = {}, .words = {}};
  const Vendor maker = vendor(facts);
  const char* module = module_of(maker);
  const bool has = facts.has(extension.flag);
  const bool told = maker != Vendor::kIntel || facts.vmx_flags_told || has;
  fact.usable = parameter(facts.kvm_module, extension.parameter);
  if (fact.usable == true) {
    fact.words = extension.name;
  } else if (fact.usable == false) {
    fact.words = has ? fmt::format("the processor has {}, but {} does not use it (its parameter {} is off)",
                                   extension.name, module, extension.parameter)
                     : fmt::format("no {}", extension.name);
  } else if (told && !has) {
    fact.usable = false;
    fact.words = fmt::format("the processor has no {}", extension.name);
  } else if (told) {
    fact.words = fmt::format("the processor has {}, but there is no {} that tells whether it is used",
                             extension.name, module);
  } else {
    fact.words =
        fmt::format("this kernel does not tell of {}, and there is no {} that does", extension.name, module);
  }
  return fact;
}

VirtualizationFact nested(const HostFacts& facts) {
  VirtualizationFact fact{.key = "nested", .title = "nested virtualization", .usable = {}, .words = {}};
  const char* module = module_of(vendor(facts));
  fact.usable = parameter(facts.kvm_module, "nested");
  if (fact.usable == true) {
    fact.words =
        fmt::format("{} would let guests have guests of their own; Eidolon does not offer it", module);
  } else if (fact.usable == false) {
    fact.words = fmt::format("{}'s parameter nested is off", module);
  } else {
    fact.words = fmt::format("there is no {} that tells", module);
  }
  return fact;
}

}  // namespace

KvmModule read_kvm_module(const fs::path& modules) {
  KvmModule module;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(modules, none)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("kvm_")) continue;
    module.name = name;
    if (name == "kvm_intel" || name == "kvm_amd") break;
  }
  if (module.name.empty()) return module;
  for (const auto& entry : fs::directory_iterator(modules / module.name / "parameters", none)) {
    std::ifstream file(entry.path());
    std::string value;
    if (std::getline(file, value)) module.parameters[entry.path().filename()] = value;
  }
  return module;
}

std::vector<VirtualizationFact> virtualization_facts(const HostFacts& facts) {
  std::vector<VirtualizationFact> list = {hardware(facts)};
  switch (vendor(facts)) {
    case Vendor::kIntel:
      for (const Extension& extension : kIntelExtensions) list.push_back(fact_of(facts, extension));
      break;
    case Vendor::kAmd:
      list.push_back(fact_of(facts, kAmdExtensions[0]));
      list.push_back({.key = "real_mode",
                      .title = "real mode in hardware",
                      .usable = true,
                      .words = "every AMD-V runs it"});
      list.push_back(fact_of(facts, kAmdExtensions[1]));
      break;
    case Vendor::kNone:
      for (const Extension& extension : kIntelExtensions)
        list.push_back(without_hardware(extension.key, extension.title));
      list.push_back(without_hardware("nested", "nested virtualization"));
      return list;
  }
  list.push_back(nested(facts));
  return list;
}

}  // namespace eidolon::machine
