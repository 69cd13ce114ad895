// A hostile guest, and programs of the host that come, write, do not read, and go, on both ends of the
// streams of a virtio-vsock: each operation is a packet, or something that a program does.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/vsock_streams.h"
#include "base/assert.h"
#include "input.h"

namespace {

using namespace eidolon;
using namespace eidolon::device::virtio;
using backend::VsockStreams;
using fuzz::InputBytes;

constexpr uint32_t kCid = 3, kPorts = 4;

class Guest final : public VsockGuest {
 public:
  explicit Guest(InputBytes& input) : input_(input) {}
  uint64_t life() override { return life_; }
  bool next_packet(VsockPacket& packet) override {
    if (packets_ == 0) return false;
    --packets_;
    const auto operation = input_.take<uint8_t>() % 9;
    const auto odd = input_.take<uint8_t>();
    packet.life = life_;
    packet.header = {.source_cid = (odd & 0xf) == 0 ? 9u : kCid,
                     .destination_cid = (odd & 0xf) == 1 ? 9u : kVsockHost,
                     .source_port = input_.take<uint8_t>() % kPorts,
                     .destination_port = input_.take<uint8_t>() % kPorts,
                     .type = static_cast<uint16_t>((odd & 0xf) == 2 ? 2 : 1),
                     .operation = static_cast<VsockOperation>(operation),
                     .flags = static_cast<uint32_t>(odd >> 4),
                     .buffer = input_.take<uint32_t>(),
                     .forwarded = input_.take<uint32_t>()};
    // Half of them about a stream that the host has asked for.
    if ((odd & 0x80) != 0) packet.header.destination_port = last_.source_port;
    if ((odd & 0x80) != 0) packet.header.source_port = last_.destination_port;
    packet.payload.resize(operation == 5 ? input_.take<uint16_t>() : 0);
    return true;
  }
  std::optional<size_t> receive(uint64_t life, const VsockHeader& header,
                                std::span<const uint8_t> payload) override {
    EIDOLON_ASSERT(header.destination_cid == kCid || header.operation == VsockOperation::kReset);
    EIDOLON_ASSERT(payload.empty() || header.operation == VsockOperation::kData);
    if (life != life_) return payload.size();
    if (room_ == 0) return std::nullopt;
    --room_;
    last_ = header;
    return std::min<size_t>(payload.size(), 4096);
  }
  uint64_t life_ = 1;
  unsigned packets_ = 0, room_ = 0;
  VsockHeader last_;

 private:
  InputBytes& input_;
};

/// Somebody listens at port 1 of the host.
int listener(std::string& path) {
  path = "/tmp/eidolon-fuzz-vsock-" + std::to_string(getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (path + "_1").copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(address.sun_path);
  EIDOLON_ASSERT(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  EIDOLON_ASSERT(listen(fd, 64) == 0);
  atexit([] { unlink(("/tmp/eidolon-fuzz-vsock-" + std::to_string(getpid()) + "_1").c_str()); });
  return fd;
}

void connect_client(VsockStreams& streams, std::vector<FileDescriptor>& clients, InputBytes& input) {
  int pair[2];
  if (streams.full() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return;
  clients.emplace_back(pair[0]);
  streams.add_client(FileDescriptor(pair[1]), VsockStreams::Clock::time_point());
  const std::string line = "CONNECT " + std::to_string(input.take<uint8_t>() % kPorts) + "\n";
  [[maybe_unused]] const ssize_t sent =
      write(pair[0], line.data(), line.size() - ((input.take<uint8_t>() & 7) == 0 ? 1 : 0));
}

void use_client(std::vector<FileDescriptor>& clients, InputBytes& input) {
  if (clients.empty()) return;
  std::vector<uint8_t> bytes(input.take<uint16_t>());
  FileDescriptor& client = clients[input.take<uint8_t>() % clients.size()];
  switch (input.take<uint8_t>() % 5) {
    case 0:
      client.reset();
      std::erase_if(clients, [](const FileDescriptor& fd) { return !fd.valid(); });
      break;
    case 1:
      shutdown(client.get(), input.take<uint8_t>() % 3);
      break;
    case 2:
      (void)!recv(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      break;
    default:
      (void)!send(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static std::string path;
  static const int listening = listener(path);
  InputBytes input({data, size});
  Guest guest(input);
  VsockStreams streams(path, kCid);
  std::vector<FileDescriptor> clients;
  std::vector<pollfd> watched;
  while (!input.empty()) {
    switch (input.take<uint8_t>() % 8) {
      case 0:
        connect_client(streams, clients, input);
        break;
      case 1:
        use_client(clients, input);
        break;
      case 2: {
        watched.clear();
        streams.watch(watched);
        poll(watched.data(), watched.size(), 0);
        const auto now = VsockStreams::Clock::time_point() + std::chrono::seconds(input.take<uint8_t>() / 24);
        streams.ready(watched, now);
        break;
      }
      case 3:
        guest.room_ = input.take<uint8_t>() % 16;
        break;
      case 4:
        if ((input.take<uint8_t>() & 7) == 0) ++guest.life_;
        break;
      default:
        guest.packets_ = input.take<uint8_t>() % 8;
        (void)streams.exchange(guest);
        if (FileDescriptor client(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            client.valid())
          clients.push_back(std::move(client));
        break;
    }
    EIDOLON_ASSERT(streams.size() <= VsockStreams::kMost);
  }
  return 0;
}
