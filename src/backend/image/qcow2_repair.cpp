// New refcounts for an image, behind everything that is there, so that a monitor that is killed meanwhile
// leaves the old ones; one write to the header changes over.
#include <array>
#include <optional>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_usage.h"
#include "base/bits.h"
#include "base/try.h"

namespace eidolon::backend::image {

using namespace qcow2;

namespace {

/// Blocks of refcounts at clusters [first_block, first_block + blocks), then the table.
struct Plan {
  uint64_t first_block;
  uint64_t blocks;
  uint64_t table_clusters;
  [[nodiscard]] uint64_t end() const { return first_block + blocks + table_clusters; }
};

/// The new structures count themselves.
Plan plan(const Header& header, uint64_t clusters) {
  Plan plan{.first_block = clusters, .blocks = 0, .table_clusters = 0};
  for (;;) {
    const uint64_t blocks = (plan.end() + header.refcounts_per_block() - 1) / header.refcounts_per_block();
    const uint64_t table_clusters = header.clusters(blocks * 8);
    if (blocks == plan.blocks && table_clusters == plan.table_clusters) return plan;
    plan.blocks = blocks;
    plan.table_clusters = table_clusters;
  }
}

/// Puts one count into a block.
void put(std::vector<uint8_t>& block, uint64_t index, unsigned order, uint32_t count) {
  if (order < 3) {
    block[(index << order) / 8] |= static_cast<uint8_t>(count << (index << order) % 8);
    return;
  }
  const size_t width = size_t{1} << (order - 3);
  std::array<uint8_t, 8> raw;
  store_big_endian(raw.data(), uint64_t{count});
  std::copy(raw.end() - static_cast<ptrdiff_t>(width), raw.end(),
            block.begin() + static_cast<ptrdiff_t>(index * width));
}

IoResult<> write_blocks(File& file, const Header& header, const Plan& plan,
                        const std::vector<uint32_t>& counts) {
  const uint64_t per_block = header.refcounts_per_block();
  for (uint64_t number = 0; number < plan.blocks; ++number) {
    std::vector<uint8_t> block(header.cluster_bytes(), 0);
    for (uint64_t i = 0; i < per_block && number * per_block + i < plan.end(); ++i) {
      const uint64_t cluster = number * per_block + i;
      put(block, i, header.refcount_order, cluster < counts.size() ? counts[cluster] : 1);
    }
    EIDOLON_TRY(write_bytes(file, (plan.first_block + number) << header.cluster_bits, block));
  }
  std::vector<uint8_t> table(plan.table_clusters << header.cluster_bits, 0);
  for (uint64_t number = 0; number < plan.blocks; ++number)
    store_big_endian(&table[number * 8], (plan.first_block + number) << header.cluster_bits);
  EIDOLON_TRY(write_bytes(file, (plan.first_block + plan.blocks) << header.cluster_bits, table));
  return checked(file.flush());
}

IoResult<> change_over(File& file, const Header& header, const Plan& plan) {
  std::array<uint8_t, 12> place;
  store_big_endian(place.data(), (plan.first_block + plan.blocks) << header.cluster_bits);
  store_big_endian(place.data() + 8, static_cast<uint32_t>(plan.table_clusters));
  EIDOLON_TRY(write_bytes(file, at::kRefcountOffset, place));
  EIDOLON_TRY(checked(file.flush()));
  if (header.version < 3) return {};
  std::array<uint8_t, 8> features;
  store_big_endian(features.data(), header.incompatible & ~kIncompatibleDirty);
  EIDOLON_TRY(write_bytes(file, at::kIncompatible, features));
  return checked(file.flush());
}

}  // namespace

Result<> repair_qcow2(File& file, const std::string& name, const Header& header) {
  const auto give_up = [&name](std::string_view why) {
    return fail("cannot repair image '{}': {}; copy what can be read, or try qemu-img check -r all", name,
                why);
  };
  if (header.clusters(file.size()) > Usage::kMostClusters) return give_up("it is too large");
  Usage usage(file, header);
  if (!usage.count_without_refcounts()) return give_up("its tables cannot be read");
  if (usage.bad() > 0) return give_up(usage.first_bad());
  const uint64_t most = mask_below(1u << header.refcount_order);
  for (const uint32_t count : usage.counts())
    if (count > most) return give_up("a cluster is used more often than can be counted");
  const Plan new_place = plan(header, usage.counts().size());
  if (new_place.table_clusters << header.cluster_bits > kMaxRefcountTableBytes)
    return give_up("it is too large");
  if (!write_blocks(file, header, new_place, usage.counts()) || !change_over(file, header, new_place))
    return give_up("it cannot be written");
  return {};
}

}  // namespace eidolon::backend::image
