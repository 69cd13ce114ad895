// A disk as a logical unit (SPC-4 for what all units have, SBC-3 for blocks).
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "device/storage/medium.h"
#include "device/storage/scsi_unit.h"

namespace eidolon::device::storage::scsi {

class Disk final : public Unit {
 public:
  static constexpr uint64_t kBlock = 512;
  // What one command may ask for, in blocks; it is in the Block Limits page.
  static constexpr uint32_t kMostTransfer = 0xffff;
  static constexpr uint32_t kMostUnmap = 1u << 21, kMostUnmapRanges = 255;
  static constexpr uint32_t kMostSame = 1u << 17;

  /// `medium` outlives the unit. `serial` is the disk's number.
  Disk(Medium& medium, std::string serial);

  [[nodiscard]] Answer execute(const Request& request) override;
  [[nodiscard]] std::optional<Answer> execute_at_once(const Request& request) override;
  void reset(const Sense& why) override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  struct Blocks {
    uint64_t first;
    uint64_t count;
  };
  [[nodiscard]] Answer dispatch(const Request& request);
  [[nodiscard]] uint64_t blocks() const { return medium_.size() / kBlock; }
  [[nodiscard]] Sense take_attention();
  [[nodiscard]] bool has_attention() const;

  // scsi_disk_reports.cpp
  [[nodiscard]] Answer request_sense(const Request& request);
  [[nodiscard]] Answer inquiry(const Request& request) const;
  [[nodiscard]] std::optional<std::vector<uint8_t>> product_data(uint8_t page) const;
  [[nodiscard]] std::vector<uint8_t> mode_pages(uint8_t page, bool changeable, bool by_default) const;
  [[nodiscard]] Answer mode_sense(const Request& request) const;
  [[nodiscard]] Answer mode_select(const Request& request);
  [[nodiscard]] Sense select_pages(std::span<const uint8_t> pages);
  [[nodiscard]] Answer read_capacity(const Request& request) const;
  [[nodiscard]] Answer read_capacity_16(const Request& request) const;

  // scsi_disk_transfers.cpp
  [[nodiscard]] static Blocks blocks_of(const Cdb& cdb);
  [[nodiscard]] Sense check(const Blocks& blocks, uint64_t most) const;
  [[nodiscard]] Answer read(const Request& request);
  [[nodiscard]] Answer write(const Request& request);
  [[nodiscard]] Answer verify(const Request& request);
  [[nodiscard]] Answer synchronize(const Request& request);
  [[nodiscard]] Answer unmap(const Request& request);
  [[nodiscard]] Answer write_same(const Request& request);
  [[nodiscard]] IoStatus write_pattern(const Blocks& blocks, std::span<uint8_t> pattern);
  /// What a write, or a flush, that ended so is reported as.
  [[nodiscard]] static Sense sense_of(IoStatus done);
  [[nodiscard]] Sense finish_write(IoStatus done, bool through);

  Medium& medium_;
  const std::string serial_;
  std::atomic<bool> write_cache_{true};
  mutable std::mutex mutex_;  ///< guards what follows; the last that is taken
  Sense attention_;           ///< that the next command is told of
};

}  // namespace eidolon::device::storage::scsi
