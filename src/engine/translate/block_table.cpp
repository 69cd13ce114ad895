#include "engine/translate/block_table.h"

#include <algorithm>

namespace eidolon::engine::translate {

using x86::kPageShift;

Block& BlockTable::create(uint64_t rip, memory::GuestPhysical physical, Mode mode,
                          memory::GuestPhysical second_page) {
  Block& block = blocks_.emplace_back();
  block.rip = rip;
  block.physical = physical;
  block.mode = mode;
  block.page_id = page_id(rip, physical, mode.user());
  block.second_page = second_page;
  if (block.crosses()) block.second_page_id = page_id(block.second_rip(), second_page, mode.user());
  return block;
}

const Block* BlockTable::original(memory::GuestPhysical physical, Mode mode, bool unshared) const {
  const Block* block = originals_[original_slot(physical)];
  const bool fits = block != nullptr && block->physical == physical && block->mode == mode;
  return fits && block->unshared == unshared ? block : nullptr;
}

void BlockTable::publish(Block& block) {
  Block*& bucket_head = buckets_[bucket(block.rip, block.physical)];
  block.next_in_bucket = bucket_head;
  bucket_head = &block;
  if (block.may_be_copied) originals_[original_slot(block.physical)] = &block;
  Block*& page_head = pages_[block.physical >> kPageShift].first;
  block.next_in_page = page_head;
  page_head = &block;
  if (!block.crosses()) return;
  Block*& second_head = pages_[block.second_page >> kPageShift].first_second;
  block.next_in_second_page = second_head;
  second_head = &block;
}

namespace {
void unchain(Block** link, const Block& block, Block* Block::*next) {
  while (*link != nullptr && *link != &block) link = &((*link)->*next);
  if (*link != nullptr) *link = block.*next;
}
}  // namespace

void BlockTable::remove(Block& block) {
  unchain(&buckets_[bucket(block.rip, block.physical)], block, &Block::next_in_bucket);
  if (Block*& original = originals_[original_slot(block.physical)]; original == &block) original = nullptr;
  unchain(&pages_[block.physical >> kPageShift].first, block, &Block::next_in_page);
  remove_empty_page(block.physical);
  if (!block.crosses()) return;
  unchain(&pages_[block.second_page >> kPageShift].first_second, block, &Block::next_in_second_page);
  remove_empty_page(block.second_page);
}

void BlockTable::remove_empty_page(memory::GuestPhysical physical) {
  const auto page = pages_.find(physical >> kPageShift);
  if (page != pages_.end() && page->second.empty()) pages_.erase(page);
}

BlockTable::Page BlockTable::on_page(memory::GuestPhysical physical) const {
  const auto page = pages_.find(physical >> kPageShift);
  return page == pages_.end() ? Page{} : page->second;
}

std::vector<memory::GuestPhysical> BlockTable::pages() const {
  std::vector<memory::GuestPhysical> result;
  result.reserve(pages_.size());
  for (const auto& [page, blocks] : pages_) result.push_back(page << kPageShift);
  return result;
}

uint32_t BlockTable::page_id(uint64_t rip, memory::GuestPhysical physical, bool user) {
  const PageKey key{rip >> kPageShift, physical >> kPageShift, user};
  return page_ids_.try_emplace(key, static_cast<uint32_t>(kFirstPageId + page_ids_.size())).first->second;
}

void BlockTable::clear() {
  std::ranges::fill(buckets_, nullptr);
  std::ranges::fill(originals_, nullptr);
  blocks_.clear();
  pages_.clear();
  page_ids_.clear();
}

}  // namespace eidolon::engine::translate
