// The entropy device (virtio 1.2, 5.4): fills buffers with the host's random bytes.
#pragma once

#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Rng final : public RequestDevice {
 public:
  explicit Rng(std::string name);
  ~Rng() override { stop_threads(); }

 protected:
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
};

}  // namespace eidolon::device::virtio
