#include "machine/host_facts.h"

#include <gtest/gtest.h>

namespace eidolon::machine {
namespace {

TEST(HostFacts, ReadsTheFirstProcessorsParagraph) {
  HostFacts facts;
  parse_cpuinfo(
      "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Some CPU @ 2.50GHz\n"
      "flags\t\t: fpu vmx avx2\nvmx flags\t: ept vpid\n\n"
      "processor\t: 1\nvendor_id\t: Other\nflags\t\t: svm\n",
      facts);
  EXPECT_EQ(facts.vendor, "GenuineIntel");
  EXPECT_EQ(facts.processor, "Some CPU @ 2.50GHz");
  EXPECT_TRUE(facts.has("vmx"));
  EXPECT_TRUE(facts.has("ept"));
  EXPECT_TRUE(facts.vmx_flags_told);
  EXPECT_FALSE(facts.has("svm"));
  EXPECT_FALSE(facts.has("avx")) << "a flag is a whole word";
}

TEST(HostFacts, SurvivesNonsense) {
  HostFacts facts;
  parse_cpuinfo("", facts);
  parse_cpuinfo("\n\n:::\nflags", facts);
  EXPECT_TRUE(facts.flags.empty());
}

TEST(HostFacts, ReadsTheChoiceInBrackets) {
  EXPECT_EQ(parse_bracketed("always [madvise] never\n"), "madvise");
  EXPECT_EQ(parse_bracketed("always madvise"), "");
  EXPECT_EQ(parse_bracketed("] ["), "");
}

TEST(HostFacts, ThisHostIsAnX86Linux) {
  const HostFacts facts = read_host_facts();
  EXPECT_GE(facts.processors, 1u);
  EXPECT_TRUE(facts.has("sse2"));
  EXPECT_TRUE(facts.memfd);
  EXPECT_GT(facts.max_map_count, 0u);
}

}  // namespace
}  // namespace eidolon::machine
