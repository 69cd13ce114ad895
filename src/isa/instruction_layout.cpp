#include "isa/instruction_layout.h"

#include <array>

namespace eidolon::isa {

namespace {

/// What follows an opcode.
struct Tail {
  bool known = false;
  bool modrm = false;
  enum class Immediate : uint8_t {
    kNone,
    kByte,
    kByteInKey,  ///< its value decides about more than itself
    kWord,
    kFull,    ///< 2 or 4 bytes, by operand size
    kMove,    ///< the same, or 8 bytes
    kBranch,  ///< 4 bytes; not with an operand-size prefix
    kTest,    ///< of F6 and F7: only with ModRM.reg 0 and 1; a byte or full
  } immediate = Immediate::kNone;
};
using Immediate = Tail::Immediate;

consteval std::array<Tail, 256> one_byte_map() {
  std::array<Tail, 256> map{};
  const auto set = [&](unsigned first, unsigned last, bool modrm, Immediate immediate) {
    for (unsigned opcode = first; opcode <= last; ++opcode) map[opcode] = {true, modrm, immediate};
  };
  for (unsigned row = 0; row < 0x40; row += 8) {  // arithmetic
    set(row, row + 3, true, Immediate::kNone);
    set(row + 4, row + 4, false, Immediate::kByte);
    set(row + 5, row + 5, false, Immediate::kFull);
  }
  set(0x50, 0x5f, false, Immediate::kNone);  // push, pop
  set(0x63, 0x63, true, Immediate::kNone);
  set(0x68, 0x68, false, Immediate::kFull);
  set(0x69, 0x69, true, Immediate::kFull);
  set(0x6a, 0x6a, false, Immediate::kByte);
  set(0x6b, 0x6b, true, Immediate::kByte);
  set(0x70, 0x7f, false, Immediate::kByte);  // jcc
  set(0x80, 0x80, true, Immediate::kByte);
  set(0x81, 0x81, true, Immediate::kFull);
  set(0x83, 0x83, true, Immediate::kByte);
  set(0x84, 0x8b, true, Immediate::kNone);
  set(0x8d, 0x8d, true, Immediate::kNone);
  set(0x90, 0x99, false, Immediate::kNone);
  set(0xa4, 0xa7, false, Immediate::kNone);
  set(0xa8, 0xa8, false, Immediate::kByte);
  set(0xa9, 0xa9, false, Immediate::kFull);
  set(0xaa, 0xaf, false, Immediate::kNone);
  set(0xb0, 0xb7, false, Immediate::kByte);
  set(0xb8, 0xbf, false, Immediate::kMove);
  set(0xc0, 0xc1, true, Immediate::kByteInKey);  // shifts: a count of 0 leaves the flags alone
  set(0xc2, 0xc2, false, Immediate::kWord);
  set(0xc3, 0xc3, false, Immediate::kNone);
  set(0xc6, 0xc6, true, Immediate::kByte);
  set(0xc7, 0xc7, true, Immediate::kFull);
  set(0xc9, 0xc9, false, Immediate::kNone);
  set(0xd0, 0xd3, true, Immediate::kNone);
  set(0xd8, 0xdf, true, Immediate::kNone);  // x87
  set(0xe8, 0xe9, false, Immediate::kBranch);
  set(0xeb, 0xeb, false, Immediate::kByte);
  set(0xf6, 0xf7, true, Immediate::kTest);
  set(0xfe, 0xff, true, Immediate::kNone);
  return map;
}

/// 0F.
consteval std::array<Tail, 256> two_byte_map() {
  std::array<Tail, 256> map{};
  const auto set = [&](unsigned first, unsigned last, bool modrm, Immediate immediate) {
    for (unsigned opcode = first; opcode <= last; ++opcode) map[opcode] = {true, modrm, immediate};
  };
  set(0x10, 0x1f, true, Immediate::kNone);
  set(0x28, 0x2f, true, Immediate::kNone);
  set(0x40, 0x6f, true, Immediate::kNone);
  set(0x70, 0x73, true, Immediate::kByteInKey);
  set(0x74, 0x76, true, Immediate::kNone);
  set(0x7c, 0x7f, true, Immediate::kNone);
  set(0x80, 0x8f, false, Immediate::kBranch);
  set(0x90, 0x9f, true, Immediate::kNone);
  set(0xa3, 0xa3, true, Immediate::kNone);
  set(0xa4, 0xa4, true, Immediate::kByteInKey);
  set(0xa5, 0xa5, true, Immediate::kNone);
  set(0xab, 0xab, true, Immediate::kNone);
  set(0xac, 0xac, true, Immediate::kByteInKey);
  set(0xad, 0xad, true, Immediate::kNone);
  set(0xaf, 0xb1, true, Immediate::kNone);
  set(0xb3, 0xb3, true, Immediate::kNone);
  set(0xb6, 0xb8, true, Immediate::kNone);
  set(0xba, 0xba, true, Immediate::kByteInKey);
  set(0xbb, 0xc1, true, Immediate::kNone);
  set(0xc2, 0xc2, true, Immediate::kByteInKey);
  set(0xc3, 0xc3, true, Immediate::kNone);
  set(0xc4, 0xc6, true, Immediate::kByteInKey);
  set(0xc8, 0xcf, false, Immediate::kNone);
  set(0xd0, 0xfe, true, Immediate::kNone);
  return map;
}

constexpr auto kOneByte = one_byte_map();
constexpr auto kTwoByte = two_byte_map();
constexpr Tail k0f38{true, true, Immediate::kNone};
constexpr Tail k0f3a{true, true, Immediate::kByteInKey};

bool is_prefix(uint8_t byte) {
  return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0x64 || byte == 0x65;
}

unsigned displacement_size(uint8_t modrm, uint8_t sib) {
  const unsigned mod = modrm >> 6, rm = modrm & 7;
  if (mod == 1) return 1;
  if (mod == 2) return 4;
  if (mod == 3) return 0;
  return rm == 5 || (rm == 4 && (sib & 7) == 5) ? 4 : 0;
}

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] unsigned at() const { return at_; }
  [[nodiscard]] bool fits(unsigned size) const { return size <= bytes_.size() - at_; }
  [[nodiscard]] uint8_t peek() const { return bytes_[at_]; }
  /// One byte more, into the key. `fits` was asked.
  uint8_t take() {
    const uint8_t byte = bytes_[at_++];
    key_ |= uint64_t{byte} << shift_;
    shift_ += 8;
    return byte;
  }
  void skip(unsigned size) { at_ += size; }
  [[nodiscard]] uint64_t key() const { return key_; }

