// What CPUID tells the guest: the host's answers, less what is not virtualized, or a named model's, and a
// hypervisor leaf of our own at 0x40000000 ("EidolonEidol").
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "x86/topology.h"

namespace eidolon::cpu {

struct CpuidResult {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  friend bool operator==(const CpuidResult&, const CpuidResult&) = default;
};

struct CpuidLeaf {
  uint32_t leaf;
  uint32_t subleaf;
  bool has_subleaves;  ///< false: `subleaf` is ignored
  CpuidResult result;
};

/// A component of the XSAVE area: leaf 0xd, subleaves 2 and up. Offsets are the host's, so that an image in
/// the standard format is the same to both.
struct XsaveComponent {
  unsigned offset = 0;   ///< in the standard format
  unsigned size = 0;     ///< 0: not supported
  bool aligned = false;  ///< to 64 bytes in the compacted format
};

/// Frequency of the local APIC timer's clock (before its divider), as leaves 0x15 and 0x40000010 tell it.
inline constexpr uint32_t kApicTimerKhz = 1'000'000;

struct FeatureWords;

class CpuidModel {
 public:
  /// `name` is "host", "x86-64-v2" or "x86-64-v3" ("kvm" is an error). A named model takes from the host nothing that is not part
  /// of it, and fails with a sentence if the host lacks something that is. Model and features only: APIC IDs
  /// and what mirrors control registers (OSXSAVE, XSAVE sizes) are filled in by `query`.
  static Result<CpuidModel> create(std::string_view name);
  /// The same, with no feature that is not in `kvm`, which are those of the host's KVM; "kvm" means "host".
  static Result<CpuidModel> create(std::string_view name, const FeatureWords& kvm);

  /// `cr4` and `xcr0` are the asking processor's; `processor` is its number, from which the topology makes
  /// its APIC ID.
  [[nodiscard]] CpuidResult query(uint32_t leaf, uint32_t subleaf, uint64_t cr4, uint64_t xcr0,
                                  unsigned processor) const;

  /// Before the machine runs; until then there is one processor. `topology` is valid().
  void set_topology(const x86::Topology& topology);
  [[nodiscard]] const x86::Topology& topology() const { return topology_; }

  /// Takes away RDRAND and RDSEED, for who needs every run of the guest to be the same.
  void hide_random_numbers();

  /// One more leaf, of a range that has none of ours: what a paravirtual interface shows.
  void add(const CpuidLeaf& leaf);

  /// XCR0 bits that the guest may set.
  [[nodiscard]] uint64_t supported_xcr0() const { return supported_xcr0_; }
  /// CR4 bits that the guest may set, from the features shown.
  [[nodiscard]] uint64_t supported_cr4() const { return supported_cr4_; }
  /// EFER bits that the guest may set.
  [[nodiscard]] uint64_t supported_efer() const { return supported_efer_; }

  enum class Feature : uint8_t {
    kRdtscp,
    kRdpid,
    kXsave,
    kXsaves,
    kXsaveOpt,
    kXsaveC,
    kFsGsBase,
    kSmap,
    kInvpcid,
    kMonitor,
    kX2Apic,
    kTscDeadline,
    kMtrr,
    kRdpmc,
    kXgetbv1
  };
  /// `index` below 8; the legacy components 0 and 1 are not here.
  [[nodiscard]] const XsaveComponent& xsave_component(unsigned index) const { return components_[index]; }
  /// Whether the vendor shown is AMD (or Hygon): decides about model-specific registers.
  [[nodiscard]] bool is_amd() const { return amd_; }
  /// Frequency of the time-stamp counter.
  [[nodiscard]] uint32_t tsc_khz() const { return tsc_khz_; }
  [[nodiscard]] bool has(Feature feature) const { return (features_ >> static_cast<unsigned>(feature)) & 1; }

 private:
  friend class CpuidBuilder;
  [[nodiscard]] const CpuidLeaf* find(uint32_t leaf, uint32_t subleaf) const;
  [[nodiscard]] CpuidResult topology_level(uint32_t subleaf, unsigned processor) const;
  [[nodiscard]] CpuidResult amd_identity(unsigned processor) const;
  [[nodiscard]] uint32_t standard_size(uint64_t xcr0) const;
  [[nodiscard]] uint32_t compacted_size(uint64_t xcr0) const;

  std::vector<CpuidLeaf> leaves_;
  x86::Topology topology_;
  uint64_t supported_xcr0_ = 1;
  uint64_t supported_cr4_ = 0;
  uint64_t supported_efer_ = 0;
  uint64_t features_ = 0;
  std::array<XsaveComponent, 8> components_{};
  bool amd_ = false;
  uint32_t tsc_khz_ = 0;
};

}  // namespace eidolon::cpu
