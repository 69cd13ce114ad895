#include "control/gdb_packets.h"

#include <fmt/format.h>

namespace eidolon::control {

namespace {
constexpr uint8_t kCtrlC = 3, kEscape = '}', kEscapeFlip = 0x20;
}  // namespace

void GdbPacketReader::begin() {
  at_ = At::kText;
  text_.clear();
  length_ = 0;
  sum_ = 0;
}

std::optional<GdbPacketReader::Kind> GdbPacketReader::put(uint8_t byte) {
  switch (at_) {
    case At::kBetween:
      if (byte == '$') begin();
      if (byte == '+') return Kind::kAck;
      if (byte == '-') return Kind::kNack;
      if (byte == kCtrlC) return Kind::kInterrupt;
      return std::nullopt;
    case At::kText:
    case At::kEscaped:
      return put_text(byte);
    case At::kChecksum:
      first_digit_ = hex_digit(static_cast<char>(byte));
      at_ = At::kLastDigit;
      return std::nullopt;
    case At::kLastDigit:
      break;
  }
  at_ = At::kBetween;
  const auto digit = hex_digit(static_cast<char>(byte));
  const bool right = digit && first_digit_ && (*first_digit_ << 4 | *digit) == sum_;
  return right ? Kind::kPacket : Kind::kCorrupt;
}

std::optional<GdbPacketReader::Kind> GdbPacketReader::put_text(uint8_t byte) {
  if (byte == '#') {
    at_ = At::kChecksum;
    return std::nullopt;
  }
  if (byte == '$') {  // never in a packet: the rest of the last one is lost
    begin();
    return std::nullopt;
  }
  if (++length_ > kLongest) {
    at_ = At::kBetween;
    return Kind::kTooLong;
  }
  sum_ = static_cast<uint8_t>(sum_ + byte);
  if (at_ == At::kEscaped) {
    text_.push_back(static_cast<char>(byte ^ kEscapeFlip));
    at_ = At::kText;
  } else if (byte == kEscape) {
    at_ = At::kEscaped;
  } else {
    text_.push_back(static_cast<char>(byte));
  }
  return std::nullopt;
}

std::string gdb_packet(std::string_view text) {
  std::string sent = "$";
  uint8_t sum = 0;
  const auto put = [&](uint8_t byte) {
    sent.push_back(static_cast<char>(byte));
    sum = static_cast<uint8_t>(sum + byte);
  };
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool escaped = byte == '$' || byte == '#' || byte == '*' || byte == kEscape;
    if (escaped) put(kEscape);
    put(escaped ? byte ^ kEscapeFlip : byte);
  }
  return sent + fmt::format("#{:02x}", sum);
}

std::optional<uint8_t> hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return std::nullopt;
}

std::string to_hex(std::string_view bytes) {
  std::string digits;
  digits.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    digits.push_back("0123456789abcdef"[static_cast<uint8_t>(byte) >> 4]);
    digits.push_back("0123456789abcdef"[static_cast<uint8_t>(byte) & 15]);
  }
  return digits;
}

std::optional<std::string> from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (size_t i = 0; i < digits.size(); i += 2) {
    const auto high = hex_digit(digits[i]), low = hex_digit(digits[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<char>(*high << 4 | *low));
  }
  return bytes;
}

std::optional<uint64_t> take_number(std::string_view& text) {
  constexpr size_t kMostDigits = 16;
  uint64_t value = 0;
  size_t digits = 0;
  for (; digits < text.size(); ++digits) {
    const auto digit = hex_digit(text[digits]);
    if (!digit) break;
    if (digits == kMostDigits) return std::nullopt;
    value = value << 4 | *digit;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace eidolon::control
