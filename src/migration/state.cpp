#include "migration/state.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/state_stream.h"
#include "base/try.h"

namespace eidolon::migration {

namespace {

constexpr const char *kHelloSection = "eidolon-migration", *kEndSection = "end";
constexpr uint32_t kProtocolVersion = 2;
constexpr uint32_t kMostPieces = 16;
constexpr uint64_t kPart = uint64_t{1} << 20;

std::unexpected<Error> unreadable() { return fail("cannot read an anonymous file ({})", strerror(errno)); }

Result<FileDescriptor> make_file() {
  FileDescriptor file(memfd_create("eidolon-state", MFD_CLOEXEC));
  if (!file.valid()) return fail("cannot make an anonymous file ({}); raise ulimit -n", strerror(errno));
  return file;
}

Result<> append(const FileDescriptor& file, uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t done = pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return fail("there is no memory for the machine's state; free some");
    bytes = bytes.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return {};
}

/// Calls visit(part) for the whole file.
template <typename Visitor>
Result<> for_each_part(int file, Visitor visit) {
  std::vector<uint8_t> part(kPart);
  for (uint64_t at = 0;;) {
    const ssize_t got = pread(file, part.data(), part.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable();
    if (got == 0) return {};
    EIDOLON_TRY(visit(Bytes(part).first(static_cast<size_t>(got))));
    at += static_cast<uint64_t>(got);
  }
}

}  // namespace

Nanoseconds time_of_day() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Result<> send_hello(Connection& to, const MemoryLayout& layout, int description, bool memory_may_follow) {
  std::vector<uint8_t> bytes;
  EIDOLON_TRY(for_each_part(description, [&bytes](Bytes part) -> Result<> {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return {};
  }));
  StateWriter hello;
  hello.begin(kHelloSection, kProtocolVersion);
  hello(static_cast<uint32_t>(layout.pieces.size()));
  for (const Piece& piece : layout.pieces) hello(piece.offset, piece.length);
  hello(bytes, memory_may_follow);
  hello.end();
  return send_message(to, Kind::kHello, hello.bytes());
}

Result<Hello> read_hello(const Message& message, uint64_t host_bytes) {
  StateReader reader(message.payload);
  const uint32_t version = message.kind == Kind::kHello ? reader.begin(kHelloSection) : 0;
  if (version == 0) return fail("what has connected is no migration of Eidolon's");
  if (version != kProtocolVersion)
    return fail(
        "the other side speaks version {} of the protocol and this one version {}; use the same version of "
        "Eidolon on both sides",
        version, kProtocolVersion);
  Hello hello;
  uint32_t pieces = 0;
  reader(pieces);
  for (uint32_t i = 0; i < pieces && i < kMostPieces; ++i) {
    Piece piece;
    reader(piece.offset, piece.length);
    hello.layout.pieces.push_back(piece);
  }
  std::vector<uint8_t> description;
  reader(description, hello.memory_may_follow);
  if (reader.failed() || pieces > kMostPieces) return fail("what has connected is no migration of Eidolon's");
  if (!hello.layout.possible(host_bytes))
    return fail("this host has only {} MiB of memory, and the guest needs more", host_bytes >> 20);
  hello.description = EIDOLON_TRY(make_file());
  EIDOLON_TRY(append(hello.description, 0, description));
  return hello;
}

Result<> send_state(Connection& to, int file, const StateEnd& end) {
  uint64_t length = 0;
  EIDOLON_TRY(for_each_part(file, [&to, &length](Bytes part) {
    length += part.size();
    return send_message(to, Kind::kState, part);
  }));
  StateWriter writer;
  writer.begin(kEndSection, 1);
  writer(length, end.stopped_at, end.paused);
  writer.end();
  return send_message(to, Kind::kStateEnd, writer.bytes());
}

Result<StateReceiver> StateReceiver::create() { return StateReceiver(EIDOLON_TRY(make_file())); }

Result<> StateReceiver::take(Bytes payload) {
  EIDOLON_TRY(append(file_, length_, payload));
  length_ += payload.size();
  return {};
}

Result<StateEnd> StateReceiver::finish(Bytes payload) {
  StateReader reader(payload);
  StateEnd end;
  uint64_t length = 0;
  reader.begin(kEndSection);
  reader(length, end.stopped_at, end.paused);
  if (reader.failed() || length != length_)
    return fail("a part of the machine's state is missing; try again");
  return end;
}

}  // namespace eidolon::migration
