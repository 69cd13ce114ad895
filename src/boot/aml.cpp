#include "boot/aml.h"

#include "boot/image.h"

namespace eidolon::boot::aml {

namespace {

enum Opcode : uint8_t {
  kZero = 0x00,
  kOne = 0x01,
  kName = 0x08,
  kByte = 0x0a,
  kWord = 0x0b,
  kDword = 0x0c,
  kQword = 0x0e,
  kScope = 0x10,
  kBuffer = 0x11,
  kPackage = 0x12,
  kExtended = 0x5b,
  kDevice = 0x82,     ///< after kExtended
  kProcessor = 0x83,  ///< after kExtended
};

/// A term's length counts itself, in one to four bytes (20.2.4).
Bytes with_length(const Bytes& contents) {
  const size_t size = contents.size();
  Bytes result;
  if (size + 1 < 64) {
    result.push_back(static_cast<uint8_t>(size + 1));
  } else {
    const unsigned follow = size + 2 < 1u << 12 ? 1 : size + 3 < 1u << 20 ? 2 : 3;
    const size_t length = size + 1 + follow;
    result.push_back(static_cast<uint8_t>(follow << 6 | (length & 0xf)));
    for (unsigned i = 0; i < follow; ++i) result.push_back(static_cast<uint8_t>(length >> (4 + 8 * i)));
  }
  return join({result, contents});
}

/// A path of one segment, padded with underscores (20.2.2).
Bytes path(std::string_view text) {
  Bytes result;
  if (text.starts_with('\\')) {
    result.push_back('\\');
    text.remove_prefix(1);
  }
  for (unsigned i = 0; i < 4; ++i) result.push_back(i < text.size() ? static_cast<uint8_t>(text[i]) : '_');
  return result;
}

template <typename T>
Bytes number(Opcode opcode, uint64_t value) {
  Bytes result{opcode};
  append(result, static_cast<T>(value));
  return result;
}

uint8_t hex_digit(char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'A' + 10); }

}  // namespace

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes result;
  for (const Bytes& part : parts) result.insert(result.end(), part.begin(), part.end());
  return result;
}

Bytes integer(uint64_t value) {
  if (value <= 1) return {value == 0 ? kZero : kOne};
  if (value <= 0xff) return number<uint8_t>(kByte, value);
  if (value <= 0xffff) return number<uint16_t>(kWord, value);
  if (value <= 0xffffffff) return number<uint32_t>(kDword, value);
  return number<uint64_t>(kQword, value);
}

Bytes eisa_id(std::string_view id) {
  uint32_t packed = 0;  // three letters of five bits, four hexadecimal digits; most significant byte first
  for (unsigned i = 0; i < 3; ++i) packed = packed << 5 | (static_cast<uint32_t>(id[i] - '@') & 0x1f);
  for (unsigned i = 3; i < 7; ++i) packed = packed << 4 | hex_digit(id[i]);
  return number<uint32_t>(kDword, __builtin_bswap32(packed));
}

Bytes package(std::initializer_list<Bytes> elements) {
  return join({{kPackage}, with_length(join({{static_cast<uint8_t>(elements.size())}, join(elements)}))});
}

Bytes name(std::string_view name, const Bytes& value) { return join({{kName}, path(name), value}); }

Bytes scope(std::string_view name, const Bytes& contents) {
  return join({{kScope}, with_length(join({path(name), contents}))});
}

Bytes device(std::string_view name, const Bytes& contents) {
  return join({{kExtended, kDevice}, with_length(join({path(name), contents}))});
}

Bytes processor(std::string_view name, uint8_t id) {
  // No processor register block: its address and length are zero.
  return join({{kExtended, kProcessor}, with_length(join({path(name), {id, 0, 0, 0, 0, 0}}))});
}

Bytes io(uint16_t base, uint8_t length) {
  Bytes result{0x47, 0x01};  // decodes 16 bits
  append(result, base);
  append(result, base);
  append<uint8_t>(result, 1);
  append(result, length);
  return result;
}

Bytes irq(unsigned number) {
  Bytes result{0x22};  // edge, high, exclusive
  append(result, static_cast<uint16_t>(1u << number));
  return result;
}

Bytes memory32(uint32_t base, uint32_t length) {
  Bytes result{0x86, 9, 0, 0};  // read-only
  append(result, base);
  append(result, length);
  return result;
}

Bytes resource_template(std::initializer_list<Bytes> resources) {
  const Bytes data = join({join(resources), {0x79, 0}});  // end tag; a checksum of zero is not checked
  return join({{kBuffer}, with_length(join({integer(data.size()), data}))});
}

}  // namespace eidolon::boot::aml
