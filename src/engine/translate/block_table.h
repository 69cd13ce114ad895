// All blocks of a code cache: by what they translate, and by the guest-physical page that they lie on.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "engine/translate/block.h"
#include "memory/guest_memory.h"

namespace eidolon::engine::translate {

class BlockTable {
 public:
  BlockTable() : buckets_(kBuckets) {}

  [[nodiscard]] Block* find(uint64_t rip, memory::GuestPhysical physical, Mode mode) const {
    for (Block* block = buckets_[bucket(rip, physical)]; block != nullptr; block = block->next_in_bucket)
      if (block->rip == rip && block->physical == physical && block->mode == mode) return block;
    return nullptr;
  }
  /// A new block, not to be found before `publish`.
  [[nodiscard]] Block& create(uint64_t rip, memory::GuestPhysical physical, Mode mode);
  void publish(Block& block);
  /// Takes it out of the table; the object stays until `clear`.
  void remove(Block& block);
  /// First of the blocks on the page, linked by next_in_page.
  [[nodiscard]] Block* on_page(memory::GuestPhysical physical) const;
  /// Pages that have blocks.
  [[nodiscard]] std::vector<memory::GuestPhysical> pages() const;

  /// A number for (linear page, physical page, mode): never 0, the same for equal arguments until `clear`.
  [[nodiscard]] uint32_t page_id(uint64_t rip, memory::GuestPhysical physical, Mode mode);

  void clear();
  [[nodiscard]] size_t size() const { return blocks_.size(); }

 private:
  static constexpr size_t kBuckets = size_t{1} << 16;
  [[nodiscard]] static size_t bucket(uint64_t rip, memory::GuestPhysical physical) {
    return (rip ^ (physical >> 12) * 0x9e3779b1u ^ rip >> 16) & (kBuckets - 1);
  }
  struct PageKey {
    uint64_t linear, physical;
    uint16_t mode;
    bool operator==(const PageKey&) const = default;
  };
  struct PageKeyHash {
    size_t operator()(const PageKey& key) const {
      return (key.linear * 0x9e3779b97f4a7c15u ^ key.physical * 0xc2b2ae3d27d4eb4fu) + key.mode;
    }
  };

  std::vector<Block*> buckets_;
  std::deque<Block> blocks_;
  std::unordered_map<uint64_t, Block*> pages_;  ///< by page number
  std::unordered_map<PageKey, uint32_t, PageKeyHash> page_ids_;
};

}  // namespace eidolon::engine::translate
