#include "engine/lockstep/report.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <vector>

#include "cpu/vendor_rules.h"
#include "isa/decoder.h"

namespace eidolon::engine::lockstep {

namespace {

std::string disassemble(std::span<const uint8_t> bytes, uint64_t address, bool long_code,
                        x86::Vendor vendor) {
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  const isa::Decoder decoder(vendor);
  isa::Instruction instruction;
  std::string text;
  while (!bytes.empty()) {
    const auto size = long_code ? isa::CodeSize::k64 : isa::CodeSize::k32;
    char line[256] = "?";
    size_t length = 1;
    if (decoder.decode(size, bytes, instruction) == isa::DecodeStatus::kOk) {
      ZydisFormatterFormatInstruction(&formatter, &instruction.zydis, instruction.operands,
                                      instruction.zydis.operand_count_visible, line, sizeof line, address,
                                      nullptr);
      length = instruction.length();
    }
    text += fmt::format("    {:x}: {}\n", address, line);
    bytes = bytes.subspan(length);
    address += length;
  }
  return text;
}

/// What the processor would fetch there: without side effects but for accessed bits.
std::vector<uint8_t> code_at(cpu::Cpu& cpu, uint64_t rip, size_t length) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < length; ++i) {
    const auto view = cpu.state.cpl() == 3 ? mmu::View::kUser : mmu::View::kSupervisor;
    const auto at = cpu.mmu.resolve(cpu.state.control, rip + i, mmu::Access::kExecute, view);
    if (!at || at->host == nullptr) break;
    bytes.push_back(*at->host);
  }
  return bytes;
}

}  // namespace

std::string describe_code(const translate::Round& round, cpu::Cpu& shadow) {
  const bool long_code = shadow.state.long_code();
  const x86::Vendor vendor = cpu::rules_of(shadow.model).vendor;
  std::string text;
  if (round.serviced) text += "  events were serviced first\n";
  if (round.ran_block) {
    text += fmt::format("  guest code of the block (left at {:#x}{}):\n", round.left_at,
                        round.completed ? ", after that instruction" : "");
    text += disassemble(code_at(shadow, round.begin, round.length), round.begin, long_code, vendor);
    text += "  host code of the block:\n";
    text += disassemble(round.host_code, reinterpret_cast<uint64_t>(round.host_code.data()), true, vendor);
  }
  if (round.stepped) {
    text += fmt::format("  then stepped, at {:#x}:\n", round.stepped_at);
    text += disassemble(code_at(shadow, round.stepped_at, 15), round.stepped_at, long_code, vendor);
  }
  return text;
}

}  // namespace eidolon::engine::lockstep
