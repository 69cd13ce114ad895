// The persistent memory device (virtio 1.2, 5.19): says where in guest memory a file is mapped, and flushes
// it. The mapping itself is the machine's matter (memory/file_window.h).
#pragma once

#include <string>

#include "device/storage/medium.h"
#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Pmem final : public RequestDevice {
 public:
  /// `medium` outlives the device; all of its bytes are at `start`.
  Pmem(std::string name, storage::Medium& medium, GuestPhysical start);
  ~Pmem() override { stop_threads(); }

 protected:
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  [[nodiscard]] std::vector<uint8_t> config() override;

 private:
  storage::Medium& medium_;
  const GuestPhysical start_;
};

}  // namespace eidolon::device::virtio
