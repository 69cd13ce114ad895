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
  EXPECT_EQ(document["max_map_count"], 65530);
  EXPECT_FALSE(document["engine"]["automatic"].get<std::string>().empty());
  EXPECT_FALSE(document["engine"]["reason"].get<std::string>().empty());
}

TEST(Check, WordsSayTheSame) {
  const std::string text = describe_host(some_host(), KvmAccess::kDenied);
  EXPECT_NE(text.find("A \"quoted\" processor (GenuineIntel), 4 online"), std::string::npos) << text;
  EXPECT_NE(text.find("may not open it"), std::string::npos) << text;
  EXPECT_NE(text.find("65530"), std::string::npos) << text;
  EXPECT_NE(text.find("\nengine "), std::string::npos) << text;
}

TEST(Check, AHostWithoutKvmIsNotAsked) {
  machine::HostFacts facts = some_host();
  facts.kvm_device = false;
  EXPECT_EQ(probe_kvm(facts), KvmAccess::kAbsent);
}

}  // namespace
}  // namespace eidolon::control
