// Whatever a vhost-user back end answers and writes into the ring that it shares: it is a back end, or a
// sentence; and only buffers that it was given come back, each once.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "vhost/back_end.h"
#include "vhost/shared_ring.h"

namespace {

using namespace eidolon;
using namespace eidolon::vhost;

/// The right answers' headers, more often than not.
std::vector<uint8_t> answers(fuzz::InputBytes& input) {
  constexpr std::array kAsked = {
      Request::kGetFeatures, Request::kGetProtocolFeatures, Request::kSetOwner,       Request::kGetQueueCount,
      Request::kGetConfig,   Request::kSetFeatures,         Request::kSetMemoryTable, Request::kGetRingBase};
  std::vector<uint8_t> stream;
  for (size_t i = 0; i < 24; ++i) {
    const auto choice = input.take<uint8_t>();
    const Request request = kAsked[choice < 200 ? i % kAsked.size() : choice % kAsked.size()];
    const uint32_t sizes[] = {8, 8, 8, 72, input.take<uint8_t>(), input.take<uint32_t>()};
    const Header header = {.request = static_cast<uint32_t>(request),
                           .flags = choice == 255 ? input.take<uint32_t>() : kVersion | kReply,
                           .size = sizes[choice % std::size(sizes)]};
    const size_t at = stream.size(), length = std::min<uint32_t>(header.size, 128);
    stream.resize(at + sizeof header + length);
    std::memcpy(&stream[at], &header, sizeof header);
    for (size_t byte = 0; byte < length; ++byte) stream[at + sizeof header + byte] = input.take<uint8_t>();
  }
  return stream;
}

void greet(fuzz::InputBytes& input) {
  std::array<int, 2> ends{};
  EIDOLON_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const FileDescriptor theirs(ends[1]);
  const std::vector<uint8_t> stream = answers(input);
  EIDOLON_ASSERT(send(theirs.get(), stream.data(), stream.size(), 0) == static_cast<ssize_t>(stream.size()));
  EIDOLON_ASSERT(shutdown(theirs.get(), SHUT_WR) == 0);
  auto back_end = BackEnd::greet(Connection(FileDescriptor(ends[0])), 60);
  if (!back_end) return;
  EIDOLON_ASSERT(back_end->config().size() == 60);
  (void)back_end->stop(2);
}

void share_ring(fuzz::InputBytes& input) {
  std::vector<uint8_t> memory(SharedRing::kBytes);
  SharedRing ring(memory);
  std::set<uint16_t> under_way;
  uint16_t used = 0;
  while (!input.empty()) {
    const auto choice = input.take<uint8_t>();
    if (choice < 100) {
      const std::vector<SharedRing::Piece> pieces(1 + choice % 7,
                                                  {.address = choice, .length = 1, .written = true});
      if (const auto head = ring.add(pieces)) EIDOLON_ASSERT(under_way.insert(*head).second);
    } else if (choice < 220) {
      // A buffer that may be under way comes back.
      const std::array<uint32_t, 2> entry = {
          choice < 200 && !under_way.empty() ? *under_way.begin() : input.take<uint16_t>() % 1100u,
          input.take<uint32_t>()};
      std::memcpy(&memory[SharedRing::kUsed + 4 + used % SharedRing::kSize * 8], entry.data(), sizeof entry);
      ++used;
      std::memcpy(&memory[SharedRing::kUsed + 2], &used, sizeof used);
    } else {
      memory[input.take<uint16_t>() % memory.size()] = input.take<uint8_t>();
    }
    SharedRing::Used taken{};
    SharedRing::Take take = SharedRing::Take::kNone;
    while ((take = ring.take(taken)) == SharedRing::Take::kUsed)
      EIDOLON_ASSERT(under_way.erase(taken.head) == 1);
    EIDOLON_ASSERT(ring.under_way() == under_way.size());
    if (take == SharedRing::Take::kBroken) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::InputBytes input({data, size});
  if (input.take<uint8_t>() % 2 == 0) {
    greet(input);
  } else {
    share_ring(input);
  }
  return 0;
}
