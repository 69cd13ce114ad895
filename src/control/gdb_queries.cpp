// What of GdbSession is about q and Q packets (GDB manual, appendix E.4 "General Query Packets").
#include <fmt/format.h>

#include <algorithm>

#include "control/gdb_packets.h"
#include "control/gdb_registers.h"
#include "control/gdb_session.h"

namespace eidolon::control {

namespace {

/// A part of an object, "offset,length", as qXfer has it: m and the part, or l and the last one.
std::string part_of(std::string_view object, std::string_view text) {
  const auto offset = take_number(text);
  if (!offset || !take(text, ",")) return kGdbInvalid;
  const auto length = take_number(text);
  if (!length || !text.empty() || *offset > object.size()) return kGdbInvalid;
  // Half a packet, for each byte may have to be escaped.
  const auto most = std::min<uint64_t>(*length, GdbPacketReader::kLongest / 2);
  const std::string_view part = object.substr(*offset, most);
  return (*offset + part.size() < object.size() ? "m" : "l") + std::string(part);
}

std::string_view activity_name(cpu::Activity activity) {
  switch (activity) {
    case cpu::Activity::kRunning:
      return "running";
    case cpu::Activity::kHalted:
      return "halted";
    case cpu::Activity::kWaitForSipi:
      return "waits for SIPI";
    case cpu::Activity::kShutdown:
      break;
  }
  return "shut down";
}

}  // namespace

GdbSession::Reply GdbSession::query(Text text) {
  if (take(text, "Supported")) return supported(text);
  if (take(text, "Xfer:features:read:target.xml:")) return part_of(gdb_target_description(), text);
  if (take(text, "Xfer:features:read:")) return "E00";
  if (take(text, "ThreadExtraInfo,")) return describe_thread(text);
  if (text == "fThreadInfo") return thread_list();
  if (text == "sThreadInfo") return "l";
  if (text == "C") return fmt::format("QC{:x}", looked_at_ + 1);
  if (text == "Attached" || text.starts_with("Attached:")) return "1";  // GDB detaches when it is left
  return "";
}

GdbSession::Reply GdbSession::set(Text text) {
  if (text != "StartNoAckMode") return "";
  without_acks_ = true;
  return "OK";
}

std::string GdbSession::supported(Text text) {
  knows_kinds_ = text.find("swbreak+") != text.npos && text.find("hwbreak+") != text.npos;
  return fmt::format(
      "PacketSize={:x};qXfer:features:read+;vContSupported+;QStartNoAckMode+;swbreak+;hwbreak+",
      GdbPacketReader::kLongest);
}

std::string GdbSession::thread_list() const {
  std::string list;
  for (size_t number = 0; number < target_.processors(); ++number)
    list += fmt::format("{}{:x}", number == 0 ? "m" : ",", number + 1);
  return list;
}

std::string GdbSession::describe_thread(Text id) {
  const auto processor = take_thread(id);
  if (!processor || !id.empty()) return kGdbGone;
  std::string text;
  const auto describe = [&](const cpu::State& state) {
    text = fmt::format("processor {}: {}", *processor, activity_name(state.activity));
  };
  return target_.visit(*processor, describe) ? to_hex(text) : kGdbGone;
}

}  // namespace eidolon::control
