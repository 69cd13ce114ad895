// CPUID, HLT, cache flushes, MSR and counter reads (SDM volume 2).
#include "base/try.h"
#include "cpu/handlers.h"
#include "cpu/msr.h"
#include "cpu/tsc.h"

namespace eidolon::cpu::handlers {

namespace {

using Feature = CpuidModel::Feature;

Outcome<> check_tsc_access(const Operation& op) {
  if ((op.state.control.cr4 & x86::kCr4Tsd) != 0) EIDOLON_TRY(op.require_ring0());
  return {};
}

}  // namespace

Outcome<> cpuid(Operation& op) {
  auto& gpr = op.state.gpr;
  const CpuidResult result =
      op.cpu.model.query(static_cast<uint32_t>(gpr[x86::kRax]), static_cast<uint32_t>(gpr[x86::kRcx]),
                         op.state.control.cr4, op.state.xcr0, op.cpu.index);
  gpr[x86::kRax] = result.eax;
  gpr[x86::kRbx] = result.ebx;
  gpr[x86::kRcx] = result.ecx;
  gpr[x86::kRdx] = result.edx;
  return {};
}

Outcome<> hlt(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  op.state.activity = Activity::kHalted;
  return {};
}

// Guest memory is coherent and devices see every store, so there is nothing to write back; INVD loses
// nothing either, which it is allowed not to.
Outcome<> flush_caches(Operation& op) { return op.require_ring0(); }

Outcome<> rdmsr(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  op.set_edx_eax(EIDOLON_TRY(read_msr(op.cpu, static_cast<uint32_t>(op.state.gpr[x86::kRcx]))));
  return {};
}

Outcome<> wrmsr(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  return write_msr(op.cpu, static_cast<uint32_t>(op.state.gpr[x86::kRcx]), op.edx_eax());
}

Outcome<> rdtsc(Operation& op) {
  EIDOLON_TRY(check_tsc_access(op));
  op.set_edx_eax(guest_tsc(op.cpu));
  return {};
}

Outcome<> rdtscp(Operation& op) {
  if (!op.cpu.model.has(Feature::kRdtscp)) return raise_ud();
  EIDOLON_TRY(check_tsc_access(op));
  op.set_edx_eax(guest_tsc(op.cpu));
  op.state.gpr[x86::kRcx] = op.state.tsc_aux & 0xffffffff;
  return {};
}

Outcome<> rdpid(Operation& op) {
  if (!op.cpu.model.has(Feature::kRdpid)) return raise_ud();
  return op.write(0, op.state.tsc_aux & 0xffffffff, 8);
}

// CPUID shows no performance counter, so every number is out of range.
Outcome<> rdpmc(Operation&) { return raise_gp(); }

/// Of whatever vendor: guests choose by the name in CPUID, not by what carries them.
Outcome<> hypercall(Operation& op) {
  if (op.cpu.paravirt == nullptr) return raise_ud();
  op.cpu.release_extended_state();
  op.cpu.paravirt->hypercall();
  return {};
}

Outcome<> not_offered(Operation&) { return raise_ud(); }

}  // namespace eidolon::cpu::handlers
