// The block device (virtio 1.2, 5.2): read, write, flush, discard, write zeroes.
#pragma once

#include <optional>

#include "device/storage/medium.h"
#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Block final : public RequestDevice {
 public:
  static constexpr unsigned kThreads = 2;

  /// `medium` outlives the device. `serial` is what the guest sees as the disk's number, 20 characters at
  /// most.
  Block(std::string name, storage::Medium& medium, std::string serial);
  ~Block() override { stop_threads(); }

 protected:
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  [[nodiscard]] std::vector<uint8_t> config() override;

 private:
  enum class Status : uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };
  struct Header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
  };
  struct Outcome {
    Status status;
    uint32_t written = 0;  ///< bytes before the status byte
  };
  [[nodiscard]] Outcome carry_out(const Header& header, const Chain& chain);
  [[nodiscard]] Outcome read(uint64_t sector, const Chain& chain);
  [[nodiscard]] Outcome write(uint64_t sector, const Chain& chain);
  [[nodiscard]] Outcome clear(const Chain& chain, bool discard);
  [[nodiscard]] Outcome identify(const Chain& chain);
  /// The byte offset, if sector and length lie on the disk.
  [[nodiscard]] std::optional<uint64_t> place(uint64_t sector, uint64_t bytes) const;

  storage::Medium& medium_;
  const std::string serial_;
};

}  // namespace eidolon::device::virtio
