#include "backend/image/qcow2_check.h"

#include <algorithm>
#include <array>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_places.h"
#include "backend/image/qcow2_refcounts.h"
#include "backend/image/qcow2_usage.h"
#include "base/try.h"

namespace eidolon::backend::image {

using namespace qcow2;

namespace {

std::unexpected<Error> cannot_read(const std::string& name) {
  return fail("cannot read the tables of image '{}', which is cut short or damaged; restore it from a copy",
              name);
}

/// The counts that an image has.
class Counts {
 public:
  Counts(File& file, const Header& header)
      : places_(header.cluster_bits), health_(file, header, ""), refcounts_(file, header, places_, health_) {}
  IoResult<> load() { return refcounts_.load(); }
  [[nodiscard]] Refcounts& operator*() { return refcounts_; }

 private:
  Places places_;
  Health health_;
  Refcounts refcounts_;
};

/// An entry that says that a cluster may be written in place must be the only use of it.
IoResult<> check_copied(File& file, const Header& header, Usage& usage) {
  std::vector<uint8_t> l1(uint64_t{header.l1_entries} * 8), l2(header.cluster_bytes());
  EIDOLON_TRY(read_bytes(file, header.l1_offset, l1));
  const auto see = [&](uint64_t entry, const char* what) {
    const uint64_t cluster = (entry & kEntryOffset) >> header.cluster_bits;
    if (cluster == 0 || cluster >= usage.counts().size()) return;
    if (((entry & kEntryCopied) != 0) != (usage.counts()[cluster] == 1))
      usage.add_bad(fmt::format("{} at {:#x} is used {} times and marked otherwise", what,
                                entry & kEntryOffset, usage.counts()[cluster]));
  };
  for (size_t i = 0; i < l1.size(); i += 8) {
    const auto table = load_big_endian<uint64_t>(&l1[i]);
    see(table, "an L2 table");
    if ((table & kEntryOffset) == 0 || (table & kEntryOffset) >= file.size()) continue;
    const iovec part = {l2.data(), l2.size()};
    EIDOLON_TRY(read_padded(file, table & kEntryOffset, {&part, 1}));
    for (size_t j = 0; j < l2.size(); j += 8) {
      const auto entry = load_big_endian<uint64_t>(&l2[j]);
      if ((entry & kEntryCompressed) == 0) see(entry, "a cluster of data");
    }
  }
  return {};
}

IoResult<> compare(const Header& header, Usage& usage, Refcounts& refcounts, CheckReport& report) {
  for (uint64_t cluster = 0; cluster < usage.counts().size(); ++cluster) {
    const uint64_t used = usage.counts()[cluster], counted = EIDOLON_TRY(refcounts.get(cluster));
    if (used > 0) report.end = (cluster + 1) << header.cluster_bits;
    if (counted > used) ++report.leaked;
    if (counted < used)
      usage.add_bad(fmt::format("the cluster at {:#x} is used {} times and counted {} times",
                                cluster << header.cluster_bits, used, counted));
  }
  return {};
}

}  // namespace

Result<CheckReport> check_qcow2(File& file, const std::string& name, const Header& header) {
  if (header.clusters(file.size()) > Usage::kMostClusters)
    return fail("image '{}' is too large to be checked; use qemu-img check", name);
  Usage usage(file, header);
  if (!usage.count_all()) return cannot_read(name);
  CheckReport report;
  Counts counts(file, header);
  if (counts.load()) {
    if (!compare(header, usage, *counts, report)) return cannot_read(name);
  } else {
    usage.add_bad("a refcount block lies over another structure");
  }
  if (!check_copied(file, header, usage)) return cannot_read(name);
  report.used_clusters = usage.data_clusters();
  report.compressed_clusters = usage.compressed_clusters();
  report.corrupt = usage.bad();
  report.first = usage.first_bad();
  return report;
}

}  // namespace eidolon::backend::image
