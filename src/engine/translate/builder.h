// From guest bytes to a block of host code.
//
// Guest registers live in the host's registers of the same name, guest flags in the host's flags. What the
// emitted code needs beyond that (addresses, virtual TLB look-ups) it takes from guest registers that it has
// put aside in State::gpr
// ("in the slot") until they are needed again; `in_slot_` and `slot_valid_` follow that along the block.
// Flags that are live across emitted code which changes them are put aside in Frame::saved_flags. At every
// place where the block may leave, a Site notes both, so that the monitor finds the exact state. Between
// blocks everything is in its register, except for the homeless: r9, r10 and r11 are in their slots there, so
// that a block finds three registers to work with. They are those that compilers use least (r11 in 0.9% of
// the instructions of GCC's cc1plus, r10 in 1.2%, r9 in 1.8%). In 32-bit code r8 to r15 are not the guest's.
// Flags may stay put aside from block to block (builder_head.cpp).
//
// One precision is given up for speed: flags that the code is certain to overwrite before it reads them are
// not put aside, so an exception frame pushed in between holds other arithmetic flags than the processor's
// would be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/translate/analysis.h"
#include "engine/translate/block.h"
#include "engine/translate/emitter.h"
#include "engine/translate/instruction_pool.h"
#include "engine/translate/observer.h"
#include "engine/translate/spans.h"
#include "engine/translate/trampolines.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

class Builder {
 public:
  Builder(Emitter& emitter, const Layout& layout, const Trampolines& trampolines, std::vector<Site>& sites,
          std::vector<FaultPoint>& faults, std::vector<Relocation>& relocations, InstructionPool& pool)
      : e_(emitter),
        layout_(layout),
        trampolines_(trampolines),
        sites_(sites),
        faults_(faults),
        relocations_(relocations),
        pool_(pool),
        has_bmi2_(__builtin_cpu_supports("bmi2") != 0) {}

  /// Emits the code of `block` (whose rip, mode and page_id are set) for the instructions analysed; fills in
  /// the rest. `entry`: the way in that will be wanted first.
  void build(Block& block, const Analysis& analysis, Entry entry);
  /// Whether the bytes of `from` can have a copy of its code when they are at `rip`.
  [[nodiscard]] bool can_copy(const Block& from, uint64_t rip) const;
  /// Emits the code of `to` (as for build) as a copy of that of `from`, of the same bytes and mode.
  void copy(const Block& from, Block& to);
  /// Another way into a block that is there.
  void add_entry(Block& block, Entry entry);
  /// Bytes that it takes at the very most, in either part of the cache.
  static constexpr uint32_t kEntryReserve = 512;
  /// Of the block built last, as MadeBlock::placed.
  [[nodiscard]] std::span<const Placed> placed() const { return placed_; }

  /// A mode's table of returns that has come into use: its entries have to be set to this code.
  struct OpenedTable {
    unsigned table;
    uint32_t unknown;  ///< offset of the code for returns that are not predicted
  };
  [[nodiscard]] const std::optional<OpenedTable>& opened_table() const { return opened_; }
  /// All code has gone.
  void forget_code() {
    return_tables_.clear();
    miss_routines_.fill(0);
  }
  /// A check of several accesses at a memory site met its span in two pages, which was not prepared for: from
  /// now on the block looks for that by itself. Returns the offset of code for where it is now.
  uint32_t meet_two_pages(uint32_t site);
  /// From now on blocks end at returns: for code that is to leave after each block.
  void stop_predicting() { predicts_returns_ = false; }
  [[nodiscard]] bool predicts_returns() const { return predicts_returns_; }
  /// The code for returns of a mode, which has a table, to where nobody waits for them.
  [[nodiscard]] uint32_t unknown_return(Mode mode) const;

