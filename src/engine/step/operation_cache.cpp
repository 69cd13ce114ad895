#include "engine/step/operation_cache.h"

#include <algorithm>
#include <cstring>

#include "engine/step/stub.h"
#include "isa/liveness.h"

namespace eidolon::engine::step {

namespace {

/// EVEX instructions of these exception classes fault on all of their operand whatever the mask says (SDM
/// volume 2, 2.8.1: the "NF" types suppress no fault).
bool suppresses_faults(ZydisExceptionClass exception_class) {
  switch (exception_class) {
    case ZYDIS_EXCEPTION_CLASS_E1NF:
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E4NF:
    case ZYDIS_EXCEPTION_CLASS_E5NF:
    case ZYDIS_EXCEPTION_CLASS_E6NF:
    case ZYDIS_EXCEPTION_CLASS_E9NF:
    case ZYDIS_EXCEPTION_CLASS_E10NF:
    case ZYDIS_EXCEPTION_CLASS_E11NF:
      return false;
    default:
      return true;
  }
}

bool is_vector_masked_move(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
      return true;
    default:
      return false;
  }
}

/// A mask bit stands for a byte of the result, which depends on all eight of the operand's: type E4NF, where the
/// decoder says E4 (SDM volume 2, GF2P8AFFINEQB; the processors agree).
bool mixes_bytes(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEQB || mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB;
}

bool is_masked(const isa::Instruction& instruction) {
  const ZydisDecodedInstruction& zydis = instruction.zydis;
  if (is_vector_masked_move(zydis.mnemonic)) return true;
  return zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && zydis.raw.evex.aaa != 0 &&
         suppresses_faults(zydis.meta.exception_class) && !mixes_bytes(zydis.mnemonic);
}

int8_t register_number(ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return Address::kRip;
  return static_cast<int8_t>(isa::gpr_index(reg));
}

x86::Segment segment_number(ZydisRegister reg) {
  switch (reg) {
    case ZYDIS_REGISTER_ES:
      return x86::kEs;
    case ZYDIS_REGISTER_CS:
      return x86::kCs;
    case ZYDIS_REGISTER_SS:
      return x86::kSs;
    case ZYDIS_REGISTER_FS:
      return x86::kFs;
    case ZYDIS_REGISTER_GS:
      return x86::kGs;
    default:
      return x86::kDs;
  }
}

/// The implicit memory operand that a segment prefix applies to: DS:rSI of the string operations, DS:rBX of
/// XLAT, DS:rDI of the masked moves, DS:rAX of CLZERO.
const ZydisDecodedOperand* overridable_operand(const isa::Instruction& instruction) {
  const bool string = instruction.klass == isa::Class::kString;
  if (!string && instruction.klass != isa::Class::kImplicitMemory) return nullptr;
  for (unsigned i = 0; i < instruction.zydis.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    if (!string || register_number(operand.mem.base) == x86::kRsi) return &operand;
  }
  return nullptr;
}

/// The opcodes 6C..6F, A4..A7 and AA..AF have an even, byte-sized form.
unsigned operand_bytes(const isa::Instruction& instruction) {
  const bool byte_string = instruction.klass == isa::Class::kString && (instruction.zydis.opcode & 1) == 0;
  return byte_string ? 1 : instruction.zydis.operand_width / 8u;
}

}  // namespace

Address make_address(const isa::Instruction& instruction, const ZydisDecodedOperand& operand) {
  Address address;
  address.base = register_number(operand.mem.base);
  if (operand.mem.type != ZYDIS_MEMOP_TYPE_VSIB) address.index = register_number(operand.mem.index);
  for (unsigned scale = operand.mem.scale; scale > 1; scale >>= 1) ++address.shift;
  address.segment = segment_number(operand.mem.segment);
  address.displacement = operand.mem.disp.has_displacement ? operand.mem.disp.value : 0;
  const unsigned width = instruction.zydis.address_width;
  address.mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  return address;
}

OperationCache::Found OperationCache::decode(const uint8_t* host, std::span<const uint8_t> bytes,
                                             isa::CodeSize size) {
  isa::Instruction instruction;
  ZydisDecoderContext context;
  const isa::DecodeStatus status = decoder_.decode_brief(size, bytes, instruction, context);
  if (status != isa::DecodeStatus::kOk) return {nullptr, status};

  std::string key(1, static_cast<char>(size));
  for (const uint8_t byte : bytes.first(instruction.length())) key.push_back(static_cast<char>(byte));
  const auto known = by_bytes_.find(key);
  const Operation* operation = nullptr;
  if (known != by_bytes_.end()) {
    operation = known->second;
  } else {
    decoder_.decode_operands(context, instruction);
    operation = &insert(instruction, std::move(key), bytes);
  }
  if (host != nullptr) front_[slot(host)] = {tag(host, size), operation};
  return {operation, status};
}

const Operation& OperationCache::insert(const isa::Instruction& instruction, std::string key,
                                        std::span<const uint8_t> bytes) {
  if (operations_.size() >= kMaxOperations) clear();
  StubCode stub;
  const bool native = instruction.klass == isa::Class::kInnocuous || isa::is_bit_string(instruction);
  const uint8_t* entry = nullptr;
  if (native && build_stub(instruction, bytes.first(instruction.length()), stub)) {
    entry = code_.add({stub.bytes.data(), stub.size});
    if (entry == nullptr) {
      clear();
      entry = code_.add({stub.bytes.data(), stub.size});
    }
  }
  Operation& operation = operations_.emplace_back();
  std::copy_n(bytes.begin(), instruction.length(), operation.bytes.begin());
  operation.instruction = instruction;
  operation.stub = entry;
  prepare(operation);
  by_bytes_.emplace(std::move(key), &operation);
  return operation;
}

void OperationCache::prepare(Operation& operation) {
  const isa::Instruction& instruction = operation.instruction;
  operation.length = instruction.zydis.length;
  operation.code_size = instruction.code_size;
  operation.extended = isa::required_state(instruction.zydis);
  operation.touches_fpu = isa::register_use(instruction).touches_simd_or_x87;
  operation.protected_only = isa::requires_protected_mode(instruction);
  operation.masked = is_masked(instruction);
  operation.operand_size = static_cast<uint8_t>(operand_bytes(instruction));
  operation.keeps_resume_flag = instruction.mnemonic() == ZYDIS_MNEMONIC_IRET ||
                                instruction.mnemonic() == ZYDIS_MNEMONIC_IRETD ||
                                instruction.mnemonic() == ZYDIS_MNEMONIC_IRETQ;
  if (const ZydisDecodedOperand* memory = isa::memory_operand(instruction)) {
    operation.address = make_address(instruction, *memory);
    operation.memory_size = static_cast<uint16_t>(isa::memory_bytes(instruction));
    operation.reads_memory = (memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    operation.writes_memory = (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  } else if (const ZydisDecodedOperand* implied = overridable_operand(instruction)) {
    operation.address = make_address(instruction, *implied);
  }
  operation.handler = choose_handler(instruction);
}

void OperationCache::clear() {
  std::fill(front_.begin(), front_.end(), Front{});
  by_bytes_.clear();
  operations_.clear();
  code_.clear();
}

}  // namespace eidolon::engine::step
