#include "boot/aml.h"

#include <algorithm>
#include <ranges>

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
  kString = 0x0d,
  kQword = 0x0e,
  kScope = 0x10,
  kBuffer = 0x11,
  kPackage = 0x12,
  kMethod = 0x14,
  kDualPath = 0x2e,
  kLongPath = 0x2f,
  kExtended = 0x5b,
  kLocal = 0x60,
  kArgument = 0x68,
  kStore = 0x70,
  kNotify = 0x86,
  kEqual = 0x93,
  kIf = 0xa0,
  kElse = 0xa1,
  kWhile = 0xa2,
  kReturn = 0xa4,
  // After kExtended.
  kMutex = 0x01,
  kAcquire = 0x23,
  kRelease = 0x27,
  kRegion = 0x80,
  kField = 0x81,
  kDevice = 0x82,
};

/// A length as 20.2.4 packs it, with `follow` bytes behind the first.
Bytes packed_length(size_t length, unsigned follow) {
  if (follow == 0) return {static_cast<uint8_t>(length)};
  Bytes result{static_cast<uint8_t>(follow << 6 | (length & 0xf))};
  for (unsigned i = 0; i < follow; ++i) result.push_back(static_cast<uint8_t>(length >> (4 + 8 * i)));
  return result;
}

/// A term's length counts itself, in one to four bytes.
Bytes with_length(const Bytes& contents) {
  const size_t size = contents.size();
  const unsigned follow = size + 1 < 64 ? 0 : size + 2 < 1u << 12 ? 1 : size + 3 < 1u << 20 ? 2 : 3;
  return join({packed_length(size + 1 + follow, follow), contents});
}

