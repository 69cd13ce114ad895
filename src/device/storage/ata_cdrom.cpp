#include "device/storage/ata_cdrom.h"

#include <algorithm>

#include "device/storage/ata_identify_words.h"

namespace eidolon::device::storage::ata {

Cdrom::Cdrom(Medium* disc, std::string serial, BusKind bus)
    : disc_(disc), serial_(std::move(serial)), bus_(bus) {
  reset(true);
}

Command Cdrom::begin(const TaskFile& task) {
  Command command;
  command.task = task;
  switch (task.command) {
    case kPacket:
      command.data = Data::kPacket;
      command.dma = (task.features & 1) != 0;
      break;
    case kIdentifyPacket:
      command.data = Data::kIn;
      command.own_data = true;
      command.bytes = identify();
      command.length = command.bytes.size();
      break;
    case kSetFeatures:
      set_features(command);
      break;
    case kDeviceReset:  // over SATA; an IDE channel does it itself
      reset(false);
      command.task.lba = signature();
      command.task.count = 1;
      break;
    case kStandbyImmediate:
    case kIdleImmediate:
    case kSleep:
      break;
    case kCheckPower:
      command.task.count = 0xff;
      break;
    case kIdentify:
    case kReadSectors:
      // They are how a host finds out that this is no disk (ACS-3, 7.12.5).
      command.task.lba = signature();
      command.task.count = 1;
      command.fail(kAborted);
      break;
    default:
      command.fail(kAborted);
  }
  return command;
}

void Cdrom::set_features(Command& command) {
  constexpr uint8_t kSetTransferMode = 0x03;
  const uint32_t mode = command.task.count & 0xff;
  const bool pio = mode <= 0x01 || (mode >= 0x08 && mode <= 0x0c);
  const bool multiword = mode >= 0x20 && mode <= 0x22;
  const bool ultra = mode >= 0x40 && mode <= (bus_ == BusKind::kParallel ? 0x42u : 0x46u);
  if ((command.task.features & 0xff) != kSetTransferMode || (!pio && !multiword && !ultra)) {
    command.fail(kAborted);
    return;
  }
  if (multiword || ultra) dma_mode_ = static_cast<uint8_t>(mode);
}

void Cdrom::end(Command& command) {
  if (command.task.command == kPacket && command.io != IoStatus::kDone && !command.failed())
    check(command, scsi::kReadError);
  Drive::end(command);
  if (command.task.command == kPacket) command.task.count = kReasonCommand | kReasonIn;
}

void Cdrom::reset(bool hard) {
  sense_ = {};
  attention_ = scsi::kPowerOn;
  event_ = Event::kNone;
  locked_ = false;
  if (!hard) return;
  dma_mode_ = bus_ == BusKind::kParallel ? 0x22 : 0x45;
  tray_open_ = false;
}

void Cdrom::save(StateWriter& to) const {
  to(dma_mode_, tray_open_, locked_, sense_.key, sense_.code, sense_.qualifier, attention_.key,
     attention_.code, attention_.qualifier, event_);
}

void Cdrom::load(StateReader& from) {
  from(dma_mode_, tray_open_, locked_, sense_.key, sense_.code, sense_.qualifier, attention_.key,
       attention_.code, attention_.qualifier, event_);
  if (event_ > Event::kRemoval || sense_.key > 15 || attention_.key > 15) from.fail();
  if (from.failed()) reset(true);
}

IoStatus Cdrom::transfer_medium(const Command& command, uint64_t at, std::span<const iovec> parts) {
  if (disc_ == nullptr) return IoStatus::kFailed;
  std::vector<iovec> real;
  uint64_t left = disc_->size() - std::min(disc_->size(), command.offset + at);
  for (const iovec& part : parts) {
    const size_t length = std::min<uint64_t>(part.iov_len, left);
    if (length != 0) real.push_back({part.iov_base, length});
    std::fill_n(static_cast<uint8_t*>(part.iov_base) + length, part.iov_len - length, uint8_t{0});
    left -= length;
  }
  return real.empty() ? IoStatus::kDone : disc_->read(command.offset + at, real);
}

std::vector<uint8_t> Cdrom::identify() const {
  constexpr uint16_t kValid = 0x4000;
  const bool serial_bus = bus_ == BusKind::kSerial;
  const auto selected = [this](uint8_t kind) {
    return (dma_mode_ & 0xf0) == kind ? uint16_t{1} << (8 + (dma_mode_ & 7)) : 0;
  };
  IdentifyWords words;
  words[0] = 0x85c0;  // a CD-ROM packet device, removable, twelve bytes a packet, DRQ at once
  words.text(10, 10, serial_);
  words.text(23, 4, "1.0");
  words.text(27, 20, "Eidolon CD-ROM");
  words[49] = 0x0f00;  // IORDY, LBA, DMA
  words[50] = kValid;
  words[51] = words[52] = 0x0200;
  words[53] = 6;
  words[63] = static_cast<uint16_t>(0x07 | selected(0x20));
  words[64] = 3;
  words[65] = words[66] = words[67] = words[68] = 120;
  words[76] = serial_bus ? 0x000e : 0;
  words[80] = 0x01f0;
  words[82] = 0x4210;  // NOP, DEVICE RESET, PACKET
  words[83] = kValid;
  words[84] = kValid;
  words[85] = words[82];
  words[87] = kValid;
  words[88] = static_cast<uint16_t>((serial_bus ? 0x7f : 0x07) | selected(0x40));
  words[93] = serial_bus ? 0 : 0x6001;
  words[222] = serial_bus ? 0x1020 : 0;
  return words.finish();
}

}  // namespace eidolon::device::storage::ata
