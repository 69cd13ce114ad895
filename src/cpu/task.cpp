#include "cpu/task.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/stack.h"
#include "cpu/task_load.h"
#include "cpu/task_segment.h"
#include "cpu/transfer_code.h"
#include "mmu/walk.h"

namespace eidolon::cpu {

namespace {

using x86::Descriptor;

constexpr uint32_t kBusy = 2;
constexpr uint64_t kBackLink = 0;

struct Tss {
  uint16_t selector;
  Descriptor descriptor;
  [[nodiscard]] uint32_t error() const { return selector & 0xfffcu; }
  [[nodiscard]] bool is_16_bit() const { return is_16_bit_tss(descriptor.attributes()); }
};

[[nodiscard]] bool is_tss(const Descriptor& d, bool busy) {
  return d.is_system() && (busy ? d.type() == x86::kTss16Busy || d.type() == x86::kTss32Busy
                                : d.type() == x86::kTss16Available || d.type() == x86::kTss32Available);
}

/// A switch that can no longer fail before it has happened.
struct Plan {
  Tss target;
  TaskImage image;
  mmu::PagingControls control;
  bool nested;  ///< CALL or an event: the old task stays busy, and the new one links back to it
};

/// CR3 of the new task, with its PDPTEs under PAE paging (SDM volume 3, 4.4.1).
Outcome<mmu::PagingControls> new_paging(Cpu& cpu, const TaskImage& image, bool is_16_bit) {
  mmu::PagingControls control = cpu.state.control;
  if (is_16_bit || !control.paging()) return control;
  control.cr3 = image.cr3;
  const bool pae = (control.cr4 & x86::kCr4Pae) != 0;
  if (pae && !mmu::load_pdptes(cpu.memory, control)) return raise_gp();
  return control;
}

/// Everything that can fault in the old task's context (7.3, steps 3 to 6).
Outcome<Plan> prepare(Cpu& cpu, const Tss& target, bool nested) {
  const State& state = cpu.state;
  const bool old_16_bit = is_16_bit_tss(state.tr.attributes);
  if (target.descriptor.limit() < minimum_tss_limit(target.is_16_bit()))
    return raise(x86::kInvalidTss, target.error());
  if (state.tr.limit < minimum_tss_limit(old_16_bit))
    return raise(x86::kInvalidTss, state.tr.selector & 0xfffcu);
  const uint64_t base = target.descriptor.base();
  Plan plan{target, EIDOLON_TRY(read_task(cpu, base, target.is_16_bit())), {}, nested};
  plan.control = EIDOLON_TRY(new_paging(cpu, plan.image, target.is_16_bit()));
  EIDOLON_TRY(probe_task(cpu, state.tr.base, old_16_bit));
  if (nested) EIDOLON_TRY(probe_write_linear(cpu, base + kBackLink, 2, mmu::View::kSupervisor));
  for (const uint16_t selector : {state.tr.selector, target.selector}) {
    const uint64_t linear = EIDOLON_TRY(descriptor_address(cpu, selector, 8, x86::kInvalidTss));
    EIDOLON_TRY(probe_write_linear(cpu, linear, 8, mmu::View::kSupervisor));
  }
  return plan;
}

[[nodiscard]] TaskImage current_task(const State& state, uint64_t rip, uint64_t flags) {
  TaskImage image;
  image.rip = rip;
  image.flags = flags;
  for (unsigned i = 0; i < image.gpr.size(); ++i) image.gpr[i] = state.gpr[i];
  for (unsigned i = 0; i < x86::kSegmentCount; ++i) image.selector[i] = state.segment[i].selector;
  return image;
}

/// Memory: the old TSS, the back link, the busy bits (steps 7 to 10).
Outcome<> save_old(Cpu& cpu, const Plan& plan, const TaskImage& old, TaskSwitch how) {
  const SegmentRegister& tr = cpu.state.tr;
  EIDOLON_TRY(save_task(cpu, tr.base, is_16_bit_tss(tr.attributes), old));
  if (plan.nested)
    EIDOLON_TRY(write_system<uint16_t>(cpu, plan.target.descriptor.base() + kBackLink, tr.selector));
  if (!plan.nested) EIDOLON_TRY(mark_busy(cpu, tr.selector, false));
  if (how != TaskSwitch::kReturn) EIDOLON_TRY(mark_busy(cpu, plan.target.selector, true));
  return {};
}

void load_registers(Cpu& cpu, const Plan& plan) {
  State& state = cpu.state;
  const TaskImage& image = plan.image;
  const Tss& target = plan.target;
  state.tr = {target.selector, target.descriptor.attributes() | kBusy, target.descriptor.limit(),
              target.descriptor.base()};
  const bool new_space = plan.control.cr3 != state.control.cr3 || (plan.control.cr4 & x86::kCr4Pae) != 0;
  state.control = plan.control;
  state.control.cr0 |= x86::kCr0Ts;
  if (new_space && state.control.paging()) cpu.mmu.invalidate_non_global();

  state.rip = image.rip;
  uint64_t flags = image.flags & x86::kFlagsDefined;
  if (target.is_16_bit()) flags &= mask_below(16);
  if (plan.nested) flags |= x86::kFlagNt;
  state.rflags = flags | x86::kFlagFixed;
  for (unsigned i = 0; i < image.gpr.size(); ++i) state.gpr[i] = image.gpr[i];
  constexpr uint64_t kLocalEnables = 0x155;  // L0 to L3 and LE
  state.dr7 &= ~kLocalEnables;
  state.interrupt_shadow = State::kNoShadow;
  state.shadow_blocks_debug = false;
}

/// Marks a fault as one of the new task, whose RIP State::rip is.
Outcome<> in_new_task(Outcome<> done) {
  if (!done) done.error().trap = true;
  return done;
}

Outcome<> perform(Cpu& cpu, const Tss& target, TaskSwitch how, uint64_t rip, uint64_t flags) {
  const bool nested = how == TaskSwitch::kCall || how == TaskSwitch::kInterrupt;
  const Plan plan = EIDOLON_TRY(prepare(cpu, target, nested));
  if (how == TaskSwitch::kReturn) flags &= ~x86::kFlagNt;
  EIDOLON_TRY(save_old(cpu, plan, current_task(cpu.state, rip, flags), how));
  load_registers(cpu, plan);
  EIDOLON_TRY(in_new_task(load_task_segments(cpu, plan.image)));
  constexpr uint64_t kTaskSwitchTrap = 1u << 15;  // BT of DR6: due before the new task's first instruction
  if (plan.image.debug_trap) cpu.state.pending_debug |= kTaskSwitchTrap;
  return {};
}

Outcome<Tss> available_tss(Cpu& cpu, uint16_t selector) {
  const uint32_t error = selector & 0xfffcu;
  if (x86::selector_is_null(selector) || x86::selector_in_ldt(selector)) return raise_gp(error);
  const Tss tss{selector, EIDOLON_TRY(read_descriptor(cpu, selector))};
  if (!is_tss(tss.descriptor, false)) return raise_gp(error);
  if (!tss.descriptor.present()) return raise(x86::kSegmentNotPresent, error);
  return tss;
}

}  // namespace

Outcome<> switch_task(Cpu& cpu, uint16_t selector, TaskSwitch how, uint64_t next_rip) {
  const Tss target = EIDOLON_TRY(available_tss(cpu, selector));
  return perform(cpu, target, how, next_rip, cpu.state.rflags);
}

Outcome<> task_interrupt(Cpu& cpu, uint16_t selector, bool set_resume_flag, std::optional<uint32_t> error) {
  const Tss target = EIDOLON_TRY(available_tss(cpu, selector));
  const uint64_t flags = cpu.state.rflags | (set_resume_flag ? x86::kFlagRf : 0);
  EIDOLON_TRY(perform(cpu, target, TaskSwitch::kInterrupt, cpu.state.rip, flags));
  if (!error) return {};
  Stack stack(cpu);
  EIDOLON_TRY(in_new_task(stack.push(*error, target.is_16_bit() ? 2 : 4)));
  stack.commit();
  return {};
}

Outcome<> return_from_task(Cpu& cpu, uint64_t next_rip) {
  State& state = cpu.state;
  const uint16_t link = EIDOLON_TRY(read_system<uint16_t>(cpu, state.tr.base + kBackLink));
  const uint32_t error = link & 0xfffcu;
  if (x86::selector_is_null(link) || x86::selector_in_ldt(link)) return raise(x86::kInvalidTss, error);
  const Tss target{link, EIDOLON_TRY(read_descriptor(cpu, link, x86::kInvalidTss))};
  if (!is_tss(target.descriptor, true)) return raise(x86::kInvalidTss, error);
  if (!target.descriptor.present()) return raise(x86::kSegmentNotPresent, error);
  return perform(cpu, target, TaskSwitch::kReturn, next_rip, state.rflags);
}

}  // namespace eidolon::cpu
