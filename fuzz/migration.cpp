// Whatever comes over a migration's connection: the destination takes it or says a sentence, and no byte
// lands outside the memory that was announced.
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/assert.h"
#include "migration/disk_parts.h"
#include "migration/message.h"
#include "migration/page_server.h"
#include "migration/pages.h"
#include "migration/state.h"
#include "storage/memory_medium.h"

namespace {

using namespace eidolon;
using namespace eidolon::migration;

constexpr uint64_t kHost = uint64_t{64} << 20;

/// What a source sends that wants something odd in messages that are in order.
std::vector<uint8_t> framed(const uint8_t* data, size_t size) {
  std::vector<uint8_t> stream;
  while (size > 2) {
    const size_t length = std::min<size_t>(data[1], size - 2);
    const uint32_t kind = data[0] % 14 == 13 ? static_cast<uint32_t>(Kind::kHello) : data[0] % 14;
    const Bytes payload(data + 2, length);
    const uint64_t sum = snapshot::checksum(payload), bytes = length;
    std::array<uint8_t, 24> header{};
    std::memcpy(header.data(), &kind, 4);
    std::memcpy(header.data() + 8, &bytes, 8);
    std::memcpy(header.data() + 16, &sum, 8);
    stream.insert(stream.end(), header.begin(), header.end());
    stream.insert(stream.end(), payload.begin(), payload.end());
    data += 2 + length;
    size -= 2 + length;
  }
  return stream;
}

void serve(Bytes stream) {
  const auto never = *backend::Wakeup::create();
  std::array<int, 2> ends{};
  EIDOLON_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  auto source = *Connection::accepted(FileDescriptor(ends[0]), nullptr, never);
  auto here = *Connection::accepted(FileDescriptor(ends[1]), nullptr, never);
  (void)source->send(stream.first(std::min<size_t>(stream.size(), 64 << 10)));
  source.reset();
  const MemoryLayout layout{{{4096, 1 << 20}, {2 << 20, 4096}}};
  PageReceiver pages = *PageReceiver::create(layout);
  PageSet missing(layout);
  StateReceiver state = *StateReceiver::create();
  device::storage::MemoryMedium medium(kMostDiskBytes + (100 << 9));
  DiskReceiver disks({{.path = "disk", .medium = &medium}});
  for (auto message = receive_message(*here); message; message = receive_message(*here)) {
    if (message->kind == Kind::kHello) (void)read_hello(*message, kHost);
    if (message->kind == Kind::kPages) (void)pages.take(message->payload);
    if (message->kind == Kind::kMissing) (void)missing.take(message->payload, layout);
    if (message->kind == Kind::kDisk) (void)disks.take(message->payload);
    if (message->kind == Kind::kState) (void)state.take(message->payload);
    if (message->kind == Kind::kStateEnd) (void)state.finish(message->payload);
  }
}

/// The same as what a destination says.
void ask(Bytes stream) {
  const auto never = *backend::Wakeup::create();
  std::array<int, 2> ends{};
  EIDOLON_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  auto destination = *Connection::accepted(FileDescriptor(ends[0]), nullptr, never);
  auto here = *Connection::accepted(FileDescriptor(ends[1]), nullptr, never);
  (void)destination->send(stream.first(std::min<size_t>(stream.size(), 64 << 10)));
  destination.reset();
  const std::vector<uint8_t> memory(64 << 10, 1);
  const MemoryLayout layout{{{4096, 60 << 10}}};
  PageSet missing(layout);
  for (uint64_t page = 1; page < 16; ++page) missing.add(page);
  PageServer server(*here, memory, missing);
  (void)server.serve_until(Kind::kComplete, PageServer::Stream::kWanted, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  serve({data, size});
  serve(framed(data, size));
  ask(framed(data, size));
  return 0;
}
