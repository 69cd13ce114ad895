#include "machine/virtualization.h"

#include <gtest/gtest.h>

#include <fstream>

#include "machine/host_facts.h"

namespace eidolon::machine {
namespace {

namespace fs = std::filesystem;

/// A folder such as /sys/module.
class Modules {
 public:
  Modules() {
    std::string name = fs::temp_directory_path() / "eidolon-modules-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~Modules() { fs::remove_all(root_); }
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;
  void set(const std::string& module, const std::string& parameter, const std::string& value) const {
    fs::create_directories(root_ / module / "parameters");
    std::ofstream(root_ / module / "parameters" / parameter) << value << '\n';
  }
  [[nodiscard]] const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

HostFacts host(const std::string& cpuinfo, const Modules& modules = {}) {
  HostFacts facts;
  parse_cpuinfo(cpuinfo, facts);
  facts.kvm_module = read_kvm_module(modules.root());
  return facts;
}

VirtualizationFact fact(const HostFacts& facts, std::string_view key) {
  for (const VirtualizationFact& fact : virtualization_facts(facts))
    if (fact.key == key) return fact;
  ADD_FAILURE() << "no fact " << key;
  return {};
}

constexpr const char* kIntelHost =
    "flags\t\t: fpu vmx\nvmx flags\t: vnmi ept vpid unrestricted_guest apicv\n";
constexpr const char* kAmdHost = "flags\t\t: fpu svm npt avic\n";

TEST(Virtualization, IntelsModuleSaysWhatItUses) {
  const Modules modules;
  modules.set("kvm", "halt_poll_ns", "200000");
  modules.set("kvm_intel", "ept", "Y");
  modules.set("kvm_intel", "unrestricted_guest", "Y");
  modules.set("kvm_intel", "enable_apicv", "N");
  modules.set("kvm_intel", "nested", "N");
  const HostFacts facts = host(kIntelHost, modules);
  EXPECT_EQ(fact(facts, "hardware").words, "VT-x, which kvm_intel drives");
  EXPECT_EQ(fact(facts, "nested_paging").usable, true);
  EXPECT_EQ(fact(facts, "nested_paging").words, "EPT");
  EXPECT_EQ(fact(facts, "real_mode").usable, true);
  EXPECT_EQ(fact(facts, "interrupts").usable, false);
  EXPECT_EQ(fact(facts, "interrupts").words,
            "the processor has APICv, but kvm_intel does not use it (its parameter enable_apicv is off)");
  EXPECT_EQ(fact(facts, "nested").usable, false);
}

TEST(Virtualization, AmdsModuleSaysItInNumbers) {
  const Modules modules;
  modules.set("kvm_amd", "npt", "1");
  modules.set("kvm_amd", "avic", "0");
  modules.set("kvm_amd", "nested", "1");
  const HostFacts facts = host(kAmdHost, modules);
  EXPECT_EQ(fact(facts, "hardware").words, "AMD-V, which kvm_amd drives");
  EXPECT_EQ(fact(facts, "nested_paging").usable, true);
  EXPECT_EQ(fact(facts, "real_mode").usable, true);
  EXPECT_EQ(fact(facts, "interrupts").usable, false);
  EXPECT_EQ(fact(facts, "nested").usable, true);
}

TEST(Virtualization, WithoutTheModuleWhatIsUsedIsNotKnown) {
  const HostFacts facts = host(kIntelHost);
  EXPECT_EQ(fact(facts, "hardware").usable, true);
  EXPECT_EQ(fact(facts, "hardware").words, "VT-x; kvm_intel is not loaded");
  EXPECT_EQ(fact(facts, "nested_paging").usable, std::nullopt);
  EXPECT_EQ(fact(facts, "nested_paging").words,
            "the processor has EPT, but there is no kvm_intel that tells whether it is used");
  EXPECT_EQ(fact(facts, "nested").usable, std::nullopt);
}

TEST(Virtualization, WhatTheProcessorLacksIsNotUsable) {
  const HostFacts facts = host("flags\t\t: fpu svm npt\n");
  EXPECT_EQ(fact(facts, "interrupts").usable, false);
  EXPECT_EQ(fact(facts, "interrupts").words, "the processor has no AVIC");
}

TEST(Virtualization, AKernelThatDoesNotListVmxLeavesItOpen) {
  const HostFacts facts = host("flags\t\t: fpu vmx\n");
  EXPECT_EQ(fact(facts, "real_mode").usable, std::nullopt);
  EXPECT_EQ(fact(facts, "real_mode").words,
            "this kernel does not tell of unrestricted guest, and there is no kvm_intel that does");
}

TEST(Virtualization, AGuestWithASoftwareKvmHasNone) {
  const Modules modules;
  modules.set("kvm_pvm", "force", "N");
  const HostFacts facts = host("flags\t\t: fpu hypervisor\n", modules);
  EXPECT_EQ(fact(facts, "hardware").usable, false);
  EXPECT_EQ(fact(facts, "hardware").words,
            "the processor shows neither VT-x nor AMD-V to this host, which is a guest itself; its KVM is "
            "software (kvm_pvm)");
  for (const char* key : {"nested_paging", "real_mode", "interrupts", "nested"})
    EXPECT_EQ(fact(facts, key).usable, false) << key;
}

TEST(Virtualization, TheProcessorsOwnModuleGoesBeforeOthers) {
  const Modules modules;
  modules.set("kvm_aaa", "x", "1");
  modules.set("kvm_amd", "npt", "1");
  modules.set("kvm_zzz", "x", "1");
  EXPECT_EQ(read_kvm_module(modules.root()).name, "kvm_amd");
}

TEST(Virtualization, AHostWithoutModulesHasNone) {
  EXPECT_EQ(read_kvm_module("/nonexistent").name, "");
  EXPECT_EQ(fact(host(""), "hardware").usable, false);
}

}  // namespace
}  // namespace eidolon::machine
