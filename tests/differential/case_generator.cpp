#include "differential/case_generator.h"

#include <algorithm>
#include <cstring>

#include "engine/step/extended_image.h"
#include "isa/liveness.h"

namespace eidolon::differential {

namespace {

/// Random by nature, or waiting for something.
bool is_unrepeatable(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_RDRAND || mnemonic == ZYDIS_MNEMONIC_RDSEED;
}

/// FS is the host's thread pointer.
bool uses_fs(const isa::Instruction& instruction) {
  for (unsigned i = 0; i < instruction.zydis.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.segment == ZYDIS_REGISTER_FS) return true;
  }
  return false;
}

}  // namespace

bool CaseGenerator::acceptable(const isa::Instruction& instruction) const {
  if (is_unrepeatable(instruction.mnemonic()) || uses_fs(instruction)) return false;
  const bool gs = (instruction.zydis.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0;
  return !(gs && size_ != isa::CodeSize::k64);  // a null selector there
}

uint64_t CaseGenerator::value() {
  constexpr std::array<uint64_t, 8> kSpecial = {0,      1,          ~uint64_t{0},      0x80,
                                                0x8000, 0x80000000, uint64_t{1} << 63, 0x7fffffffffffffff};
  switch (below(4)) {
    case 0:
      return kSpecial[below(kSpecial.size())];
    case 1:
      return below(256);
    default:
      return random_();
  }
}

/// Mostly in the writable pages; sometimes across or beyond an edge.
uint64_t CaseGenerator::target_address() {
  switch (below(8)) {
    case 0:
      return kArena + kArenaWritable - below(64);
    case 1:
      return kArena + kArenaSize - below(64);
    case 2:
      return kArena + kPage - below(64);
    case 3:
      return kArena + below(kArenaSize);
    case 4:
    case 5:
      return kArena + 512 + below(kArenaWritable - 1024);
    default:
      return kArena + 512 + (below(kArenaWritable - 1024) & ~uint64_t{63});
  }
}

void CaseGenerator::randomize_registers(Case& test) {
  for (uint64_t& reg : test.before.gpr) reg = value();
  test.before.gpr[x86::kRsp] = below(4) ? (target_address() & ~uint64_t{7}) : target_address();
  test.before.gpr[x86::kRbp] = below(2) ? target_address() : test.before.gpr[x86::kRbp];
  test.before.flags = random_() & (x86::kFlagsArithmetic | (below(4) == 0 ? x86::kFlagDf : 0));
  if (size_ == isa::CodeSize::k64) return;
  for (unsigned i = 0; i < x86::kGprCount; ++i)
    test.before.gpr[i] = i < 8 ? test.before.gpr[i] & 0xffffffff : 0;
}

/// All components present. Small numbers, so that vectors serve as indices; some exceptions unmasked.
void CaseGenerator::randomize_extended(Case& test) {
  cpu::State state;
  state.reset();
  uint8_t* image = state.fpu.bytes.data();
  const uint64_t legacy_only = 3;
  std::memcpy(image + 512, &legacy_only, sizeof legacy_only);
  for (unsigned i = 0; i < 32; ++i) {
    engine::step::VectorBytes bytes;
    for (unsigned at = 0; at < bytes.size(); at += 8) {
      uint64_t lane = value();
      if (i % 4 == 0) lane &= 0x0000007f0000007f;
      if (i % 4 == 1) lane = 0x3ff0000000000000 | (lane >> 12);
      std::memcpy(bytes.data() + at, &lane, sizeof lane);
    }
    engine::step::write_vector(state, i, bytes);
  }
  for (unsigned i = 0; i < 8; ++i) engine::step::write_mask(state, i, random_());
  const auto mxcsr =
      static_cast<uint32_t>(below(8) == 0 ? random_() & 0xffc0 : 0x1f80 | (random_() & 0xe000));
  std::memcpy(image + 24, &mxcsr, sizeof mxcsr);
  const auto control = static_cast<uint16_t>(below(8) == 0 ? 0x340 | below(64) : 0x37f | below(4) << 10);
  std::memcpy(image, &control, sizeof control);
  const auto status = static_cast<uint16_t>(below(8) << 11 | (random_() & 0x4700));
  std::memcpy(image + 2, &status, sizeof status);
  image[4] = static_cast<uint8_t>(random_());  // tags
  for (unsigned i = 0; i < 8; ++i) {
    const uint64_t mantissa = below(4) ? random_() | uint64_t{1} << 63 : random_();
    const auto exponent = static_cast<uint16_t>(below(4) ? 0x3ff0 + below(64) : random_());
    std::memcpy(image + 32 + 16 * i, &mantissa, sizeof mantissa);
    std::memcpy(image + 40 + 16 * i, &exponent, sizeof exponent);
  }
  test.before.fpu = state.fpu;
}

void CaseGenerator::patch_displacement(Case& test, const isa::Instruction& instruction, uint64_t target) {
  const auto& displacement = instruction.zydis.raw.disp;
  if (displacement.size < 32) return;
  const ZydisDecodedOperand* operand = isa::memory_operand(instruction);
  const bool relative = operand != nullptr &&
                        (operand->mem.base == ZYDIS_REGISTER_RIP || operand->mem.base == ZYDIS_REGISTER_EIP);
  const uint64_t value = relative ? target - test.before.rip - instruction.length() : target;
  std::memcpy(test.code.data() + displacement.offset, &value, displacement.size / 8u);
}

void CaseGenerator::aim_operand(Case& test, const isa::Instruction& instruction,
                                const ZydisDecodedOperand& operand) {
  const uint64_t target = target_address();
  const int base = isa::gpr_index(operand.mem.base);
  const bool vector_index = operand.mem.type == ZYDIS_MEMOP_TYPE_VSIB;
  const int index = vector_index ? -1 : isa::gpr_index(operand.mem.index);
  const uint64_t displacement =
      operand.mem.disp.has_displacement ? static_cast<uint64_t>(operand.mem.disp.value) : 0;
  auto& gpr = test.before.gpr;
  const uint64_t mask = instruction.zydis.address_width == 64 ? ~uint64_t{0} : 0xffffffff;
  if (base >= 0 && base != index) {
    const uint64_t indexed = index >= 0 ? gpr[static_cast<unsigned>(index)] * operand.mem.scale : 0;
    gpr[static_cast<unsigned>(base)] = (target - displacement - indexed) & mask;
  } else if (base < 0 && index >= 0) {
    gpr[static_cast<unsigned>(index)] = (target - displacement) / std::max<unsigned>(operand.mem.scale, 1);
  } else if (base < 0) {
    patch_displacement(test, instruction, target);
  }
}

void CaseGenerator::aim(Case& test, const isa::Instruction& instruction) {
  if (isa::is_bit_string(instruction) && below(4) != 0) {
    const int offset = isa::gpr_index(instruction.operands[1].reg.value);
    test.before.gpr[static_cast<unsigned>(offset)] = below(4096);
  }
  for (unsigned i = 0; i < instruction.zydis.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    const bool stack =
        operand.mem.base == ZYDIS_REGISTER_RSP && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && !stack) aim_operand(test, instruction, operand);
  }
  if (instruction.klass == isa::Class::kString) test.before.gpr[x86::kRcx] = below(8) ? below(300) : value();
  if (size_ != isa::CodeSize::k64)
    for (uint64_t& reg : test.before.gpr) reg &= 0xffffffff;
}

void CaseGenerator::next(isa::Class wanted, Case& test, isa::Instruction& instruction) {
  do {
    test.code = code_.next(size_);
    if (wanted != isa::Class::kInnocuous && below(2) == 0) {
      // Few bytes decode to the small classes: begin with the opcode.
      for (uint8_t& byte : test.code) byte = static_cast<uint8_t>(random_());
    }
  } while (decoder_.decode(size_, test.code, instruction) != isa::DecodeStatus::kOk ||
           instruction.klass != wanted || !acceptable(instruction));
  test.code_size = size_;
  test.code_length = instruction.length();
  const bool crossing = below(16) == 0;
  test.before.rip = kCode + (crossing ? kPage - below(instruction.length() + 1u) : 256 + below(kPage - 512));
  test.repeated = wanted == isa::Class::kString;
  for (size_t at = 0; at < test.arena.size(); at += 8) {
    const uint64_t bytes = value();
    std::memcpy(test.arena.data() + at, &bytes, sizeof bytes);
  }
  randomize_registers(test);
  randomize_extended(test);
  aim(test, instruction);
}

}  // namespace eidolon::differential
