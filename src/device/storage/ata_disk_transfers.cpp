// The commands that move or check sectors.
#include "device/storage/ata_disk.h"

namespace eidolon::device::storage::ata {

namespace {

struct Form {
  uint8_t opcode;
  Data data;  ///< kNone: verify
  bool dma = false;
  bool ext = false;
  bool multiple = false;
  bool fua = false;
};

constexpr Form kForms[] = {
    {.opcode = kReadSectors, .data = Data::kIn},
    {.opcode = kReadSectorsNoRetry, .data = Data::kIn},
    {.opcode = kReadSectorsExt, .data = Data::kIn, .ext = true},
    {.opcode = kReadMultiple, .data = Data::kIn, .multiple = true},
    {.opcode = kReadMultipleExt, .data = Data::kIn, .ext = true, .multiple = true},
    {.opcode = kReadDma, .data = Data::kIn, .dma = true},
    {.opcode = kReadDmaNoRetry, .data = Data::kIn, .dma = true},
    {.opcode = kReadDmaExt, .data = Data::kIn, .dma = true, .ext = true},
    {.opcode = kReadVerify, .data = Data::kNone},
    {.opcode = kReadVerifyNoRetry, .data = Data::kNone},
    {.opcode = kReadVerifyExt, .data = Data::kNone, .ext = true},
    {.opcode = kWriteSectors, .data = Data::kOut},
    {.opcode = kWriteSectorsNoRetry, .data = Data::kOut},
    {.opcode = kWriteSectorsExt, .data = Data::kOut, .ext = true},
    {.opcode = kWriteMultiple, .data = Data::kOut, .multiple = true},
    {.opcode = kWriteMultipleExt, .data = Data::kOut, .ext = true, .multiple = true},
    {.opcode = kWriteMultipleFuaExt, .data = Data::kOut, .ext = true, .multiple = true, .fua = true},
    {.opcode = kWriteDma, .data = Data::kOut, .dma = true},
    {.opcode = kWriteDmaNoRetry, .data = Data::kOut, .dma = true},
    {.opcode = kWriteDmaExt, .data = Data::kOut, .dma = true, .ext = true},
    {.opcode = kWriteDmaFuaExt, .data = Data::kOut, .dma = true, .ext = true, .fua = true},
};

const Form* find_form(uint8_t opcode) {
  for (const Form& form : kForms)
    if (form.opcode == opcode) return &form;
  return nullptr;
}

}  // namespace

bool Disk::begin_transfer(Command& command) {
  const uint8_t opcode = command.task.command;
  if (opcode == kReadFpdma || opcode == kWriteFpdma) {
    begin_queued(command, opcode == kReadFpdma ? Data::kIn : Data::kOut);
    return true;
  }
  const Form* form = find_form(opcode);
  if (form == nullptr) return false;
  const std::optional<Range> range = form->ext ? long_range(command.task) : short_range(command.task);
  if (!range) {
    command.fail(kIdNotFound | kAborted);
    return true;
  }
  if (form->multiple && multiple_ == 0) {
    command.fail(kAborted);
    return true;
  }
  command.data = form->data;
  command.dma = form->dma;
  command.block = Command::kSector * (form->multiple ? multiple_ : 1);
  if (form->data == Data::kNone) command.work = Work::kVerify;
  if (form->data == Data::kOut && (form->fua || !write_cache_)) command.work = Work::kFlush;
  set_range(command, *range);
  return true;
}

/// READ and WRITE FPDMA QUEUED: the count is in the features, the tag in the count (ACS-3, 7.24).
void Disk::begin_queued(Command& command, Data data) {
  command.queued = true;
  if (bus_ != BusKind::kSerial) {
    command.queued = false;
    command.fail(kAborted);
    return;
  }
  command.data = data;
  command.dma = true;
  const bool forced = (command.task.device & kForcedUnitAccess) != 0;
  if (data == Data::kOut && (forced || !write_cache_)) command.work = Work::kFlush;
  const uint64_t sectors = command.task.features == 0 ? 0x10000 : command.task.features;
  set_range(command, {.lba = command.task.lba, .sectors = sectors});
}

void Disk::set_range(Command& command, const Range& range) {
  if (range.lba > sectors() || range.sectors > sectors() - range.lba) {
    command.fail(kIdNotFound);
    return;
  }
  if (command.data == Data::kOut && medium_.read_only()) {
    command.fail(kAborted);
    command.status |= kWriteFault;
    return;
  }
  command.offset = range.lba * Command::kSector;
  command.length = range.sectors * Command::kSector;
}

/// 28 bits of address, or cylinder, head and sector, which counts from 1. Nothing if there is no such sector.
std::optional<Disk::Range> Disk::short_range(const TaskFile& task) const {
  const uint64_t count = (task.count & 0xff) == 0 ? 256 : task.count & 0xff;
  const uint32_t head = task.device & 0xf;
  if ((task.device & kLbaMode) != 0)
    return Range{.lba = uint64_t{head} << 24 | (task.lba & 0xffffff), .sectors = count};
  const uint64_t sector = task.lba & 0xff, cylinder = task.lba >> 8 & 0xffff;
  if (sector == 0 || sector > geometry_.sectors || head >= geometry_.heads || cylinder >= geometry_.cylinders)
    return std::nullopt;
  return Range{.lba = (cylinder * geometry_.heads + head) * geometry_.sectors + sector - 1, .sectors = count};
}

Disk::Range Disk::long_range(const TaskFile& task) {
  return {.lba = task.lba, .sectors = task.count == 0 ? uint64_t{0x10000} : task.count};
}

}  // namespace eidolon::device::storage::ata
