#include "device/storage/scsi_cdrom.h"

#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::scsi {

Cdrom::Cdrom(Medium& disc, std::string serial)
    : serial_(serial), drive_(&disc, std::move(serial), ata::BusKind::kSerial) {}

/// The drive has one reason for all kinds of reset.
void Cdrom::reset(const Sense& why) {
  const std::lock_guard lock(mutex_);
  drive_.reset(why == kPowerOn);
}

void Cdrom::save(StateWriter& to) const {
  const std::lock_guard lock(mutex_);
  drive_.save(to);
}

void Cdrom::load(StateReader& from) {
  const std::lock_guard lock(mutex_);
  drive_.load(from);
}

Answer Cdrom::execute(const Request& request) {
  const std::lock_guard lock(mutex_);
  return request.cdb[0] == kInquiry ? inquiry(request) : packet(request);
}

Answer Cdrom::packet(const Request& request) {
  ata::Drive::Cdb cdb{};
  std::copy_n(request.cdb.begin(), cdb.size(), cdb.begin());
  ata::Command command = drive_.begin_packet({}, cdb);
  if (!command.finished()) {
    if (request.room() < command.length) return {.overrun = true};
    if (command.length != 0) drive_.move(command, 0, part_of(request.to_guest, 0, command.length));
    drive_.complete(command);
  }
  const uint64_t moved = command.length;
  command.task.command = ata::kPacket;  // it tells of a bad block as such
  drive_.end(command);
  if (command.failed()) return failed(drive_.take_sense());
  return {.moved = moved};
}

/// That of the ATA drive says that it is on no SCSI bus.
Answer Cdrom::inquiry(const Request& request) const {
  const uint64_t allocated = field(request.cdb, 3, 2);
  const uint8_t page = request.cdb[2];
  std::vector<uint8_t> bytes;
  if ((request.cdb[1] & 1) == 0) {
    if (page != 0) return failed(kInvalidField);
    bytes = {0x05, 0x80, 0x06, 0x12, 31, 0, 0, 0};
    bytes.resize(36);
    const std::span<uint8_t> all(bytes);
    put_text(all.subspan(8, 8), "Eidolon");
    put_text(all.subspan(16, 16), "CD-ROM");
    put_text(all.subspan(32, 4), "1.0");
    return answer(request, bytes, allocated);
  }
  bytes = {0x05, page, 0, 0};
  if (page == 0x00) {
    bytes.insert(bytes.end(), {0x00, 0x80});
  } else if (page == 0x80) {
    bytes.insert(bytes.end(), serial_.begin(), serial_.end());
  } else {
    return failed(kInvalidField);
  }
  bytes[3] = static_cast<uint8_t>(bytes.size() - 4);
  return answer(request, bytes, allocated);
}

}  // namespace eidolon::device::storage::scsi