/// One segment, padded with underscores, or several (20.2.2).
Bytes path(std::string_view text) {
  Bytes result;
  if (text.starts_with('\\')) {
    result.push_back('\\');
    text.remove_prefix(1);
  }
  const auto dots = static_cast<unsigned>(std::ranges::count(text, '.'));
  if (dots == 1) result.push_back(kDualPath);
  if (dots > 1) result.insert(result.end(), {kLongPath, static_cast<uint8_t>(dots + 1)});
  for (const auto segment : std::views::split(text, '.')) {
    const auto size = static_cast<unsigned>(segment.size());
    for (unsigned i = 0; i < 4; ++i) result.push_back(i < size ? static_cast<uint8_t>(segment[i]) : '_');
  }
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

Bytes text(std::string_view value) { return join({{kString}, Bytes(value.begin(), value.end()), {0}}); }

Bytes eisa_id(std::string_view id) {
  uint32_t packed = 0;  // three letters of five bits, four hexadecimal digits; most significant byte first
  for (unsigned i = 0; i < 3; ++i) packed = packed << 5 | (static_cast<uint32_t>(id[i] - '@') & 0x1f);
  for (unsigned i = 3; i < 7; ++i) packed = packed << 4 | hex_digit(id[i]);
  return number<uint32_t>(kDword, __builtin_bswap32(packed));
}

Bytes buffer(const Bytes& contents) {
  return join({{kBuffer}, with_length(join({integer(contents.size()), contents}))});
}

Bytes package(std::initializer_list<Bytes> elements) { return package(std::vector<Bytes>(elements)); }

Bytes package(const std::vector<Bytes>& elements) {
  Bytes contents{static_cast<uint8_t>(elements.size())};
  for (const Bytes& element : elements) contents.insert(contents.end(), element.begin(), element.end());
  return join({{kPackage}, with_length(contents)});
}

Bytes name(std::string_view name, const Bytes& value) { return join({{kName}, path(name), value}); }

Bytes scope(std::string_view name, const Bytes& contents) {
  return join({{kScope}, with_length(join({path(name), contents}))});
}

Bytes device(std::string_view name, const Bytes& contents) {
  return join({{kExtended, kDevice}, with_length(join({path(name), contents}))});
}

Bytes method(std::string_view name, unsigned arguments, const Bytes& contents) {
  return join({{kMethod}, with_length(join({path(name), {static_cast<uint8_t>(arguments)}, contents}))});
}

Bytes argument(unsigned index) { return {static_cast<uint8_t>(kArgument + index)}; }
Bytes reference(std::string_view name) { return path(name); }
Bytes store(const Bytes& value, const Bytes& target) { return join({{kStore}, value, target}); }
Bytes give_back(const Bytes& value) { return join({{kReturn}, value}); }
Bytes when(const Bytes& condition, const Bytes& contents) {
  return join({{kIf}, with_length(join({condition, contents}))});
}

Bytes otherwise(const Bytes& contents) { return join({{kElse}, with_length(contents)}); }
Bytes loop(const Bytes& condition, const Bytes& contents) {
  return join({{kWhile}, with_length(join({condition, contents}))});
}
Bytes local(unsigned index) { return {static_cast<uint8_t>(kLocal + index)}; }
Bytes equal(const Bytes& left, const Bytes& right) { return join({{kEqual}, left, right}); }
Bytes notify(std::string_view device, const Bytes& value) { return join({{kNotify}, path(device), value}); }
Bytes call(std::string_view method, std::initializer_list<Bytes> arguments) {
  return join({path(method), join(arguments)});
}

Bytes port_region(std::string_view name, uint16_t port, uint8_t length) {
  constexpr uint8_t kPorts = 1;
  return join({{kExtended, kRegion}, path(name), {kPorts}, integer(port), integer(length)});
}

Bytes fields(std::string_view region, FieldAccess access, FieldRest rest,
             std::initializer_list<FieldBits> list) {
  Bytes contents = path(region);
  contents.push_back(static_cast<uint8_t>(static_cast<unsigned>(access) | static_cast<unsigned>(rest) << 5));
  for (const auto& [name, bits] : list) {
    const Bytes begin = name.empty() ? Bytes{0} : path(name);
    contents = join({contents, begin, packed_length(bits, bits < 64 ? 0 : 1)});
  }
  return join({{kExtended, kField}, with_length(contents)});
}

Bytes mutex(std::string_view name) { return join({{kExtended, kMutex}, path(name), {0}}); }
Bytes with_mutex(std::string_view name, const Bytes& contents) {
  return join({{kExtended, kAcquire}, path(name), {0xff, 0xff}, contents, {kExtended, kRelease}, path(name)});
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

Bytes shared_interrupt(uint32_t pin) {
  constexpr uint8_t kConsumer = 1, kActiveLow = 4, kShared = 8;  // 6.4.3.6; without bit 1, a level
  Bytes result{0x89, 6, 0, kConsumer | kActiveLow | kShared, 1};
  append(result, pin);
  return result;
}

Bytes memory32(uint32_t base, uint32_t length, bool writable) {
  Bytes result{0x86, 9, 0, static_cast<uint8_t>(writable)};
  append(result, base);
  append(result, length);
  return result;
}

namespace {

/// Word, double word and quad word address space descriptors (6.4.3.5): a producer, fixed at both ends.
template <typename T>
Bytes window(uint8_t tag, uint8_t type, uint8_t flags, T first, T last) {
  constexpr uint8_t kFixedEnds = 0x0c;
  Bytes result{tag};
  append(result, static_cast<uint16_t>(3 + 5 * sizeof(T)));
  append(result, type);
  append(result, kFixedEnds);
  append(result, flags);
  append<T>(result, 0);  // granularity
  append(result, first);
  append(result, last);
  append<T>(result, 0);  // translation
  append(result, static_cast<T>(last - first + 1));
  return result;
}

constexpr uint8_t kWordWindow = 0x88, kDwordWindow = 0x87, kQwordWindow = 0x8a;
constexpr uint8_t kMemoryType = 0, kIoType = 1, kBusType = 2;
constexpr uint8_t kReadWrite = 1, kEntireRange = 3;

}  // namespace

Bytes bus_window(uint16_t first, uint16_t last) {
  return window<uint16_t>(kWordWindow, kBusType, 0, first, last);
}
Bytes io_window(uint16_t first, uint16_t last) {
  return window<uint16_t>(kWordWindow, kIoType, kEntireRange, first, last);
}
Bytes memory_window32(uint32_t first, uint32_t last) {
  return window<uint32_t>(kDwordWindow, kMemoryType, kReadWrite, first, last);
}
Bytes memory_window64(uint64_t first, uint64_t last) {
  return window<uint64_t>(kQwordWindow, kMemoryType, kReadWrite, first, last);
}

Bytes resource_template(std::initializer_list<Bytes> resources) {
  return buffer(join({join(resources), {0x79, 0}}));  // end tag; a checksum of zero is not checked
}

}  // namespace eidolon::boot::aml
