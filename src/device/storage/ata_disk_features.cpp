// The commands that move no sectors: features, cache, power, geometry, TRIM.
#include <algorithm>

#include "device/storage/ata_disk.h"

namespace eidolon::device::storage::ata {

namespace {
// Subcommands of SET FEATURES (ACS-3, table 117).
enum Feature : uint8_t {
  kEnableWriteCache = 0x02,
  kSetTransferMode = 0x03,
  kEnableSataFeature = 0x10,
  kDisableLookAhead = 0x55,
  kKeepSettings = 0x66,
  kDisableWriteCache = 0x82,
  kDisableSataFeature = 0x90,
  kEnableLookAhead = 0xaa,
  kRevertSettings = 0xcc,
};
constexpr uint8_t kPowerActive = 0xff;
constexpr uint8_t kMostUdmaParallel = 0x42, kMostUdmaSerial = 0x46, kMostMultiword = 0x22;
}  // namespace

void Disk::begin_other(Command& command) {
  TaskFile& task = command.task;
  switch (task.command) {
    case kIdentify:
      return answer(command, identify());
    case kSetFeatures:
      return set_features(command);
    case kSetMultiple:
      return set_multiple(command);
    case kInitializeParameters:
      return initialize_parameters(command);
    case kFlush:
    case kFlushExt:
      command.work = Work::kFlush;
      return;
    case kStandby:
    case kStandbyImmediate:
    case kSleep:
      command.work = Work::kFlush;  // what a drive does before its motor stops
      return;
    case kIdleTimer:
    case kIdleImmediate:
    case kRecalibrate:
    case kSeek:
      return;
    case kCheckPower:
      task.count = kPowerActive;
      return;
    case kReadNativeMax:
      return native_max(command, (uint64_t{1} << 28) - 1);
    case kReadNativeMaxExt:
      return native_max(command, (uint64_t{1} << 48) - 1);
    case kDataSetManagement:
      return begin_trim(command);
    case kSmart:
      return smart(command);
    case kReadLogExt:
    case kReadLogDmaExt:
      return read_log(command);
    case kIdentifyPacket:
    case kPacket:
    case kDeviceReset:
    case kNop:
    default:
      command.fail(kAborted);
  }
}

void Disk::set_features(Command& command) {
  switch (command.task.features & 0xff) {
    case kEnableWriteCache:
      write_cache_ = true;
      return;
    case kDisableWriteCache:
      write_cache_ = false;
      command.work = Work::kFlush;  // what was promised by the cache is kept
      return;
    case kEnableLookAhead:
      look_ahead_ = true;
      return;
    case kDisableLookAhead:
      look_ahead_ = false;
      return;
    case kKeepSettings:
    case kRevertSettings:
      return;
    case kSetTransferMode: {
      const auto mode = static_cast<uint8_t>(command.task.count);
      const uint8_t most_ultra = bus_ == BusKind::kParallel ? kMostUdmaParallel : kMostUdmaSerial;
      const bool pio = mode <= 0x01 || (mode >= 0x08 && mode <= 0x0c);
      const bool multiword = mode >= 0x20 && mode <= kMostMultiword;
      const bool ultra = mode >= 0x40 && mode <= most_ultra;
      if (multiword || ultra) dma_mode_ = mode;
      if (!pio && !multiword && !ultra) command.fail(kAborted);
      return;
    }
    default:
      command.fail(kAborted);
  }
}

void Disk::set_multiple(Command& command) {
  const uint16_t sectors = command.task.count & 0xff;
  if (sectors > kMaxMultiple || (sectors & (sectors - 1)) != 0) {
    command.fail(kAborted);
    return;
  }
  multiple_ = static_cast<uint8_t>(sectors);
}

void Disk::initialize_parameters(Command& command) {
  const auto heads = static_cast<uint16_t>((command.task.device & 0xf) + 1);
  const uint16_t track = command.task.count & 0xff;
  if (track == 0) {
    command.fail(kAborted);
    return;
  }
  const uint64_t cylinders = std::clamp<uint64_t>(sectors() / (uint32_t{heads} * track), 1, 0xffff);
  geometry_ = {.cylinders = static_cast<uint16_t>(cylinders), .heads = heads, .sectors = track};
}

/// `most` is the highest address that the command can tell.
void Disk::native_max(Command& command, uint64_t most) const {
  const uint64_t last = std::min(sectors() - 1, most);
  command.task.lba = last;
  if (most >> 28 != 0) return;
  command.task.lba = last & 0xffffff;
  command.task.device = static_cast<uint8_t>((command.task.device & 0xf0) | last >> 24);
}

void Disk::begin_trim(Command& command) {
  constexpr uint16_t kTrimBit = 1, kMostBlocks = 8;
  if (command.task.features != kTrimBit || command.task.count == 0 || command.task.count > kMostBlocks ||
      medium_.read_only()) {
    command.fail(kAborted);
    return;
  }
  command.data = Data::kOut;
  command.dma = true;
  command.own_data = true;
  command.work = Work::kTrim;
  command.length = uint64_t{command.task.count} * Command::kSector;
  command.bytes.resize(command.length);
}

void Disk::answer(Command& command, std::vector<uint8_t> bytes) {
  command.data = Data::kIn;
  command.own_data = true;
  command.bytes = std::move(bytes);
  command.length = command.bytes.size();
}

}  // namespace eidolon::device::storage::ata
