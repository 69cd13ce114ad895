// The translator's inside. impl.cpp: running and translating. exits.cpp: what happens when generated code
// leaves. round.cpp: one block at a time. invalidation.cpp: blocks that go away. copies.cpp: blocks at other
// addresses.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cpu/linear.h"
#include "engine/host_fault.h"
#include "engine/step/step_engine.h"
#include "engine/translate/analysis.h"
#include "engine/translate/block_table.h"
#include "engine/translate/builder.h"
#include "engine/translate/code_cache.h"
#include "engine/translate/code_mappings.h"
#include "engine/translate/translate_engine.h"

namespace eidolon::cpu {
class Operation;
}

namespace eidolon::engine {

class TranslateEngine::Impl final : public memory::CodeObserver, public cpu::ExtendedStateHolder {
 public:
  Impl(cpu::Cpu& cpu, std::unique_ptr<translate::CodeCache> cache, const Options& options);
  ~Impl() override;

  Stop run();
  void prepare_thread();
  [[nodiscard]] translate::Round run_round();
  [[nodiscard]] const translate::Statistics& statistics() const { return statistics_; }
  [[nodiscard]] std::string report() const;

  void code_written(memory::GuestPhysical address, uint64_t length) override;
  void code_unmapped(memory::GuestPhysical address, uint64_t length) override;
  void release_extended_state() override;

 private:
  using Block = translate::Block;
  using Site = translate::Site;
  using Entry = translate::Entry;
  using Frame = translate::Frame;
  using Mode = translate::Mode;

  // impl.cpp
  [[nodiscard]] Block* find_block(bool unshared = false, Entry entry = Entry::kBody);
  [[nodiscard]] std::optional<memory::GuestPhysical> second_page(uint64_t rip, Mode mode);
  void remember_pages(const Block& block);
  void supply_code();
  [[nodiscard]] std::span<const uint8_t> open_code_page(memory::GuestPhysical page);
  [[nodiscard]] Block* translate_block(memory::GuestPhysical physical, Mode mode, bool unshared, Entry entry);
  [[nodiscard]] bool has_room(uint32_t bytes) const;
  void enter(uint64_t host_address);
  void defer_undeliverable();
  void show(const Block& block);
  void save_extended_state();
  void load_extended_state();

  // copies.cpp
  [[nodiscard]] Block* copy_block(memory::GuestPhysical physical, Mode mode, bool unshared);
  [[nodiscard]] Block* copy(const Block& from, uint64_t rip);
  void take_along(const Block& from, const Block& to);
  [[nodiscard]] Block* counterpart(const Block& block, uint64_t rip);
  static constexpr size_t kMostCopiedAtOnce = 256;

  // exits.cpp
  static uint64_t exit_handler(Frame* frame);
  [[nodiscard]] uint64_t handle_exit();
  [[nodiscard]] uint64_t stay(uint64_t host, bool away);
  [[nodiscard]] uint64_t meet_two_pages(uint32_t site_index);
  [[nodiscard]] uint64_t fill_tlb(const Site& site, std::optional<mmu::PageFault>& fault);
  [[nodiscard]] static Entry entry_for(const Site& site, uint64_t rip, bool same_physical_page);
  [[nodiscard]] static Entry entry_for(const Site& site, const Block& target);
  [[nodiscard]] uint32_t entry_of(Block& block, Entry entry);
  [[nodiscard]] uint64_t enter_by(Block& block, Entry entry);
  uint64_t link(uint32_t site_index, Block& target);
  [[nodiscard]] uint64_t link_lightly(uint32_t site_index);
  [[nodiscard]] uint64_t confirm_page(const Site& site);
  [[nodiscard]] uint64_t find_target(const Site& site);
  bool remember_target(Block& block);
  void recover(uint64_t rip, uint16_t in_slot, bool flags_saved);
  void recover_flags(uint64_t rip, uint64_t flags);
  void load_registers();

