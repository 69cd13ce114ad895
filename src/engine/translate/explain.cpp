#include "engine/translate/explain.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/translate/emitter.h"

namespace eidolon::engine::translate {

namespace {

constexpr const char* kRegisters[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

std::vector<AreaName> area_names(const Layout& layout) {
  std::vector<AreaName> names;
  const auto add = [&](uint32_t begin, size_t size, std::string name) {
    names.push_back({begin, begin + static_cast<uint32_t>(size), std::move(name)});
  };
  for (unsigned reg = 0; reg < 16; ++reg) add(layout.gpr(reg), 8, fmt::format("slot of {}", kRegisters[reg]));
  add(layout.rflags(), 8, "rflags");
  add(layout.segment_base(x86::kFs), 8, "fs base");
  add(layout.segment_base(x86::kGs), 8, "gs base");
  add(layout.tsc_offset(), 8, "tsc offset");
  add(layout.events(), 4, "events");
  const auto add_table = [&](mmu::View view, const char* name) {
    constexpr size_t kBytes = sizeof(Layout::TlbPart);
    add(layout.tlb_tag(view, false), kBytes, fmt::format("virtual TLB{}, read tag", name));
    add(layout.tlb_tag(view, true), kBytes, fmt::format("virtual TLB{}, write tag", name));
    add(layout.tlb_delta(view), kBytes, fmt::format("virtual TLB{}, delta", name));
  };
  add_table(mmu::View::kSupervisor, "");
  add_table(mmu::View::kUser, " (user)");
  add(layout.address(), 8, "address");
  add(layout.site(), 4, "site");
  add(layout.saved_flags(), 4, "flags put aside");
  add(layout.jump_target(), 8, "jump target");
  add(layout.returns(0), sizeof(Frame::returns), "returns");
  add(layout.jump_cache(), sizeof(Frame::jump_cache), "jump cache");
  add(layout.page_ids(), sizeof(Frame::page_ids), "page IDs");
  return names;
}

bool covers(const Block& block, uint64_t address) {
  return address - block.rip < block.length || address == block.rip;
}

}  // namespace

BlockCopy copy_of(const MadeBlock& made) {
  const Block& block = made.block;
  BlockCopy copy{.rip = block.rip,
                 .physical = block.physical,
                 .second_page = block.second_page,
                 .mode = block.mode,
                 .length = block.length,
                 .begin = block.begin,
                 .entry_checked = std::max(block.begin, block.entry(Entry::kChecked)),
                 .entry_events = std::max(block.begin, block.entry(Entry::kEvents)),
                 .entry_body = block.entry(Entry::kBody),
                 .code = {made.cache.begin() + block.begin, made.cache.begin() + block.end},
                 .cold_begin = block.cold_begin,
                 .cold = {made.cache.begin() + block.cold_begin, made.cache.begin() + block.cold_end},
                 .instructions = {},
                 .placed = {made.placed.begin(), made.placed.end()},
                 .sites = {made.sites.begin(), made.sites.end()},
                 .first_site = block.first_site,
                 .names = area_names(made.layout),
                 .site_word = made.layout.site()};
  for (const DecodedInstruction& d : made.analysis.instructions()) {
    const auto bytes = made.analysis.bytes(d);
    copy.instructions.push_back({.offset = d.offset,
                                 .bytes = {bytes.begin(), bytes.end()},
                                 .step = d.step,
                                 .flags_live_out = d.flags_live_out});
  }
  return copy;
}

void Explainer::made(const MadeBlock& made) {
  rip_.store(made.block.rip);
  blocks_.fetch_add(1);
  if (!covers(made.block, address_)) return;
  BlockCopy copy = copy_of(made);
  {
    std::lock_guard lock(mutex_);
    block_ = std::move(copy);
  }
  found_();
}

std::optional<BlockCopy> Explainer::block() const {
  std::lock_guard lock(mutex_);
  return block_;
}

}  // namespace eidolon::engine::translate
