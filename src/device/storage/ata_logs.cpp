// SMART (ACS-3, 7.48) as far as tools ask whether the disk is well, and the general purpose logs (9).
#include <cstring>

#include "device/storage/ata_disk.h"

namespace eidolon::device::storage::ata {

namespace {

enum SmartFeature : uint8_t {
  kSmartReadData = 0xd0,
  kSmartReadThresholds = 0xd1,
  kSmartAutosave = 0xd2,
  kSmartOffline = 0xd4,
  kSmartReadLog = 0xd5,
  kSmartEnable = 0xd8,
  kSmartDisable = 0xd9,
  kSmartStatus = 0xda,
};
constexpr uint64_t kSmartKey = 0xc24f00;  // LBA mid and high of every SMART command

enum Log : uint8_t { kLogDirectory = 0, kLogQueuedError = 0x10 };

void set_checksum(std::vector<uint8_t>& page) {
  uint8_t sum = 0;
  for (size_t i = 0; i + 1 < page.size(); ++i) sum = static_cast<uint8_t>(sum + page[i]);
  page.back() = static_cast<uint8_t>(-sum);
}

/// Version of the structure, no attributes, no self-test under way, errors none.
std::vector<uint8_t> smart_page() {
  std::vector<uint8_t> page(Command::kSector);
  page[0] = 0x10;
  set_checksum(page);
  return page;
}

std::vector<uint8_t> directory() {
  std::vector<uint8_t> page(Command::kSector);
  page[0] = 1;
  page[2 * kLogQueuedError] = 1;
  return page;
}

}  // namespace

void Disk::smart(Command& command) {
  const auto feature = static_cast<uint8_t>(command.task.features);
  if ((command.task.lba & 0xffff00) != kSmartKey || (!smart_ && feature != kSmartEnable)) {
    command.fail(kAborted);
    return;
  }
  switch (feature) {
    case kSmartEnable:
    case kSmartDisable:
      smart_ = feature == kSmartEnable;
      return;
    case kSmartStatus:  // LBA as it was: no threshold is exceeded
    case kSmartAutosave:
    case kSmartOffline:
      return;
    case kSmartReadData:
    case kSmartReadThresholds:
      return answer(command, smart_page());
    case kSmartReadLog:
      if ((command.task.lba & 0xff) == kLogDirectory && (command.task.count & 0xff) == 1)
        return answer(command, directory());
      [[fallthrough]];
    default:
      command.fail(kAborted);
  }
}

/// READ LOG EXT: the log's number in LBA low, the page in LBA mid and its upper half.
void Disk::read_log(Command& command) {
  const auto log = static_cast<uint8_t>(command.task.lba);
  const uint64_t page_number = (command.task.lba >> 8 & 0xff) | (command.task.lba >> 32 & 0xff) << 8;
  if (page_number != 0 || command.task.count != 1) {
    command.fail(kAborted);
    return;
  }
  command.dma = command.task.command == kReadLogDmaExt;
  if (log == kLogDirectory) return answer(command, directory());
  if (log != kLogQueuedError || bus_ != BusKind::kSerial) {
    command.fail(kAborted);
    return;
  }
  std::vector<uint8_t> page(Command::kSector);
  page[0] = queue_error_.error == 0 ? 0x80 : queue_error_.tag;  // bit 7: no queued command failed
  page[2] = queue_error_.status;
  page[3] = queue_error_.error;
  for (unsigned i = 0; i < 3; ++i) {
    page[4 + i] = static_cast<uint8_t>(queue_error_.lba >> (8 * i));
    page[8 + i] = static_cast<uint8_t>(queue_error_.lba >> (24 + 8 * i));
  }
  page[7] = kLbaMode;
  page[12] = static_cast<uint8_t>(queue_error_.count);
  page[13] = static_cast<uint8_t>(queue_error_.count >> 8);
  set_checksum(page);
  answer(command, std::move(page));
  queue_error_ = {};
}

}  // namespace eidolon::device::storage::ata
