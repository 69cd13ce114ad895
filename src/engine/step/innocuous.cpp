// Innocuous instructions: run natively on the guest's registers, and on guest memory in place where the host
// can reach it (then a LOCK is a LOCK between processors); through a bounce buffer where it cannot: MMIO, ROM
// and operands that cross a page. A locked operand of these is atomic
// against other processors because they stand aside (cpu::Alone).
#include <array>
#include <bit>
#include <memory>
#include <optional>

#include "engine/step/context.h"
#include "engine/step/masked.h"
#include "engine/step/native.h"

namespace eidolon::engine::step {

using cpu::Outcome;
using mmu::Access;

namespace {

/// An operand-sized buffer at the same place in a cache line as the guest's operand, so that what has to be
/// aligned faults exactly when it would in the guest.
struct alignas(64) BounceBuffer {
  std::array<uint8_t, 192> bytes{};
  [[nodiscard]] uint8_t* at(uint64_t linear) { return bytes.data() + (linear & 63); }
};

/// An x87 store with an unmasked invalid operand, overflow or underflow stores nothing (SDM volume 1, 8.5).
/// FBSTP looks at its operand first.
bool x87_store_suppressed(const cpu::State& state, const Operation& operation) {
  if (operation.extended != isa::ExtendedState::kX87 || !operation.writes_memory) return false;
  if (operation.instruction.mnemonic() == ZYDIS_MNEMONIC_FBSTP) return false;
  constexpr unsigned kInvalid = 1, kOverflow = 8, kUnderflow = 16;
  const unsigned masked = state.fpu.bytes[0], raised = state.fpu.bytes[2];
  return (raised & ~masked & (kInvalid | kOverflow | kUnderflow)) != 0;
}

/// Atomic against other processors, which an operand that is copied is not by itself.
bool is_locked(const Operation& operation) {
  return operation.writes_memory &&
         (operation.has(ZYDIS_ATTRIB_HAS_LOCK) || operation.instruction.mnemonic() == ZYDIS_MNEMONIC_XCHG);
}

Outcome<> run_bounced(Context& context, const Operation& operation, uint64_t linear, uint64_t offset) {
  cpu::Cpu& cpu = context.cpu;
  std::optional<cpu::Alone> alone;
  if (is_locked(operation)) alone.emplace(cpu);
  const mmu::View view = cpu.data_view();
  const unsigned size = operation.memory_size;
  BounceBuffer buffer;
  uint8_t* operand = buffer.at(linear);
  if (size > 128) return cpu::raise_ud();
  if (operation.writes_memory) EIDOLON_TRY(cpu::probe_write_linear(cpu, linear, size, view));
  if (operation.reads_memory) EIDOLON_TRY(cpu::read_linear(cpu, linear, operand, size, view));
  EIDOLON_TRY(context.native.run(operation, operand, offset));
  if (x87_store_suppressed(context.state, operation)) return {};
  if (operation.writes_memory) EIDOLON_TRY(cpu::write_linear(cpu, linear, operand, size, view));
  return {};
}

/// Where the host can access one page's operand although the virtual TLB did not say so, or null.
Outcome<uint8_t*> reach(Context& context, const Operation& operation, uint64_t linear) {
  cpu::Cpu& cpu = context.cpu;
  const bool write = operation.writes_memory;
  const auto resolved =
      cpu.mmu.resolve(context.state.control, linear, write ? Access::kWrite : Access::kRead, cpu.data_view());
  if (!resolved) return std::unexpected(cpu::Fault{x86::kPageFault, resolved.error().error, linear});
  if (resolved->host != nullptr) return resolved->host;
  const auto place = cpu.memory.locate(resolved->physical);
  if (!write || !place || place->kind != memory::RegionKind::kRam) return nullptr;
  // RAM with translations: its observer is told, and then it is plain memory.
  cpu.memory.before_write(resolved->physical, operation.memory_size, cpu.index);
  return place->host;
}

Outcome<> run_anywhere(Context& context, const Operation& operation, uint64_t linear, uint64_t offset) {
  if (operation.masked) return run_masked(context, operation, linear, offset);
  if ((linear & 0xfff) + operation.memory_size <= x86::kPageSize) {
    if (uint8_t* host = EIDOLON_TRY(reach(context, operation, linear)))
      return context.native.run(operation, host, offset);
  }
  return run_bounced(context, operation, linear, offset);
}

/// The alignment that #AC asks for: that of the whole operand up to a quadword; vectors are exempt.
unsigned alignment_of(const Operation& operation) {
  const unsigned size = operation.memory_size;
  if (size == 10) return 8;
  return size <= 8 && (size & (size - 1)) == 0 ? size : 1;
}

/// Whether something else than the address may be wrong with an instruction: a missing feature, alignment, a
/// pending x87 exception.
bool may_fault_earlier(const Operation& operation) {
  const ZydisDecodedInstruction& zydis = operation.instruction.zydis;
  return operation.extended != isa::ExtendedState::kNone || operation.memory_size >= 16 ||
         zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || zydis.opcode_map > ZYDIS_OPCODE_MAP_0F;
}

/// What comes of an access that failed with `fault`: the host is asked, with a buffer for the operand, for
/// those exceptions that come before translation.
Outcome<> settle_fault(Context& context, const Operation& operation, uint64_t offset,
                       const cpu::Fault& fault) {
  if (!may_fault_earlier(operation) || operation.memory_size > 128) return std::unexpected(fault);
  BounceBuffer buffer;
  const auto before = std::make_unique<cpu::State>(context.state);
  const Outcome<> tried = context.native.run(operation, buffer.at(offset), offset);
  const bool stores =
      context.rules.suppressed_store_faults || !x87_store_suppressed(context.state, operation);
  if (tried && !stores) return {};
  context.state = *before;
  if (tried) return std::unexpected(fault);
  const uint8_t vector = tried.error().vector;
  const bool earlier =
      vector == x86::kInvalidOpcode || vector == x86::kGeneralProtection || vector == x86::kX87Fault;
  return earlier ? tried : std::unexpected(fault);
}

Outcome<> run_at(Context& context, const Operation& operation, uint64_t offset) {
  const unsigned size = operation.memory_size;
  const bool write = operation.writes_memory;
  const auto segment = operation.address.segment;
  const auto checked = context.linear(segment, offset, size, write ? Access::kWrite : Access::kRead);
  if (!checked) {
    if (operation.masked) return run_masked_beyond_segment(context, operation, offset, checked.error());
    return std::unexpected(checked.error());
  }
  const uint64_t linear = *checked;
  EIDOLON_TRY(context.check_access(linear, size, alignment_of(operation), write));
  uint8_t* host = context.cpu.mmu.tlb().lookup(linear, size, write, context.cpu.data_view());
  if (host != nullptr) [[likely]]
    return context.native.run(operation, host, offset);
  return run_anywhere(context, operation, linear, offset);
}

}  // namespace

Outcome<> run_plain(Context& context, const Operation& operation) {
  if (operation.extended != isa::ExtendedState::kNone)
    EIDOLON_TRY(check_extended_state(context.state, operation));
  EIDOLON_TRY(context.native.run(operation, nullptr));
  context.advance();
  return {};
}

Outcome<> run_memory(Context& context, const Operation& operation) {
  if (operation.extended != isa::ExtendedState::kNone)
    EIDOLON_TRY(check_extended_state(context.state, operation));
  const uint64_t offset = context.offset(operation.address);
  const Outcome<> done = run_at(context, operation, offset);
  if (!done) [[unlikely]] {
    const uint8_t vector = done.error().vector;
    const bool address =
        vector == x86::kPageFault || vector == x86::kStackFault || vector == x86::kGeneralProtection;
    if (!address) return done;
    EIDOLON_TRY(settle_fault(context, operation, offset, done.error()));
  }
  context.advance();
  return {};
}

/// CLFLUSH and its kin translate their address as a byte load does; the host's caches are no concern of the
/// guest.
Outcome<> run_line_flush(Context& context, const Operation& operation) {
  EIDOLON_TRY(context.load(operation.address.segment, context.offset(operation.address), 1));
  context.advance();
  return {};
}

Outcome<> run_lea(Context& context, const Operation& operation) {
  context.write_register(operation.instruction.operands[0].reg.value, context.offset(operation.address));
  context.advance();
  return {};
}

/// BT, BTS, BTR, BTC m, r: the register is a signed bit offset from the operand (SDM volume 2, BT). The
/// stub's instruction adds it to its base again, so the base is that much lower.
Outcome<> run_bit_string(Context& context, const Operation& operation) {
  const unsigned width = operation.memory_size * 8u;
  const unsigned log2_width = static_cast<unsigned>(std::countr_zero(width));
  const uint64_t raw = context.read_register(operation.instruction.operands[1].reg.value);
  const auto bit_offset = static_cast<int64_t>(sign_extend(raw, width));
  const auto byte_offset = static_cast<uint64_t>(bit_offset >> log2_width) * operation.memory_size;
  const uint64_t offset = (context.offset(operation.address) + byte_offset) & operation.address.mask;

  const bool write = operation.writes_memory;
  const unsigned size = operation.memory_size;
  const uint64_t linear = EIDOLON_TRY(
      context.linear(operation.address.segment, offset, size, write ? Access::kWrite : Access::kRead));
  EIDOLON_TRY(context.check_access(linear, size, size, write));
  uint8_t* host = context.cpu.mmu.tlb().lookup(linear, size, write, context.cpu.data_view());
  if (host == nullptr && (linear & 0xfff) + size <= x86::kPageSize)
    host = EIDOLON_TRY(reach(context, operation, linear));
  BounceBuffer buffer;
  std::optional<cpu::Alone> alone;
  const bool bounced = host == nullptr;
  if (bounced) {
    if (is_locked(operation)) alone.emplace(context.cpu);
    host = buffer.at(linear);
    if (write) EIDOLON_TRY(cpu::probe_write_linear(context.cpu, linear, size, context.cpu.data_view()));
    EIDOLON_TRY(cpu::read_linear(context.cpu, linear, host, size, context.cpu.data_view()));
  }
  // SAFETY: an address, not a pointer into an object: the stub's instruction adds byte_offset and accesses
  // `host`.
  const uint64_t base = reinterpret_cast<uintptr_t>(host) - byte_offset;
  EIDOLON_TRY(context.native.run(operation, reinterpret_cast<void*>(base), offset));
  if (bounced && write)
    EIDOLON_TRY(cpu::write_linear(context.cpu, linear, host, size, context.cpu.data_view()));
  context.advance();
  return {};
}

}  // namespace eidolon::engine::step
