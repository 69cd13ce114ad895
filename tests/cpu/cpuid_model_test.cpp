#include "cpu/cpuid_model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cpu/cpuid_host.h"
#include "cpu/fixture.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

namespace id = x86::cpuid;

[[nodiscard]] CpuidResult ask(const CpuidModel& model, uint32_t leaf, uint32_t subleaf = 0) {
  return model.query(leaf, subleaf, 0, 1, 0);
}

[[nodiscard]] std::string text(const CpuidResult& r) {
  std::string s(12, '\0');
  std::memcpy(s.data(), &r.ebx, 4);
  std::memcpy(s.data() + 4, &r.ecx, 4);
  std::memcpy(s.data() + 8, &r.edx, 4);
  return s;
}

TEST(CpuidModel, NamesItself) {
  EXPECT_EQ(text(ask(host_model(), id::kHypervisor)), "EidolonEidol");
  EXPECT_EQ(ask(host_model(), id::kHypervisor).eax, id::kHypervisorTiming);
}

TEST(CpuidModel, HostKeepsVendorVersionAndBrand) {
  const CpuidResult host = host_cpuid(0);
  const CpuidResult guest = ask(host_model(), 0);
  EXPECT_EQ(guest.ebx, host.ebx);
  EXPECT_EQ(guest.ecx, host.ecx);
  EXPECT_EQ(guest.edx, host.edx);
  EXPECT_EQ(ask(host_model(), 1).eax, host_cpuid(1).eax);
  EXPECT_EQ(ask(host_model(), id::kBrand + 1).ecx, host_cpuid(id::kBrand + 1).ecx);
}

TEST(CpuidModel, HostHidesWhatIsNotVirtualized) {
  const CpuidResult version = ask(host_model(), id::kVersion);
  EXPECT_EQ(version.ecx & (1u << 5 | 1u << 6 | id::kMonitor | 1u << 7 | 1u << 8 | 1u << 15), 0u);
  EXPECT_EQ(version.edx & (1u << 21 | 1u << 22 | 1u << 28 | 1u << 29), 0u);
  const CpuidResult structured = ask(host_model(), id::kStructured);
  // SGX, HLE, RTM, MPX, PT; PKU, OSPKE, WAITPKG, CET, LA57; AMX, IBRS, STIBP, SSBD.
  EXPECT_EQ(structured.ebx & (1u << 2 | 1u << 4 | 1u << 11 | 1u << 14 | 1u << 25), 0u);
  EXPECT_EQ(structured.ecx & (1u << 3 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 16), 0u);
  EXPECT_EQ(structured.edx & (1u << 10 | 1u << 22 | 3u << 24 | 3u << 26 | 1u << 31), 0u);
  EXPECT_EQ(ask(host_model(), id::kExtendedVersion).ecx & 1u << 2, 0u);  // SVM
  EXPECT_EQ(ask(host_model(), 5).ecx, 0u);
  EXPECT_EQ(ask(host_model(), 0xa).eax, 0u);
}

TEST(CpuidModel, HostProvidesWhatTheMonitorDoesItself) {
  const CpuidResult version = ask(host_model(), id::kVersion);
  constexpr uint32_t kProvided = id::kX2Apic | id::kTscDeadline | id::kHypervisorPresent;
  EXPECT_EQ(version.ecx & kProvided, kProvided);
  const CpuidResult structured = ask(host_model(), id::kStructured);
  constexpr uint32_t kPointers = id::kFdpExceptionOnly | id::kNoFcsFds;
  EXPECT_EQ(structured.ebx & kPointers, kPointers);
  EXPECT_NE(structured.ecx & id::kUmip, 0u);
  EXPECT_NE(ask(host_model(), id::kPowerManagement).edx & id::kInvariantTsc, 0u);
  EXPECT_EQ(ask(host_model(), id::kAddressSizes).eax & 0xffff, 0x3000u | x86::kPhysicalAddressBits);
}

TEST(CpuidModel, DescribesOneProcessor) {
  EXPECT_EQ(ask(host_model(), id::kVersion).ebx & 0xffff0000, 1u << 16);
  EXPECT_EQ(host_model().query(id::kVersion, 0, 0, 1, 5).ebx >> 24, 5u);
  const CpuidResult threads = host_model().query(id::kTopology, 0, 0, 1, 5);
  EXPECT_EQ(threads.eax, 0u);
  EXPECT_EQ(threads.ebx, 1u);
  EXPECT_EQ(threads.ecx, 0x100u);
  EXPECT_EQ(threads.edx, 5u);
  EXPECT_EQ(ask(host_model(), id::kTopology, 1).ecx, 0x201u);
  EXPECT_EQ(ask(host_model(), id::kTopology, 2).ecx, 2u);
  EXPECT_EQ(ask(host_model(), id::kTopology, 2).ebx, 0u);
  EXPECT_EQ(ask(host_model(), id::kCaches, 0).eax >> 14, 0u);
  EXPECT_EQ(ask(host_model(), id::kVersion).edx & id::kHtt, 0u);
}

