// Builds CpuidModels: which of the host's features pass, which the monitor provides itself, and what the
// named models consist of.
#pragma once

#include <cstdint>
#include <string_view>

#include "cpu/cpuid_model.h"

namespace eidolon::cpu {

/// The feature words of a model, in the registers where CPUID shows them.
struct FeatureWords {
  uint32_t leaf1_ecx = 0, leaf1_edx = 0;
  uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
  uint32_t leaf7_1_eax = 0;
  uint32_t leafd_1_eax = 0;
  uint32_t extended1_ecx = 0, extended1_edx = 0;
  uint32_t extended8_ebx = 0;

  friend FeatureWords operator&(const FeatureWords& a, const FeatureWords& b);
  friend FeatureWords operator|(const FeatureWords& a, const FeatureWords& b);
  friend bool operator==(const FeatureWords&, const FeatureWords&) = default;
};

/// Those that `model` shows.
[[nodiscard]] FeatureWords features_of(const CpuidModel& model);

class CpuidBuilder {
 public:
  static CpuidModel host(const FeatureWords& limit);
  /// `level` is 2 or 3.
  static Result<CpuidModel> microarchitecture_level(unsigned level, const FeatureWords& limit);

 private:
  CpuidBuilder() = default;
  void add(uint32_t leaf, const CpuidResult& result);
  void add(uint32_t leaf, uint32_t subleaf, const CpuidResult& result);
  void add_basic(const CpuidResult& vendor, uint32_t version, const FeatureWords& features);
  void add_xsave(const FeatureWords& features);
  void add_timing();
  void add_extended(const FeatureWords& features);
  void add_brand(std::string_view text);
  void copy_host_caches(const FeatureWords& features);
  void add_plain_caches();
  /// Derives from the features what control registers may hold; sorts the leaves.
  CpuidModel finish(const FeatureWords& features);

  CpuidModel model_;
};

}  // namespace eidolon::cpu
