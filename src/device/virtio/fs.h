// The file system device (virtio 1.2, 5.11): carries FUSE messages to a server, which knows what they mean.
#pragma once

#include <string>

#include "device/virtio/file_server.h"
#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Fs final : public RequestDevice {
 public:
  static constexpr unsigned kThreads = 2;
  static constexpr size_t kLongestTag = 36;

  /// `server` outlives the device. `tag` is what the guest mounts.
  Fs(std::string name, FileServer& server, std::string tag);
  ~Fs() override { stop_threads(); }

  [[nodiscard]] std::string_view obstacle() const override;

 protected:
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  void reset_device() override { server_.forget(); }
  [[nodiscard]] std::vector<uint8_t> config() override;

 private:
  FileServer& server_;
  const std::string tag_;
};

}  // namespace eidolon::device::virtio