 private:
  /// Code that is emitted behind the block: how a site is reached.
  struct Stub {
    uint32_t patch;  ///< the rel32 that goes here
    uint32_t site;
    enum class Address : uint8_t { kAbsent, kRegister, kTarget } address = Address::kAbsent;
    /// kRegister: as look_up() leaves them. kTarget: the target of an indirect jump.
    uint8_t address_register = 0, index_register = 0;
    bool write_tag = false;   ///< kRegister
    bool rcx_in_r11 = false;  ///< head checks: rcx has to be put back first
  };
  /// Where an operand is: [base + (index << scale_log2) + displacement].
  struct HostAddress {
    unsigned base;
    int32_t displacement;
    unsigned index = isa::HostOperand::kNone;
    unsigned scale_log2 = 0;
    bool guest_index =
        false;  ///< if there is an index: it is the guest's, and the base is ours; else vice versa
    /// The register of ours in it.
    [[nodiscard]] unsigned ours() const {
      return index == isa::HostOperand::kNone || guest_index ? base : index;
    }
    [[nodiscard]] isa::HostOperand operand() const { return {base, index, displacement, scale_log2}; }
  };
  [[nodiscard]] static Xbyak::RegExp at(const HostAddress& address) {
    const Xbyak::RegExp base = Xbyak::Reg64(static_cast<int>(address.base)) + address.displacement;
    if (address.index == isa::HostOperand::kNone) return base;
    return base + Xbyak::Reg64(static_cast<int>(address.index)) * (1 << address.scale_log2);
  }
  /// What an instruction computes a linear address from.
  struct Source {
    const ZydisDecodedOperand* operand;  ///< null: the stack, at [base + displacement]
    unsigned base;
    int displacement;
  };
  /// What is asked of the virtual TLB.
  struct Check {
    unsigned size;
    bool write;      ///< what the access itself is
    bool write_tag;  ///< what is asked, for the other accesses of its span as well
    bool shared;
    uint16_t access_offset = 0;  ///< of the access, from the lowest byte of its span
  };
  /// A span of a block that jumps to itself, whose page is known for some executions to come.
  struct LoopSpan {
    /// What the register holds: the host address of the span's lowest byte, which does not move; what is to
    /// be added to linear addresses; or that with the base or the index (scaled) of all its accesses, which
    /// the block does not change, added to it.
    enum class Holds : uint8_t { kAddress, kDelta, kDeltaAndBase, kDeltaAndIndex };
    uint16_t span;
    Holds holds;
    uint8_t reg;
  };
  /// Where the virtual TLB does not know the page of such a span, or there are two: behind the block.
  struct LoopMiss {
    uint32_t patch, site;
    uint8_t reg;  ///< of its LoopSpan
    bool write_tag;
    uint16_t slot_valid;
  };
  /// Where a span is in the host's memory, in a register whose guest value is in the slot.
  struct Held {
    uint16_t span;
    uint16_t reg;
    int32_t bias;   ///< from the register's value to the span's lowest byte
    bool is_delta;  ///< the register is what is to be added to the linear address of any access of the span
  };
  /// A conditional jump out of the middle of the block, and what is where by then.
  struct SideExit {
    uint32_t patch, site;
    uint16_t in_slot, slot_valid;
  };
  /// Where a predicted return comes back to, until the block there is known.
  struct Landing {
    uint32_t patch;  ///< in the call: the rel32 to it
    uint32_t site;   ///< the jump to what is behind the call
    unsigned table;
  };

  // builder_head.cpp: the entries of a block.
  void emit_head(Entry entry);
  void emit_events_entry();
  void emit_checked_entry();
  void emit_other_entry(Entry entry);
  void emit_page_questions();
  uint32_t ask(SiteKind kind, uint32_t displacement, uint32_t expected);
  void begin_questions();
  void end_questions();
  [[nodiscard]] bool keeps_flags() const { return block_->flags_live_in && !block_->flags_saved_in; }
  [[nodiscard]] bool jumps_to_itself() const;
  [[nodiscard]] bool prefers_flags_saved() const;
  [[nodiscard]] bool uses_extended_state() const;
  /// Where Frame::page_ids has what holds for the page of `rip`.
  [[nodiscard]] uint32_t page_id_of(uint64_t rip, bool user) const;

  // builder.cpp: the frame of a block.
  void emit_instruction(size_t index);
  void emit_plain(const DecodedInstruction& d);
  void emit_direction(const DecodedInstruction& d);
  void emit_native(const DecodedInstruction& d, std::span<const uint8_t> host_bytes);
  void emit_stubs();
  void emit_stub(const Stub& stub);
  uint32_t miss_routine(unsigned address, unsigned index, bool write_tag);
  uint32_t jump_if_two_pages(uint32_t site, unsigned address, unsigned index);
  void emit_unshared_jump(uint32_t site, uint16_t slot_valid);
  uint32_t add_site(SiteKind kind, const DecodedInstruction* d);
  void leave(uint32_t site);
  void leave(uint32_t site, uint32_t way_out);
  void leave_to_step(const DecodedInstruction& d);
  void note_fault_point(const DecodedInstruction& d);
  [[nodiscard]] uint64_t rip_after(const DecodedInstruction& d) const {
    return truncate(block_->rip + d.offset + d.instruction->length());
  }
  [[nodiscard]] uint64_t truncate(uint64_t rip) const {
    return block_->mode.long_code() ? rip : rip & 0xffffffff;
  }

