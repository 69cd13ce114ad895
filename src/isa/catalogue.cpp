// The table of catalogue_table.h spread out to one row per mnemonic, at compile time; and the refinements of
// those rows that have variants, by opcode map and opcode (SDM volume 2, appendix A).
#include "isa/catalogue.h"

#include <algorithm>
#include <array>

#include "isa/catalogue_table.h"

namespace eidolon::isa {

namespace {

constexpr size_t kRowCount = size_t{ZYDIS_MNEMONIC_MAX_VALUE} + 1;

// A throw that is reached during constant evaluation stops the compilation.
consteval std::array<Row, kRowCount> build_rows() {
  std::array<Row, kRowCount> rows{};
  std::array<bool, kRowCount> filled{};
  rows[0] = {ZYDIS_MNEMONIC_INVALID, Class::kUnsupported, Privilege::kNone, Variant::kNone};
  filled[0] = true;
  for (const table::Group& group : table::kGroups) {
    for (const ZydisMnemonic mnemonic : group.mnemonics) {
      if (filled[mnemonic]) throw "a mnemonic has two rows";
      filled[mnemonic] = true;
      rows[mnemonic] = {mnemonic, group.klass, group.privilege, group.variant};
    }
  }
  for (const bool present : filled) {
    if (!present) throw "a mnemonic has no row";
  }
  return rows;
}

constexpr std::array<Row, kRowCount> kRows = build_rows();

constexpr bool is_hole(const Row& row) {
  return (is_sensitive(row.klass) && row.privilege == Privilege::kNone) || row.variant == Variant::kMove ||
         row.variant == Variant::kPushPop || row.variant == Variant::kFar;
}

constexpr size_t kHoleCount = static_cast<size_t>(std::count_if(kRows.begin(), kRows.end(), is_hole));

consteval std::array<ZydisMnemonic, kHoleCount> build_holes() {
  std::array<ZydisMnemonic, kHoleCount> holes{};
  size_t count = 0;
  for (const Row& row : kRows) {
    if (is_hole(row)) holes[count++] = row.mnemonic;
  }
  return holes;
}

constexpr std::array<ZydisMnemonic, kHoleCount> kHoles = build_holes();

const Row& row_of(const ZydisDecodedInstruction& instruction) {
  return kRows[std::min<size_t>(instruction.mnemonic, kRowCount - 1)];
}

bool is_system_register_move(const ZydisDecodedInstruction& instruction) {
  return instruction.opcode_map == ZYDIS_OPCODE_MAP_0F;  // 0F 20..23; every other mov is in the one-byte map
}

Class classify_move(const ZydisDecodedInstruction& instruction) {
  if (is_system_register_move(instruction)) return Class::kControlSensitive;
  const bool segment = instruction.opcode == 0x8c || instruction.opcode == 0x8e;
  return segment ? Class::kBehaviourSensitive : Class::kInnocuous;
}

/// General registers, immediates and memory are pushed and popped by 50..5F, 68, 6A, FF and 8F; everything
/// else names a segment register.
Class classify_push_pop(const ZydisDecodedInstruction& instruction) {
  const bool segment = instruction.opcode_map == ZYDIS_OPCODE_MAP_0F || instruction.opcode < 0x50;
  return segment ? Class::kBehaviourSensitive : Class::kStack;
}

Class classify_bit_string(const ZydisDecodedInstruction& instruction) {
  const bool register_offset = instruction.opcode != 0xba;
  return register_offset && instruction.raw.modrm.mod != 3 ? Class::kImplicitMemory : Class::kInnocuous;
}

}  // namespace

std::span<const Row> catalogue() { return kRows; }

std::span<const ZydisMnemonic> virtualization_holes() { return kHoles; }

Class classify(const ZydisDecodedInstruction& instruction) {
  const Row& row = row_of(instruction);
  switch (row.variant) {
    case Variant::kNone:
      return row.klass;
    case Variant::kMove:
      return classify_move(instruction);
    case Variant::kPushPop:
      return classify_push_pop(instruction);
    case Variant::kFar:
      return instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ? Class::kControlSensitive : row.klass;
    case Variant::kBitString:
      return classify_bit_string(instruction);
    case Variant::kStringOrSse:
      return instruction.meta.category == ZYDIS_CATEGORY_STRINGOP ? Class::kString : row.klass;
  }
  return row.klass;
}

Privilege privilege(const ZydisDecodedInstruction& instruction) {
  const Row& row = row_of(instruction);
  if (row.variant == Variant::kMove && is_system_register_move(instruction)) return Privilege::kRing0;
  return row.privilege;
}

}  // namespace eidolon::isa