  // exits_light.cpp: x87 and vector state may still be in the host's registers
  static uint64_t settled_exit_handler(Frame* frame);
  [[nodiscard]] uint64_t execute_settled(const Site& site);
  [[nodiscard]] uint64_t go_on_settled();
  [[nodiscard]] uint64_t execute_lightly(const Site& site);
  [[nodiscard]] uint64_t raise_lightly(const Site& site, const mmu::PageFault& fault);
  [[nodiscard]] uint64_t raise_divide_error(const Site& site);
  void remember_cpuid(uint32_t leaf, uint32_t subleaf);
  void execute_sensitive(const isa::Instruction& instruction);
  void deliver(const cpu::Fault& fault, uint64_t begin);
  void recover_at(const Site& site);
  [[nodiscard]] uint64_t go_on_lightly();
  [[nodiscard]] uint64_t known_block();
  void recall_deferred();

  // exits_extended.cpp
  [[nodiscard]] bool execute_extended(const isa::Instruction& instruction);
  [[nodiscard]] bool save_compacted(const cpu::Operation& op, uint64_t requested);
  [[nodiscard]] bool restore_compacted(const cpu::Operation& op, uint64_t requested);

  // exits_slow.cpp
  [[nodiscard]] uint64_t leave_slowly(const Site& site);
  [[nodiscard]] bool asks_too_much(const Site& site) const;
  [[nodiscard]] uint64_t on_jump(uint32_t site_index);
  [[nodiscard]] uint64_t on_page(const Site& site);
  [[nodiscard]] uint64_t on_host_fault();
  [[nodiscard]] uint64_t step_and_go_on(bool is_jump);
  [[nodiscard]] uint64_t go_on();
  void give_way();
  static bool host_fault(void* cookie, HostFault& fault);

  // exits_string.cpp
  [[nodiscard]] uint64_t run_string(const Site& site);

  // round.cpp
  uint64_t end_round(const Site& site);
  uint64_t end_round(const translate::FaultPoint& point);

  // invalidation.cpp
  void unlink(uint32_t site_index);
  void invalidate(Block& block);
  void flush();
  void follow_breakpoints();
  [[nodiscard]] bool has_breakpoint(uint64_t rip, uint64_t length) const {
    return cpu_.breakpoints != nullptr && cpu_.breakpoints->any_in(rip, length);
  }
  /// Room that one block's code needs at the very most, in either part of the cache.
  static constexpr uint32_t kBlockReserve = 64 << 10;
  /// Where the part of the cache begins for code that hardly ever runs. There is less of it than of the
  /// other.
  [[nodiscard]] uint32_t cold_start() const {
    return static_cast<uint32_t>(cache_->size() / 8 * 5) & ~static_cast<uint32_t>(x86::kPageMask);
  }

  cpu::Cpu& cpu_;
  Frame& frame_;
  StepEngine step_;
  std::unique_ptr<translate::CodeCache> cache_;
  translate::Emitter emitter_;
  translate::Layout layout_;
  translate::Trampolines trampolines_;
  translate::BlockTable blocks_;
  translate::CodeMappings mappings_;
  translate::ModeFinder modes_;
  std::vector<Site> sites_;
  std::vector<translate::FaultPoint> faults_;
  std::vector<translate::Relocation> relocations_;
  translate::InstructionPool pool_;
  translate::Analysis analysis_;
  translate::Builder builder_;
  struct Copied {
    const Block* from;
    Block* to;
  };
  std::vector<Copied> copied_;  ///< by the copy_block() under way
  std::shared_ptr<translate::BlockObserver> observer_;
  translate::Statistics statistics_;
  const bool sample_time_;
  translate::PartWord part_{translate::Part::kMonitor};
  translate::PartSampler sampler_{part_};
  uint64_t entered_rip_ = 0;           ///< where generated code was last entered
  translate::Round* round_ = nullptr;  ///< set: whatever leaves generated code ends the round
  bool in_generated_code_ = false;
  bool flush_wanted_ = false;
  uint64_t breakpoints_seen_ = 0;          ///< Breakpoints::changes
  uint32_t supplied_ = 0, supplied_cold_;  ///< up to where the cache's parts have memory (CodeCache::supply)
  const bool xsaveopt_;
  uint64_t extended_mask_;            ///< XSAVE components that are the guest's
  cpu::XsaveImage moved_extended_{};  ///< what goes between host registers and guest memory
};

}  // namespace eidolon::engine
