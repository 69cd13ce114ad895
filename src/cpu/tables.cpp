// LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, with UMIP (SDM volume 2).
#include <cstring>

#include "base/try.h"
#include "cpu/handlers.h"

namespace eidolon::cpu::handlers {

namespace {

/// UMIP takes the store instructions from user code.
Outcome<> check_umip(const Operation& op) {
  if ((op.state.control.cr4 & x86::kCr4Umip) != 0) EIDOLON_TRY(op.require_ring0());
  return {};
}

Outcome<> load_table(const Operation& op, TableRegister& table) {
  EIDOLON_TRY(op.require_ring0());
  const bool long_code = op.instruction.code_size == isa::CodeSize::k64;
  uint8_t image[10];
  const unsigned base_size = long_code ? 8 : 4;
  EIDOLON_TRY(op.read_memory(op.operand(0), image, 2 + base_size));
  TableRegister loaded;
  std::memcpy(&loaded.limit, image, 2);
  std::memcpy(&loaded.base, image + 2, base_size);
  if (long_code && !is_canonical(loaded.base)) return raise_gp();
  if (op.operand_size() == 2) loaded.base &= 0xffffff;
  table = loaded;
  return {};
}

Outcome<> store_table(const Operation& op, const TableRegister& table) {
  EIDOLON_TRY(check_umip(op));
  uint8_t image[10];
  std::memcpy(image, &table.limit, 2);
  std::memcpy(image + 2, &table.base, 8);
  return op.write_memory(op.operand(0), image, op.instruction.code_size == isa::CodeSize::k64 ? 10 : 6);
}

Outcome<> store_selector(const Operation& op, uint16_t selector) {
  if (op.state.real_or_v86()) return raise_ud();
  EIDOLON_TRY(check_umip(op));
  return op.write(0, selector, op.is_memory(0) ? 2 : op.operand_size());
}

}  // namespace

Outcome<> lgdt(Operation& op) { return load_table(op, op.state.gdtr); }
Outcome<> lidt(Operation& op) { return load_table(op, op.state.idtr); }
Outcome<> sgdt(Operation& op) { return store_table(op, op.state.gdtr); }
Outcome<> sidt(Operation& op) { return store_table(op, op.state.idtr); }
Outcome<> sldt(Operation& op) { return store_selector(op, op.state.ldtr.selector); }
Outcome<> str(Operation& op) { return store_selector(op, op.state.tr.selector); }

Outcome<> lldt(Operation& op) {
  if (op.state.real_or_v86()) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  return load_ldtr(op.cpu, static_cast<uint16_t>(EIDOLON_TRY(op.read(0, 2))));
}

Outcome<> ltr(Operation& op) {
  if (op.state.real_or_v86()) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  return load_tr(op.cpu, static_cast<uint16_t>(EIDOLON_TRY(op.read(0, 2))));
}

}  // namespace eidolon::cpu::handlers
