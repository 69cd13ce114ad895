#include "control/check_command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace eidolon::control {
namespace {

machine::HostFacts some_host() {
  machine::HostFacts facts;
  facts.vendor = "GenuineIntel";
  facts.processor = "A \"quoted\" processor";
  facts.flags = {"vmx", "ept", "avx2"};
  facts.processors = 4;
  facts.kvm_device = true;
  facts.fsgsbase = true;
  facts.memfd = true;
  facts.max_map_count = 65530;
  return facts;
}

TEST(Check, JsonSaysWhatTheHostHas) {
  const nlohmann::json document = nlohmann::json::parse(describe_host_json(some_host(), KvmAccess::kDenied));
  EXPECT_EQ(document["processor"]["name"], "A \"quoted\" processor");
  EXPECT_EQ(document["flags"]["vmx"], true);
  EXPECT_EQ(document["flags"]["svm"], false);
  EXPECT_EQ(document["flags"]["fsgsbase"], true);
  EXPECT_EQ(document["kvm"], "denied");
  EXPECT_EQ(document["virtualization"]["hardware"]["usable"], true);
  EXPECT_EQ(document["virtualization"]["nested_paging"]["usable"], nullptr) << "no module tells";
  EXPECT_TRUE(document["kvm_abilities"].empty()) << "it cannot be asked";
  EXPECT_EQ(document["max_map_count"], 65530);
  EXPECT_FALSE(document["engine"]["automatic"].get<std::string>().empty());
  EXPECT_FALSE(document["engine"]["reason"].get<std::string>().empty());
}

TEST(Check, WordsSayTheSame) {
  const std::string text = describe_host(some_host(), KvmAccess::kDenied);
  EXPECT_NE(text.find("A \"quoted\" processor (GenuineIntel), 4 online"), std::string::npos) << text;
  EXPECT_NE(text.find("may not open it"), std::string::npos) << text;
  EXPECT_NE(text.find("yes: VT-x; kvm_intel is not loaded"), std::string::npos) << text;
  EXPECT_NE(text.find("not known: the processor has EPT"), std::string::npos) << text;
  EXPECT_NE(text.find("65530"), std::string::npos) << text;
  EXPECT_NE(text.find("\nengine "), std::string::npos) << text;
}

TEST(Check, AKvmThatAnswersSaysWhatItHas) {
  const machine::HostFacts facts = machine::read_host_facts();
  const KvmAccess kvm = probe_kvm(facts);
  if (kvm != KvmAccess::kUsable) GTEST_SKIP() << "this host has no /dev/kvm that may be opened";
  EXPECT_NE(describe_host(facts, kvm).find("KVM has"), std::string::npos);
  const nlohmann::json document = nlohmann::json::parse(describe_host_json(facts, kvm));
  EXPECT_TRUE(document["kvm_abilities"]["split_irqchip"].is_boolean());
}

TEST(Check, AHostWithoutKvmIsNotAsked) {
  machine::HostFacts facts = some_host();
  facts.kvm_device = false;
  EXPECT_EQ(probe_kvm(facts), KvmAccess::kAbsent);
}

}  // namespace
}  // namespace eidolon::control
