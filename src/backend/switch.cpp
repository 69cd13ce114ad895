#include "backend/switch.h"

#include <poll.h>

#include <vector>

#include "base/try.h"
#include "device/net/ethernet.h"

namespace eidolon::backend {

using device::net::kAddressBytes;
using device::net::kHeaderBytes;

Result<Switch> Switch::create(const std::string& path) {
  return Switch(EIDOLON_TRY(SocketPlace::listen(
      path, {.other_place = "name another place", .taken = "a switch already listens there; use that one"})));
}

void Switch::run(int stop) {
  std::vector<pollfd> watched;
  for (;;) {
    watched = {{.fd = stop, .events = POLLIN, .revents = 0},
               {.fd = place_.fd(), .events = POLLIN, .revents = 0}};
    for (const Port& port : ports_) {
      const int events = POLLIN | (port.stream.has_queued() ? POLLOUT : 0);
      watched.push_back({.fd = port.stream.fd(), .events = static_cast<short>(events), .revents = 0});
    }
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents != 0) return;
    // First, so that who has plugged in before a frame was sent gets it.
    if (watched[1].revents != 0) add_ports();
    auto port = ports_.begin();
    for (size_t i = 2; i < watched.size(); ++i) serve(*port++, watched[i].revents);
    // What was forwarded goes out at once, if the sockets take it.
    for (Port& each : ports_)
      if (each.stream.has_queued() && !each.stream.flush()) each.over = true;
    remove_ended();
  }
}

void Switch::add_ports() {
  for (;;) {
    FileDescriptor fd = place_.accept();
    if (!fd.valid()) return;
    if (ports_.size() < kMostPorts)
      ports_.push_back({.number = next_number_++, .stream = FrameStream(std::move(fd))});
  }
}

void Switch::serve(Port& port, short ready) {
  if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  if (!port.stream.fill()) port.over = true;
  const MacTable::Time now = std::chrono::steady_clock::now();
  while (const auto frame = port.stream.front()) {
    if (FrameStream::is_greeting(*frame, FrameStream::Greeting::kQuestion)) {
      if (!port.large && port.stream.has_room()) port.stream.queue_greeting(FrameStream::Greeting::kAnswer);
      port.large = true;
    } else if (frame->size() >= kHeaderBytes) {
      forward(port, *frame, port.stream.front_offload(), now);
    }
    port.stream.pop();
  }
  if (port.stream.broken()) port.over = true;
}

void Switch::forward(const Port& from, std::span<const uint8_t> frame, const device::net::Offload& offload,
                     MacTable::Time now) {
  table_.learn(frame.subspan(kAddressBytes, kAddressBytes), from.number, now);
  const auto known = device::net::is_multicast(frame) ? std::nullopt : table_.find(frame, now);
  for (Port& port : ports_) {
    const bool wanted = known ? port.number == *known : true;
    if (wanted && port.number != from.number) send(port, frame, offload);
  }
}

void Switch::send(Port& port, std::span<const uint8_t> frame, const device::net::Offload& offload) {
  if (!port.stream.has_room()) return;
  if (offload.finished() || port.large) return port.stream.queue(frame, offload);
  if (!segments_.begin(frame, offload)) return;
  while (port.stream.has_room() && segments_.next(segment_)) port.stream.queue(segment_);
}

void Switch::remove_ended() {
  for (const Port& port : ports_)
    if (port.over) table_.forget(port.number);
  std::erase_if(ports_, [](const Port& port) { return port.over; });
}

}  // namespace eidolon::backend