 private:
  std::span<const uint8_t> bytes_;
  unsigned at_ = 0, shift_ = 0;
  uint64_t key_ = 0;
};

}  // namespace

std::optional<InstructionLayout> instruction_layout(CodeSize size, std::span<const uint8_t> bytes) {
  constexpr unsigned kMostBeforeModrm = 5;
  // Instructions close to the end of their page are not worth a check at each byte.
  if (bytes.size() < kMostBeforeModrm + 3 || size == CodeSize::k16) return std::nullopt;
  Reader reader(bytes);
  bool narrow = false;
  uint8_t rex = 0;
  if (is_prefix(reader.peek())) narrow = reader.take() == 0x66;
  if (size == CodeSize::k64 && (reader.peek() & 0xf0) == 0x40) rex = reader.take();
  uint8_t opcode = reader.take();
  const Tail* tail = &kOneByte[opcode];
  const bool two_bytes = opcode == 0x0f;
  if (two_bytes) {
    opcode = reader.take();
    tail = &kTwoByte[opcode];
    if (opcode == 0x38 || opcode == 0x3a) {
      tail = opcode == 0x38 ? &k0f38 : &k0f3a;
      (void)reader.take();
    }
  }
  if (!tail->known) return std::nullopt;

  InstructionLayout layout{};
  uint8_t modrm = 0;
  if (tail->modrm) {
    modrm = reader.take();
    const bool has_sib = modrm < 0xc0 && (modrm & 7) == 4;
    const uint8_t sib = has_sib ? reader.take() : uint8_t{0};
    layout.displacement_at = static_cast<uint8_t>(reader.at());
    layout.displacement_size = static_cast<uint8_t>(displacement_size(modrm, sib));
    if (!reader.fits(layout.displacement_size + 1u)) return std::nullopt;
    reader.skip(layout.displacement_size);
  }

  const unsigned full = narrow ? 2 : 4;
  unsigned immediate = 0;
  switch (tail->immediate) {
    case Immediate::kNone:
      break;
    case Immediate::kByte:
      immediate = 1;
      break;
    case Immediate::kByteInKey:
      (void)reader.take();  // there is one byte more
      break;
    case Immediate::kWord:
      immediate = 2;
      break;
    case Immediate::kFull:
      immediate = (rex & 8) != 0 ? 4 : full;
      break;
    case Immediate::kMove:
      immediate = (rex & 8) != 0 ? 8 : full;
      break;
    case Immediate::kBranch:
      if (narrow) return std::nullopt;
      immediate = 4;
      break;
    case Immediate::kTest:
      if ((modrm & 0x30) == 0) immediate = (opcode & 1) == 0 ? 1 : (rex & 8) != 0 ? 4 : full;
      break;
  }
  if (!reader.fits(immediate)) return std::nullopt;
  layout.immediate_at = static_cast<uint8_t>(reader.at());
  layout.immediate_size = static_cast<uint8_t>(immediate);
  reader.skip(immediate);
  layout.length = static_cast<uint8_t>(reader.at());
  layout.key = reader.key();
  return layout;
}

}  // namespace eidolon::isa