TEST(CpuidModel, MirrorsControlRegisters) {
  const auto ecx = [](uint64_t cr4) { return host_model().query(id::kVersion, 0, cr4, 1, 0).ecx; };
  EXPECT_EQ(ecx(0) & id::kOsXsave, 0u);
  EXPECT_NE(ecx(x86::kCr4OsXsave) & id::kOsXsave, 0u);
  const auto size = [](uint64_t xcr0) { return host_model().query(id::kXsave, 0, 0, xcr0, 0).ebx; };
  EXPECT_EQ(size(1), 576u);
  EXPECT_EQ(size(3), 576u);
  EXPECT_EQ(size(host_model().supported_xcr0()), ask(host_model(), id::kXsave).ecx);
}

TEST(CpuidModel, XsaveComponentsAreTheHosts) {
  EXPECT_EQ(host_model().supported_xcr0() & ~host_xcr0(), 0u);
  EXPECT_EQ(host_model().supported_xcr0() & 0x18, 0u);  // MPX
  const CpuidResult avx = host_cpuid(id::kXsave, 2);
  const CpuidResult guest = ask(host_model(), id::kXsave, 2);
  EXPECT_EQ(guest.eax, avx.eax);
  EXPECT_EQ(guest.ebx, avx.ebx);
  EXPECT_EQ(ask(host_model(), id::kXsave, 3).eax, 0u);
  EXPECT_EQ(ask(host_model(), id::kXsave, 1).eax & 8, 0u);  // XSAVES
}

TEST(CpuidModel, FrequencyLeavesAgree) {
  const CpuidResult timing = ask(host_model(), id::kHypervisorTiming);
  EXPECT_EQ(timing.eax, host_model().tsc_khz());
  EXPECT_EQ(timing.ebx, kApicTimerKhz);
  EXPECT_GT(timing.eax, 100'000u);
  if (host_model().is_amd()) return;
  const CpuidResult ratio = ask(host_model(), id::kTscFrequency);
  // Linux multiplies in 32 bits.
  EXPECT_LE(uint64_t{ratio.ecx / 1000} * ratio.ebx, UINT32_MAX);
  const uint64_t crystal_khz = ratio.ecx / 1000;
  const double khz = static_cast<double>(crystal_khz * ratio.ebx) / ratio.eax;
  // Half a kHz of the crystal, times the ratio.
  EXPECT_NEAR(khz, timing.eax, 0.5 * ratio.ebx / ratio.eax + 0.001);
  EXPECT_NEAR(static_cast<double>(crystal_khz), kApicTimerKhz, kApicTimerKhz * 1e-3);
}

TEST(CpuidModel, BeyondTheHighestLeaf) {
  const uint32_t highest = ask(host_model(), 0).eax;
  const CpuidResult beyond = ask(host_model(), 0x3fffffff);
  const CpuidResult last = ask(host_model(), highest);
  EXPECT_EQ(beyond.eax, host_model().is_amd() ? 0u : last.eax);
  EXPECT_EQ(ask(host_model(), 0x40000005).eax, 0u);
  EXPECT_EQ(CpuidModel().query(0, 0, 0, 1, 0).eax, 0u);  // an empty model answers nothing
}

TEST(CpuidModel, Level2IsExactlyThat) {
  const auto model = CpuidModel::create("x86-64-v2");
  ASSERT_TRUE(model) << model.error().message;
  constexpr uint32_t kLevel = id::kSse3 | id::kSsse3 | id::kCx16 | id::kSse41 | id::kSse42 | id::kPopcnt;
  constexpr uint32_t kPlatform = id::kX2Apic | id::kTscDeadline | id::kHypervisorPresent;
  EXPECT_EQ(ask(*model, id::kVersion).ecx, kLevel | kPlatform);
  EXPECT_EQ(ask(*model, id::kStructured).ebx & (id::kAvx2 | id::kBmi1 | id::kErms), 0u);
  EXPECT_EQ(ask(*model, id::kExtendedVersion).ecx, id::kLahf);
  EXPECT_EQ(model->supported_xcr0(), 1u);
  EXPECT_EQ(model->supported_cr4() & x86::kCr4OsXsave, 0u);
  EXPECT_EQ(text(ask(*model, 0)), "GenuntelineI");
}

TEST(CpuidModel, Level3IsExactlyThat) {
  const auto model = CpuidModel::create("x86-64-v3");
  if (!model) GTEST_SKIP() << model.error().message;
  constexpr uint32_t kLevel = id::kSse3 | id::kSsse3 | id::kCx16 | id::kSse41 | id::kSse42 | id::kPopcnt |
                              id::kFma | id::kMovbe | id::kXsaveBit | id::kAvx | id::kF16c;
  constexpr uint32_t kPlatform = id::kX2Apic | id::kTscDeadline | id::kHypervisorPresent;
  EXPECT_EQ(ask(*model, id::kVersion).ecx, kLevel | kPlatform);
  EXPECT_EQ(ask(*model, id::kStructured).ebx & (id::kAvx2 | id::kBmi1 | id::kBmi2 | id::kAvx512F),
            id::kAvx2 | id::kBmi1 | id::kBmi2);
  EXPECT_EQ(ask(*model, id::kExtendedVersion).ecx, id::kLahf | id::kLzcnt);
  EXPECT_EQ(model->supported_xcr0(), 7u);
}

TEST(CpuidModel, UnknownNamesAreRefusedWithASentence) {
  const auto model = CpuidModel::create("pentium");
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("x86-64-v3"), std::string::npos);
}

}  // namespace

}  // namespace eidolon::cpu
