// What the processors of a machine are told about each other, as both vendors' systems read it.
#include <gtest/gtest.h>

#include <set>

#include "cpu/cpuid_model.h"
#include "cpu/fixture.h"
#include "x86/cpuid.h"
#include "x86/topology.h"

namespace eidolon::cpu {

namespace {

namespace id = x86::cpuid;
using x86::Topology;

static_assert(Topology{}.processors() == 1 && Topology{}.apic_id(0) == 0);
static_assert(Topology::of(6).highest_apic_id() == 5);
static_assert(Topology{.sockets = 2, .cores = 3, .threads = 2}.apic_id(6) == 8,
              "a socket's core numbers have 2 bits");
static_assert(Topology{.sockets = 2, .cores = 3, .threads = 2}.apic_id(11) == 13);
static_assert(Topology{.sockets = 64}.highest_apic_id() == 63);
static_assert(!Topology{.sockets = 0}.valid() && !Topology{.cores = 65}.valid());
static_assert(!Topology{.sockets = 5, .cores = 13}.valid() && Topology{.sockets = 4, .cores = 16}.valid());
static_assert(!Topology{.sockets = 1u << 16, .cores = 1u << 16}.valid(), "no overflow");

[[nodiscard]] CpuidModel model_of(std::string_view name, const Topology& topology) {
  CpuidModel model = *CpuidModel::create(name);
  model.set_topology(topology);
  return model;
}

[[nodiscard]] CpuidResult ask(const CpuidModel& model, uint32_t leaf, uint32_t subleaf, unsigned processor) {
  return model.query(leaf, subleaf, 0, 1, processor);
}

TEST(Topology, NoTwoProcessorsShareAnIdAndAllFitTheXApic) {
  for (unsigned sockets = 1; sockets <= Topology::kMostProcessors; ++sockets) {
    for (unsigned cores = 1; sockets * cores <= Topology::kMostProcessors; ++cores) {
      for (unsigned threads = 1; sockets * cores * threads <= Topology::kMostProcessors; ++threads) {
        const Topology topology{.sockets = sockets, .cores = cores, .threads = threads};
        std::set<uint32_t> ids;
        for (unsigned i = 0; i < topology.processors(); ++i) ids.insert(topology.apic_id(i));
        ASSERT_EQ(ids.size(), topology.processors());
        ASSERT_EQ(*ids.rbegin(), topology.highest_apic_id());
        ASSERT_LT(topology.highest_apic_id(), 128u);
      }
    }
  }
}

TEST(CpuidTopology, EachProcessorHasItsApicId) {
  const CpuidModel model = model_of("host", {.sockets = 2, .cores = 3, .threads = 2});
  EXPECT_EQ(ask(model, id::kVersion, 0, 7).ebx >> 24, 9u);
  EXPECT_EQ(ask(model, id::kTopology, 0, 7).edx, 9u);
  EXPECT_EQ(ask(model, id::kTopology, 5, 7).edx, 9u) << "at any level";
}

TEST(CpuidTopology, LevelsAreThreadsThenCores) {
  const CpuidModel model = model_of("host", {.sockets = 2, .cores = 3, .threads = 2});
  const CpuidResult threads = ask(model, id::kTopology, 0, 0);
  EXPECT_EQ(threads.eax, 1u);
  EXPECT_EQ(threads.ebx, 2u);
  EXPECT_EQ(threads.ecx, 0x100u);
  const CpuidResult cores = ask(model, id::kTopology, 1, 0);
  EXPECT_EQ(cores.eax, 3u);
  EXPECT_EQ(cores.ebx, 6u);
  EXPECT_EQ(cores.ecx, 0x201u);
  const CpuidResult end = ask(model, id::kTopology, 2, 0);
  EXPECT_EQ(end.eax | end.ebx, 0u);
  EXPECT_EQ(end.ecx, 2u);
}

TEST(CpuidTopology, ThePackageCountsItsProcessors) {
  const CpuidModel one = model_of("host", {.sockets = 4}), many = model_of("host", Topology::of(12));
  EXPECT_EQ(ask(one, id::kVersion, 0, 0).edx & id::kHtt, 0u) << "alone in its package";
  EXPECT_EQ(ask(one, id::kVersion, 0, 3).ebx >> 16, 0x301u);
  EXPECT_NE(ask(many, id::kVersion, 0, 0).edx & id::kHtt, 0u);
  EXPECT_EQ(ask(many, id::kVersion, 0, 11).ebx >> 16, 0xb0cu);
}

TEST(CpuidTopology, IntelsCachesAreSharedByAddressableIds) {
  const CpuidModel model = model_of("x86-64-v2", {.sockets = 2, .cores = 3, .threads = 2});
  const auto sharing = [&](uint32_t cache) { return ask(model, id::kCaches, cache, 0).eax >> 14 & 0xfff; };
  EXPECT_EQ(sharing(0), 1u) << "two threads";
  EXPECT_EQ(sharing(2), 1u);
  EXPECT_EQ(sharing(3), 7u) << "four cores would fit";
  EXPECT_EQ(ask(model, id::kCaches, 0, 0).eax >> 26, 3u) << "cores of the package";
  EXPECT_EQ(ask(model, id::kCaches, 4, 0).eax, 0u) << "there is no fifth";
  // Ways, partitions, line size and sets: 8 MiB.
  const CpuidResult last = ask(model, id::kCaches, 3, 0);
  EXPECT_EQ(((last.ebx >> 22) + 1) * ((last.ebx & 0xfff) + 1) * (last.ecx + 1), 8u << 20);
}

class AmdTopology : public testing::Test {
 protected:
  void SetUp() override {
    if (!model.is_amd()) GTEST_SKIP() << "the host is not an AMD";
  }
  const CpuidModel model = model_of("host", {.sockets = 2, .cores = 3, .threads = 2});
};

TEST_F(AmdTopology, SizesOfThePackage) {
  EXPECT_EQ(ask(model, id::kAddressSizes, 0, 0).ecx, 0x3005u);
  EXPECT_NE(ask(model, id::kExtendedVersion, 0, 0).ecx & id::kCmpLegacy, 0u);
  const CpuidModel one = model_of("host", {});
  EXPECT_EQ(ask(one, id::kAddressSizes, 0, 0).ecx, 0u);
  EXPECT_EQ(ask(one, id::kExtendedVersion, 0, 0).ecx & id::kCmpLegacy, 0u);
}

TEST_F(AmdTopology, ExtensionsNameCoreAndNode) {
  if ((ask(model, id::kExtendedVersion, 0, 0).ecx & id::kTopologyExtensions) == 0) GTEST_SKIP();
  EXPECT_EQ(ask(model, id::kExtended, 0, 0).eax, id::kAmdTopology);
  const CpuidResult identity = ask(model, id::kAmdTopology, 0, 9);
  EXPECT_EQ(identity.eax, 11u);
  EXPECT_EQ(identity.ebx, 0x101u) << "core 1, two threads";
  EXPECT_EQ(identity.ecx, 1u) << "socket 1";
  EXPECT_EQ(ask(model, id::kAmdCaches, 0, 0).eax >> 14, 1u);
  EXPECT_EQ(ask(model, id::kAmdCaches, 3, 0).eax >> 14, 5u) << "the third level is the socket's";
}

}  // namespace

}  // namespace eidolon::cpu
