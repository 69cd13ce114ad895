// FXSAVE and FXRSTOR (SDM volume 2). Outside 64-bit mode XMM8 to XMM15 are neither written nor loaded.
#include "base/try.h"
#include "cpu/debug.h"
#include "cpu/handlers.h"
#include "cpu/state_image.h"

namespace eidolon::cpu::handlers {

namespace {

using namespace image;

Outcome<> check_fxsave(const Operation& op) {
  if ((op.state.control.cr0 & x86::kCr0Em) != 0) return raise_ud();
  if ((op.state.control.cr0 & x86::kCr0Ts) != 0) return raise(x86::kDeviceNotAvailable);
  return {};
}

/// Up to the end of the registers: the rest of the 512 bytes is never written, and ignored when read.
[[nodiscard]] unsigned used_size(const Operation& op) {
  return kXmm + (op.instruction.code_size == isa::CodeSize::k64 ? 256 : 128);
}

Outcome<uint64_t> area(const Operation& op, mmu::Access access) {
  const uint64_t linear = EIDOLON_TRY(op.address(op.operand(0), kLegacySize, access));
  if ((linear & 15) != 0) return raise_gp();
  return linear;
}

}  // namespace

Outcome<> fxsave(Operation& op) {
  EIDOLON_TRY(check_fxsave(op));
  const uint64_t linear = EIDOLON_TRY(area(op, mmu::Access::kWrite));
  const Legacy legacy = guest_legacy(op.state.fpu);
  EIDOLON_TRY(write_linear(op.cpu, linear, legacy.data(), used_size(op), op.cpu.data_view()));
  if (breakpoints_enabled(op.state)) note_data_access(op.state, linear, used_size(op), true);
  return {};
}

Outcome<> fxrstor(Operation& op) {
  EIDOLON_TRY(check_fxsave(op));
  const uint64_t linear = EIDOLON_TRY(area(op, mmu::Access::kRead));
  Legacy legacy;
  EIDOLON_TRY(read_linear(op.cpu, linear, legacy.data(), used_size(op), op.cpu.data_view()));
  const auto mxcsr = load<uint32_t>(legacy.data(), kMxcsr);
  if ((mxcsr & ~kMxcsrDefined) != 0) return raise_gp();
  if (breakpoints_enabled(op.state)) note_data_access(op.state, linear, used_size(op), false);

  XsaveImage& fpu = op.state.fpu;
  set_x87(fpu, legacy.data());
  materialize_xmm(fpu);
  store(fpu.bytes.data(), kMxcsr, mxcsr);
  std::memcpy(fpu.bytes.data() + kXmm, legacy.data() + kXmm, used_size(op) - kXmm);
  return {};
}

}  // namespace eidolon::cpu::handlers
