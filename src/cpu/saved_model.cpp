#include "cpu/saved_model.h"

#include <algorithm>
#include <vector>

#include "base/try.h"
#include "x86/control_registers.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

constexpr const char* kSection = "cpuid";
constexpr uint32_t kVersion = 1, kMostRows = 8192;

struct Row {
  uint32_t leaf = 0, subleaf = 0;
  CpuidResult result;
};

/// What processor 0 is told after its reset, of leaves with subleaves as many as there may be.
void add_range(std::vector<Row>& rows, const CpuidModel& model, uint32_t first, uint32_t last) {
  constexpr uint32_t kSubleaves = 32;
  for (uint32_t leaf = first; leaf <= last; ++leaf) {
    const CpuidResult base = model.query(leaf, 0, 0, x86::kXcr0X87, 0);
    rows.push_back({.leaf = leaf, .subleaf = 0, .result = base});
    for (uint32_t subleaf = 1; subleaf < kSubleaves; ++subleaf) {
      const CpuidResult result = model.query(leaf, subleaf, 0, x86::kXcr0X87, 0);
      if (result != base) rows.push_back({.leaf = leaf, .subleaf = subleaf, .result = result});
    }
  }
}

std::vector<Row> told(const CpuidModel& model) {
  namespace id = x86::cpuid;
  constexpr uint32_t kMostLeaves = 0x40, kExtended = 0x80000000;
  constexpr uint32_t kParavirt = 0x100;  // behind our own name (docs/paravirt.md)
  const auto highest = [&model](uint32_t leaf) {
    return std::min(model.query(leaf, 0, 0, x86::kXcr0X87, 0).eax, leaf + kMostLeaves);
  };
  std::vector<Row> rows;
  for (const uint32_t first :
       {uint32_t{id::kBasic}, uint32_t{id::kHypervisor}, id::kHypervisor + kParavirt, kExtended})
    add_range(rows, model, first, std::max(first, highest(first)));
  return rows;
}

template <typename Self, typename Stream>
void leaf_fields(Self& row, Stream& s) {
  s(row.leaf, row.subleaf, row.result.eax, row.result.ebx, row.result.ecx, row.result.edx);
}

/// What is measured, and so never quite the same twice.
bool is_timing(uint32_t leaf) {
  namespace id = x86::cpuid;
  return leaf == id::kTscFrequency || leaf == id::kTscFrequency + 1 || leaf == id::kHypervisorTiming;
}

bool same(const Row& one, const Row& other) {
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
  const std::vector<Row> rows = told(model);
  to.begin(kSection, kVersion);
  const x86::Topology& topology = model.topology();
  to(topology.sockets, topology.cores, topology.threads, model.tsc_khz(), static_cast<uint32_t>(rows.size()));
  for (const Row& row : rows) leaf_fields(row, to);
  to.end();
}

Result<> check_model(StateReader& from, const CpuidModel& model) {
  x86::Topology topology;
  uint32_t tsc_khz = 0, count = 0;
  from.begin(kSection);
  from(topology.sockets, topology.cores, topology.threads, tsc_khz, count);
  std::vector<Row> rows;
  for (uint32_t i = 0; i < std::min(count, kMostRows) && !from.failed(); ++i)
    leaf_fields(rows.emplace_back(), from);
  from.end();
  if (from.failed() || rows.size() != count || !(topology == model.topology()))
    return fail("the snapshot's processor is not described as it should be; restore from another copy");
  const std::vector<Row> now = told(model);
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
