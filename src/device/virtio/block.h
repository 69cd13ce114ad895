// The block device (virtio 1.2, 5.2): read, write, flush, discard, write zeroes, over several queues, with a
// write cache that the driver can switch off.
#pragma once

#include <atomic>
#include <optional>

#include "device/storage/medium.h"
#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Block final : public RequestDevice {
 public:
  static constexpr unsigned kThreads = 2, kMostQueues = 8;

  /// `medium` outlives the device. `serial` is what the guest sees as the disk's number, 20 characters at
  /// most.
  Block(std::string name, storage::Medium& medium, std::string serial, unsigned queues = 1);
  ~Block() override { stop_threads(); }

 protected:
  void queue_notified(unsigned queue) override;
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  [[nodiscard]] std::optional<uint32_t> execute_at_once(const Chain& chain) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void config_byte_written(uint64_t offset, uint8_t value) override;
  void save_device(StateWriter& to) const override { to(write_back_); }
  void load_device(StateReader& from) override { from(write_back_); }

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
  /// What was written is to be on the disk before the driver is told. Lock held.
  void choose_cache();
  [[nodiscard]] Status finish_write(storage::IoStatus done);
  [[nodiscard]] Outcome carry_out(const Header& header, const Chain& chain);
  /// The guest's memory of a read or a write, and where on the disk.
  struct Transfer {
    uint64_t offset, length;
    std::vector<Segment> segments;  ///< of memory that is written
    std::vector<iovec> parts;
  };
  [[nodiscard]] std::optional<Transfer> find_read(uint64_t sector, const Chain& chain);
  [[nodiscard]] std::optional<Transfer> find_write(uint64_t sector, const Chain& chain);
  void note_written(const Transfer& transfer);
  [[nodiscard]] Outcome read(uint64_t sector, const Chain& chain);
  [[nodiscard]] Outcome write(uint64_t sector, const Chain& chain);
  [[nodiscard]] Outcome clear(const Chain& chain, bool discard);
  [[nodiscard]] Outcome identify(const Chain& chain);
  /// The byte offset, if sector and length lie on the disk.
  [[nodiscard]] std::optional<uint64_t> place(uint64_t sector, uint64_t bytes) const;

  storage::Medium& medium_;
  const std::string serial_;
  const unsigned queue_count_;
  bool write_back_ = true;            ///< what the driver has chosen; under the device's lock
  std::atomic<bool> through_{false};  ///< what follows from it and from the features
};

}  // namespace eidolon::device::virtio
