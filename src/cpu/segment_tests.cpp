// LAR, LSL, VERR, VERW: what may the caller do with a selector? (SDM volume 2.) They answer in ZF and never
// fault because of the selector; only the fetch of the descriptor itself may raise #PF.
#include <optional>

#include "base/try.h"
#include "cpu/handlers.h"

namespace eidolon::cpu::handlers {

namespace {

using x86::Descriptor;

constexpr uint32_t type_bit(unsigned type) { return 1u << type; }

constexpr uint32_t kLslTypes = type_bit(x86::kTss16Available) | type_bit(x86::kLdt) |
                               type_bit(x86::kTss16Busy) | type_bit(x86::kTss32Available) |
                               type_bit(x86::kTss32Busy);
constexpr uint32_t kLarTypes =
    kLslTypes | type_bit(x86::kCallGate16) | type_bit(x86::kTaskGate) | type_bit(x86::kCallGate32);
/// System types that IA-32e mode knows.
constexpr uint32_t kLongTypes = type_bit(x86::kLdt) | type_bit(x86::kTss32Available) |
                                type_bit(x86::kTss32Busy) | type_bit(x86::kCallGate32);

/// The descriptor, if the selector names one inside its table; nullopt if not.
Outcome<std::optional<Descriptor>> look_up(const Operation& op, uint16_t selector) {
  if (x86::selector_is_null(selector)) return std::nullopt;
  const auto descriptor = read_descriptor(op.cpu, selector);
  if (descriptor) return *descriptor;
  if (descriptor.error().vector == x86::kPageFault) return std::unexpected(descriptor.error());
  return std::nullopt;
}

[[nodiscard]] bool is_conforming(const Descriptor& descriptor) {
  return descriptor.is_code() && (descriptor.type() & x86::kAttrConforming) != 0;
}

/// Whether CPL and RPL reach the segment.
[[nodiscard]] bool reachable(const Operation& op, const Descriptor& descriptor, uint16_t selector) {
  return is_conforming(descriptor) ||
         (descriptor.dpl() >= op.cpl() && descriptor.dpl() >= x86::selector_rpl(selector));
}

void set_zf(Operation& op, bool value) {
  op.state.rflags = value ? op.state.rflags | x86::kFlagZf : op.state.rflags & ~x86::kFlagZf;
}

/// LAR and LSL: `value` gives the result of a descriptor that passes the tests.
template <typename Value>
Outcome<> load_property(Operation& op, uint32_t system_types, Value value) {
  if (op.state.real_or_v86()) return raise_ud();
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(op.read(1, 2)));
  const std::optional<Descriptor> descriptor = EIDOLON_TRY(look_up(op, selector));
  if (op.state.long_mode()) system_types &= kLongTypes;
  const bool passes = descriptor &&
                      (!descriptor->is_system() || (system_types & type_bit(descriptor->type())) != 0) &&
                      reachable(op, *descriptor, selector);
  set_zf(op, passes);
  if (!passes) return {};
  return op.write(0, value(*descriptor), op.operand_size());
}

template <typename Allows>
Outcome<> verify(Operation& op, Allows allows) {
  if (op.state.real_or_v86()) return raise_ud();
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(op.read(0, 2)));
  const std::optional<Descriptor> descriptor = EIDOLON_TRY(look_up(op, selector));
  set_zf(op, descriptor && !descriptor->is_system() && allows(*descriptor) &&
                 reachable(op, *descriptor, selector));
  return {};
}

}  // namespace

Outcome<> lar(Operation& op) {
  return load_property(op, kLarTypes, [](const Descriptor& d) { return (d.raw >> 32) & 0x00ffff00; });
}

Outcome<> lsl(Operation& op) {
  return load_property(op, kLslTypes, [](const Descriptor& d) { return uint64_t{d.limit()}; });
}

Outcome<> verr(Operation& op) {
  return verify(op, [](const Descriptor& d) { return !d.is_code() || (d.type() & x86::kAttrReadable) != 0; });
}

Outcome<> verw(Operation& op) {
  return verify(op, [](const Descriptor& d) { return !d.is_code() && (d.type() & x86::kAttrWritable) != 0; });
}

}  // namespace eidolon::cpu::handlers
