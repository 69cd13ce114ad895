// A cable to a tap device of the host (Linux, Documentation/networking/tuntap.rst): what the host's
// administrator has made for this user, and may lead to a bridge. Checksums and segmentation are left to the
// host both ways (IFF_VNET_HDR).
#pragma once

#include <memory>
#include <string>

#include "backend/cable.h"
#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class TapLink final : public Cable {
 public:
  /// The device has to be there at first; it may go, and come back.
  static Result<std::unique_ptr<TapLink>> create(const std::string& name);
  ~TapLink() override { stop(); }

 private:
  TapLink(Wakeup wakeup, std::string name, FileDescriptor tap)
      : Cable(std::move(wakeup)), name_(std::move(name)), tap_(std::move(tap)) {}

  // Cable
  [[nodiscard]] bool open() override;
  void close() override { tap_.reset(); }
  [[nodiscard]] int fd() const override { return tap_.get(); }
  [[nodiscard]] bool exchange(bool readable) override;

  [[nodiscard]] bool receive_frames();
  [[nodiscard]] bool send_frames();

  const std::string name_;
  FileDescriptor tap_;
  std::vector<uint8_t> frame_;
  std::vector<uint8_t> received_;  ///< what the card had no room for, or nothing
  device::net::Offload received_offload_;
};

}  // namespace eidolon::backend
