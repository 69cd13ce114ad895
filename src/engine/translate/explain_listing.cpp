// The text of a listing: guest instructions on the left, host instructions on the right, Intel syntax.
#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/translate/explain.h"

namespace eidolon::engine::translate {

namespace {

constexpr size_t kLeftWidth = 58;
constexpr const char* kRegisters[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

std::string number_of(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string registers(uint16_t bits) {
  std::string text;
  for (unsigned reg = 0; reg < 16; ++reg)
    if (bits >> reg & 1) text += fmt::format("{}{}", text.empty() ? "" : " ", kRegisters[reg]);
  return text;
}

std::string flags(uint32_t bits) {
  constexpr std::pair<uint64_t, const char*> kNames[] = {{x86::kFlagCf, "CF"}, {x86::kFlagPf, "PF"},
                                                         {x86::kFlagAf, "AF"}, {x86::kFlagZf, "ZF"},
                                                         {x86::kFlagSf, "SF"}, {x86::kFlagOf, "OF"}};
  std::string text;
  for (const auto& [bit, name] : kNames)
    if (bits & bit) text += fmt::format("{}{}", text.empty() ? "" : " ", name);
  return text.empty() ? "none" : text;
}

/// How one side's addresses are written; what the formatter's hook gets.
struct Side {
  std::function<std::string(uint64_t address, bool memory)> address;
};

ZyanStatus put(ZydisFormatterBuffer* buffer, const std::string& text) {
  ZyanString* to = nullptr;
  ZYAN_CHECK(ZydisFormatterBufferGetString(buffer, &to));
  ZyanStringView view;
  ZYAN_CHECK(ZyanStringViewInsideBufferEx(&view, text.data(), text.size()));
  return ZyanStringAppend(to, &view);
}

// Zydis wants C functions; they find the side in the user data.
ZyanStatus print_address(const ZydisFormatter*, ZydisFormatterBuffer* buffer,
                         ZydisFormatterContext* context) {
  const auto& side = *static_cast<const Side*>(context->user_data);
  ZyanU64 address = 0;
  ZYAN_CHECK(
      ZydisCalcAbsoluteAddress(context->instruction, context->operand, context->runtime_address, &address));
  return put(buffer, side.address(address, context->operand->type == ZYDIS_OPERAND_TYPE_MEMORY));
}

ZyanStatus print_displacement(const ZydisFormatter*, ZydisFormatterBuffer* buffer,
                              ZydisFormatterContext* context) {
  const auto& memory = context->operand->mem;
  if (memory.segment == ZYDIS_REGISTER_GS && memory.disp.value > 0) {
    const auto& side = *static_cast<const Side*>(context->user_data);
    return put(buffer, "+" + side.address(static_cast<uint64_t>(memory.disp.value), true));
  }
  const int64_t value = memory.disp.value;
  return put(buffer, value < 0 ? fmt::format("-{:#x}", 0 - static_cast<uint64_t>(value))
                               : fmt::format("+{:#x}", value));
}

class Disassembler {
 public:
  Disassembler(bool long_code, Side side) : side_(std::move(side)) {
    ZydisDecoderInit(&decoder_, long_code ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                     long_code ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(&formatter_, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_BRANCHES, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter_, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter_, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter_, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
    auto address = reinterpret_cast<const void*>(&print_address);
    auto displacement = reinterpret_cast<const void*>(&print_displacement);
    ZydisFormatterSetHook(&formatter_, ZYDIS_FORMATTER_FUNC_PRINT_ADDRESS_ABS, &address);
    ZydisFormatterSetHook(&formatter_, ZYDIS_FORMATTER_FUNC_PRINT_DISP, &displacement);
  }

  struct Text {
    unsigned length;
    std::string text;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  };
  /// `bytes` is not empty.
  [[nodiscard]] Text at(std::span<const uint8_t> bytes, uint64_t address) {
    Text result{};
    char line[256];
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &result.instruction,
                                            result.operands)) &&
        ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter_, &result.instruction, result.operands,
                                                     result.instruction.operand_count_visible, line,
                                                     sizeof line, address, &side_))) {
      result.length = result.instruction.length;
      result.text = line;
    } else {
      result.length = 1;
      result.text = fmt::format("(no instruction: {:02x})", bytes[0]);
    }
    return result;
  }

