// All blocks of a code cache: by what they translate, and by the guest-physical page that they lie on.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/chunks.h"
#include "engine/translate/block.h"
#include "memory/guest_memory.h"

namespace eidolon::engine::translate {

class BlockTable {
 public:
  BlockTable() : buckets_(kBuckets), originals_(kOriginals) {}

  [[nodiscard]] Block* find(uint64_t rip, memory::GuestPhysical physical, Mode mode,
                            bool unshared = false) const {
    return next_match(buckets_[bucket(rip, physical)], rip, physical, mode, unshared);
  }
  /// Of the blocks like `block`, which differ in their second page, the one that goes on in `second_page`.
  [[nodiscard]] static Block* find_crossing(Block* block, memory::GuestPhysical second_page) {
    while (block != nullptr && block->second_page != second_page)
      block = next_match(block->next_in_bucket, block->rip, block->physical, block->mode, block->unshared);
    return block;
  }
  /// A block of these bytes, wherever they are, that was translated and may be copied. Not all are remembered.
  [[nodiscard]] const Block* original(memory::GuestPhysical physical, Mode mode, bool unshared) const;
  /// A new block, not to be found before `publish`.
  [[nodiscard]] Block& create(uint64_t rip, memory::GuestPhysical physical, Mode mode,
                              memory::GuestPhysical second_page);
  void publish(Block& block);
  /// Takes it out of the table; the object stays until `clear`.
  void remove(Block& block);
  /// The blocks that have bytes on a page.
  struct Page {
    Block* first = nullptr;         ///< those that start there, linked by next_in_page
    Block* first_second = nullptr;  ///< those whose second page it is, linked by next_in_second_page
    [[nodiscard]] bool empty() const { return first == nullptr && first_second == nullptr; }
  };
  [[nodiscard]] Page on_page(memory::GuestPhysical physical) const;
  /// Pages that have blocks.
  [[nodiscard]] std::vector<memory::GuestPhysical> pages() const;

  /// A number for (linear page, physical page, user): never 0, the same for equal arguments until `clear`.
  [[nodiscard]] uint32_t page_id(uint64_t rip, memory::GuestPhysical physical, bool user);

  void clear();
  [[nodiscard]] size_t size() const { return blocks_.size(); }

 private:
  static constexpr size_t kBuckets = size_t{1} << 18, kOriginals = size_t{1} << 16;
  [[nodiscard]] static size_t bucket(uint64_t rip, memory::GuestPhysical physical) {
    return (rip ^ (physical >> 12) * 0x9e3779b1u ^ rip >> 16) & (kBuckets - 1);
  }
  [[nodiscard]] static Block* next_match(Block* block, uint64_t rip, memory::GuestPhysical physical,
                                         Mode mode, bool unshared) {
    while (block != nullptr && !(block->rip == rip && block->physical == physical && block->mode == mode &&
                                 block->unshared == unshared))
      block = block->next_in_bucket;
    return block;
  }
  [[nodiscard]] static size_t original_slot(memory::GuestPhysical physical) {
    return static_cast<size_t>(physical * 0x9e3779b97f4a7c15u >> 48);
  }
  static_assert(kOriginals == size_t{1} << (64 - 48));
  void remove_empty_page(memory::GuestPhysical physical);
  struct PageKey {
    uint64_t linear, physical;
    bool user;
    bool operator==(const PageKey&) const = default;
  };
  struct PageKeyHash {
    size_t operator()(const PageKey& key) const {
      return (key.linear * 0x9e3779b97f4a7c15u ^ key.physical * 0xc2b2ae3d27d4eb4fu) + key.user;
    }
  };

  /// The ID of the first page: code has as much room for it as for any other.
  static constexpr uint32_t kFirstPageId = 0x100;

  std::vector<Block*> buckets_;
  std::vector<Block*> originals_;  ///< by original_slot; the latest of those with the same
  Chunks<Block> blocks_;
  std::unordered_map<uint64_t, Page> pages_;  ///< by page number
  std::unordered_map<PageKey, uint32_t, PageKeyHash> page_ids_;
};

}  // namespace eidolon::engine::translate
