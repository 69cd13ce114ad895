#include "control/gdb_registers.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <vector>

#include "cpu/linear.h"
#include "cpu/state_image.h"

namespace eidolon::control {

namespace {

using cpu::State;
using Legacy = cpu::image::Legacy;

enum class Feature : uint8_t { kCore, kSse, kSegments, kSystem };

/// One register, or a row of them.
struct Register {
  std::string name;
  unsigned size;  ///< in bytes
  const char* type;
  Feature feature;
  /// The value, of up to 16 bytes, little-endian.
  std::array<uint8_t, 16> (*read)(const State& state, unsigned index);
  bool (*write)(State& state, unsigned index, const uint8_t* bytes);
  unsigned index = 0;
  const char* group = nullptr;  ///< in which "info registers" shows it; null: as its type says
};

template <typename T>
std::array<uint8_t, 16> bytes_of(T value) {
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
template <typename T>
T value_of(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// General registers, in GDB's order.
constexpr std::array kGeneral = {x86::kRax, x86::kRbx, x86::kRcx, x86::kRdx, x86::kRsi, x86::kRdi,
                                 x86::kRbp, x86::kRsp, x86::kR8,  x86::kR9,  x86::kR10, x86::kR11,
                                 x86::kR12, x86::kR13, x86::kR14, x86::kR15};
constexpr std::array kGeneralNames = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
auto read_general(const State& state, unsigned index) { return bytes_of(state.gpr[kGeneral[index]]); }
bool write_general(State& state, unsigned index, const uint8_t* bytes) {
  state.gpr[kGeneral[index]] = value_of<uint64_t>(bytes);
  return true;
}

auto read_rip(const State& state, unsigned) { return bytes_of(state.rip); }
bool write_rip(State& state, unsigned, const uint8_t* bytes) {
  state.rip = value_of<uint64_t>(bytes);
  return true;
}

auto read_eflags(const State& state, unsigned) { return bytes_of(static_cast<uint32_t>(state.rflags)); }
/// Not those that make another mode of it, or that are no flags.
bool write_eflags(State& state, unsigned, const uint8_t* bytes) {
  constexpr uint64_t kWritable = x86::kFlagsArithmetic | x86::kFlagTf | x86::kFlagIf | x86::kFlagDf |
                                 x86::kFlagIopl | x86::kFlagNt | x86::kFlagRf | x86::kFlagAc | x86::kFlagId;
  const uint64_t value = value_of<uint32_t>(bytes);
  if (((value ^ state.rflags) & ~kWritable) != 0) return false;
  state.rflags = value;
  return true;
}

constexpr std::array kSegments = {x86::kCs, x86::kSs, x86::kDs, x86::kEs, x86::kFs, x86::kGs};
constexpr std::array kSegmentNames = {"cs", "ss", "ds", "es", "fs", "gs"};
auto read_segment(const State& state, unsigned index) {
  return bytes_of(uint32_t{state.segment[kSegments[index]].selector});
}

// x87 and SSE: the image that FXSAVE writes (SDM volume 1, table 10-2).
auto read_st(const State& state, unsigned index) {
  const Legacy image = cpu::image::guest_legacy(state.fpu);
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), image.data() + cpu::image::kSt + index * 16, 10);
  return bytes;
}
bool write_st(State& state, unsigned index, const uint8_t* bytes) {
  Legacy image = cpu::image::guest_legacy(state.fpu);
  std::memcpy(image.data() + cpu::image::kSt + index * 16, bytes, 10);
  cpu::image::set_x87(state.fpu, image.data());
  return true;
}

enum X87 : unsigned { kControl, kStatus, kTag };
constexpr std::array kX87Names = {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"};
constexpr unsigned kTagEmpty = 3;

/// Two bits a register: empty or not.
uint32_t full_tag_word(uint8_t abridged) {
  uint32_t word = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((abridged >> i & 1) == 0) word |= kTagEmpty << (i * 2);
  return word;
}
uint8_t abridged_tag_word(uint32_t word) {
  unsigned abridged = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((word >> (i * 2) & kTagEmpty) != kTagEmpty) abridged |= 1u << i;
  return static_cast<uint8_t>(abridged);
}

/// Of the last instruction's addresses no guest is told, nor is GDB.
auto read_x87(const State& state, unsigned index) {
  const Legacy image = cpu::image::guest_legacy(state.fpu);
  uint32_t value = 0;
  if (index == kControl) value = cpu::image::load<uint16_t>(image.data(), cpu::image::kFcw);
  if (index == kStatus) value = cpu::image::load<uint16_t>(image.data(), cpu::image::kFsw);
  if (index == kTag) value = full_tag_word(image[cpu::image::kFtw]);
  return bytes_of(value);
}
bool write_x87(State& state, unsigned index, const uint8_t* bytes) {
  const auto value = value_of<uint32_t>(bytes);
  if (index > kTag) return value == 0;
  Legacy image = cpu::image::guest_legacy(state.fpu);
  if (index == kControl) cpu::image::store(image.data(), cpu::image::kFcw, static_cast<uint16_t>(value));
  if (index == kStatus) cpu::image::store(image.data(), cpu::image::kFsw, static_cast<uint16_t>(value));
  if (index == kTag) image[cpu::image::kFtw] = abridged_tag_word(value);
  cpu::image::set_x87(state.fpu, image.data());
  return true;
}

auto read_xmm(const State& state, unsigned index) {
  const Legacy image = cpu::image::guest_legacy(state.fpu);
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), image.data() + cpu::image::kXmm + index * 16, 16);
  return bytes;
}
bool write_xmm(State& state, unsigned index, const uint8_t* bytes) {
  cpu::image::materialize_xmm(state.fpu);
  std::memcpy(state.fpu.bytes.data() + cpu::image::kXmm + index * 16, bytes, 16);
  return true;
}

auto read_mxcsr(const State& state, unsigned) {
  const Legacy image = cpu::image::guest_legacy(state.fpu);
  return bytes_of(cpu::image::load<uint32_t>(image.data(), cpu::image::kMxcsr));
}
bool write_mxcsr(State& state, unsigned, const uint8_t* bytes) {
  const auto value = value_of<uint32_t>(bytes);
  if ((value & ~cpu::image::kMxcsrDefined) != 0) return false;
  cpu::image::store(state.fpu.bytes.data(), cpu::image::kMxcsr, value);
  return true;
}

enum Base : unsigned { kFsBase, kGsBase, kKernelGsBase };
/// `AnyState` is State, const or not.
template <typename AnyState>
auto& base(AnyState& state, unsigned index) {
  if (index == kKernelGsBase) return state.kernel_gs_base;
  return state.segment[index == kFsBase ? x86::kFs : x86::kGs].base;
}
auto read_base(const State& state, unsigned index) { return bytes_of(base(state, index)); }
bool write_base(State& state, unsigned index, const uint8_t* bytes) {
  const auto value = value_of<uint64_t>(bytes);
  if (!cpu::is_canonical(value)) return false;
  base(state, index) = value;
  return true;
}

enum Control : unsigned { kCr0, kCr2, kCr3, kCr4, kEfer };
auto read_control(const State& state, unsigned index) {
  const std::array values = {state.control.cr0, state.cr2, state.control.cr3, state.control.cr4,
                             state.control.efer};
  return bytes_of(values[index]);
}

/// For what can only be written with the value that it has.
bool refuse(State&, unsigned, const uint8_t*) { return false; }

std::vector<Register> all_registers() {
  std::vector<Register> all;
  for (unsigned i = 0; i < kGeneral.size(); ++i) {
    const bool points = kGeneral[i] == x86::kRbp || kGeneral[i] == x86::kRsp;
    all.push_back(
        {kGeneralNames[i], 8, points ? "data_ptr" : "int64", Feature::kCore, read_general, write_general, i});
  }
  all.push_back({"rip", 8, "code_ptr", Feature::kCore, read_rip, write_rip});
  all.push_back({"eflags", 4, "i386_eflags", Feature::kCore, read_eflags, write_eflags});
  for (unsigned i = 0; i < kSegments.size(); ++i)
    all.push_back({kSegmentNames[i], 4, "int32", Feature::kCore, read_segment, refuse, i});
  for (unsigned i = 0; i < 8; ++i)
    all.push_back({fmt::format("st{}", i), 10, "i387_ext", Feature::kCore, read_st, write_st, i});
  for (unsigned i = 0; i < kX87Names.size(); ++i)
    all.push_back({kX87Names[i], 4, "int", Feature::kCore, read_x87, write_x87, i, "float"});
  for (unsigned i = 0; i < 16; ++i)
    all.push_back({fmt::format("xmm{}", i), 16, "vec128", Feature::kSse, read_xmm, write_xmm, i});
  all.push_back({"mxcsr", 4, "i386_mxcsr", Feature::kSse, read_mxcsr, write_mxcsr, 0, "vector"});
  all.push_back({"fs_base", 8, "int", Feature::kSegments, read_base, write_base, kFsBase});
  all.push_back({"gs_base", 8, "int", Feature::kSegments, read_base, write_base, kGsBase});
  all.push_back({"k_gs_base", 8, "int64", Feature::kSystem, read_base, write_base, kKernelGsBase});
  constexpr std::array kControlNames = {"cr0", "cr2", "cr3", "cr4", "efer"};
  for (unsigned i = 0; i < kControlNames.size(); ++i)
    all.push_back({kControlNames[i], 8, "int64", Feature::kSystem, read_control, refuse, i});
  return all;
}

const std::vector<Register>& registers() {
  static const std::vector<Register> all = all_registers();
  return all;
}

std::string read(const State& state, const Register& from) {
  const std::array<uint8_t, 16> bytes = from.read(state, from.index);
  return {reinterpret_cast<const char*>(bytes.data()), from.size};  // SAFETY: bytes as characters
}

bool write(State& state, const Register& to, std::string_view bytes) {
  if (bytes.size() != to.size) return false;
  if (bytes == read(state, to)) return true;
  return to.write(state, to.index, reinterpret_cast<const uint8_t*>(bytes.data()));  // SAFETY: as in read()
}

std::string feature_name(Feature feature) {
  switch (feature) {
    case Feature::kCore:
      return "org.gnu.gdb.i386.core";
    case Feature::kSse:
      return "org.gnu.gdb.i386.sse";
    case Feature::kSegments:
      return "org.gnu.gdb.i386.segments";
    case Feature::kSystem:
      break;
  }
  return "eidolon.i386.system";
}

/// What GDB's own descriptions call the bits (gdb/features/i386/64bit-core.xml and 64bit-sse.xml).
constexpr std::string_view kCoreTypes =
    R"(<flags id="i386_eflags" size="4">
<field name="" start="22" end="31"/>
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/>
<field name="PF" start="2" end="2"/><field name="AF" start="4" end="4"/>
<field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/>
<field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/>
<field name="DF" start="10" end="10"/><field name="OF" start="11" end="11"/>
<field name="NT" start="14" end="14"/><field name="RF" start="16" end="16"/>
<field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/>
<field name="VIF" start="19" end="19"/><field name="VIP" start="20" end="20"/>
<field name="ID" start="21" end="21"/>
</flags>
)";
constexpr std::string_view kSseTypes =
    R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
