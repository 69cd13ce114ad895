#include "backend/tap_link.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace eidolon::backend {

using device::net::kOffloadBytes;
using device::net::Offload;

namespace {

constexpr unsigned kAtOnce = 256;  ///< then the other direction has its turn

/// Only one that is there already: the kernel would make one for who has the right, and nobody would know it.
Result<FileDescriptor> open_tap(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name)
    return fail("'{}' is no name of a tap device; say one such as ifname=tap0", name);
  if (if_nametoindex(name.c_str()) == 0)
    return fail("there is no tap device '{0}'; make one as root: ip tuntap add dev {0} mode tap user NAME",
                name);
  FileDescriptor fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid())
    return fail("cannot open /dev/net/tun ({}); load the module tun, and let this user open it",
                strerror(errno));
  name.copy(request.ifr_name, name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    switch (errno) {
      case EPERM:
        return fail(
            "the tap device '{0}' is not for this user; make it so as root: ip tuntap add dev {0} mode tap "
            "user NAME",
            name);
      case EBUSY:
        return fail("another process uses the tap device '{}'; name another one", name);
      default:
        return fail("'{}' is no tap device ({}); make one as root: ip tuntap add dev NAME mode tap", name,
                    strerror(errno));
    }
  }
  // What cards do not take is cut on this side, so the host may always leave it.
  int header = kOffloadBytes;
  if (ioctl(fd.get(), TUNSETVNETHDRSZ, &header) != 0 ||
      ioctl(fd.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) != 0)
    return fail("this host's tap devices cannot leave checksums to others ({}); use a newer kernel",
                strerror(errno));
  return fd;
}

}  // namespace

Result<std::unique_ptr<TapLink>> TapLink::create(const std::string& name) {
  FileDescriptor tap = EIDOLON_TRY(open_tap(name));
  Wakeup wakeup = EIDOLON_TRY(Wakeup::create());
  return std::unique_ptr<TapLink>(new TapLink(std::move(wakeup), name, std::move(tap)));
}

bool TapLink::open() {
  received_.clear();
  if (tap_.valid()) return true;  // by create()
  auto tap = open_tap(name_);
  if (!tap) return false;
  tap_ = std::move(*tap);
  return true;
}

bool TapLink::exchange(bool readable) {
  if (!received_.empty() && deliver(received_, received_offload_)) received_.clear();
  if (readable && !receive_frames()) return false;
  return send_frames();
}

/// False: the device is gone.
bool TapLink::receive_frames() {
  for (unsigned i = 0; received_.empty(); ++i) {
    if (i == kAtOnce) {
      again();
      return true;
    }
    device::net::OffloadBytes header;
    frame_.resize(device::net::kLongestLarge);
    const std::array<iovec, 2> parts = {{{header.data(), header.size()}, {frame_.data(), frame_.size()}}};
    const ssize_t count = readv(tap_.get(), parts.data(), parts.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count <= static_cast<ssize_t>(kOffloadBytes)) continue;
    frame_.resize(static_cast<size_t>(count) - kOffloadBytes);
    const auto offload = device::net::decode(header);
    if (!offload || deliver(frame_, *offload)) continue;
    received_.swap(frame_);
    received_offload_ = *offload;
  }
  return true;
}

/// What the device does not take, because it is down or has no room, is lost, as on a wire. False: it is
/// gone.
bool TapLink::send_frames() {
  Offload offload;
  for (unsigned i = 0; i < kAtOnce; ++i) {
    if (!next_frame(frame_, offload, true)) return true;
    const auto packet = offload.cut == device::net::Cut::kNone ? std::nullopt : find_tcp(frame_, offload);
    device::net::OffloadBytes header = encode(offload, packet ? packet->payload : 0);
    const std::array<iovec, 2> parts = {{{header.data(), header.size()}, {frame_.data(), frame_.size()}}};
    if (writev(tap_.get(), parts.data(), parts.size()) < 0 && errno == EBADFD) return false;
  }
  again();
  return true;
}

}  // namespace eidolon::backend
