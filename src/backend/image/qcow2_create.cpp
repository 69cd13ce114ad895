#include "backend/image/qcow2_create.h"

#include <vector>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_header.h"
#include "backend/image/qcow2_places.h"
#include "backend/image/qcow2_refcounts.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image {

using namespace qcow2;

namespace {

Result<> check(const Qcow2Options& options, const Header& header) {
  if (options.size == 0 || options.size % 512 != 0)
    return fail("a disk of {} bytes is no whole number of sectors of 512; name another size", options.size);
  if (header.l1_entries_needed() * 8 > kMaxL1Bytes)
    return fail("a disk of {} bytes is too large for clusters of {}; name larger clusters", options.size,
                header.cluster_bytes());
  constexpr uint64_t kLongestName = 1023;
  if (options.backing_file.size() > kLongestName ||
      kHeaderBytes + 32 + options.backing_format.size() + options.backing_file.size() >
          header.cluster_bytes())
    return fail("the name of the backing file is too long; give it a shorter one");
  return {};
}

/// The refcount table and one block, which count themselves and the header; then a place for the L1 table.
IoResult<> write_structures(File& file, Header& header) {
  const uint64_t cluster = header.cluster_bytes();
  header.refcount_table_offset = cluster;
  header.refcount_table_clusters = 1;
  EIDOLON_TRY(checked(file.grow(3 * cluster)));
  std::vector<uint8_t> place(8);
  store_big_endian(place.data(), 2 * cluster);
  EIDOLON_TRY(write_bytes(file, cluster, place));
  Places places(header.cluster_bits);
  Health health(file, header, "");
  Refcounts refcounts(file, header, places, health);
  EIDOLON_TRY(refcounts.load());
  EIDOLON_TRY(refcounts.count_structures(3));
  const uint64_t l1_clusters = header.clusters(uint64_t{header.l1_entries} * 8);
  header.l1_offset = EIDOLON_TRY(refcounts.allocate(l1_clusters));
  EIDOLON_TRY(checked(file.grow(header.l1_offset + l1_clusters * cluster)));
  EIDOLON_TRY(write_bytes(file, 0, header_cluster(header)));  // write_back() changes it
  EIDOLON_TRY(refcounts.write_back());
  EIDOLON_TRY(refcounts.apply_frees());
  EIDOLON_TRY(refcounts.write_back());
  return checked(file.flush());
}

}  // namespace

Result<> create_qcow2(File& file, const std::string& name, const Qcow2Options& options) {
  Header header;
  header.version = options.version;
  header.cluster_bits = options.cluster_bits;
  header.refcount_order = options.refcount_order;
  header.size = options.size;
  header.backing_file = options.backing_file;
  header.backing_format = options.backing_format;
  header.l1_entries = static_cast<uint32_t>(header.l1_entries_needed());
  EIDOLON_TRY(check(options, header));
  if (const IoResult<> done = write_structures(file, header); !done)
    return fail("cannot write image '{}'{}", name,
                done.error() == File::IoStatus::kNoSpace ? ": the disk is full; make room and try again"
                                                         : "; see whether its disk is sound");
  return {};
}

}  // namespace eidolon::backend::image
