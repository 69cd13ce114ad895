#include "engine/kvm/registers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/try.h"
#include "engine/kvm/tables.h"
#include "x86/msr.h"

namespace eidolon::engine::kvm {

namespace {

using cpu::State;

/// Where KVM has the general registers, in the order in which instructions encode them.
constexpr std::array<__u64 kvm_regs::*, x86::kGprCount> kGpr = {
    &kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx, &kvm_regs::rsp, &kvm_regs::rbp,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};
constexpr std::array<kvm_segment kvm_sregs::*, x86::kSegmentCount> kSegments = {
    &kvm_sregs::es, &kvm_sregs::cs, &kvm_sregs::ss, &kvm_sregs::ds, &kvm_sregs::fs, &kvm_sregs::gs};

struct MsrField {
  uint32_t msr;
  uint64_t State::*field;
};
constexpr MsrField kMsrs[] = {
    {x86::kMsrSysenterCs, &State::sysenter_cs},
    {x86::kMsrSysenterEsp, &State::sysenter_esp},
    {x86::kMsrSysenterEip, &State::sysenter_eip},
    {x86::kMsrStar, &State::star},
    {x86::kMsrLstar, &State::lstar},
    {x86::kMsrCstar, &State::cstar},
    {x86::kMsrFmask, &State::fmask},
    {x86::kMsrKernelGsBase, &State::kernel_gs_base},
    {x86::kMsrTscAux, &State::tsc_aux},  // last: not every model has it
};

kvm_segment to_kvm(const cpu::SegmentRegister& from) {
  const uint32_t attributes = from.attributes;
  const auto flag = [attributes](uint32_t mask) { return static_cast<uint8_t>((attributes & mask) != 0); };
  return {.base = from.base,
          .limit = from.limit,
          .selector = from.selector,
          .type = static_cast<uint8_t>(attributes & x86::kAttrType),
          .present = flag(x86::kAttrPresent),
          .dpl = static_cast<uint8_t>(from.dpl()),
          .db = flag(x86::kAttrBig),
          .s = flag(x86::kAttrCodeOrData),
          .l = flag(x86::kAttrLong),
          .g = flag(x86::kAttrGranular),
          .avl = flag(x86::kAttrAvailable),
          .unusable = flag(x86::kAttrUnusable),
          .padding = 0};
}

cpu::SegmentRegister from_kvm(const kvm_segment& from) {
  uint32_t attributes = from.type & x86::kAttrType;
  attributes |= (from.dpl & 3u) << x86::kAttrDplShift;
  const auto add = [&attributes](uint8_t flag, uint32_t mask) { attributes |= flag != 0 ? mask : 0; };
  add(from.present, x86::kAttrPresent);
  add(from.db, x86::kAttrBig);
  add(from.s, x86::kAttrCodeOrData);
  add(from.l, x86::kAttrLong);
  add(from.g, x86::kAttrGranular);
  add(from.avl, x86::kAttrAvailable);
  add(from.unusable, x86::kAttrUnusable);
  return {.selector = from.selector, .attributes = attributes, .limit = from.limit, .base = from.base};
}

kvm_dtable to_kvm(const cpu::TableRegister& from) {
  return {.base = from.base, .limit = from.limit, .padding = {}};
}

cpu::TableRegister from_kvm(const kvm_dtable& from) { return {.base = from.base, .limit = from.limit}; }

/// The local APIC that KVM believes in is where one is after a reset; the guest's is the monitor's.
constexpr uint64_t kApicBase = 0xfee00900;

kvm_regs general(const State& state) {
  kvm_regs regs{};
  for (unsigned i = 0; i < x86::kGprCount; ++i) regs.*kGpr[i] = state.gpr[i];
  regs.rip = state.rip;
  regs.rflags = state.rflags;
  return regs;
}

kvm_sregs special(const cpu::Cpu& cpu) {
  const State& state = cpu.state;
  kvm_sregs sregs{};
  for (unsigned i = 0; i < x86::kSegmentCount; ++i) sregs.*kSegments[i] = to_kvm(state.segment[i]);
  sregs.tr = to_kvm(state.tr);
  sregs.ldt = to_kvm(state.ldtr);
  sregs.gdt = to_kvm(state.gdtr);
  sregs.idt = to_kvm(state.idtr);
  sregs.cr0 = state.control.cr0;
  sregs.cr2 = state.cr2;
  sregs.cr3 = state.control.cr3;
  sregs.cr4 = state.control.cr4;
  sregs.cr8 = cpu.interrupts != nullptr ? cpu.interrupts->task_priority() : 0;
  sregs.efer = state.control.efer;
  sregs.apic_base = kApicBase;
  return sregs;
}

void take(State& state, const kvm_regs& regs) {
  for (unsigned i = 0; i < x86::kGprCount; ++i) state.gpr[i] = regs.*kGpr[i];
  state.rip = regs.rip;
  state.rflags = regs.rflags;
}

void take(State& state, const kvm_sregs& sregs) {
  for (unsigned i = 0; i < x86::kSegmentCount; ++i) state.segment[i] = from_kvm(sregs.*kSegments[i]);
  state.tr = from_kvm(sregs.tr);
  state.ldtr = from_kvm(sregs.ldt);
  state.gdtr = from_kvm(sregs.gdt);
  state.idtr = from_kvm(sregs.idt);
  state.control.cr0 = sregs.cr0;
  state.cr2 = sregs.cr2;
  state.control.cr3 = sregs.cr3;
  state.control.cr4 = sregs.cr4;
  state.control.efer = sregs.efer;
}

kvm_device_attr tsc_attribute(uint64_t* offset) {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<uint64_t>(offset);
  return attribute;
}

}  // namespace

Result<Registers> Registers::create(const VirtualMachine& machine, Vcpu& vcpu, const cpu::Cpu& cpu) {
  constexpr size_t kXsave = sizeof(XsaveArea);
  Registers registers(vcpu, std::max(machine.xsave_bytes(), kXsave));
  registers.has_apic_ = machine.irqchip() == Irqchip::kSplit;
  registers.has_xsave2_ = machine.xsave_bytes() != 0;
  registers.components_ = cpu.model.supported_xcr0() | x86::kXcr0X87 | x86::kXcr0Sse;
  registers.has_xcr0_ = cpu.model.has(cpu::CpuidModel::Feature::kXsave);
  registers.has_tsc_aux_ = cpu.model.has(cpu::CpuidModel::Feature::kRdtscp);
  uint64_t unused = 0;
  kvm_device_attr offset = tsc_attribute(&unused);
  registers.has_tsc_offset_ = vcpu.call(KVM_HAS_DEVICE_ATTR, &offset) == 0;
  if (cpu.state.tsc_offset != 0 && !registers.moves_tsc(cpu.state.tsc_offset))
    return fail(
        "this host's KVM cannot set a guest's time-stamp counter, which this guest's is; use --engine "
        "translate");
  State probe;
  if (!registers.get_msrs(probe) || !registers.get_extended(probe))
    return fail("this host's KVM keeps less of a processor than its model has; use --engine translate");
  return registers;
}

bool Registers::put(const cpu::Cpu& cpu) {
  const State& state = cpu.state;
  kvm_regs regs = general(state);
  kvm_sregs sregs = special(cpu);
  if (has_apic_) {
    kvm_sregs now{};
    if (vcpu_->call(KVM_GET_SREGS, &now) != 0) return false;
    sregs.apic_base = now.apic_base;
  }
  return vcpu_->call(KVM_SET_SREGS, &sregs) == 0 && vcpu_->call(KVM_SET_REGS, &regs) == 0 &&
         put_extended(state) && put_msrs(state) && put_debug(state) && put_events(cpu) &&
         put_activity(state) && put_tsc(state.tsc_offset);
}

bool Registers::get(cpu::Cpu& cpu, Undelivered& undelivered) {
  State& state = cpu.state;
  kvm_regs regs{};
  kvm_sregs sregs{};
  if (!get_activity(state)) return false;  // first: it does an INIT that waits
  if (vcpu_->call(KVM_GET_REGS, &regs) != 0 || vcpu_->call(KVM_GET_SREGS, &sregs) != 0) return false;
  take(state, regs);
  take(state, sregs);
  if (has_apic_ && cpu.interrupts != nullptr)
    cpu.interrupts->set_task_priority(static_cast<uint8_t>(sregs.cr8));
  return get_extended(state) && get_msrs(state) && get_debug(state) && get_events(cpu, undelivered);
}

/// KVM forgets them when CR3 changes from outside.
bool Registers::forget_translations() {
  constexpr uint64_t kWriteThrough = 1u << 3;
  kvm_sregs sregs{};
  if (vcpu_->call(KVM_GET_SREGS, &sregs) != 0) return false;
  sregs.cr3 ^= kWriteThrough;
  if (vcpu_->call(KVM_SET_SREGS, &sregs) != 0) return false;
  sregs.cr3 ^= kWriteThrough;
  return vcpu_->call(KVM_SET_SREGS, &sregs) == 0;
}

bool Registers::put_extended(const State& state) {
  std::ranges::fill(xsave_, uint8_t{0});
  std::ranges::copy(state.fpu.bytes, xsave_.begin());
  if (vcpu_->call(kSetXsave, xsave_.data()) != 0) return false;
  if (!has_xcr0_) return true;
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = state.xcr0;
  return vcpu_->call(KVM_SET_XCRS, &xcrs) == 0;
}

bool Registers::get_extended(State& state) {
  if (vcpu_->call(has_xsave2_ ? kGetXsave2 : kGetXsave, xsave_.data()) != 0) return false;
  std::copy_n(xsave_.begin(), state.fpu.bytes.size(), state.fpu.bytes.begin());
  state.fpu.set_in_use(state.fpu.in_use() & components_);
  if (!has_xcr0_) return true;
  kvm_xcrs xcrs{};
  if (vcpu_->call(KVM_GET_XCRS, &xcrs) != 0) return false;
  for (uint32_t i = 0; i < std::min<uint32_t>(xcrs.nr_xcrs, KVM_MAX_XCRS); ++i)
    if (xcrs.xcrs[i].xcr == 0) state.xcr0 = xcrs.xcrs[i].value;
  return true;
}

namespace {
std::span<const MsrField> msrs_of(bool tsc_aux) {
  return std::span(kMsrs).first(std::size(kMsrs) - (tsc_aux ? 0 : 1));
}
}  // namespace

bool Registers::put_msrs(const State& state) {
  const auto msrs = msrs_of(has_tsc_aux_);
  Room<MsrTable> room(msrs.size());
  for (const MsrField& msr : msrs)
    room->entries[room->count++] = {.index = msr.msr, .reserved = 0, .data = state.*msr.field};
  return vcpu_->call(kSetMsrs, room.get()) == static_cast<int>(room->count);
}

bool Registers::get_msrs(State& state) {
  const auto msrs = msrs_of(has_tsc_aux_);
  Room<MsrTable> room(msrs.size());
  for (const MsrField& msr : msrs) room->entries[room->count++].index = msr.msr;
  if (vcpu_->call(kGetMsrs, room.get()) != static_cast<int>(room->count)) return false;
  for (size_t i = 0; i < msrs.size(); ++i) state.*msrs[i].field = room->entries[i].data;
  return true;
}

/// The guest's counter is the host's plus an offset, for KVM too; one that does not take the offset is told
/// the time, and is off by what that takes.
bool Registers::put_tsc(uint64_t offset) {
  if (tsc_offset_ == offset) return true;
  if (has_tsc_offset_) {
    kvm_device_attr attribute = tsc_attribute(&offset);
    if (vcpu_->call(KVM_SET_DEVICE_ATTR, &attribute) != 0) return false;
  } else {
    Room<MsrTable> room(1);
    room->count = 1;
    room->entries[0] = {.index = x86::kMsrTsc, .reserved = 0, .data = __builtin_ia32_rdtsc() + offset};
    if (vcpu_->call(kSetMsrs, room.get()) != 1) return false;
  }
  tsc_offset_ = offset;
  return true;
}

/// Whether KVM does as it is told: some take the value and forget it.
bool Registers::moves_tsc(uint64_t offset) {
  Room<MsrTable> room(1);
  room->count = 1;
  room->entries[0].index = x86::kMsrTsc;
  if (!put_tsc(offset) || vcpu_->call(kGetMsrs, room.get()) != 1) return false;
  constexpr uint64_t kSecond = uint64_t{1} << 33;  // of the fastest counters
  return room->entries[0].data - (__builtin_ia32_rdtsc() + offset) + kSecond < 2 * kSecond;
}

bool Registers::put_debug(const State& state) {
  kvm_debugregs debug{};
  std::ranges::copy(state.dr, debug.db);
  debug.dr6 = state.dr6;
  debug.dr7 = state.dr7;
  return vcpu_->call(KVM_SET_DEBUGREGS, &debug) == 0;
}

bool Registers::get_debug(State& state) {
  kvm_debugregs debug{};
  if (vcpu_->call(KVM_GET_DEBUGREGS, &debug) != 0) return false;
  std::ranges::copy(debug.db, state.dr.begin());
  state.dr6 = debug.dr6;
  state.dr7 = debug.dr7;
  return true;
}

bool Registers::put_activity(const State& state) {
  if (!has_apic_) return true;
  kvm_mp_state activity{.mp_state = KVM_MP_STATE_RUNNABLE};
  if (state.activity == cpu::Activity::kHalted) activity.mp_state = KVM_MP_STATE_HALTED;
  if (state.activity == cpu::Activity::kWaitForSipi) activity.mp_state = KVM_MP_STATE_INIT_RECEIVED;
  return vcpu_->call(KVM_SET_MP_STATE, &activity) == 0;
}

bool Registers::get_activity(State& state) {
  if (!has_apic_ || state.activity == cpu::Activity::kShutdown) return true;
  kvm_mp_state activity{};
  if (vcpu_->call(KVM_GET_MP_STATE, &activity) != 0) return false;
  state.activity = cpu::Activity::kRunning;
  if (activity.mp_state == KVM_MP_STATE_HALTED) state.activity = cpu::Activity::kHalted;
  if (activity.mp_state == KVM_MP_STATE_INIT_RECEIVED || activity.mp_state == KVM_MP_STATE_UNINITIALIZED)
    state.activity = cpu::Activity::kWaitForSipi;
  return true;
}

bool Registers::put_events(const cpu::Cpu& cpu) {
  const State& state = cpu.state;
  kvm_vcpu_events events{};
  events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
  events.nmi.masked = state.nmi_blocked;
  if (state.interrupt_shadow == state.rip)
    events.interrupt.shadow = state.shadow_blocks_debug ? KVM_X86_SHADOW_INT_MOV_SS : KVM_X86_SHADOW_INT_STI;
  return vcpu_->call(KVM_SET_VCPU_EVENTS, &events) == 0;
}

namespace {
/// KVM has set CR2 and DR6 already.
cpu::Fault fault_of(const kvm_vcpu_events& events, const State& state) {
  constexpr uint64_t kCauses = 0xe00f, kTraps = 0xc000;  // of DR6; BS and BT
  cpu::Fault fault{.vector = events.exception.nr,
                   .error = events.exception.has_error_code ? events.exception.error_code : 0};
  if (fault.vector == x86::kPageFault) fault.address = state.cr2;
  if (fault.vector == x86::kDebug) {
    fault.address = state.dr6 & kCauses;
    fault.trap = (state.dr6 & kTraps) != 0;
  }
  return fault;
}
}  // namespace

bool Registers::get_events(cpu::Cpu& cpu, Undelivered& undelivered) {
  State& state = cpu.state;
  kvm_vcpu_events events{};
  if (vcpu_->call(KVM_GET_VCPU_EVENTS, &events) != 0) return false;
  state.nmi_blocked = events.nmi.masked != 0;
  const bool shadow = events.interrupt.shadow != 0;
  state.interrupt_shadow = shadow ? state.rip : State::kNoShadow;
  state.shadow_blocks_debug = (events.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0;
  if (events.nmi.pending != 0) cpu.events.raise(cpu::kEventNmi);
  undelivered.nmi = events.nmi.injected != 0;
  if (events.interrupt.injected != 0 && events.interrupt.soft == 0)
    undelivered.interrupt = events.interrupt.nr;
  if (events.exception.injected != 0) undelivered.exception = fault_of(events, state);
  return true;
}

}  // namespace eidolon::engine::kvm
