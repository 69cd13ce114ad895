// Instructions whose memory is not one explicit operand: XLAT, masked byte stores, cache-line stores, gathers
// and scatters (SDM volume 2; CLZERO: AMD APM volume 3).
#include <array>
#include <cstring>

#include "engine/step/context.h"
#include "engine/step/extended_image.h"

namespace eidolon::engine::step {

using cpu::Outcome;
using mmu::Access;

namespace {

Outcome<> run_xlat(Context& context, const Operation& operation) {
  const uint64_t table = context.state.gpr[x86::kRbx] + (context.state.gpr[x86::kRax] & 0xff);
  const uint64_t value =
      EIDOLON_TRY(context.load(operation.address.segment, table & operation.address.mask, 1));
  uint64_t& rax = context.state.gpr[x86::kRax];
  rax = (rax & ~uint64_t{0xff}) | value;
  context.advance();
  return {};
}

/// Stores the bytes of `data` whose mask byte has its sign bit set, at DS:rDI.
Outcome<> store_masked_bytes(Context& context, const Operation& operation, const uint8_t* data,
                             const uint8_t* mask, unsigned size) {
  const uint64_t start = context.state.gpr[x86::kRdi];
  for (const bool probe : {true, false}) {
    for (unsigned i = 0; i < size; ++i) {
      if ((mask[i] & 0x80) == 0) continue;
      const uint64_t offset = (start + i) & operation.address.mask;
      if (probe) {
        EIDOLON_TRY(context.probe_store(operation.address.segment, offset, 1));
      } else {
        EIDOLON_TRY(context.store(operation.address.segment, offset, data[i], 1));
      }
    }
  }
  context.advance();
  return {};
}

Outcome<> run_maskmovdqu(Context& context, const Operation& operation) {
  EIDOLON_TRY(check_extended_state(context.state, operation));
  const auto& operands = operation.instruction.operands;
  const unsigned first = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? 0 : 1;
  const VectorBytes data = read_vector(context.state, vector_number(operands[first].reg.value));
  const VectorBytes mask = read_vector(context.state, vector_number(operands[first + 1].reg.value));
  return store_masked_bytes(context, operation, data.data(), mask.data(), 16);
}

Outcome<> run_maskmovq(Context& context, const Operation& operation) {
  EIDOLON_TRY(check_extended_state(context.state, operation));
  const auto& operands = operation.instruction.operands;
  const unsigned first = operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? 0 : 1;
  const uint64_t data = read_mmx(context.state, vector_number(operands[first].reg.value) & 7);
  const uint64_t mask = read_mmx(context.state, vector_number(operands[first + 1].reg.value) & 7);
  std::array<uint8_t, 8> data_bytes, mask_bytes;
  std::memcpy(data_bytes.data(), &data, sizeof data);
  std::memcpy(mask_bytes.data(), &mask, sizeof mask);
  return store_masked_bytes(context, operation, data_bytes.data(), mask_bytes.data(), 8);
}

cpu::CpuidResult query_cpuid(const Context& context, uint32_t leaf) {
  return context.cpu.model.query(leaf, 0, context.state.control.cr4, context.state.xcr0, context.cpu.index);
}

Outcome<> store_line(Context& context, x86::Segment segment, uint64_t offset,
                     const std::array<uint8_t, 64>& line) {
  const uint64_t linear = EIDOLON_TRY(context.linear(segment, offset, 64, Access::kWrite));
  if ((linear & 63) != 0) return cpu::raise_gp();
  EIDOLON_TRY(context.check_access(linear, 64, 1, true));
  EIDOLON_TRY(cpu::write_linear(context.cpu, linear, line.data(), 64, context.cpu.data_view()));
  context.advance();
  return {};
}

Outcome<> run_clzero(Context& context, const Operation& operation) {
  if (!bit(query_cpuid(context, 0x80000008).ebx, 0)) return cpu::raise_ud();
  const uint64_t offset = context.state.gpr[x86::kRax] & operation.address_mask() & ~uint64_t{63};
  return store_line(context, operation.address.segment, offset, {});
}

Outcome<> run_movdir64b(Context& context, const Operation& operation) {
  if (!bit(query_cpuid(context, 7).ecx, 28)) return cpu::raise_ud();
  std::array<uint8_t, 64> line;
  const uint64_t source = EIDOLON_TRY(
      context.linear(operation.address.segment, context.offset(operation.address), 64, Access::kRead));
  EIDOLON_TRY(context.check_access(source, 64, 1, false));
  EIDOLON_TRY(cpu::read_linear(context.cpu, source, line.data(), 64, context.cpu.data_view()));
  const uint64_t target = context.read_register(operation.instruction.operands[0].reg.value);
  return store_line(context, x86::kEs, target & operation.address.mask, line);
}

/// One gather or scatter, taken apart.
struct IndexedAccess {
  bool evex;
  bool scatter;
  unsigned vector;      ///< number of the data register
  unsigned index;       ///< number of the index register
  unsigned mask;        ///< number of the mask register: vector or opmask
  unsigned data_size;   ///< bytes per element
  unsigned index_size;  ///< bytes per index
  unsigned count;       ///< elements
};

bool has_quadword_indices(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VSCATTERQPD:
    case ZYDIS_MNEMONIC_VSCATTERQPS:
    case ZYDIS_MNEMONIC_VPSCATTERQD:
    case ZYDIS_MNEMONIC_VPSCATTERQQ:
      return true;
    default:
      return false;
  }
}

bool has_quadword_data(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VPGATHERDQ:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VSCATTERDPD:
    case ZYDIS_MNEMONIC_VSCATTERQPD:
    case ZYDIS_MNEMONIC_VPSCATTERDQ:
    case ZYDIS_MNEMONIC_VPSCATTERQQ:
      return true;
    default:
      return false;
  }
}

