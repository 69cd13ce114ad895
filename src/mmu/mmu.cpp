#include "mmu/mmu.h"

namespace eidolon::mmu {

using memory::RegionKind;

std::expected<Translation, PageFault> Mmu::translate(const PagingControls& controls, uint64_t linear,
                                                     Access access, View view) {
  const bool cached = controls.long_mode() && controls.paging();
  if (cached) {
    if (const auto known =
            structures_.translate(memory_, controls, contexts_, linear, access, view, viewer_)) {
      ++counters_.shortcuts;
      return *known;
    }
  }
  ++counters_.walks;
  auto translation = walk(memory_, controls, linear, access, view, viewer_);
  if (cached && translation) structures_.enter(contexts_, linear, *translation);
  return translation;
}

std::expected<Resolved, PageFault> Mmu::resolve(const PagingControls& controls, uint64_t linear,
                                                Access access, View view) {
  const auto translation = translate(controls, linear, access, view);
  if (!translation) return std::unexpected(translation.error());

  const memory::GuestPhysical physical = translation->physical;
  Resolved resolved{physical, nullptr, translation->global, translation->page_size};
  const auto place = memory_.locate(physical);
  if (!place) return resolved;  // MMIO: never in the virtual TLB

  uint8_t* host = place->host;
  // With a log of writes, a page that is only read is none that is written.
  const bool soon = access == Access::kRead && translation->writable && !memory_.logs_writes();
  const bool writes = access == Access::kWrite || soon;
  const bool storable = writes && place->kind == RegionKind::kRam && memory_.enter_writer(physical, viewer_);
  if (access != Access::kExecute) {  // the right to execute is not yet the right to read (SMAP)
    const uint64_t offset = physical & x86::kPageMask;
    const TlbRights rights{.writable = translation->writable && storable, .global = translation->global};
    tlb_.insert(linear, view, host - offset, physical - offset, rights, translation->page_size);
  }
  if (access != Access::kWrite || storable) resolved.host = host;
  return resolved;
}

void Mmu::invalidate_page(uint64_t linear) {
  ++generation_;
  ++counters_.page_flushes;
  contexts_.renew_structures();
  structures_.forget_page(linear);
  tlb_.flush_page(linear);
  if (observer_ != nullptr) observer_->page_forgotten(linear);
}

void Mmu::invalidate_non_global() {
  ++generation_;
  ++counters_.context_flushes;
  const uint64_t from = context();
  contexts_.renew();
  tlb_.flush_non_global();
  if (observer_ != nullptr) observer_->context_changed(from, context());
}

void Mmu::invalidate_all() {
  ++generation_;
  ++counters_.full_flushes;
  contexts_.renew_all();
  tlb_.flush_all();
  if (observer_ != nullptr) observer_->all_forgotten();
}

void Mmu::change_context(uint16_t from, uint16_t to, bool keep) {
  if (from == to) {
    if (!keep) invalidate_non_global();
    return;
  }
  ++generation_;
  const uint64_t left = context();
  saved_.leave(tlb_, left);
  contexts_.change(from, to, keep);
  const auto known = saved_.take(context());
  ++(known.empty() ? counters_.context_flushes : counters_.context_returns);
  for (const VirtualTlb::Saved& saved : known) {
    const bool was_writable = saved.entry.write_tag == saved.entry.read_tag && !memory_.logs_writes();
    // Pages may have got translations meanwhile.
    tlb_.restore(saved, was_writable && memory_.enter_writer(saved.entry.physical, viewer_));
  }
  if (observer_ != nullptr) observer_->context_changed(left, context());
}

void Mmu::invalidate_other_context(uint16_t pcid) { contexts_.forget(pcid); }
void Mmu::invalidate_other_contexts() { contexts_.forget_others(); }

}  // namespace eidolon::mmu