  // builder_copy.cpp: the same code for the same bytes at another address.
  void begin_relocations();
  void end_relocations();
  [[nodiscard]] bool may_be_copied() const;
  struct Move;
  void relocate(const Block& to, const Move& move);
  void copy_sites(Block& to, const Move& move);
  void copy_fault_points(Block& to, const Move& move);

  // builder_registers.cpp: which register holds what.
  void need(uint16_t registers);
  void changed(uint16_t registers);
  void replaced(uint16_t registers);
  unsigned scratch(uint16_t avoid);
  void free_register(unsigned reg);
  [[nodiscard]] unsigned distance_to_use(unsigned reg, bool& read) const;
  [[nodiscard]] unsigned used_latest(uint16_t registers) const;
  [[nodiscard]] unsigned missed_latest(uint16_t registers) const;
  void make_room(uint16_t registers);
  void hold(const Held& held);
  void release_held();
  [[nodiscard]] std::optional<unsigned> idle_register(uint16_t avoid) const;
  template <typename Emit>
  void around_rax(Emit emit);
  [[nodiscard]] const Held* held(uint16_t span) const;
  [[nodiscard]] uint16_t held_registers() const;
  void emit_save_flags();
  void emit_restore_flags();
  void save_flags_if_live(const DecodedInstruction& d);
  void restore_flags();
  void prepare_flags(const DecodedInstruction& d);
  void flags_changed(const DecodedInstruction& d);
  void settle();
  void settle_registers();
  /// The registers that are in their slots between blocks.
  [[nodiscard]] uint16_t homeless() const { return block_->mode.long_code() ? kHomeless : 0xff00; }

  // builder_memory.cpp: addresses and the virtual TLB.
  [[nodiscard]] uint16_t address_registers(const ZydisDecodedOperand& operand) const;
  HostAddress host_address(const DecodedInstruction& d, const ZydisDecodedOperand& operand, bool write,
                           uint16_t avoid);
  HostAddress locate(const DecodedInstruction& d, const Source& source, SpanMember member, unsigned size,
                     bool write, uint16_t avoid);
  HostAddress host_address_of_stack(const DecodedInstruction& d, unsigned base, int displacement,
                                    unsigned size, bool write, uint16_t avoid);
  [[nodiscard]] Check check_of(SpanMember member, unsigned size, bool write) const;
  uint32_t jump_if_outside(unsigned address, unsigned size);
  void look_up(const DecodedInstruction& d, unsigned address, unsigned index, const Check& check,
               uint32_t restart);
  void hoist_stack_check(const DecodedInstruction& d);
  [[nodiscard]] std::optional<HostAddress> by_delta(const DecodedInstruction& d, const Source& source,
                                                    unsigned delta) const;
  [[nodiscard]] std::optional<HostAddress> locate_held(const DecodedInstruction& d, const Source& source,
                                                       SpanMember member);
  void probe(unsigned address, unsigned index, bool write);
  void emit_recover_linear(unsigned address, unsigned index, bool write);
  void add_host(unsigned address, unsigned index, bool write);
  void load_delta(unsigned to, unsigned index);
  HostAddress look_up_constant(const DecodedInstruction& d, uint64_t linear, const Check& check,
                               uint16_t avoid);
  void emit_linear(unsigned to, const DecodedInstruction& d, const Source& source, int32_t offset);
  uint32_t memory_site(const DecodedInstruction& d, const Check& check, uint32_t restart);
  Stub& add_miss(const DecodedInstruction& d, const Check& check, uint32_t restart, uint32_t patch);
  void emit_effective_address(unsigned to, const DecodedInstruction& d, const ZydisDecodedOperand& operand,
                              int32_t offset = 0);
  void add_segment_base(unsigned address, const ZydisDecodedOperand& operand);
  void add_segment_base(unsigned address, x86::Segment segment);
  void emit_memory(const DecodedInstruction& d);
  void emit_lea(const DecodedInstruction& d);

