#include "migration/message.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/try.h"

namespace eidolon::migration {

namespace {

struct Header {
  uint32_t kind = 0;
  uint32_t reserved = 0;
  uint64_t length = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Header) == 24);

std::unexpected<Error> nonsense() {
  return fail("what the other side says is no migration of this version of Eidolon");
}

/// Whatever it says ends up on a terminal.
std::string printable(const std::vector<uint8_t>& bytes) {
  constexpr size_t kLongest = 1000;
  std::string text(bytes.begin(),
                   bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), kLongest)));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  return text;
}

}  // namespace

Result<> send_message(Connection& to, Kind kind, Bytes payload) {
  const Header header = {.kind = static_cast<uint32_t>(kind),
                         .reserved = 0,
                         .length = payload.size(),
                         .checksum = snapshot::checksum(payload)};
  // What is short is one packet: somebody may wait for it.
  constexpr size_t kShort = 64 << 10;
  std::vector<uint8_t> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  const bool together = payload.size() <= kShort;
  if (together) bytes.insert(bytes.end(), payload.begin(), payload.end());
  EIDOLON_TRY(to.send(bytes));
  return together ? Result<>() : to.send(payload);
}

Result<Message> receive_message(Connection& from, int patience_seconds) {
  std::array<uint8_t, sizeof(Header)> bytes;
  EIDOLON_TRY(from.receive(bytes, patience_seconds));
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.length > kLongestPayload || header.reserved != 0) return nonsense();
  Message message{.kind = static_cast<Kind>(header.kind), .payload = std::vector<uint8_t>(header.length)};
  EIDOLON_TRY(from.receive(message.payload));
  if (snapshot::checksum(message.payload) != header.checksum)
    return fail("something on the way has changed what the other side says; try again");
  return message;
}

Result<Message> expect(Connection& from, Kind kind, int patience_seconds) {
  Message message = EIDOLON_TRY(receive_message(from, patience_seconds));
  if (message.kind != kind) return std::unexpected(unexpected_message(message));
  return message;
}

Error unexpected_message(const Message& message) {
  if (message.kind == Kind::kRefused) return {printable(message.payload)};
  return nonsense().error();
}

Result<> send_refusal(Connection& to, const std::string& sentence) {
  return send_message(to, Kind::kRefused, std::vector<uint8_t>(sentence.begin(), sentence.end()));
}

}  // namespace eidolon::migration
