// Compiled without vector registers: the guest's are live when exits come here.
#include "engine/translate/code_mappings.h"

namespace eidolon::engine::translate {

CodeMappings::CodeMappings(cpu::Cpu& cpu, Frame& frame) : cpu_(cpu), frame_(frame) {
  cpu_.mmu.set_observer(this);
}

CodeMappings::~CodeMappings() { cpu_.mmu.set_observer(nullptr); }

std::optional<memory::GuestPhysical> CodeMappings::fetch_address(uint64_t rip, bool user) {
  const uint64_t page = page_key(rip, user);
  FetchEntry& entry = fetch_entry(rip);
  if (entry.page != page || (entry.context != kGlobal && entry.context != cpu_.mmu.context())) {
    const mmu::View view = user ? mmu::View::kUser : mmu::View::kSupervisor;
    const auto resolved = cpu_.mmu.resolve(cpu_.state.control, rip, mmu::Access::kExecute, view);
    if (!resolved || resolved->host == nullptr) return std::nullopt;
    if (resolved->page_size > x86::kPageSize) note_large(rip, resolved->page_size);
    entry.page = page;
    entry.context = resolved->global ? kGlobal : cpu_.mmu.context();
    entry.physical = resolved->physical & ~x86::kPageMask;
  }
  return entry.physical | (rip & x86::kPageMask);
}

void CodeMappings::know(uint64_t rip, bool user, uint32_t id) {
  const auto slot = static_cast<unsigned>(Frame::page_slot(rip, user));
  frame_.page_ids[slot] = id;
  const FetchEntry& entry = fetch_entry(rip);
  if (entry.page == page_key(rip, user) && entry.context == kGlobal)
    local_.remove(slot);
  else
    local_.add(slot);
}

void CodeMappings::note_large(uint64_t linear, uint64_t size) {
  const uint64_t base = linear & ~(size - 1);
  for (unsigned i = 0; i < large_count_; ++i)
    if (large_[i].base == base && large_[i].size == size) return;
  if (large_count_ < kLargePages) large_[large_count_++] = {base, size};
}

void CodeMappings::page_forgotten(uint64_t linear) {
  bool large = large_count_ == kLargePages;
  for (unsigned i = 0; i < large_count_; ++i) large = large || linear - large_[i].base < large_[i].size;
  if (large) [[unlikely]]
    return forget_current();
  FetchEntry& entry = fetch_entry(linear);
  if (((entry.page ^ linear) & ~x86::kPageMask) == 0) entry.page = ~uint64_t{0};
  for (const bool user : {false, true}) {
    const auto slot = static_cast<unsigned>(Frame::page_slot(linear, user));
    frame_.page_ids[slot] = 0;
    local_.remove(slot);
  }
}

void CodeMappings::context_changed(uint64_t from, uint64_t to) {
  Saved& left = saved_[turn_++ % kSavedContexts];
  left.context = from;
  left.count = 0;
  local_.for_each([&](unsigned slot) {
    if (left.count < kSavedIds) left.ids[left.count++] = {slot, frame_.page_ids[slot]};
    frame_.page_ids[slot] = 0;
    local_.remove(slot);
  });
  for (Saved& saved : saved_) {
    if (saved.context != to) continue;
    for (unsigned i = 0; i < saved.count; ++i) {
      frame_.page_ids[saved.ids[i].slot] = saved.ids[i].id;
      local_.add(saved.ids[i].slot);
    }
    saved.context = 0;
  }
}

/// What holds in the current address space, and globally.
void CodeMappings::forget_current() {
  for (uint32_t& id : frame_.page_ids) id = 0;
  local_.for_each([this](unsigned slot) { local_.remove(slot); });
  for (FetchEntry& entry : fetch_cache_) entry.page = ~uint64_t{0};
}

void CodeMappings::forget_ids() {
  for (uint32_t& id : frame_.page_ids) id = 0;
  local_.for_each([this](unsigned slot) { local_.remove(slot); });
  for (Saved& saved : saved_) saved.context = 0;
}

void CodeMappings::all_forgotten() {
  forget_ids();
  forget_current();
  large_count_ = 0;
}

}  // namespace eidolon::engine::translate
