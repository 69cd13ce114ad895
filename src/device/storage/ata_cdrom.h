// An ATAPI CD-ROM drive: the few ATA commands of a packet device (ACS-3, 7.18 and others), and the packets of
// the Multi-Media Commands (MMC-6; SPC-3 for sense data and INQUIRY).
#pragma once

#include <string>
#include <utility>

#include "device/storage/ata_disk.h"
#include "device/storage/ata_drive.h"
#include "device/storage/scsi_sense.h"

namespace eidolon::device::storage::ata {

class Cdrom final : public Drive {
 public:
  static constexpr uint64_t kBlock = 2048;

  /// `disc` outlives the drive; null: there is none in it. `serial`: at most 20 characters.
  Cdrom(Medium* disc, std::string serial, BusKind bus);

  [[nodiscard]] Command begin(const TaskFile& task) override;
  [[nodiscard]] Command begin_packet(const Command& packet, const Cdb& cdb) override;
  void end(Command& command) override;
  void reset(bool hard) override;
  /// What REQUEST SENSE would tell of the last command; then it is told.
  [[nodiscard]] scsi::Sense take_sense() { return std::exchange(sense_, {}); }
  [[nodiscard]] uint64_t signature() const override { return kPacketSignature; }
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  using Sense = scsi::Sense;
  enum class Event : uint8_t { kNone = 0, kEjectRequest = 1, kNewMedia = 2, kRemoval = 3 };

  [[nodiscard]] uint64_t bytes() const override { return blocks() * kBlock; }
  [[nodiscard]] IoStatus transfer_medium(const Command& command, uint64_t at,
                                         std::span<const iovec> parts) override;
  IoStatus work_on(Command& /*command*/) override { return IoStatus::kDone; }

  [[nodiscard]] std::vector<uint8_t> identify() const;
  void set_features(Command& command);

  // cdrom_packets.cpp
  void dispatch(Command& command, const Cdb& cdb);
  void check(Command& command, const Sense& sense);
  /// False, and the command has failed, if there is no disc to work on.
  [[nodiscard]] bool need_disc(Command& command);
  static void answer(Command& command, std::vector<uint8_t> bytes, uint64_t allocated);
  void request_sense(Command& command, const Cdb& cdb);
  void inquiry(Command& command, const Cdb& cdb);
  void start_stop(Command& command, const Cdb& cdb);
  void read_capacity(Command& command);
  void read(Command& command, uint64_t block, uint64_t count);
  void read_cd(Command& command, const Cdb& cdb);

  // cdrom_reports.cpp
  void event_status(Command& command, const Cdb& cdb);
  void configuration(Command& command, const Cdb& cdb);
  void mode_sense(Command& command, const Cdb& cdb);
  void read_toc(Command& command, const Cdb& cdb);
  void disc_information(Command& command, const Cdb& cdb);
  void disc_structure(Command& command, const Cdb& cdb);
  void mechanism_status(Command& command, const Cdb& cdb);
  [[nodiscard]] uint16_t profile() const;

  [[nodiscard]] bool present() const { return disc_ != nullptr && !tray_open_; }
  /// A last part of a block counts as one; what is missing of it reads as zeros.
  [[nodiscard]] uint64_t blocks() const {
    return disc_ == nullptr ? 0 : (disc_->size() + kBlock - 1) / kBlock;
  }

  Medium* const disc_;
  const std::string serial_;
  const BusKind bus_;

  uint8_t dma_mode_ = 0;
  bool tray_open_ = false;
  bool locked_ = false;
  Sense sense_;      ///< of the last command, for REQUEST SENSE
  Sense attention_;  ///< that the next command is told of; key 0: none
  Event event_ = Event::kNone;
};

}  // namespace eidolon::device::storage::ata
