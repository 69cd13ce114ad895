// From guest bytes to a block of host code.
//
// Guest registers live in the host's registers of the same name, guest flags in the host's flags. What the
// emitted code needs beyond that (addresses, virtual TLB look-ups) it takes from guest registers that it has
// put aside in State::gpr
// ("in the slot") until they are needed again; `in_slot_` and `slot_valid_` follow that along the block.
// Flags that are live across emitted code which changes them are put aside in Frame::saved_flags. At every
// place where the block may leave, a Site notes both, so that the monitor finds the exact state. At the end
// of a block everything is back in its register.
//
// 32-bit code: r8 to r15 are not the guest's; they are always "in the slot".
//
// One precision is given up for speed: flags that the code is certain to overwrite before it reads them are
// not put aside, so an exception frame pushed in between holds other arithmetic flags than the processor's
// would be.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/translate/analysis.h"
#include "engine/translate/block.h"
#include "engine/translate/emitter.h"
#include "engine/translate/trampolines.h"

namespace eidolon::engine::translate {

class Builder {
 public:
  Builder(Emitter& emitter, const Layout& layout, const Trampolines& trampolines, std::vector<Site>& sites,
          std::vector<FaultPoint>& faults)
      : e_(emitter), layout_(layout), trampolines_(trampolines), sites_(sites), faults_(faults) {}

  /// Emits the code of `block` (whose rip, mode and page_id are set) for the instructions analysed; fills in
  /// the rest.
  void build(Block& block, const Analysis& analysis);

 private:
  /// Code that is emitted behind the block: how a site is reached.
  struct Stub {
    uint32_t patch;  ///< the rel32 that goes here
    uint32_t site;
    enum class Address : uint8_t { kAbsent, kRegister, kConstant } address = Address::kAbsent;
    uint8_t address_register = 0, index_register = 0;  ///< kRegister: address ^ tag, offset of the TLB entry
    uint32_t tag_displacement = 0;
    uint64_t constant = 0;
    bool flags_in_ax = false;  ///< head checks: flags and rax have to be put back first
  };

  // builder.cpp: the frame of a block.
  void emit_head();
  void emit_instruction(size_t index);
  void emit_plain(const DecodedInstruction& d);
  void emit_direction(const DecodedInstruction& d);
  void emit_native(const DecodedInstruction& d, std::span<const uint8_t> host_bytes);
  void emit_stubs();
  uint32_t add_site(SiteKind kind, const DecodedInstruction* d);
  void leave(uint32_t site);
  void note_fault_point(const DecodedInstruction& d);
  [[nodiscard]] uint64_t rip_after(const DecodedInstruction& d) const {
    return truncate(block_->rip + d.offset + d.instruction.length());
  }
  [[nodiscard]] uint64_t truncate(uint64_t rip) const {
    return block_->mode.long_code() ? rip : rip & 0xffffffff;
  }

  // builder_registers.cpp: which register holds what.
  void need(uint16_t registers);
  void changed(uint16_t registers);
  void replaced(uint16_t registers);
  unsigned scratch(uint16_t avoid);
  void free_register(unsigned reg);
  void save_flags_if_live(const DecodedInstruction& d);
  void restore_flags();
  void prepare_flags(const DecodedInstruction& d);
  void flags_changed(const DecodedInstruction& d);
  void settle();

  // builder_memory.cpp: addresses and the virtual TLB.
  [[nodiscard]] uint16_t address_registers(const ZydisDecodedOperand& operand) const;
  unsigned host_address(const DecodedInstruction& d, const ZydisDecodedOperand& operand, bool write,
                        uint16_t avoid);
  unsigned host_address_of_stack(const DecodedInstruction& d, unsigned base, int displacement, unsigned size,
                                 bool write, uint16_t avoid);
  void look_up(const DecodedInstruction& d, unsigned address, unsigned index, unsigned size, bool write,
               uint32_t restart);
  unsigned look_up_constant(const DecodedInstruction& d, uint64_t linear, unsigned size, bool write,
                            uint16_t avoid);
  void emit_effective_address(unsigned to, const DecodedInstruction& d, const ZydisDecodedOperand& operand);
  void emit_memory(const DecodedInstruction& d);
  void emit_lea(const DecodedInstruction& d);

  // builder_control.cpp: stack and branches.
  void emit_push(const DecodedInstruction& d);
  void emit_pop(const DecodedInstruction& d);
  void emit_leave(const DecodedInstruction& d);
  void emit_branch(const DecodedInstruction& d);
  void emit_push_return(const DecodedInstruction& d);
  void emit_jump(const DecodedInstruction& d, uint64_t target);
  void emit_jump_if(const DecodedInstruction& d, unsigned condition, uint64_t target);
  void emit_indirect(const DecodedInstruction& d, unsigned target, int stack_change);
  uint32_t jump_site(const DecodedInstruction* d, uint64_t target);

  [[nodiscard]] unsigned stack_width() const { return block_->mode.long_code() ? 8 : 4; }

  Emitter& e_;
  const Layout& layout_;
  const Trampolines& trampolines_;
  std::vector<Site>& sites_;
  std::vector<FaultPoint>& faults_;
  Block* block_ = nullptr;
  const Analysis* analysis_ = nullptr;
  size_t index_ = 0;  ///< of the instruction being emitted
  std::vector<Stub> stubs_;
  uint16_t in_slot_ = 0;  ///< guest registers whose value is only in State::gpr: the host's register is free
  uint16_t slot_valid_ = 0;  ///< those whose value is (also) in State::gpr
  bool flags_saved_ = false;
};

inline constexpr uint16_t register_bit(unsigned reg) { return static_cast<uint16_t>(1u << reg); }

}  // namespace eidolon::engine::translate
