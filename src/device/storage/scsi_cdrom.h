// A CD-ROM drive as a logical unit: the drive of the ATA bus, whose packets are SCSI commands, with what a
// SCSI transport asks for besides (SPC-4).
#pragma once

#include <mutex>

#include "device/storage/ata_cdrom.h"
#include "device/storage/scsi_unit.h"

namespace eidolon::device::storage::scsi {

class Cdrom final : public Unit {
 public:
  /// `disc` outlives the unit.
  Cdrom(Medium& disc, std::string serial);

  [[nodiscard]] Answer execute(const Request& request) override;
  void reset(const Sense& why) override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] Answer inquiry(const Request& request) const;
  [[nodiscard]] Answer packet(const Request& request);

  const std::string serial_;
  mutable std::mutex mutex_;  ///< one command at a time; the last that is taken
  ata::Cdrom drive_;
};

}  // namespace eidolon::device::storage::scsi
