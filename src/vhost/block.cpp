#include "vhost/block.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "vhost/served_device.h"

namespace eidolon::vhost {

namespace {

constexpr uint16_t kType = 2, kQueueSize = 256;

// What the driver and the back end may agree on (5.2.3): all that is about requests. The write cache cannot
// be switched by the driver, which would be a message to the back end.
constexpr uint64_t kSizeMax = 1u << 1, kSegmentMax = 1u << 2, kGeometry = 1u << 4, kReadOnly = 1u << 5,
                   kBlockSize = 1u << 6, kFlush = 1u << 9, kTopology = 1u << 10, kQueues = 1u << 12,
                   kDiscard = 1u << 13, kWriteZeroes = 1u << 14;
constexpr uint64_t kFeatures = kSizeMax | kSegmentMax | kGeometry | kReadOnly | kBlockSize | kFlush |
                               kTopology | kQueues | kDiscard | kWriteZeroes;

// Fields of the configuration (5.2.4).
constexpr uint32_t kConfigBytes = 60;
constexpr size_t kSegmentMaxAt = 12, kQueuesAt = 34;

template <typename T>
T get(const std::vector<uint8_t>& config, size_t at) {
  T value;
  std::memcpy(&value, config.data() + at, sizeof value);
  return value;
}

template <typename T>
void put(std::vector<uint8_t>& config, size_t at, T value) {
  std::memcpy(config.data() + at, &value, sizeof value);
}

}  // namespace

Result<std::unique_ptr<device::virtio::Device>> make_block(std::string name, const std::string& socket,
                                                           unsigned most_queues,
                                                           memory::GuestMemory& memory) {
  BackEnd back_end = EIDOLON_TRY(BackEnd::reach(socket, kConfigBytes));
  uint64_t features = back_end.features() & kFeatures;
  std::vector<uint8_t> config = back_end.config();
  uint64_t queues = 1;
  if ((features & kQueues) != 0) {
    queues = std::clamp<uint64_t>(get<uint16_t>(config, kQueuesAt), 1, most_queues);
    if (back_end.queues() != 0) queues = std::min(queues, back_end.queues());
  }
  if (queues == 1) features &= ~kQueues;
  put(config, kQueuesAt, static_cast<uint16_t>(queues));
  // A request has two pieces more, and has to fit into a ring.
  const uint32_t most_segments = SharedRing::kSize - 2;
  put(config, kSegmentMaxAt, std::min(get<uint32_t>(config, kSegmentMaxAt), most_segments));
  device::virtio::Device::Shape shape = {.name = std::move(name),
                                         .type = kType,
                                         .features = features,
                                         .queue_sizes = std::vector<uint16_t>(queues, kQueueSize),
                                         .class_code = 0x010000};
  return ServedDevice::create(std::move(shape),
                              {.socket = socket,
                               .what = "disk",
                               .config = std::move(config),
                               .config_asked = kConfigBytes,
                               .least_queues = queues > 1 ? queues : 0},
                              std::move(back_end), memory);
}

}  // namespace eidolon::vhost
