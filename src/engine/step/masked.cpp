#include "engine/step/masked.h"

#include <array>
#include <bit>

#include "engine/step/extended_image.h"
#include "engine/step/native.h"

namespace eidolon::engine::step {

using cpu::Outcome;
using mmu::Access;

namespace {

/// Elements of the memory operand, and which of them are selected.
struct Selection {
  unsigned element_size;  ///< bytes
  unsigned count;
  uint64_t selected;  ///< bit n is element n in memory
};

bool is_packed(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VCOMPRESSPD:
    case ZYDIS_MNEMONIC_VCOMPRESSPS:
    case ZYDIS_MNEMONIC_VPCOMPRESSB:
    case ZYDIS_MNEMONIC_VPCOMPRESSD:
    case ZYDIS_MNEMONIC_VPCOMPRESSQ:
    case ZYDIS_MNEMONIC_VPCOMPRESSW:
    case ZYDIS_MNEMONIC_VEXPANDPD:
    case ZYDIS_MNEMONIC_VEXPANDPS:
    case ZYDIS_MNEMONIC_VPEXPANDB:
    case ZYDIS_MNEMONIC_VPEXPANDD:
    case ZYDIS_MNEMONIC_VPEXPANDQ:
    case ZYDIS_MNEMONIC_VPEXPANDW:
      return true;
    default:
      return false;
  }
}

/// VMASKMOV, VPMASKMOV: the sign bits of a vector register's elements, which is operand 1 in both directions
/// for stores and for loads.
uint64_t sign_mask(const cpu::State& state, const Operation& operation, unsigned element_size,
                   unsigned count) {
  const unsigned number = vector_number(operation.instruction.operands[1].reg.value);
  const VectorBytes mask = read_vector(state, number);
  uint64_t selected = 0;
  for (unsigned i = 0; i < count; ++i) selected |= uint64_t{mask[(i + 1) * element_size - 1] >> 7 & 1u} << i;
  return selected;
}

Selection select(const cpu::State& state, const Operation& operation) {
  const ZydisDecodedOperand& memory = *isa::memory_operand(operation.instruction);
  const ZydisDecodedInstruction& zydis = operation.instruction.zydis;
  Selection result{memory.element_size / 8u, memory.element_count, 0};
  if (result.element_size == 0 || result.count == 0) result = {operation.memory_size, 1, 0};
  if (zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX) {
    result.selected = sign_mask(state, operation, result.element_size, result.count);
    return result;
  }
  const uint64_t mask = read_mask(state, zydis.raw.evex.aaa);
  if (zydis.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID) {
    // One element in memory serves every element of the vector.
    const unsigned uses = zydis.avx.vector_length / (result.element_size * 8u);
    result = {operation.memory_size, 1, (mask & mask_below(uses)) != 0 ? 1u : 0u};
    return result;
  }
  result.selected = mask & mask_below(result.count);
  if (is_packed(zydis.mnemonic))
    result.selected = mask_below(static_cast<unsigned>(std::popcount(result.selected)));
  return result;
}

struct alignas(64) Buffer {
  std::array<uint8_t, 192> bytes{};
};

Outcome<> transfer(Context& context, const Operation& operation, const Selection& selection, uint64_t offset,
                   uint64_t alignment) {
  Buffer buffer;
  uint8_t* operand = buffer.bytes.data() + (alignment & 63);
  const unsigned size = selection.element_size;
  std::array<uint64_t, 64> where{};
  const mmu::View view = context.cpu.data_view();
  const bool write = operation.writes_memory;
  if (selection.count > where.size() || selection.count * size > 128) return cpu::raise_ud();
  for (unsigned i = 0; i < selection.count; ++i) {
    if (((selection.selected >> i) & 1) == 0) continue;
    const uint64_t element = (offset + uint64_t{i} * size) & operation.address.mask;
    where[i] = EIDOLON_TRY(
        context.linear(operation.address.segment, element, size, write ? Access::kWrite : Access::kRead));
    if (write) EIDOLON_TRY(cpu::probe_write_linear(context.cpu, where[i], size, view));
    if (operation.reads_memory)
      EIDOLON_TRY(cpu::read_linear(context.cpu, where[i], operand + i * size, size, view));
  }
  EIDOLON_TRY(context.native.run(operation, operand, offset));
  if (!write) return {};
  for (unsigned i = 0; i < selection.count; ++i) {
    if ((selection.selected >> i) & 1)
      EIDOLON_TRY(cpu::write_linear(context.cpu, where[i], operand + i * size, size, view));
  }
  return {};
}

}  // namespace

Outcome<> run_masked(Context& context, const Operation& operation, uint64_t linear, uint64_t offset) {
  return transfer(context, operation, select(context.state, operation), offset, linear);
}

Outcome<> run_masked_beyond_segment(Context& context, const Operation& operation, uint64_t offset,
                                    const cpu::Fault& fault) {
  const Selection selection = select(context.state, operation);
  // Alignment is checked before the mask is looked at, and non-canonical addresses of whole vectors fault
  // with it.
  if (selection.selected != 0 && selection.count == 1) return std::unexpected(fault);
  return transfer(context, operation, selection, offset, offset);
}

}  // namespace eidolon::engine::step
