// An ATA disk: ACS-3's general feature set with 28- and 48-bit addresses, PIO, DMA and queued (NCQ)
// transfers, write cache, TRIM and a small SMART. It is the same drive on a parallel and on a serial bus, but
// for what IDENTIFY says.
#pragma once

#include <optional>
#include <string>

#include "device/storage/ata_drive.h"

namespace eidolon::device::storage::ata {

enum class BusKind : uint8_t { kParallel, kSerial };

class Disk final : public Drive {
 public:
  static constexpr uint32_t kMaxMultiple = 16;

  /// `medium` outlives the drive. `serial`: at most 20 characters.
  Disk(Medium& medium, std::string serial, BusKind bus);

  [[nodiscard]] Command begin(const TaskFile& task) override;
  [[nodiscard]] Command begin_packet(const Command& packet, const Cdb& cdb) override;
  void end(Command& command) override;
  void reset(bool hard) override;
  [[nodiscard]] uint64_t signature() const override { return kDiskSignature; }
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  struct Geometry {
    uint16_t cylinders;
    uint16_t heads;
    uint16_t sectors;  ///< of a track
  };
  struct Range {
    uint64_t lba;
    uint64_t sectors;
  };
  struct QueueError {
    uint8_t tag = 0;
    uint8_t status = 0;
    uint8_t error = 0;
    uint64_t lba = 0;
    uint16_t count = 0;
  };

  // ata_disk.cpp
  [[nodiscard]] uint64_t bytes() const override { return medium_.size(); }
  [[nodiscard]] IoStatus transfer_medium(const Command& command, uint64_t at,
                                         std::span<const iovec> parts) override;
  IoStatus work_on(Command& command) override;
  [[nodiscard]] IoStatus trim(std::span<const uint8_t> entries);
  [[nodiscard]] IoStatus verify(const Command& command);
  [[nodiscard]] uint64_t sectors() const { return medium_.size() / Command::kSector; }

  // ata_disk_transfers.cpp
  /// Whether the command is one that reads, writes or verifies sectors; then it is set up.
  [[nodiscard]] bool begin_transfer(Command& command);
  void begin_queued(Command& command, Data data);
  void set_range(Command& command, const Range& range);
  [[nodiscard]] std::optional<Range> short_range(const TaskFile& task) const;
  [[nodiscard]] static Range long_range(const TaskFile& task);

  // ata_disk_features.cpp
  void begin_other(Command& command);
  void set_features(Command& command);
  void set_multiple(Command& command);
  void initialize_parameters(Command& command);
  void native_max(Command& command, uint64_t most) const;
  void begin_trim(Command& command);

  // ata_identify.cpp and ata_logs.cpp
  [[nodiscard]] std::vector<uint8_t> identify() const;
  void smart(Command& command);
  void read_log(Command& command);
  static void answer(Command& command, std::vector<uint8_t> bytes);

  Medium& medium_;
  const std::string serial_;
  const BusKind bus_;
  const Geometry natural_;

  Geometry geometry_;  ///< as the host last set it
  uint8_t multiple_ = kMaxMultiple;
  uint8_t dma_mode_ = 0;  ///< of SET FEATURES: 0x20 and up multiword, 0x40 and up Ultra DMA
  bool write_cache_ = true;
  bool look_ahead_ = true;
  bool smart_ = true;
  QueueError queue_error_;
};

}  // namespace eidolon::device::storage::ata
