#include "backend/vsock_streams.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

#include "backend/line_client.h"

namespace eidolon::backend {

using device::virtio::VsockGuest;
using device::virtio::VsockOperation;
using device::virtio::VsockPacket;
using State = VsockStream::State;

namespace {

/// How long a client may take for its line, and the guest for its answer.
constexpr std::chrono::seconds kPatience{10};

/// So many packets of the guest's at a time, so that sockets have their turn.
constexpr unsigned kRounds = 64;

/// Not valid: nobody listens there, or he has too many waiting.
FileDescriptor connect_to(const std::string& path) {
  const auto address = socket_address(path);
  if (!address) return {};
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);  // SAFETY: as connect(2) has it
  if (fd.valid() && connect(fd.get(), generic, sizeof *address) != 0) fd.reset();
  return fd;
}

}  // namespace

void VsockStreams::add_client(FileDescriptor socket, Clock::time_point now) {
  streams_.push_back(std::make_unique<VsockStream>(std::move(socket), now + kPatience));
}

bool VsockStreams::waits() const {
  return std::ranges::any_of(streams_, [](const auto& stream) { return stream->waits(); });
}

void VsockStreams::watch(std::vector<pollfd>& to) const {
  for (const auto& stream : streams_) to.push_back(stream->watched());
}

void VsockStreams::ready(std::span<const pollfd> watched, Clock::time_point now) {
  for (size_t i = 0; i < watched.size() && i < streams_.size(); ++i) {
    VsockStream& stream = *streams_[i];
    if (stream.waits() && now > stream.deadline()) {
      reset(stream);
    } else if (watched[i].revents == 0) {
      continue;
    } else if (stream.state() == State::kHandshake) {
      if (stream.read_line()) ask(stream, now);
    } else if (!stream.ready(watched[i].revents)) {
      reset(stream);
    }
  }
  sweep();
}

void VsockStreams::ask(VsockStream& stream, Clock::time_point now) {
  while (find(next_port_, stream.guest_port()) != nullptr) ++next_port_;
  stream.ask(next_port_++, now + kPatience);
}

bool VsockStreams::exchange(VsockGuest& guest) {
  if (const uint64_t life = guest.life(); life != life_) {
    forget();
    life_ = life;
  }
  unsigned round = 0;
  for (; round < kRounds && replies_.size() < kMostReplies && guest.next_packet(packet_); ++round) {
    if (packet_.life != life_) forget();
    life_ = packet_.life;
    take(packet_);
  }
  deliver(guest);
  sweep();
  return round == kRounds;
}

void VsockStreams::forget() {
  replies_.clear();
  std::erase_if(streams_, [](const auto& stream) { return stream->has_ports(); });
}

void VsockStreams::sweep() {
  std::erase_if(streams_, [](const auto& stream) { return stream->state() == State::kOver; });
}

VsockStream* VsockStreams::find(uint32_t host_port, uint32_t guest_port) const {
  const auto found = std::ranges::find_if(streams_, [&](const auto& stream) {
    return stream->has_ports() && stream->host_port() == host_port && stream->guest_port() == guest_port;
  });
  return found == streams_.end() ? nullptr : found->get();
}

void VsockStreams::address(Header& header, uint32_t host_port, uint32_t guest_port) const {
  header.source_cid = device::virtio::kVsockHost;
  header.destination_cid = cid_;
  header.source_port = host_port;
  header.destination_port = guest_port;
}

void VsockStreams::reset(VsockStream& stream) {
  if (stream.guest_knows()) {
    Header header = {.type = device::virtio::kVsockStream, .operation = VsockOperation::kReset};
    address(header, stream.host_port(), stream.guest_port());
    replies_.push_back(header);
  }
  if (stream.state() != State::kDraining) stream.end();
}

void VsockStreams::refuse(const Header& header) {
  Header reply = {.source_cid = header.destination_cid,
                  .destination_cid = header.source_cid,
                  .source_port = header.destination_port,
                  .destination_port = header.source_port,
                  .type = header.type,
                  .operation = VsockOperation::kReset};
  replies_.push_back(reply);
}

void VsockStreams::take(const VsockPacket& packet) {
  const Header& header = packet.header;
  if (header.source_cid != cid_) return;  // no packet: there is nobody to answer
  VsockStream* stream = header.destination_cid == device::virtio::kVsockHost
                            ? find(header.destination_port, header.source_port)
                            : nullptr;
  if (header.operation == VsockOperation::kReset) {
    if (stream != nullptr) stream->end();
  } else if (stream != nullptr) {
    const bool fine = header.type == device::virtio::kVsockStream && stream->take(packet);
    if (!fine) reset(*stream);
  } else if (header.operation == VsockOperation::kRequest) {
    open(header);
  } else {
    refuse(header);
  }
}

void VsockStreams::open(const Header& request) {
  FileDescriptor socket;
  sweep();  // what has just ended does not count
  if (!full() && request.type == device::virtio::kVsockStream &&
      request.destination_cid == device::virtio::kVsockHost)
    socket = connect_to(fmt::format("{}_{}", path_, uint32_t{request.destination_port}));
  if (!socket.valid()) return refuse(request);
  streams_.push_back(std::make_unique<VsockStream>(std::move(socket), request));
}

/// As long as there is room. Every stream has its turn first some time.
void VsockStreams::deliver(VsockGuest& guest) {
  for (; !replies_.empty(); replies_.pop_front())
    if (!guest.receive(life_, replies_.front(), {})) return;
  for (size_t i = 0; i < streams_.size(); ++i) {
    VsockStream& stream = *streams_[(turn_ + i) % streams_.size()];
    Header header;
    for (std::span<const uint8_t> payload; stream.next(header, payload);) {
      address(header, stream.host_port(), stream.guest_port());
      const auto taken = guest.receive(life_, header, payload);
      if (!taken) {
        turn_ += i;
        return;
      }
      stream.told(header, *taken);
    }
  }
  ++turn_;
}

}  // namespace eidolon::backend
