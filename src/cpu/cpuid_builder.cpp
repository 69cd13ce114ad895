#include "cpu/cpuid_builder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/cpuid_features.h"
#include "cpu/cpuid_host.h"
#include "x86/control_registers.h"
#include "x86/cpuid.h"
#include "x86/paging.h"
#include "x86/vendor.h"

namespace eidolon::cpu {

namespace {

struct Ratio {
  uint32_t numerator, denominator;
};

/// TSC frequency over that of the "crystal", about kApicTimerKhz. Linux multiplies the crystal's kHz by the
/// numerator in 32 bits, so the numerator is kept small enough. The best such fraction may be off by a part
/// in 10,000 (just beside a simple ratio), so the crystal that is told makes up for it: the APIC timer bears
/// the error, the guest's clock does not.
Ratio tsc_ratio(uint32_t tsc_khz) {
  constexpr uint64_t kMaxNumerator = UINT32_MAX / (kApicTimerKhz + kApicTimerKhz / 1000);
  Ratio best{1, 1};
  uint64_t best_error = UINT64_MAX;  // of denominator * tsc, scaled by 1 / denominator
  for (uint64_t denominator = 1; denominator <= kMaxNumerator; ++denominator) {
    const uint64_t numerator = (denominator * tsc_khz + kApicTimerKhz / 2) / kApicTimerKhz;
    if (numerator == 0 || numerator > kMaxNumerator) continue;
    const uint64_t approximated = numerator * kApicTimerKhz * 1000 / denominator;
    const uint64_t wanted = uint64_t{tsc_khz} * 1000;
    const uint64_t error = approximated > wanted ? approximated - wanted : wanted - approximated;
    if (error >= best_error) continue;
    best_error = error;
    best = {static_cast<uint32_t>(numerator), static_cast<uint32_t>(denominator)};
  }
  return best;
}

/// The crystal, in kHz, that gives `tsc_khz` by this ratio.
uint32_t crystal_khz(uint32_t tsc_khz, Ratio ratio) {
  const auto [numerator, denominator] = ratio;
  return static_cast<uint32_t>((uint64_t{tsc_khz} * denominator + numerator / 2) / numerator);
}

namespace id = x86::cpuid;

constexpr uint32_t kHighestBasic = id::kTopologyV2;
constexpr uint32_t kLowestHighestBasic = id::kProcessorFrequency;
constexpr unsigned kLinearAddressBits = 48;
/// Bits of leaf 1 EDX that AMD repeats in leaf 0x80000001 EDX.
constexpr uint32_t kAmdRepeated = 0x0183f3ff;
/// Brand index 0, 64-byte lines for CLFLUSH.
constexpr uint32_t kVersionEbx = 8u << 8;
constexpr uint32_t kMostCaches = 8;

constexpr CpuidResult kIntel = {.ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69};
constexpr CpuidResult kOurselves = {
    .eax = id::kHypervisorTiming, .ebx = 0x6f646945, .ecx = 0x456e6f6c, .edx = 0x6c6f6469};  // EidolonEidol

[[nodiscard]] bool names_amd(const CpuidResult& vendor) {
  return x86::vendor_of(vendor.ebx, vendor.ecx) == x86::Vendor::kAmd;
}

[[nodiscard]] uint64_t xcr0_of(const FeatureWords& features) {
  if ((features.leaf1_ecx & id::kXsaveBit) == 0) return x86::kXcr0X87;
  uint64_t xcr0 = x86::kXcr0X87 | x86::kXcr0Sse;
  if ((features.leaf1_ecx & id::kAvx) != 0) xcr0 |= x86::kXcr0Avx;
  if ((features.leaf7_ebx & id::kAvx512F) != 0) xcr0 |= x86::kXcr0Avx512;
  return xcr0;
}

[[nodiscard]] uint64_t cr4_of(const FeatureWords& features) {
  using namespace x86;
  uint64_t cr4 = kCr4Vme | kCr4Pvi | kCr4Tsd | kCr4De | kCr4Pse | kCr4Pae | kCr4Mce | kCr4Pge | kCr4Pce |
                 kCr4OsFxsr | kCr4OsXmmExcpt;
  const auto add = [&cr4](uint32_t word, uint32_t feature, uint64_t bit) {
    if ((word & feature) != 0) cr4 |= bit;
  };
  add(features.leaf7_ecx, id::kUmip, kCr4Umip);
  add(features.leaf7_ebx, id::kFsGsBase, kCr4FsGsBase);
  add(features.leaf1_ecx, id::kPcid, kCr4PcidE);
  add(features.leaf1_ecx, id::kXsaveBit, kCr4OsXsave);
  add(features.leaf7_ebx, id::kSmep, kCr4Smep);
  add(features.leaf7_ebx, id::kSmap, kCr4Smap);
  return cr4;
}

[[nodiscard]] uint64_t efer_of(const FeatureWords& features) {
  uint64_t efer = x86::kEferSce | x86::kEferLme | x86::kEferLma;
  if ((features.extended1_edx & id::kNx) != 0) efer |= x86::kEferNxe;
  return efer;
}

[[nodiscard]] uint64_t feature_set(const FeatureWords& features) {
  using Feature = CpuidModel::Feature;
  uint64_t set = 0;
  const auto add = [&set](uint32_t word, uint32_t bit, Feature feature) {
    if ((word & bit) != 0) set |= uint64_t{1} << static_cast<unsigned>(feature);
  };
  add(features.extended1_edx, id::kRdtscp, Feature::kRdtscp);
  add(features.leaf7_ecx, id::kRdpid, Feature::kRdpid);
  add(features.leaf1_ecx, id::kXsaveBit, Feature::kXsave);
  add(features.leafd_1_eax, id::kXsaveOpt, Feature::kXsaveOpt);
  add(features.leafd_1_eax, id::kXsaveC, Feature::kXsaveC);
  add(features.leafd_1_eax, id::kXgetbv1, Feature::kXgetbv1);
  add(features.leaf7_ebx, id::kFsGsBase, Feature::kFsGsBase);
  add(features.leaf7_ebx, id::kSmap, Feature::kSmap);
  add(features.leaf7_ebx, id::kInvpcid, Feature::kInvpcid);
  add(features.leaf1_ecx, id::kX2Apic, Feature::kX2Apic);
  add(features.leaf1_ecx, id::kTscDeadline, Feature::kTscDeadline);
  add(features.leaf1_edx, id::kMtrr, Feature::kMtrr);
  return set;
}

/// INVPCID without PCID serves no one, and the XSAVE family needs XSAVE.
[[nodiscard]] FeatureWords consistent(FeatureWords words) {
  if ((words.leaf1_ecx & id::kPcid) == 0) words.leaf7_ebx &= ~id::kInvpcid;
  if ((words.leaf1_ecx & id::kXsaveBit) == 0) words.leafd_1_eax = 0;
  return words;
}

}  // namespace

void CpuidBuilder::add(uint32_t leaf, const CpuidResult& result) {
  model_.leaves_.push_back({leaf, 0, false, result});
}

void CpuidBuilder::add(uint32_t leaf, uint32_t subleaf, const CpuidResult& result) {
  model_.leaves_.push_back({leaf, subleaf, true, result});
}

void CpuidBuilder::add_basic(const CpuidResult& vendor, uint32_t version, const FeatureWords& features) {
  model_.amd_ = names_amd(vendor);
  add(id::kBasic, vendor);
  add(id::kVersion,
      {.eax = version, .ebx = kVersionEbx, .ecx = features.leaf1_ecx, .edx = features.leaf1_edx});
  add(id::kPower, {.eax = id::kArat});
  const uint32_t last_subleaf = features.leaf7_1_eax != 0 ? 1 : 0;
  add(id::kStructured, 0,
      {.eax = last_subleaf, .ebx = features.leaf7_ebx, .ecx = features.leaf7_ecx, .edx = features.leaf7_edx});
  add(id::kStructured, 1, {.eax = features.leaf7_1_eax});
  add(id::kTopology, {});
  if (vendor.eax >= id::kTopologyV2) add(id::kTopologyV2, {});
}

void CpuidBuilder::add_xsave(const FeatureWords& features) {
  const uint64_t xcr0 = xcr0_of(features);
  if ((features.leaf1_ecx & id::kXsaveBit) == 0) return;
  for (uint32_t i = 2; i < model_.components_.size(); ++i) {
    if ((xcr0 >> i & 1) == 0) continue;
    const CpuidResult component = host_cpuid(id::kXsave, i);
    model_.components_[i] = {
        .offset = component.ebx, .size = component.eax, .aligned = (component.ecx & 2) != 0};
    add(id::kXsave, i, {.eax = component.eax, .ebx = component.ebx, .ecx = component.ecx & 2});
  }
  // EBX of the first two follows XCR0.
  add(id::kXsave, 0, {.eax = static_cast<uint32_t>(xcr0), .ecx = model_.standard_size(xcr0)});
  add(id::kXsave, 1, {.eax = features.leafd_1_eax});
}

void CpuidBuilder::add_timing() {
  const uint32_t tsc = host_tsc_khz();
  model_.tsc_khz_ = tsc;
  if (!model_.amd_) {
    // TSC = crystal * EBX / EAX. The crystal also clocks the local APIC timer.
    const Ratio ratio = tsc_ratio(tsc);
    add(id::kTscFrequency,
        {.eax = ratio.denominator, .ebx = ratio.numerator, .ecx = crystal_khz(tsc, ratio) * 1000});
    const uint32_t mhz = (tsc + 500) / 1000;
    add(id::kProcessorFrequency, {.eax = mhz, .ebx = mhz, .ecx = kApicTimerKhz / 1000});
  }
  add(id::kHypervisor, kOurselves);
  add(id::kHypervisorTiming, {.eax = tsc, .ebx = kApicTimerKhz});
}

void CpuidBuilder::add_extended(const FeatureWords& features) {
  const CpuidResult& vendor = model_.leaves_.front().result;
  CpuidResult highest{.eax = id::kAddressSizes};
  uint32_t edx = features.extended1_edx;
  if (model_.amd_) {
    const bool topology = (features.extended1_ecx & id::kTopologyExtensions) != 0;
    if (topology) add(id::kAmdTopology, {});
    highest = {.eax = topology ? id::kAmdTopology : id::kAddressSizes,
               .ebx = vendor.ebx,
               .ecx = vendor.ecx,
               .edx = vendor.edx};
    edx |= features.leaf1_edx & kAmdRepeated;
  }
  add(id::kExtended, highest);
  add(id::kExtendedVersion, {.ecx = features.extended1_ecx, .edx = edx});
  add(id::kPowerManagement, {.edx = id::kInvariantTsc});
  add(id::kAddressSizes,
      {.eax = x86::kPhysicalAddressBits | kLinearAddressBits << 8, .ebx = features.extended8_ebx});
}

void CpuidBuilder::add_brand(std::string_view text) {
  std::array<char, 48> padded{};
  text.copy(padded.data(), padded.size() - 1);
  for (uint32_t i = 0; i < 3; ++i) {
    CpuidResult part;
    std::memcpy(&part, padded.data() + i * sizeof part, sizeof part);
    add(id::kBrand + i, part);
  }
}

void CpuidBuilder::copy_host_caches(const FeatureWords& features) {
  const bool extensions = (features.extended1_ecx & id::kTopologyExtensions) != 0;
  const uint32_t leaf = model_.amd_ ? id::kAmdCaches : id::kCaches;
  for (uint32_t i = 0; (!model_.amd_ || extensions) && i < kMostCaches; ++i) {
    const CpuidResult cache = host_cpuid(leaf, i);
    if ((cache.eax & id::kCacheTypeMask) == 0) break;
    add(leaf, i, cache);
  }
  add(2, model_.amd_ ? CpuidResult{} : host_cpuid(2));
  add(0x80000005, host_cpuid(0x80000005));
  add(0x80000006, host_cpuid(0x80000006));
}

/// Those of a processor of the time: what they share says which processors belong together.
void CpuidBuilder::add_plain_caches() {
  enum : uint32_t { kData = 1, kCode = 2, kUnified = 3 };
  struct Cache {
    uint32_t type, level, ways, sets;  // of 64-byte lines
  };
  constexpr std::array<Cache, 4> kPlain = {
      {{kData, 1, 8, 64}, {kCode, 1, 8, 64}, {kUnified, 2, 8, 512}, {kUnified, 3, 16, 8192}}};
  for (uint32_t i = 0; i < kPlain.size(); ++i) {
    const auto [type, level, ways, sets] = kPlain[i];
    add(id::kCaches, i, {.eax = type | level << 5 | 1u << 8, .ebx = 63 | (ways - 1) << 22, .ecx = sets - 1});
  }
  add(2, {.eax = 0xff01});  // see leaf 4
}

CpuidModel CpuidBuilder::finish(const FeatureWords& features) {
  model_.supported_xcr0_ = xcr0_of(features);
  model_.supported_cr4_ = cr4_of(features);
  model_.supported_efer_ = efer_of(features);
  model_.features_ = feature_set(features);
  model_.set_topology({});
  std::ranges::sort(model_.leaves_, {},
                    [](const CpuidLeaf& row) { return std::pair(row.leaf, row.subleaf); });
  return std::move(model_);
}

CpuidModel CpuidBuilder::host(const FeatureWords& limit) {
  FeatureWords features = consistent(((host_features() & passed_features()) | provided_features()) & limit);
  CpuidResult vendor = host_cpuid(id::kBasic);
  const bool amd = names_amd(vendor);
  // RDCL_NO: in a software engine the guest's user and kernel share one address space of the host, so the
  // guest's page table isolation would keep nothing apart, and cost two MOV CR3 for every system call.
  if (!amd) features.leaf7_edx |= id::kArchCapabilities & limit.leaf7_edx;
  const uint32_t lowest = amd ? id::kXsave : kLowestHighestBasic;
  vendor.eax = std::clamp(vendor.eax, lowest, kHighestBasic);

  CpuidBuilder builder;
  builder.add_basic(vendor, host_cpuid(id::kVersion).eax, features);
  builder.copy_host_caches(features);
  builder.add_xsave(features);
  builder.add_timing();
  builder.add_extended(features);
  for (uint32_t i = 0; i < 3; ++i) builder.add(id::kBrand + i, host_cpuid(id::kBrand + i));
  return builder.finish(features);
}

Result<CpuidModel> CpuidBuilder::microarchitecture_level(unsigned level, const FeatureWords& limit) {
  const FeatureWords wanted = level_features(level);
  if ((host_features() & wanted) != wanted) {
    return fail("this host lacks instructions of x86-64-v{}: use --cpu host", level);
  }
  const FeatureWords all = wanted | basic_features();
  if ((all & limit) != all) return fail("this host's KVM lacks features of x86-64-v{}: use --cpu kvm", level);
  // Signatures of the first processors of each level: Nehalem and Haswell.
  const uint32_t version = level >= 3 ? 0x000306c1 : 0x000106a3;
  const FeatureWords features = consistent(all);
  CpuidResult vendor = kIntel;
  vendor.eax = kLowestHighestBasic;

  CpuidBuilder builder;
  builder.add_basic(vendor, version, features);
  builder.add_plain_caches();
  builder.add_xsave(features);
  builder.add_timing();
  builder.add_extended(features);
  builder.add_brand(level >= 3 ? "Eidolon x86-64-v3" : "Eidolon x86-64-v2");
  return builder.finish(features);
}

namespace {
constexpr uint32_t kAll = ~uint32_t{0};
constexpr FeatureWords kEverything = {kAll, kAll, kAll, kAll, kAll, kAll, kAll, kAll, kAll, kAll};

Result<CpuidModel> create_model(std::string_view name, const FeatureWords& limit) {
  if (name == "host") return CpuidBuilder::host(limit);
  if (name == "x86-64-v2") return CpuidBuilder::microarchitecture_level(2, limit);
  if (name == "x86-64-v3") return CpuidBuilder::microarchitecture_level(3, limit);
  return fail("unknown processor model '{}': use host, kvm, x86-64-v2 or x86-64-v3", name);
}
}  // namespace

Result<CpuidModel> CpuidModel::create(std::string_view name) {
  if (name == "kvm")
    return fail("processor model kvm is for hosts with a usable /dev/kvm: use another --cpu");
  return create_model(name, kEverything);
}

Result<CpuidModel> CpuidModel::create(std::string_view name, const FeatureWords& kvm) {
  return create_model(name == "kvm" ? "host" : name, kvm);
}

FeatureWords features_of(const CpuidModel& model) {
  const auto ask = [&model](uint32_t leaf, uint32_t subleaf = 0) {
    return model.query(leaf, subleaf, 0, 0, 0);
  };
  const CpuidResult version = ask(id::kVersion), structured = ask(id::kStructured),
                    extended = ask(id::kExtendedVersion);
  return {.leaf1_ecx = version.ecx,
          .leaf1_edx = version.edx,
          .leaf7_ebx = structured.ebx,
          .leaf7_ecx = structured.ecx,
          .leaf7_edx = structured.edx,
          .leaf7_1_eax = ask(id::kStructured, 1).eax,
          .leafd_1_eax = ask(id::kXsave, 1).eax,
          .extended1_ecx = extended.ecx,
          .extended1_edx = extended.edx,
          .extended8_ebx = ask(id::kAddressSizes).ebx};
}

void CpuidModel::add(const CpuidLeaf& leaf) {
  leaves_.insert(std::ranges::upper_bound(leaves_, leaf.leaf, {}, &CpuidLeaf::leaf), leaf);
}

}  // namespace eidolon::cpu
