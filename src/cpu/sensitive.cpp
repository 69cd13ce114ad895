#include "cpu/sensitive.h"

#include <array>

#include "base/fence.h"
#include "base/try.h"
#include "cpu/sensitive_table.h"

namespace eidolon::cpu {

namespace {

struct Entry {
  ZydisMnemonic mnemonic;
  Handler handler;
  bool sets_rip = false;
};

constexpr Entry kEntries[] = {
    {ZYDIS_MNEMONIC_MOV, handlers::move},
    {ZYDIS_MNEMONIC_CLTS, handlers::clts},
    {ZYDIS_MNEMONIC_LMSW, handlers::lmsw},
    {ZYDIS_MNEMONIC_SMSW, handlers::smsw},
    {ZYDIS_MNEMONIC_XGETBV, handlers::xgetbv},
    {ZYDIS_MNEMONIC_XSETBV, handlers::xsetbv},
    {ZYDIS_MNEMONIC_INVLPG, handlers::invlpg},
    {ZYDIS_MNEMONIC_INVPCID, handlers::invpcid},

    {ZYDIS_MNEMONIC_LGDT, handlers::lgdt},
    {ZYDIS_MNEMONIC_LIDT, handlers::lidt},
    {ZYDIS_MNEMONIC_SGDT, handlers::sgdt},
    {ZYDIS_MNEMONIC_SIDT, handlers::sidt},
    {ZYDIS_MNEMONIC_LLDT, handlers::lldt},
    {ZYDIS_MNEMONIC_LTR, handlers::ltr},
    {ZYDIS_MNEMONIC_SLDT, handlers::sldt},
    {ZYDIS_MNEMONIC_STR, handlers::str},
    {ZYDIS_MNEMONIC_LAR, handlers::lar},
    {ZYDIS_MNEMONIC_LSL, handlers::lsl},
    {ZYDIS_MNEMONIC_VERR, handlers::verr},
    {ZYDIS_MNEMONIC_VERW, handlers::verw},

    {ZYDIS_MNEMONIC_PUSH, handlers::push},
    {ZYDIS_MNEMONIC_POP, handlers::pop},
    {ZYDIS_MNEMONIC_LDS, handlers::load_far_pointer},
    {ZYDIS_MNEMONIC_LES, handlers::load_far_pointer},
    {ZYDIS_MNEMONIC_LFS, handlers::load_far_pointer},
    {ZYDIS_MNEMONIC_LGS, handlers::load_far_pointer},
    {ZYDIS_MNEMONIC_LSS, handlers::load_far_pointer},
    {ZYDIS_MNEMONIC_RDFSBASE, handlers::read_segment_base},
    {ZYDIS_MNEMONIC_RDGSBASE, handlers::read_segment_base},
    {ZYDIS_MNEMONIC_WRFSBASE, handlers::write_segment_base},
    {ZYDIS_MNEMONIC_WRGSBASE, handlers::write_segment_base},

    {ZYDIS_MNEMONIC_PUSHF, handlers::pushf},
    {ZYDIS_MNEMONIC_PUSHFD, handlers::pushf},
    {ZYDIS_MNEMONIC_PUSHFQ, handlers::pushf},
    {ZYDIS_MNEMONIC_POPF, handlers::popf},
    {ZYDIS_MNEMONIC_POPFD, handlers::popf},
    {ZYDIS_MNEMONIC_POPFQ, handlers::popf},
    {ZYDIS_MNEMONIC_CLI, handlers::cli},
    {ZYDIS_MNEMONIC_STI, handlers::sti},
    {ZYDIS_MNEMONIC_CLAC, handlers::clac},
    {ZYDIS_MNEMONIC_STAC, handlers::stac},

    {ZYDIS_MNEMONIC_IN, handlers::in},
    {ZYDIS_MNEMONIC_OUT, handlers::out},
    {ZYDIS_MNEMONIC_INSB, handlers::ins, true},
    {ZYDIS_MNEMONIC_INSW, handlers::ins, true},
    {ZYDIS_MNEMONIC_INSD, handlers::ins, true},
    {ZYDIS_MNEMONIC_OUTSB, handlers::outs, true},
    {ZYDIS_MNEMONIC_OUTSW, handlers::outs, true},
    {ZYDIS_MNEMONIC_OUTSD, handlers::outs, true},

    {ZYDIS_MNEMONIC_CPUID, handlers::cpuid},
    {ZYDIS_MNEMONIC_HLT, handlers::hlt},
    {ZYDIS_MNEMONIC_INVD, handlers::flush_caches},
    {ZYDIS_MNEMONIC_WBINVD, handlers::flush_caches},
    {ZYDIS_MNEMONIC_RDMSR, handlers::rdmsr},
    {ZYDIS_MNEMONIC_WRMSR, handlers::wrmsr},
    {ZYDIS_MNEMONIC_RDTSC, handlers::rdtsc},
    {ZYDIS_MNEMONIC_RDTSCP, handlers::rdtscp},
    {ZYDIS_MNEMONIC_RDPID, handlers::rdpid},
    {ZYDIS_MNEMONIC_RDPMC, handlers::rdpmc},
    {ZYDIS_MNEMONIC_MONITOR, handlers::not_offered},
    {ZYDIS_MNEMONIC_MWAIT, handlers::not_offered},
    {ZYDIS_MNEMONIC_VMCALL, handlers::hypercall},
    {ZYDIS_MNEMONIC_VMMCALL, handlers::hypercall},
    {ZYDIS_MNEMONIC_RDPKRU, handlers::not_offered},
    {ZYDIS_MNEMONIC_WRPKRU, handlers::not_offered},

    {ZYDIS_MNEMONIC_CALL, handlers::call, true},
    {ZYDIS_MNEMONIC_JMP, handlers::jmp, true},
    {ZYDIS_MNEMONIC_RET, handlers::ret, true},
    {ZYDIS_MNEMONIC_IRET, handlers::iret, true},
    {ZYDIS_MNEMONIC_IRETD, handlers::iret, true},
    {ZYDIS_MNEMONIC_IRETQ, handlers::iret, true},
    {ZYDIS_MNEMONIC_INT, handlers::int_n, true},
    {ZYDIS_MNEMONIC_INT1, handlers::int1, true},
    {ZYDIS_MNEMONIC_INT3, handlers::int3, true},
    {ZYDIS_MNEMONIC_INTO, handlers::into, true},
    {ZYDIS_MNEMONIC_SYSCALL, handlers::syscall, true},
    {ZYDIS_MNEMONIC_SYSRET, handlers::sysret, true},
    {ZYDIS_MNEMONIC_SYSENTER, handlers::sysenter, true},
    {ZYDIS_MNEMONIC_SYSEXIT, handlers::sysexit, true},
    {ZYDIS_MNEMONIC_SWAPGS, handlers::swapgs},

    {ZYDIS_MNEMONIC_FNSTENV, handlers::fnstenv},
    {ZYDIS_MNEMONIC_FLDENV, handlers::fldenv},
    {ZYDIS_MNEMONIC_FNSAVE, handlers::fnsave},
    {ZYDIS_MNEMONIC_FRSTOR, handlers::frstor},
    {ZYDIS_MNEMONIC_FXSAVE, handlers::fxsave},
    {ZYDIS_MNEMONIC_FXSAVE64, handlers::fxsave},
    {ZYDIS_MNEMONIC_FXRSTOR, handlers::fxrstor},
    {ZYDIS_MNEMONIC_FXRSTOR64, handlers::fxrstor},
    {ZYDIS_MNEMONIC_XSAVE, handlers::xsave},
    {ZYDIS_MNEMONIC_XSAVE64, handlers::xsave},
    {ZYDIS_MNEMONIC_XSAVEOPT, handlers::xsaveopt},
    {ZYDIS_MNEMONIC_XSAVEOPT64, handlers::xsaveopt},
    {ZYDIS_MNEMONIC_XSAVEC, handlers::xsavec},
    {ZYDIS_MNEMONIC_XSAVEC64, handlers::xsavec},
    {ZYDIS_MNEMONIC_XRSTOR, handlers::xrstor},
    {ZYDIS_MNEMONIC_XRSTOR64, handlers::xrstor},
    {ZYDIS_MNEMONIC_XSAVES, handlers::not_offered},
    {ZYDIS_MNEMONIC_XSAVES64, handlers::not_offered},
    {ZYDIS_MNEMONIC_XRSTORS, handlers::not_offered},
    {ZYDIS_MNEMONIC_XRSTORS64, handlers::not_offered},
};

/// SDM volume 3, 8.3; INVPCID is as INVLPG. Other processors see what was stored before them before anything
/// behind them is read: a guest that loads CR3 after it has said where it runs relies on that.
constexpr ZydisMnemonic kSerializing[] = {
    ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_INVD,  ZYDIS_MNEMONIC_INVLPG, ZYDIS_MNEMONIC_INVPCID,
    ZYDIS_MNEMONIC_IRET,  ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ,  ZYDIS_MNEMONIC_LGDT,
    ZYDIS_MNEMONIC_LIDT,  ZYDIS_MNEMONIC_LLDT,  ZYDIS_MNEMONIC_LTR,    ZYDIS_MNEMONIC_WBINVD,
    ZYDIS_MNEMONIC_WRMSR,
    ZYDIS_MNEMONIC_MOV,  // to a control or debug register; to or from others it costs more than it must
};

// A throw that is reached during constant evaluation stops the compilation.
consteval std::array<HandlerRow, ZYDIS_MNEMONIC_MAX_VALUE + 1> build_rows() {
  std::array<HandlerRow, ZYDIS_MNEMONIC_MAX_VALUE + 1> rows{};
  for (const Entry& entry : kEntries) {
    if (rows[entry.mnemonic].handler != nullptr) throw "a mnemonic has two handlers";
    rows[entry.mnemonic] = {entry.handler, entry.sets_rip};
  }
  for (const ZydisMnemonic mnemonic : kSerializing) rows[mnemonic].serializes = true;
  return rows;
}

constexpr auto kRows = build_rows();

}  // namespace

HandlerRow handler_of(ZydisMnemonic mnemonic) {
  return mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE ? kRows[mnemonic] : HandlerRow{};
}

Outcome<> execute_sensitive(Cpu& cpu, const isa::Instruction& instruction) {
  const HandlerRow row = handler_of(instruction.mnemonic());
  if (row.handler == nullptr) return raise_ud();
  if ((instruction.zydis.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return raise_ud();
  Operation op(cpu, instruction);
  EIDOLON_TRY(row.handler(op));
  if (row.serializes) full_fence();
  if (!row.sets_rip) cpu.state.rip = op.next_rip();
  return {};
}

}  // namespace eidolon::cpu
