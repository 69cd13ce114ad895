// The routines behind execute_sensitive, one family to a file. Each executes one instruction, except for the
// step to the next instruction, which those marked so in sensitive_table.h do themselves. On a Fault nothing
// has changed.
#pragma once

#include "cpu/operation.h"

namespace eidolon::cpu::handlers {

// control_moves.cpp: MOV to and from system and segment registers share one mnemonic.
Outcome<> move(Operation& op);
Outcome<> clts(Operation& op);
Outcome<> lmsw(Operation& op);
Outcome<> smsw(Operation& op);
Outcome<> xgetbv(Operation& op);
Outcome<> xsetbv(Operation& op);

// translation.cpp
Outcome<> invlpg(Operation& op);
Outcome<> invpcid(Operation& op);

// tables.cpp
Outcome<> lgdt(Operation& op);
Outcome<> lidt(Operation& op);
Outcome<> sgdt(Operation& op);
Outcome<> sidt(Operation& op);
Outcome<> lldt(Operation& op);
Outcome<> ltr(Operation& op);
Outcome<> sldt(Operation& op);
Outcome<> str(Operation& op);

// segment_tests.cpp
Outcome<> lar(Operation& op);
Outcome<> lsl(Operation& op);
Outcome<> verr(Operation& op);
Outcome<> verw(Operation& op);

// segment_moves.cpp
Outcome<> move_from_segment(Operation& op);
Outcome<> move_to_segment(Operation& op);
Outcome<> push(Operation& op);
Outcome<> pop(Operation& op);
Outcome<> load_far_pointer(Operation& op);
Outcome<> read_segment_base(Operation& op);
Outcome<> write_segment_base(Operation& op);

// flags.cpp
Outcome<> pushf(Operation& op);
Outcome<> popf(Operation& op);
Outcome<> cli(Operation& op);
Outcome<> sti(Operation& op);
Outcome<> clac(Operation& op);
Outcome<> stac(Operation& op);

// port_io.cpp
Outcome<> in(Operation& op);
Outcome<> out(Operation& op);
Outcome<> ins(Operation& op);
Outcome<> outs(Operation& op);

// processor.cpp
Outcome<> cpuid(Operation& op);
Outcome<> hlt(Operation& op);
Outcome<> flush_caches(Operation& op);
Outcome<> rdmsr(Operation& op);
Outcome<> wrmsr(Operation& op);
Outcome<> rdtsc(Operation& op);
Outcome<> rdtscp(Operation& op);
Outcome<> rdpid(Operation& op);
Outcome<> rdpmc(Operation& op);
/// Instructions of features that are not offered.
Outcome<> hypercall(Operation& op);
Outcome<> not_offered(Operation& op);

// far_transfers.cpp
Outcome<> call(Operation& op);
Outcome<> jmp(Operation& op);
Outcome<> ret(Operation& op);
Outcome<> iret(Operation& op);
Outcome<> int_n(Operation& op);
Outcome<> int1(Operation& op);
Outcome<> int3(Operation& op);
Outcome<> into(Operation& op);
Outcome<> syscall(Operation& op);
Outcome<> sysret(Operation& op);
Outcome<> sysenter(Operation& op);
Outcome<> sysexit(Operation& op);
Outcome<> swapgs(Operation& op);

// x87_image.cpp, fxsave_image.cpp, xsave_image.cpp
Outcome<> fnstenv(Operation& op);
Outcome<> fldenv(Operation& op);
Outcome<> fnsave(Operation& op);
Outcome<> frstor(Operation& op);
Outcome<> fxsave(Operation& op);
Outcome<> fxrstor(Operation& op);
Outcome<> xsave(Operation& op);
Outcome<> xsaveopt(Operation& op);
Outcome<> xsavec(Operation& op);
Outcome<> xrstor(Operation& op);

}  // namespace eidolon::cpu::handlers