  // builder_string.cpp: string instructions.
  void emit_string(const DecodedInstruction& d);
  uint32_t emit_element(const DecodedInstruction& d, const StringForm& form);
  uint32_t emit_elements(const DecodedInstruction& d, const StringForm& form);
  void find_elements(unsigned address, unsigned index, unsigned pointer, bool write);
  void advance_pointer(unsigned to, unsigned pointer, const Xbyak::RegExp& distance);
  uint32_t string_site(const DecodedInstruction& d, const StringForm& form);
  void leave_if(unsigned condition, uint32_t site);

  // builder_divide.cpp: divisions that raise #DE.
  [[nodiscard]] static bool is_division(const DecodedInstruction& d);
  void leave_if_division_fails(const DecodedInstruction& d, const HostAddress* memory);

  // builder_bits.cpp: bt, bts, btr and btc of memory with the offset in a register.
  void emit_bit_string(const DecodedInstruction& d);

  // builder_system.cpp: sensitive instructions
  void emit_system(const DecodedInstruction& d);
  void emit_read_selector(const DecodedInstruction& d);
  void emit_swapgs();
  void emit_rdtsc(const DecodedInstruction& d);
  void emit_segment_base(const DecodedInstruction& d);
  void leave_unless_canonical(unsigned address, unsigned work, uint32_t site);

  // builder_system_flags.cpp: RFLAGS
  void emit_sti(const DecodedInstruction& d);
  void emit_pushf(const DecodedInstruction& d);
  void emit_popf(const DecodedInstruction& d);
  void emit_suspend_smap(const DecodedInstruction& d);
  void emit_flag(uint64_t flag, bool set);
  void emit_compose_flags(unsigned to, unsigned work);
  void emit_set_flags(unsigned flags, unsigned work);

  // builder_system_call.cpp: SYSCALL and SYSRET
  void emit_syscall(const DecodedInstruction& d);
  void emit_sysret(const DecodedInstruction& d);
  void emit_flat_segments(unsigned cs, unsigned work, unsigned cpl);

  // builder_system_processor.cpp: CPUID, CR8
  void emit_cpuid(const DecodedInstruction& d);
  void emit_pause(const DecodedInstruction& d);
  void emit_read_priority(const DecodedInstruction& d);
  void emit_write_priority(const DecodedInstruction& d);

  // builder_loop.cpp: blocks that jump to themselves.
  void prepare_loop();
  [[nodiscard]] bool can_be_known(uint16_t span) const;
  [[nodiscard]] LoopSpan::Holds what_to_hold(uint16_t span, uint16_t written) const;
  void emit_loop_head();
  void emit_loop_ahead();
  void emit_executions_ahead(size_t most);
  void emit_bytes_ahead(size_t most);
  [[nodiscard]] int64_t common_stride() const;
  void emit_known_page(const LoopSpan& span);
  void emit_executions_in_page(const Span& span);
  void emit_lowest_address(unsigned to, uint16_t span);
  [[nodiscard]] bool is_loop_jump(const DecodedInstruction& d, uint64_t target) const;
  void emit_loop_jump(const DecodedInstruction& d);
  [[nodiscard]] const LoopSpan* loop_span(uint16_t span) const;
  HostAddress locate_in_loop(const LoopSpan& span, const DecodedInstruction& d, const Source& source,
                             SpanMember member, uint16_t avoid);
  void emit_loop_miss(const LoopMiss& miss);

  // builder_control.cpp: stack and branches.
  void emit_push(const DecodedInstruction& d);
  void emit_pop(const DecodedInstruction& d);
  void emit_leave(const DecodedInstruction& d);
  unsigned load_word(const HostAddress& from);
  void emit_branch(const DecodedInstruction& d);
  void emit_push_return(const DecodedInstruction& d);
  void emit_jump(const DecodedInstruction& d, uint64_t target);
  void emit_jump_if(const DecodedInstruction& d, unsigned condition, uint64_t target);
  void emit_side_exit(const DecodedInstruction& d, unsigned condition, uint64_t target);
  void emit_ways_of_side_exits();
  [[nodiscard]] bool is_last() const { return index_ + 1 == analysis_->instructions().size(); }
  uint32_t jump_site(const DecodedInstruction* d, uint64_t target);
  void emit_stack_change(int change);
  void move_stack(int change);
  void settle_stack();
  [[nodiscard]] bool leaves_stack_behind(const DecodedInstruction& d) const;
  [[nodiscard]] std::optional<int> plain_stack_change(const DecodedInstruction& d) const;