IndexedAccess take_apart(const Operation& operation) {
  const isa::Instruction& instruction = operation.instruction;
  const ZydisDecodedOperand& memory = *isa::memory_operand(instruction);
  IndexedAccess access{};
  access.evex = instruction.zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
  access.scatter = instruction.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
  const ZydisDecodedOperand& data = instruction.operands[access.scatter ? 2 : 0];
  access.vector = vector_number(data.reg.value);
  access.index = vector_number(memory.mem.index);
  access.mask =
      access.evex ? instruction.zydis.raw.evex.aaa : vector_number(instruction.operands[2].reg.value);
  access.data_size = has_quadword_data(instruction.mnemonic()) ? 8 : 4;
  access.index_size = has_quadword_indices(instruction.mnemonic()) ? 8 : 4;
  access.count = instruction.zydis.avx.vector_length / 8u / std::max(access.data_size, access.index_size);
  return access;
}

uint64_t element_offset(const Context& context, const Operation& operation, const IndexedAccess& access,
                        const VectorBytes& indices, unsigned element) {
  uint64_t index = 0;
  std::memcpy(&index, indices.data() + element * access.index_size, access.index_size);
  index = sign_extend(index, access.index_size * 8);
  Address base = operation.address;
  return (context.offset(base) + (index << base.shift)) & base.mask;
}

/// Selected elements as bits.
uint64_t selected_elements(const cpu::State& state, const IndexedAccess& access) {
  if (access.evex) return read_mask(state, access.mask) & mask_below(access.count);
  const VectorBytes mask = read_vector(state, access.mask);
  uint64_t selected = 0;
  for (unsigned i = 0; i < access.count; ++i)
    selected |= uint64_t{mask[(i + 1) * access.data_size - 1] >> 7 & 1u} << i;
  return selected;
}

/// Clears the mask of the elements done. The AVX2 mask is a vector, whose elements become all ones or all
/// zeros.
void clear_done(cpu::State& state, const IndexedAccess& access, uint64_t still_selected, uint64_t initially) {
  if (access.evex) {
    const uint64_t old = read_mask(state, access.mask);
    write_mask(state, access.mask, (old & ~initially) | still_selected);
    return;
  }
  VectorBytes mask{};
  for (unsigned i = 0; i < access.count; ++i) {
    const bool selected = still_selected >> i & 1;
    std::memset(mask.data() + i * access.data_size, selected ? 0xff : 0, access.data_size);
  }
  write_vector(state, access.mask, mask);
}

/// All elements are done: mask and the destination's unused part become zero.
void complete(cpu::State& state, const IndexedAccess& access, VectorBytes& data) {
  if (access.evex) {
    write_mask(state, access.mask, 0);
  } else {
    write_vector(state, access.mask, {});
  }
  if (access.scatter) return;
  const unsigned used = access.count * access.data_size;
  std::memset(data.data() + used, 0, data.size() - used);
  write_vector(state, access.vector, data);
}

/// Element by element in order, so that a fault leaves the elements before it done and their mask clear.
Outcome<> run_indexed(Context& context, const Operation& operation) {
  EIDOLON_TRY(check_extended_state(context.state, operation));
  const IndexedAccess access = take_apart(operation);
  cpu::State& state = context.state;
  const VectorBytes indices = read_vector(state, access.index);
  VectorBytes data = read_vector(state, access.vector);
  const uint64_t selected = selected_elements(state, access);
  uint64_t left = selected;
  for (unsigned i = 0; i < access.count; ++i) {
    if (((selected >> i) & 1) == 0) continue;
    const uint64_t offset = element_offset(context, operation, access, indices, i);
    uint8_t* element = data.data() + i * access.data_size;
    uint64_t value = 0;
    std::memcpy(&value, element, access.data_size);
    Outcome<> done;
    if (access.scatter) {
      done = context.store(operation.address.segment, offset, value, access.data_size);
    } else {
      const auto loaded = context.load(operation.address.segment, offset, access.data_size);
      if (loaded) {
        std::memcpy(element, &*loaded, access.data_size);
      } else {
        done = std::unexpected(loaded.error());
      }
    }
    if (!done) {
      clear_done(state, access, left, selected);
      if (!access.scatter && left != selected) write_vector(state, access.vector, data);
      return done;
    }
    left &= ~(uint64_t{1} << i);
  }
  complete(state, access, data);
  context.advance();
  return {};
}

}  // namespace

/// VZEROALL and VZEROUPPER outside 64-bit mode leave registers 8 to 15 alone.
Outcome<> run_vector_zero(Context& context, const Operation& operation) {
  std::array<VectorBytes, 8> kept;
  for (unsigned i = 0; i < 8; ++i) kept[i] = read_vector(context.state, 8 + i);
  EIDOLON_TRY(run_plain(context, operation));
  for (unsigned i = 0; i < 8; ++i) write_vector(context.state, 8 + i, kept[i]);
  return {};
}

Handler choose_implicit(const isa::Instruction& instruction) {
  if (isa::is_bit_string(instruction)) return run_bit_string;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_XLAT:
      return run_xlat;
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      return run_maskmovdqu;
    case ZYDIS_MNEMONIC_MASKMOVQ:
      return run_maskmovq;
    case ZYDIS_MNEMONIC_CLZERO:
      return run_clzero;
    case ZYDIS_MNEMONIC_MOVDIR64B:
      return run_movdir64b;
    default:
      return run_indexed;
  }
}

}  // namespace eidolon::engine::step