<flags id="i386_mxcsr" size="4">
<field name="IE" start="0" end="0"/><field name="DE" start="1" end="1"/>
<field name="ZE" start="2" end="2"/><field name="OE" start="3" end="3"/>
<field name="UE" start="4" end="4"/><field name="PE" start="5" end="5"/>
<field name="DAZ" start="6" end="6"/><field name="IM" start="7" end="7"/>
<field name="DM" start="8" end="8"/><field name="ZM" start="9" end="9"/>
<field name="OM" start="10" end="10"/><field name="UM" start="11" end="11"/>
<field name="PM" start="12" end="12"/><field name="FZ" start="15" end="15"/>
</flags>
)";

std::string describe() {
  std::string text =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
      "<architecture>i386:x86-64</architecture>\n";
  for (const Feature feature : {Feature::kCore, Feature::kSse, Feature::kSegments, Feature::kSystem}) {
    text += fmt::format("<feature name=\"{}\">\n", feature_name(feature));
    if (feature == Feature::kCore) text += kCoreTypes;
    if (feature == Feature::kSse) text += kSseTypes;
    for (size_t number = 0; number < registers().size(); ++number) {
      const Register& one = registers()[number];
      if (one.feature != feature) continue;
      text += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\" regnum=\"{}\"", one.name, one.size * 8,
                          one.type, number);
      if (one.group != nullptr) text += fmt::format(" group=\"{}\"", one.group);
      text += "/>\n";
    }
    text += "</feature>\n";
  }
  return text + "</target>\n";
}

}  // namespace

size_t gdb_registers() { return registers().size(); }

std::optional<std::string> read_gdb_register(const State& state, size_t number) {
  if (number >= registers().size()) return std::nullopt;
  return read(state, registers()[number]);
}

bool write_gdb_register(State& state, size_t number, std::string_view bytes) {
  return number < registers().size() && write(state, registers()[number], bytes);
}

std::string read_gdb_registers(const State& state) {
  std::string bytes;
  for (const Register& one : registers()) bytes += read(state, one);
  return bytes;
}

bool write_gdb_registers(State& state, std::string_view bytes) {
  State changed = state;
  for (const Register& one : registers()) {
    if (!write(changed, one, bytes.substr(0, one.size))) return false;
    bytes.remove_prefix(one.size);
  }
  if (!bytes.empty()) return false;
  state = changed;
  return true;
}

const std::string& gdb_target_description() {
  static const std::string text = describe();
  return text;
}

}  // namespace eidolon::control
