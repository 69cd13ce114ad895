#include "vhost/net.h"

#include "base/try.h"
#include "device/virtio/net_features.h"
#include "vhost/served_device.h"

namespace eidolon::vhost {

namespace {

namespace feature = device::virtio::net_feature;

constexpr uint16_t kType = 1, kQueueSize = 256;
constexpr uint64_t kOwnFeatures = feature::kAddress | feature::kStatus;
/// What driver and back end may agree on: all that is about frames.
constexpr uint64_t kFeatures = feature::kSum | feature::kGuestSum | feature::kGuestTcp4 |
                               feature::kGuestTcp6 | feature::kGuestCongestion | feature::kTcp4 |
                               feature::kTcp6 | feature::kCongestion | feature::kMergeable;
/// Behind the address, of which the lowest bit is VIRTIO_NET_S_LINK_UP.
constexpr size_t kStatusAt = 6, kConfigBytes = 10;

}  // namespace

Result<std::unique_ptr<device::virtio::Device>> make_net(std::string name, const std::string& socket,
                                                         const device::net::MacAddress& address,
                                                         memory::GuestMemory& memory) {
  BackEnd back_end = EIDOLON_TRY(BackEnd::reach(socket, 0));
  std::vector<uint8_t> config(address.begin(), address.end());
  config.resize(kConfigBytes);
  config[kStatusAt] = 1;
  config[kStatusAt + 2] = 1;  // pairs of queues
  device::virtio::Device::Shape shape = {.name = std::move(name),
                                         .type = kType,
                                         .features = (back_end.features() & kFeatures) | kOwnFeatures,
                                         .queue_sizes = {kQueueSize, kQueueSize},
                                         .class_code = 0x020000};
  return ServedDevice::create(std::move(shape),
                              {.socket = socket,
                               .what = "network card",
                               .config = std::move(config),
                               .own_features = kOwnFeatures,
                               .answers_all = false,
                               .link_at = kStatusAt},
                              std::move(back_end), memory);
}

}  // namespace eidolon::vhost
