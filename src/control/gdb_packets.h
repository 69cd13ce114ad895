// Packets of GDB's remote serial protocol as they are on the wire: $text#checksum, acknowledged by + or -
// until the client waives that (GDB manual, appendix E.1 "Overview").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace eidolon::control {

/// Takes a client's bytes one by one. Whatever they are, it keeps no more than one packet.
class GdbPacketReader {
 public:
  /// Bytes of a packet between $ and #, as they are sent.
  static constexpr size_t kLongest = 0x4000;

  enum class Kind : uint8_t {
    kPacket,     ///< text() has it
    kInterrupt,  ///< Ctrl-C
    kAck,
    kNack,     ///< the last packet is to be sent again
    kCorrupt,  ///< its checksum is wrong
    kTooLong,  ///< there is no telling where the next one begins
  };
  /// What the byte completes, if it does.
  [[nodiscard]] std::optional<Kind> put(uint8_t byte);
  /// Of the last packet, without escapes.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class At : uint8_t { kBetween, kText, kEscaped, kChecksum, kLastDigit };
  void begin();
  [[nodiscard]] std::optional<Kind> put_text(uint8_t byte);

  At at_ = At::kBetween;
  std::string text_;
  size_t length_ = 0;  ///< with escapes
  uint8_t sum_ = 0;
  std::optional<uint8_t> first_digit_;
};

/// As it is sent: what must not stand in a packet is escaped.
[[nodiscard]] std::string gdb_packet(std::string_view text);

// Numbers and bytes in packets are hexadecimal, without a prefix.
[[nodiscard]] std::optional<uint8_t> hex_digit(char digit);
/// Two digits a byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);
/// Nothing: these are not digits of whole bytes.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view digits);
/// Takes a number of 1 to 16 digits from the start of `text`.
[[nodiscard]] std::optional<uint64_t> take_number(std::string_view& text);
/// Takes `word` from the start of `text`, if it is there.
[[nodiscard]] bool take(std::string_view& text, std::string_view word);

}  // namespace eidolon::control
