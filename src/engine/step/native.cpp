// The FPU's instruction and data pointers (SDM volume 1, 8.1.8) would show the stub's addresses: they are
// replaced by the guest's after each x87 instruction.
#include "engine/step/native.h"

#include <immintrin.h>

#include <cstring>

#include "base/assert.h"
#include "engine/step/code_memory.h"

namespace eidolon::engine::step {

namespace {

constexpr unsigned kMxcsrOffset = 24;
constexpr unsigned kHeaderOffset = 512;
constexpr unsigned kFopOffset = 6;
constexpr unsigned kFipOffset = 8;
constexpr unsigned kFdpOffset = 16;
constexpr uint64_t kGuestComponents = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx | x86::kXcr0Avx512;

[[gnu::target("xsave")]] uint64_t host_xcr0() { return _xgetbv(0); }

}  // namespace

NativeRunner::NativeRunner(cpu::State& state, const CodeMemory& code)
    : state_(state), code_(code), clean_(std::make_unique<cpu::XsaveImage>()) {
  const uint32_t mxcsr = 0x1f80;
  std::memcpy(clean_->bytes.data() + kMxcsrOffset, &mxcsr, sizeof mxcsr);
  frame_.mask = host_xcr0() & kGuestComponents;
  frame_.image = &state_.fpu;
  frame_.clean = clean_.get();
  const bool registered = register_fault_range(code_.begin(), code_.end(), on_host_fault, this).has_value();
  EIDOLON_ASSERT(registered);
}

NativeRunner::~NativeRunner() { unregister_fault_range(code_.begin()); }

bool NativeRunner::on_host_fault(void* cookie, HostFault& fault) {
  auto& runner = *static_cast<NativeRunner*>(cookie);
  // A page fault here would be guest memory that the host cannot supply: not the guest's doing.
  if (fault.vector == x86::kPageFault) return false;
  runner.frame_.vector = fault.vector;
  auto* registers = fault.context->uc_mcontext.gregs;
  // SAFETY: a stub runs only below eidolon_step_enter(_fpu), which has saved its RSP in the frame; both ways
  // out start from exactly that RSP.
  registers[REG_RSP] = static_cast<greg_t>(runner.frame_.host_rsp);
  const auto exit = runner.in_fpu_ ? eidolon_step_fault_fpu : eidolon_step_fault;
  registers[REG_RIP] = reinterpret_cast<greg_t>(exit);
  registers[REG_EFL] &= ~static_cast<greg_t>(x86::kFlagDf | x86::kFlagTf | x86::kFlagRf);
  return true;
}

std::unexpected<cpu::Fault> NativeRunner::guest_fault() const {
  if (frame_.vector == x86::kSimdFault && (state_.control.cr4 & x86::kCr4OsXmmExcpt) == 0)
    return cpu::raise_ud();
  return cpu::raise(static_cast<x86::Vector>(frame_.vector));
}

/// XRSTOR of a malformed image would fault in the monitor itself, so it is made well-formed here, whoever
/// wrote it.
void NativeRunner::sanitize_image() {
  uint8_t* image = state_.fpu.bytes.data();
  uint32_t mxcsr;
  std::memcpy(&mxcsr, image + kMxcsrOffset, sizeof mxcsr);
  mxcsr &= 0xffff;
  std::memcpy(image + kMxcsrOffset, &mxcsr, sizeof mxcsr);
  uint64_t header[8] = {};  // XSTATE_BV, XCOMP_BV, reserved
  std::memcpy(header, image + kHeaderOffset, sizeof header[0]);
  header[0] &= frame_.mask;
  std::memcpy(image + kHeaderOffset, header, sizeof header);
}

void NativeRunner::hide_host_pointers(const Operation& operation, const void* memory, uint64_t offset) {
  uint8_t* image = state_.fpu.bytes.data();
  uintptr_t instruction_pointer, data_pointer;
  std::memcpy(&instruction_pointer, image + kFipOffset, sizeof instruction_pointer);
  const auto begin = reinterpret_cast<uintptr_t>(code_.begin());
  const auto end = reinterpret_cast<uintptr_t>(code_.end());
  if (instruction_pointer < begin || instruction_pointer >= end) return;
  std::memcpy(image + kFipOffset, &state_.rip, sizeof state_.rip);

  // Many processors note the operand and the opcode only for unmasked exceptions.
  std::memcpy(&data_pointer, image + kFdpOffset, sizeof data_pointer);
  if (memory == nullptr || data_pointer != reinterpret_cast<uintptr_t>(memory)) return;
  std::memcpy(image + kFdpOffset, &offset, sizeof offset);
  // The stub's ModRM byte has another address form.
  const ZydisDecodedInstruction& zydis = operation.instruction.zydis;
  const auto guest =
      static_cast<uint16_t>((zydis.opcode & 7u) << 8 | operation.bytes[zydis.raw.modrm.offset]);
  constexpr uint16_t kAddressForm = 0xc7;
  uint16_t noted;
  std::memcpy(&noted, image + kFopOffset, sizeof noted);
  if (((noted ^ guest) & ~kAddressForm) == 0) std::memcpy(image + kFopOffset, &guest, sizeof guest);
}

cpu::Outcome<> NativeRunner::run(const Operation& operation, void* memory, uint64_t offset) {
  if (operation.stub == nullptr) return cpu::raise_ud();
  prepare_thread_for_faults();
  in_fpu_ = operation.touches_fpu;
  if (!in_fpu_) {
    if (eidolon_step_enter(&state_, memory, operation.stub, &frame_) != 0) return guest_fault();
    return {};
  }
  sanitize_image();
  const bool faulted = eidolon_step_enter_fpu(&state_, memory, operation.stub, &frame_) != 0;
  if (operation.extended == isa::ExtendedState::kX87) hide_host_pointers(operation, memory, offset);
  if (faulted) return guest_fault();
  return {};
}

}  // namespace eidolon::engine::step