 private:
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
  Side side_;
};

const char* cause(const Site& site) {
  switch (site.kind) {
    case SiteKind::kJump:
      if (site.is_landing) return "a predicted return, not linked yet";
      return site.unshared ? "shared check failed: on in a block that shares none"
                           : "to a block not linked yet";
    case SiteKind::kIndirect:
      return "indirect jump to a target not known";
    case SiteKind::kMemory:
      return "the virtual TLB missed";
    case SiteKind::kStep:
      return "has to be stepped";
    case SiteKind::kString:
      return "(the rest of) a string instruction, page by page";
    case SiteKind::kEvent:
      return "an event is pending";
    case SiteKind::kPage:
      return "is the page still mapped?";
    case SiteKind::kExtended:
      return "is x87 and vector state in the registers?";
    default:
      return "for the monitor";
  }
}

class Listing {
 public:
  Listing(const BlockCopy& block, uint64_t marked, const Symbolizer& symbol)
      : block_(block),
        marked_(marked),
        symbol_(symbol),
        guest_(block.mode.long_code(), {[this](uint64_t address, bool) {
                 return fmt::format("{:#x}{}", address, symbol_(address));
               }}),
        host_(true, {[this](uint64_t address, bool memory) { return host_address(address, memory); }}) {}

  std::string text() {
    summary();
    side_by_side({"entered by predicted returns"}, block_.begin, block_.entry_checked);
    side_by_side({"entered from other pages, and by indirect jumps"}, block_.entry_checked,
                 block_.entry_events);
    side_by_side({"entered by jumps backward"}, block_.entry_events, block_.entry_body);
    const size_t count = block_.instructions.size();
    for (size_t i = 0; i < count; ++i) {
      const uint32_t begin = i == 0 ? block_.entry_body : block_.placed[i].host;
      side_by_side(instruction(i), begin, block_.placed[i + 1].host);
    }
    side_by_side({"to the next block"}, block_.placed[count].host, block_.placed[count + 1].host);
    side_by_side({"elsewhere: the ways to the monitor"}, block_.cold_begin, cold_end());
    leaves();
    return std::move(text_);
  }

 private:
  /// Guest registers that are in their slots between blocks.
  [[nodiscard]] uint16_t between_blocks() const { return block_.placed[0].in_slot; }
  [[nodiscard]] uint32_t end() const { return block_.begin + static_cast<uint32_t>(block_.code.size()); }
  [[nodiscard]] uint32_t cold_end() const {
    return block_.cold_begin + static_cast<uint32_t>(block_.cold.size());
  }
  [[nodiscard]] bool is_cold(uint64_t offset) const {
    return offset >= block_.cold_begin && offset < cold_end();
  }
  [[nodiscard]] bool is_ours(uint64_t offset) const {
    return (offset >= block_.begin && offset < end()) || is_cold(offset);
  }
  /// An offset in the cache as the listing names it.
  [[nodiscard]] std::string label(uint64_t offset) const {
    return is_cold(offset) ? fmt::format("cold+{:03x}", offset - block_.cold_begin)
                           : fmt::format("+{:03x}", offset - block_.begin);
  }

  void summary() {
    const size_t count = block_.instructions.size();
    text_ += fmt::format(
        "block at {:#x}{}: {} {}-bit code at guest-physical {:#x}{}\n", block_.rip, symbol_(block_.rip),
        block_.mode.user() ? "user's" : "the kernel's", block_.mode.long_code() ? 64 : 32, block_.physical,
        block_.second_page == Block::kNoPage ? std::string() : fmt::format(" and {:#x}", block_.second_page));
    text_ += fmt::format("{}, {}; {} host bytes, and {} elsewhere for what seldom happens\n",
                         number_of(count, "guest instruction"), number_of(block_.length, "byte"),
                         block_.code.size(), block_.cold.size());
    text_ += fmt::format("in their slots between blocks: {}\n\n",
                         between_blocks() == 0 ? "none" : registers(between_blocks()));
    text_ += fmt::format("{:{}}{}\n", "guest", kLeftWidth, "host");
  }

