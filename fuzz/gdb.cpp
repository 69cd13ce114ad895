// Whatever a debugger's connection brings: bytes become packets, and packets get answers that are packets
// again. No machine is behind it. The bytes are packets by themselves as well, so that checksums keep nothing
// out.
#include <string_view>

#include "base/assert.h"
#include "control/gdb_fake.h"
#include "control/gdb_packets.h"
#include "control/gdb_session.h"

namespace {

using namespace eidolon::control;
using Kind = GdbPacketReader::Kind;

/// What is sent reads back as what was meant.
void check_packet(const std::optional<std::string>& answer) {
  if (!answer) return;
  GdbPacketReader reader;
  std::optional<Kind> last;
  for (const char byte : gdb_packet(*answer)) last = reader.put(static_cast<uint8_t>(byte));
  EIDOLON_ASSERT(last == Kind::kPacket && reader.text() == *answer);
}

void take_bytes(GdbSession& session, std::string_view bytes) {
  GdbPacketReader reader;
  for (const char byte : bytes) {
    const auto what = reader.put(static_cast<uint8_t>(byte));
    if (what == Kind::kPacket) check_packet(session.answer(reader.text()));
    if (what == Kind::kInterrupt) check_packet(session.interrupt());
    if (what == Kind::kTooLong) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  GdbFake target;
  GdbSession session(target);
  take_bytes(session, text);
  // Lines as packets, each behind every letter that begins one.
  constexpr std::string_view kLetters = "?qQHTgGpPmMXZzvcsCSDk";
  for (size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    check_packet(session.answer(line));
    check_packet(session.answer(std::string(1, kLetters[line.size() % kLetters.size()]) + std::string(line)));
    check_packet(session.answer("vCont" + std::string(line)));
    target.stop = {GdbTarget::Stop::Why::kBreakpoint, static_cast<unsigned>(size % 2)};
    check_packet(session.look_for_stop());
    at += line.size() + 1;
  }
  EIDOLON_ASSERT(target.breakpoints.size() <= GdbFake::kMostBreakpoints);
  return 0;
}