  // builder_indirect.cpp: indirect jumps.
  void emit_indirect(const DecodedInstruction& d, unsigned target, int stack_change);
  unsigned index_register(unsigned target);
  void emit_jump_cache_look_up(unsigned target, unsigned index, uint32_t site, Mode mode);
  void emit_jump_cache_jump(unsigned index);

  // builder_returns.cpp: predicted returns.
  struct ReturnTable;
  void emit_return(const DecodedInstruction& d, unsigned target, int stack_change);
  void emit_return_index(unsigned to, int displacement);
  void emit_remember_return(const DecodedInstruction& d);
  void emit_landing(const Landing& landing);
  void emit_returned_entry();
  void emit_unless_returned_to(uint64_t rip, uint32_t unknown);
  void emit_flags_to_memory();
  void emit_unknown_return(ReturnTable& table);
  [[nodiscard]] std::optional<unsigned> return_table(Mode mode) const;
  unsigned open_return_table();

  [[nodiscard]] unsigned stack_width() const { return block_->mode.long_code() ? 8 : 4; }

  Emitter& e_;
  const Layout& layout_;
  const Trampolines& trampolines_;
  std::vector<Site>& sites_;
  std::vector<FaultPoint>& faults_;
  std::vector<Relocation>& relocations_;
  InstructionPool& pool_;
  const bool has_bmi2_;  ///< RORX: a shift that leaves the flags alone
  Block* block_ = nullptr;
  const Analysis* analysis_ = nullptr;
  size_t index_ = 0;  ///< of the instruction being emitted
  std::vector<Stub> stubs_;
  std::vector<SideExit> side_exits_;
  std::optional<Landing> landing_;
  struct ReturnTable {
    Mode mode;
    /// What returns that are not predicted share: where it begins, and where it goes on once the flags are
    /// put aside.
    uint32_t unknown, look_up;
  };
  std::vector<ReturnTable> return_tables_;  ///< as Frame::returns
  std::optional<OpenedTable> opened_;
  /// A return's site in r9 (builder_returns.cpp).
  static constexpr unsigned kReturnSiteShift = 8;
  static constexpr uint32_t kMostReturnSites = 1u << (32 - kReturnSiteShift);
  /// By address register, index register, table and tag: where a miss of the virtual TLB becomes
  /// Frame::address; 0: not emitted yet.
  std::array<uint32_t, 16 * 16 * mmu::kViewCount * 2> miss_routines_{};
  bool predicts_returns_ = true;
  std::vector<Placed> placed_;
  uint16_t in_slot_ = 0;  ///< guest registers whose value is only in State::gpr: the host's register is free
  uint16_t slot_valid_ = 0;   ///< those whose value is (also) in State::gpr
  bool flags_saved_ = false;  ///< the guest's flags are in Frame::saved_flags, the host's are free
  bool saved_valid_ = false;  ///< they are in Frame::saved_flags (also)
  Spans spans_;
  std::vector<Held> held_;
  std::vector<LoopSpan> loop_spans_;  ///< empty: the block is no loop, or gains nothing by it
  std::vector<LoopMiss> loop_misses_;
  uint16_t loop_in_slot_ = 0;               ///< what in_slot_ is where the block jumps to itself
  uint8_t loop_count_ = 0;      ///< register with the executions for which the pages are known
  uint8_t loop_work_ = 0;       ///< register to find the pages with
  int64_t loop_step_ = 0;       ///< not 0: loop_count_ has bytes, of which an execution takes so many
  struct {
    uint32_t patch, site;
  } loop_ahead_{};
  int stack_behind_ = 0;                    ///< what is to be added to rsp before it is the guest's
  uint16_t pinned_ = 0;                     ///< registers of loop_spans_, and loop_count_
  uint16_t busy_ = 0;                       ///< registers that the instruction being emitted works with
};

inline constexpr uint16_t register_bit(unsigned reg) { return static_cast<uint16_t>(1u << reg); }

}  // namespace eidolon::engine::translate