  /// The rows on the left for one instruction.
  std::vector<std::string> instruction(size_t index) {
    const BlockCopy::Instruction& in = block_.instructions[index];
    const uint64_t address = block_.rip + in.offset;
    const uint64_t next = index + 1 < block_.instructions.size()
                              ? block_.rip + block_.instructions[index + 1].offset
                              : block_.rip + block_.length;
    const bool marked = marked_ >= address && marked_ < std::max(next, address + 1);
    std::vector<std::string> rows;
    rows.push_back(
        fmt::format("{}{:x}  {}", marked ? "=> " : "   ", address, guest_.at(in.bytes, address).text));
    if (marked && marked_ != address) rows.push_back(fmt::format("     ({:#x} is inside it)", marked_));
    if (in.step) rows.emplace_back("     stepped, not translated");
    rows.push_back("     flags read later: " + flags(in.flags_live_out));
    const Placed& placed = block_.placed[index];
    const uint16_t aside = placed.in_slot & static_cast<uint16_t>(~between_blocks());
    if (aside != 0) rows.push_back("     put aside before it: " + registers(aside));
    if (placed.flags_saved) rows.emplace_back("     flags put aside before it");
    return rows;
  }

  std::string host_address(uint64_t address, bool memory) const {
    if (!memory) {
      return is_ours(address) ? label(address) : "the monitor";
    }
    for (const AreaName& name : block_.names) {
      if (address < name.begin || address >= name.end) continue;
      const uint64_t offset = address - name.begin;
      return offset == 0 ? name.name : fmt::format("{}+{:#x}", name.name, offset);
    }
    return fmt::format("{:#x}", address);
  }

  /// A host instruction that says which site leaves: the site's number in this block.
  std::optional<uint32_t> site_named_by(const Disassembler::Text& text) const {
    if (text.instruction.mnemonic != ZYDIS_MNEMONIC_MOV) return {};
    const ZydisDecodedOperand& to = text.operands[0];
    const ZydisDecodedOperand& value = text.operands[1];
    if (to.type != ZYDIS_OPERAND_TYPE_MEMORY || value.type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
        to.mem.disp.value != block_.site_word)
      return {};
    const auto site = static_cast<uint32_t>(value.imm.value.u) - block_.first_site;
    return site < block_.sites.size() ? std::optional(site) : std::nullopt;
  }

  void side_by_side(const std::vector<std::string>& left, uint32_t from, uint32_t to) {
    if (from == to && left.size() == 1) return;
    size_t row = 0;
    const auto next_left = [&] { return row < left.size() ? left[row] : std::string(); };
    while (from < to || row < left.size()) {
      std::string right;
      if (from < to) {
        const bool cold = is_cold(from);
        const auto bytes = std::span(cold ? block_.cold : block_.code)
                               .subspan(from - (cold ? block_.cold_begin : block_.begin), to - from);
        const Disassembler::Text host = host_.at(bytes, from);
        right = fmt::format("{}  {}", label(from), host.text);
        if (const auto site = site_named_by(host)) right += fmt::format("   ; leaves: site {}", *site);
        from += host.length;
      }
      std::string line = fmt::format("{:{}}", next_left(), kLeftWidth);
      if (line.size() > kLeftWidth) line += "  ";
      line += right;
      line.erase(line.find_last_not_of(' ') + 1);
      text_ += line + "\n";
      ++row;
    }
    text_ += "\n";
  }

  void leaves() {
    text_ += "where it may leave\n";
    for (size_t i = 0; i < block_.sites.size(); ++i) {
      const Site& site = block_.sites[i];
      text_ += fmt::format("  site {:<3} {:#x}  {}", i, block_.rip + site.guest_offset, cause(site));
      if (site.kind == SiteKind::kJump) text_ += fmt::format(": {:#x}{}", site.target, symbol_(site.target));
      if (site.kind == SiteKind::kMemory)
        text_ += fmt::format(", {} of {}", site.write ? "write" : "read", number_of(site.size, "byte"));
      if (site.resume != kNone)
        text_ += "; goes on at " + (is_ours(site.resume) ? label(site.resume) : "what all returns share");
      const uint16_t aside = site.in_slot & static_cast<uint16_t>(~between_blocks());
      if (aside != 0) text_ += "; aside: " + registers(aside);
      if (site.flags_saved) text_ += "; flags aside";
      text_ += "\n";
    }
    if (block_.sites.empty()) text_ += "  nowhere\n";
  }

  const BlockCopy& block_;
  const uint64_t marked_;
  const Symbolizer& symbol_;
  Disassembler guest_, host_;
  std::string text_;
};

}  // namespace

std::string listing(const BlockCopy& block, uint64_t marked, const Symbolizer& symbol) {
  return Listing(block, marked, symbol).text();
}

}  // namespace eidolon::engine::translate
