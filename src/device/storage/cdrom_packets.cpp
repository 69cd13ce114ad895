// The packets of a CD-ROM drive that test, read and eject.
#include <algorithm>
#include <utility>

#include "device/storage/ata_cdrom.h"
#include "device/storage/big_endian.h"
#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::ata {

using namespace scsi;

namespace {

/// These are answered whatever has happened (SPC-3, 4.5.6.6; MMC-6, 6.7).
bool passes_attention(uint8_t operation) {
  return operation == kInquiry || operation == kRequestSense || operation == kGetEventStatus ||
         operation == kGetConfiguration;
}

}  // namespace

Command Cdrom::begin_packet(const Command& packet, const Cdb& cdb) {
  Command command;
  command.task = packet.task;
  command.dma = packet.dma;
  command.operation = cdb[0];
  if (attention_.key != 0 && !passes_attention(cdb[0])) {
    check(command, std::exchange(attention_, {}));
    return command;
  }
  if (cdb[0] != kRequestSense) sense_ = {};
  dispatch(command, cdb);
  return command;
}

void Cdrom::dispatch(Command& command, const Cdb& cdb) {
  const std::span<const uint8_t> bytes(cdb);
  switch (cdb[0]) {
    case kTestUnitReady:
      (void)need_disc(command);
      return;
    case kRequestSense:
      return request_sense(command, cdb);
    case kInquiry:
      return inquiry(command, cdb);
    case kStartStop:
      return start_stop(command, cdb);
    case kPreventRemoval:
      locked_ = (cdb[4] & 1) != 0;
      return;
    case kReadCapacity:
      return read_capacity(command);
    case kRead10:
      return read(command, get_big(bytes.subspan(2, 4)), get_big(bytes.subspan(7, 2)));
    case kRead12:
      return read(command, get_big(bytes.subspan(2, 4)), get_big(bytes.subspan(6, 4)));
    case kReadCd:
      return read_cd(command, cdb);
    case kSeek10:
    case kVerify10:
      read(command, get_big(bytes.subspan(2, 4)), cdb[0] == kVerify10 ? get_big(bytes.subspan(7, 2)) : 0);
      command.length = 0;
      command.data = Data::kNone;
      return;
    case kSetSpeed:
    case kSynchronizeCache:
      return;
    case kModeSense6:
    case kModeSense10:
      return mode_sense(command, cdb);
    case kReadToc:
      return read_toc(command, cdb);
    case kGetConfiguration:
      return configuration(command, cdb);
    case kGetEventStatus:
      return event_status(command, cdb);
    case kReadDiscInformation:
      return disc_information(command, cdb);
    case kReadDiscStructure:
      return disc_structure(command, cdb);
    case kMechanismStatus:
      return mechanism_status(command, cdb);
    default:
      return check(command, kUnknownOperation);
  }
}

/// CHECK CONDITION: the key is in the error register, the rest waits for REQUEST SENSE.
void Cdrom::check(Command& command, const Sense& sense) {
  sense_ = sense;
  command.fail(static_cast<uint8_t>(sense.key << 4 | (sense.key == kIllegalRequest ? kAborted : 0)));
}

bool Cdrom::need_disc(Command& command) {
  if (present()) return true;
  const uint8_t why = tray_open_ ? 2 : 1;  // medium not present, tray open or closed
  check(command, {.key = kNotReady, .code = 0x3a, .qualifier = why});
  return false;
}

void Cdrom::answer(Command& command, std::vector<uint8_t> bytes, uint64_t allocated) {
  bytes.resize(std::min<uint64_t>(bytes.size(), allocated));
  if (bytes.empty()) return;
  command.data = Data::kIn;
  command.own_data = true;
  command.length = bytes.size();
  command.bytes = std::move(bytes);
}

void Cdrom::request_sense(Command& command, const Cdb& cdb) {
  Sense sense = std::exchange(sense_, {});
  if (sense.key == 0) sense = std::exchange(attention_, {});
  answer(command, fixed_format(sense), cdb[4]);
}

void Cdrom::inquiry(Command& command, const Cdb& cdb) {
  if ((cdb[1] & 1) != 0 || cdb[2] != 0)  // no vital product data pages
    return check(command, kInvalidField);
  std::vector<uint8_t> bytes(36);
  bytes[0] = 0x05;  // a CD or DVD drive
  bytes[1] = 0x80;  // removable
  bytes[3] = 0x21;
  bytes[4] = static_cast<uint8_t>(bytes.size() - 5);
  const std::span<uint8_t> all(bytes);
  put_text(all.subspan(8, 8), "Eidolon");
  put_text(all.subspan(16, 16), "CD-ROM");
  put_text(all.subspan(32, 4), "1.0");
  answer(command, std::move(bytes), get_big(std::span(cdb).subspan(3, 2)));
}

void Cdrom::start_stop(Command& command, const Cdb& cdb) {
  const bool start = (cdb[4] & 1) != 0, load_eject = (cdb[4] & 2) != 0;
  if (!load_eject) {
    if (start) (void)need_disc(command);
    return;
  }
  if (!start) {
    if (locked_) return check(command, {.key = kIllegalRequest, .code = 0x53, .qualifier = 2});
    if (present()) event_ = Event::kRemoval;
    tray_open_ = true;
  } else if (tray_open_) {
    tray_open_ = false;
    if (!present()) return;
    event_ = Event::kNewMedia;
    attention_ = {.key = kUnitAttention, .code = 0x28};  // the medium may have changed
  }
}

void Cdrom::read_capacity(Command& command) {
  if (!need_disc(command)) return;
  std::vector<uint8_t> bytes;
  append_big(bytes, 4, std::min<uint64_t>(blocks() - 1, 0xffffffff));
  append_big(bytes, 4, kBlock);
  answer(command, std::move(bytes), 8);
}

void Cdrom::read(Command& command, uint64_t block, uint64_t count) {
  if (!need_disc(command)) return;
  if (block >= blocks() || count > blocks() - block) return check(command, kBeyondTheEnd);
  if (count == 0) return;
  command.data = Data::kIn;
  command.offset = block * kBlock;
  command.length = count * kBlock;
}

/// Only the user data can be had: an image has nothing else.
void Cdrom::read_cd(Command& command, const Cdb& cdb) {
  constexpr uint8_t kParts = 0xf8, kUserData = 0x10;
  const std::span<const uint8_t> bytes(cdb);
  const uint64_t count = get_big(bytes.subspan(6, 3));
  const uint8_t parts = cdb[9] & kParts;
  if ((parts != kUserData && parts != 0) || (cdb[10] & 7) != 0) return check(command, kInvalidField);
  read(command, get_big(bytes.subspan(2, 4)), parts == 0 ? 0 : count);
}

}  // namespace eidolon::device::storage::ata
