#include "control/gdb_session.h"

#include <algorithm>

#include "control/gdb_packets.h"
#include "control/gdb_registers.h"

namespace eidolon::control {

namespace {

constexpr uint8_t kSoftware = 1, kHardware = 2;  ///< breakpoints of type 0 and 1

std::span<const uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};  // SAFETY: characters as bytes
}
std::string_view as_text(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // SAFETY: likewise
}

/// "address,length" from the start of the text.
struct Range {
  uint64_t address, length;
};
std::optional<Range> take_range(std::string_view& text) {
  const auto address = take_number(text);
  if (!address || !take(text, ",")) return std::nullopt;
  const auto length = take_number(text);
  if (!length) return std::nullopt;
  return Range{*address, *length};
}

}  // namespace

GdbSession::Reply GdbSession::answer(Text packet) {
  if (packet.empty()) return "";
  attach();
  return carry_out(packet);
}

GdbSession::Reply GdbSession::carry_out(Text packet) {
  const Text rest = packet.substr(1);
  switch (packet.front()) {
    case '?':
      return last_stop_;
    case 'q':
      return query(rest);
    case 'Q':
      return set(rest);
    case 'H':
      return choose_thread(rest);
    case 'T': {
      Text id = rest;
      return take_thread(id) && id.empty() ? "OK" : kGdbGone;
    }
    case 'g':
      return read_registers();
    case 'G':
      return write_registers(rest);
    case 'p':
      return read_register(rest);
    case 'P':
      return write_register(rest);
    case 'm':
      return read_memory(rest);
    case 'M':
      return write_memory(rest, false);
    case 'X':
      return write_memory(rest, true);
    case 'Z':
      return set_breakpoint(rest, true);
    case 'z':
      return set_breakpoint(rest, false);
    case 'v':
      return resume(rest);
    case 'c':
    case 's':
    case 'C':
    case 'S':
      return resume_plainly(packet.front(), rest);
    case 'D':
      leave();
      return "OK";
    case 'k':
      target_.kill();
      return std::nullopt;
    default:
      return "";
  }
}

/// From the first packet on: a connection without one is no debugger's.
void GdbSession::attach() {
  if (attached_) return;
  attached_ = true;
  target_.hold();
  (void)target_.take_stop();
  last_stop_ = stop_reply(kSigTrap);
}

/// The machine goes on as if there had been none.
void GdbSession::leave() {
  if (!attached_) return;
  attached_ = false;
  for (const auto& [address, kinds] : breakpoints_) target_.remove_breakpoint(address);
  breakpoints_.clear();
  (void)let_go(std::vector(target_.processors(), Order::kRun));
  running_ = false;
}

std::vector<uint64_t> GdbSession::breakpoints() const {
  std::vector<uint64_t> addresses;
  for (const auto& [address, kinds] : breakpoints_) addresses.push_back(address);
  return addresses;
}

std::optional<size_t> GdbSession::take_thread(Text& text) const {
  if (take(text, "-1")) return 0;
  const auto id = take_number(text);
  if (!id || *id > target_.processors()) return std::nullopt;
  return *id == 0 ? 0 : static_cast<size_t>(*id - 1);
}

/// Hg: for registers and memory; Hc: for c and s.
std::string GdbSession::choose_thread(Text text) {
  if (text.empty() || (text.front() != 'g' && text.front() != 'c')) return kGdbInvalid;
  const bool looks = text.front() == 'g';
  text.remove_prefix(1);
  const auto processor = take_thread(text);
  if (!processor || !text.empty()) return kGdbGone;
  (looks ? looked_at_ : to_continue_) = *processor;
  return "OK";
}

std::string GdbSession::read_registers() {
  std::string bytes;
  const auto read = [&](const cpu::State& state) { bytes = read_gdb_registers(state); };
  return target_.visit(looked_at_, read) ? to_hex(bytes) : kGdbGone;
}

std::string GdbSession::write_registers(Text digits) {
  const auto bytes = from_hex(digits);
  if (!bytes) return kGdbInvalid;
  bool written = false;
  const auto write = [&](cpu::State& state) { written = write_gdb_registers(state, *bytes); };
  if (!target_.visit(looked_at_, write)) return kGdbGone;
  return written ? "OK" : kGdbInvalid;
}

std::string GdbSession::read_register(Text number) {
  const auto which = take_number(number);
  if (!which || !number.empty()) return kGdbInvalid;
  std::optional<std::string> bytes;
  const auto read = [&](const cpu::State& state) { bytes = read_gdb_register(state, *which); };
  if (!target_.visit(looked_at_, read)) return kGdbGone;
  return bytes ? to_hex(*bytes) : kGdbInvalid;
}

/// number=bytes
std::string GdbSession::write_register(Text text) {
  const auto which = take_number(text);
  if (!which || !take(text, "=")) return kGdbInvalid;
  const auto bytes = from_hex(text);
  if (!bytes) return kGdbInvalid;
  bool written = false;
  const auto write = [&](cpu::State& state) { written = write_gdb_register(state, *which, *bytes); };
  if (!target_.visit(looked_at_, write)) return kGdbGone;
  return written ? "OK" : kGdbInvalid;
}

/// As much of it as fits into a packet and is there.
std::string GdbSession::read_memory(Text text) {
  const auto range = take_range(text);
  if (!range || !text.empty()) return kGdbInvalid;
  const auto length = std::min<uint64_t>(range->length, GdbPacketReader::kLongest / 2);
  const std::vector<uint8_t> bytes = target_.read(looked_at_, range->address, length);
  if (bytes.empty() && length != 0) return kGdbUnmapped;
  return to_hex(as_text(bytes));
}

/// address,length:bytes
std::string GdbSession::write_memory(Text text, bool binary) {
  const auto range = take_range(text);
  if (!range || !take(text, ":")) return kGdbInvalid;
  const auto bytes = binary ? std::string(text) : from_hex(text);
  if (!bytes || bytes->size() != range->length) return kGdbInvalid;
  if (bytes->empty()) return "OK";  // with which clients ask whether X is there
  return target_.write(looked_at_, range->address, as_bytes(*bytes)) ? "OK" : kGdbUnmapped;
}

/// type,address,kind. Types 0 and 1 are the same here: nothing of the guest's is written for either.
std::string GdbSession::set_breakpoint(Text text, bool there) {
  const auto type = take_number(text);
  if (!type || !take(text, ",")) return kGdbInvalid;
  if (*type > 1) return "";
  const auto range = take_range(text);
  if (!range) return kGdbInvalid;
  const uint8_t kind = *type == 0 ? kSoftware : kHardware;
  if (there) return add_breakpoint(range->address, kind);
  const auto found = breakpoints_.find(range->address);
  if (found == breakpoints_.end()) return "OK";
  found->second &= static_cast<uint8_t>(~kind);
  if (found->second != 0) return "OK";
  breakpoints_.erase(found);
  target_.remove_breakpoint(range->address);
  return "OK";
}

/// GDB has no place for the sentence in all its versions, so the user of the machine gets it as well.
std::string GdbSession::add_breakpoint(uint64_t address, uint8_t kind) {
  if (!breakpoints_.contains(address)) {
    Result<> added = breakpoints_.size() < kGdbMostBreakpoints
                         ? target_.add_breakpoint(address)
                         : fail("a debugger has {} breakpoints at most; remove one", kGdbMostBreakpoints);
    if (!added) {
      target_.say(added.error().message);
      return "E." + added.error().message;
    }
  }
  breakpoints_[address] |= kind;
  return "OK";
}

}  // namespace eidolon::control
