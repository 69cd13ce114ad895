#include "vhost/fs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/try.h"
#include "device/virtio/fs.h"
#include "vhost/served_device.h"

namespace eidolon::vhost {

namespace {

constexpr uint16_t kType = 26, kQueueSize = 512;
constexpr uint32_t kRequestQueues = 1;

/// What FUSE messages begin with (Linux, include/uapi/linux/fuse.h).
struct Question {
  uint32_t length;
  uint32_t operation;
  uint64_t number;
};
struct Answer {
  uint32_t length;
  int32_t error;
  uint64_t number;
};

/// What a server knew of the mount has ended with it: the next one could not answer.
uint32_t refuse(device::Dma& dma, const device::virtio::Chain& chain) {
  Question question;
  if (!chain.read(dma, 0, &question, sizeof question)) return 0;
  const Answer answer = {.length = sizeof answer, .error = -EIO, .number = question.number};
  return chain.write(dma, 0, &answer, sizeof answer) ? sizeof answer : 0;
}

}  // namespace

Result<std::unique_ptr<device::virtio::Device>> make_fs(std::string name, const std::string& socket,
                                                        const std::string& tag, memory::GuestMemory& memory) {
  using device::virtio::Fs;
  BackEnd back_end = EIDOLON_TRY(BackEnd::reach(socket, 0));
  std::vector<uint8_t> config(Fs::kLongestTag + sizeof kRequestQueues);
  std::copy_n(tag.begin(), std::min(tag.size(), Fs::kLongestTag), config.begin());
  std::memcpy(config.data() + Fs::kLongestTag, &kRequestQueues, sizeof kRequestQueues);
  device::virtio::Device::Shape shape = {.name = std::move(name),
                                         .type = kType,
                                         .features = 0,
                                         .queue_sizes = {kQueueSize, kQueueSize},
                                         .class_code = 0x018000};
  return ServedDevice::create(
      std::move(shape),
      {.socket = socket, .what = "shared folder", .config = std::move(config), .refuse = refuse},
      std::move(back_end), memory);
}

}  // namespace eidolon::vhost
