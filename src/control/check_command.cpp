#include "control/check_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "control/exit_status.h"
#include "engine/kvm/system.h"
#include "machine/engine_choice.h"

namespace eidolon::control {

namespace {

struct NamedFlag {
  const char* flag;
  const char* meaning;
};

/// The processor's features that matter to a monitor.
constexpr std::array kVirtualizationFlags = {"vmx", "ept", "svm", "npt"};
constexpr std::array kTranslatorFlags = {NamedFlag{"pku", "protection keys"},
                                         NamedFlag{"pcid", "tagged TLB"},
                                         NamedFlag{"bmi2", "BMI2"},
                                         NamedFlag{"avx2", "AVX2"},
                                         NamedFlag{"avx512f", "AVX-512"},
                                         NamedFlag{"xsavec", "XSAVEC"},
                                         NamedFlag{"constant_tsc", "steady TSC"},
                                         NamedFlag{"hypervisor", "this host is itself a guest"}};

struct Decision {
  std::string engine;
  std::string reason;
};

Decision automatic() {
  const Result<machine::EngineDecision> decision =
      machine::decide_engine(machine::EngineChoice::kAuto, machine::probe_kvm);
  if (!decision) return {.engine = "none", .reason = decision.error().message};
  return {.engine = std::string(machine::engine_name(decision->kind)), .reason = decision->reason};
}

const char* kvm_words(KvmAccess kvm) {
  switch (kvm) {
    case KvmAccess::kAbsent:
      return "absent";
    case KvmAccess::kDenied:
      return "there, but this user may not open it";
    case KvmAccess::kUsable:
      return "there, and it answers";
    case KvmAccess::kStrange:
      return "there, but it does not answer as KVM does";
  }
  return "unknown";
}

const char* kvm_key(KvmAccess kvm) {
  switch (kvm) {
    case KvmAccess::kAbsent:
      return "absent";
    case KvmAccess::kDenied:
      return "denied";
    case KvmAccess::kUsable:
      return "usable";
    case KvmAccess::kStrange:
      return "strange";
  }
  return "unknown";
}

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

void add_line(std::string& text, std::string_view name, std::string_view value) {
  text += fmt::format("{:<24} {}\n", name, value);
}

void add_flags(std::string& text, const machine::HostFacts& facts, std::span<const NamedFlag> flags) {
  for (const NamedFlag& flag : flags) {
    add_line(text, flag.flag, fmt::format("{} ({})", facts.has(flag.flag) ? "yes" : "no", flag.meaning));
  }
}

void add_virtualization(std::string& text, const machine::HostFacts& facts) {
  for (const machine::VirtualizationFact& fact : virtualization_facts(facts)) {
    const char* answer = !fact.usable ? "not known" : *fact.usable ? "yes" : "no";
    add_line(text, fact.title, fmt::format("{}: {}", answer, fact.words));
  }
}

nlohmann::ordered_json virtualization_json(const machine::HostFacts& facts) {
  nlohmann::ordered_json list;
  for (const machine::VirtualizationFact& fact : virtualization_facts(facts)) {
    nlohmann::ordered_json usable;
    if (fact.usable) usable = *fact.usable;
    list[fact.key] = {{"usable", usable}, {"words", fact.words}};
  }
  return list;
}

/// What the KVM behind /dev/kvm does of what not every one does; nothing if there is none to ask.
std::vector<engine::kvm::Ability> abilities(KvmAccess kvm) {
  if (kvm != KvmAccess::kUsable) return {};
  const auto system = engine::kvm::System::open();
  return system ? system->abilities() : std::vector<engine::kvm::Ability>{};
}

void add_abilities(std::string& text, const std::vector<engine::kvm::Ability>& abilities) {
  std::string has, lacks;
  for (const engine::kvm::Ability& ability : abilities) {
    std::string& list = ability.there ? has : lacks;
    list += (list.empty() ? "" : ", ") + std::string(ability.name);
  }
  if (!has.empty()) add_line(text, "KVM has", has);
  if (!lacks.empty()) add_line(text, "KVM lacks", lacks);
}

}  // namespace

KvmAccess probe_kvm(const machine::HostFacts& facts) {
  if (!facts.kvm_device) return KvmAccess::kAbsent;
  const FileDescriptor kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) return KvmAccess::kDenied;
  return ioctl(kvm.get(), KVM_GET_API_VERSION, 0) == KVM_API_VERSION ? KvmAccess::kUsable
                                                                     : KvmAccess::kStrange;
}

std::string describe_host(const machine::HostFacts& facts, KvmAccess kvm) {
  std::string text;
  add_line(text, "processor",
           fmt::format("{} ({}), {} online", or_unknown(facts.processor), or_unknown(facts.vendor),
                       facts.processors));
  add_virtualization(text, facts);
  add_line(text, "/dev/kvm", kvm_words(kvm));
  add_abilities(text, abilities(kvm));
  add_line(text, "fsgsbase", facts.fsgsbase ? "yes (usable in user space)" : "no (not usable in user space)");
  add_flags(text, facts, kTranslatorFlags);
  add_line(text, "memfd", facts.memfd ? "yes" : "no: generated code cannot be kept on this host");
  add_line(text, "transparent huge pages",
           fmt::format("{} (of memfd memory: {})", or_unknown(facts.transparent_huge_pages),
                       or_unknown(facts.transparent_huge_pages_shmem)));
  add_line(text, "reserved huge pages", fmt::to_string(facts.reserved_huge_pages));
  add_line(text, "vm.max_map_count", fmt::to_string(facts.max_map_count));
  const Decision decision = automatic();
  add_line(text, "engine", fmt::format("{}: {}", decision.engine, decision.reason));
  return text;
}

std::string describe_host_json(const machine::HostFacts& facts, KvmAccess kvm) {
  nlohmann::ordered_json flags;
  for (const char* flag : kVirtualizationFlags) flags[flag] = facts.has(flag);
  for (const NamedFlag& flag : kTranslatorFlags) flags[flag.flag] = facts.has(flag.flag);
  flags["fsgsbase"] = facts.fsgsbase;
  nlohmann::ordered_json kvm_abilities = nlohmann::ordered_json::object();
  for (const engine::kvm::Ability& ability : abilities(kvm)) kvm_abilities[ability.key] = ability.there;
  const Decision decision = automatic();
  const nlohmann::ordered_json document = {
      {"processor", {{"vendor", facts.vendor}, {"name", facts.processor}, {"online", facts.processors}}},
      {"flags", flags},
      {"virtualization", virtualization_json(facts)},
      {"kvm", kvm_key(kvm)},
      {"kvm_abilities", kvm_abilities},
      {"memfd", facts.memfd},
      {"transparent_huge_pages", or_unknown(facts.transparent_huge_pages)},
      {"transparent_huge_pages_shmem", or_unknown(facts.transparent_huge_pages_shmem)},
      {"reserved_huge_pages", facts.reserved_huge_pages},
      {"max_map_count", facts.max_map_count},
      {"engine", {{"automatic", decision.engine}, {"reason", decision.reason}}}};
  return document.dump(2) + "\n";
}

int check_command(bool json) {
  const machine::HostFacts facts = machine::read_host_facts();
  const KvmAccess kvm = probe_kvm(facts);
  const std::string text = json ? describe_host_json(facts, kvm) : describe_host(facts, kvm);
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? kExitOk : kExitHostError;
}

}  // namespace eidolon::control
