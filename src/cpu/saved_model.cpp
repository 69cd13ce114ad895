#include "cpu/saved_model.h"

#include <algorithm>
#include <vector>

#include "base/try.h"
#include "cpu/cpuid_listing.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

constexpr const char* kSection = "cpuid";
constexpr uint32_t kVersion = 1, kMostRows = 8192;

template <typename Self, typename Stream>
void leaf_fields(Self& row, Stream& s) {
  s(row.leaf, row.subleaf, row.result.eax, row.result.ebx, row.result.ecx, row.result.edx);
}

/// What is measured, and so never quite the same twice.
bool is_timing(uint32_t leaf) {
  namespace id = x86::cpuid;
  return leaf == id::kTscFrequency || leaf == id::kTscFrequency + 1 || leaf == id::kHypervisorTiming;
}

bool same(const CpuidLeaf& one, const CpuidLeaf& other) {
  return one.leaf == other.leaf && one.subleaf == other.subleaf &&
         (is_timing(one.leaf) || one.result == other.result);
}

/// Half a thousandth: what a guest corrects its clock by without a word.
Result<> check_frequency(uint64_t then, uint64_t now) {
  constexpr uint64_t kTolerance = 2000;
  const uint64_t difference = then > now ? then - now : now - then;
  if (difference <= then / kTolerance) return {};
  return fail(
      "this host's time-stamp counter runs at {} MHz, and the snapshot's guest tells the time by one of {} "
      "MHz; restore it on a host like the one where it was taken",
      now / 1000, then / 1000);
}

}  // namespace

void save_model(StateWriter& to, const CpuidModel& model) {
  const std::vector<CpuidLeaf> rows = list_leaves(model, 0);
  to.begin(kSection, kVersion);
  const x86::Topology& topology = model.topology();
  to(topology.sockets, topology.cores, topology.threads, model.tsc_khz(), static_cast<uint32_t>(rows.size()));
  for (const CpuidLeaf& row : rows) leaf_fields(row, to);
  to.end();
}

Result<> check_model(StateReader& from, const CpuidModel& model) {
  x86::Topology topology;
  uint32_t tsc_khz = 0, count = 0;
  from.begin(kSection);
  from(topology.sockets, topology.cores, topology.threads, tsc_khz, count);
  std::vector<CpuidLeaf> rows;
  for (uint32_t i = 0; i < std::min(count, kMostRows) && !from.failed(); ++i)
    leaf_fields(rows.emplace_back(), from);
  from.end();
  if (from.failed() || rows.size() != count || !(topology == model.topology()))
    return fail("the snapshot's processor is not described as it should be; restore from another copy");
  const std::vector<CpuidLeaf> now = list_leaves(model, 0);
  for (size_t i = 0; i < std::max(rows.size(), now.size()); ++i) {
    const bool here = i < rows.size() && i < now.size() && same(rows[i], now[i]);
    if (here) continue;
    return fail(
        "this host shows another processor than the snapshot's guest knows (CPUID leaf {:#x}); restore it on "
        "a host "
        "like the one where it was taken, and start machines that are to move with --cpu x86-64-v3",
        i < rows.size() ? rows[i].leaf : now[i].leaf);
  }
  return check_frequency(tsc_khz, model.tsc_khz());
}

}  // namespace eidolon::cpu
