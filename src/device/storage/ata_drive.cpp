#include "device/storage/ata_drive.h"

#include "device/storage/pieces.h"

namespace eidolon::device::storage::ata {

void Command::save(StateWriter& to) const {
  TaskFile::fields(task, to);
  to(data, work, dma, queued, own_data, status, error, io, operation, block, length, offset, bytes);
}

void Command::load(StateReader& from) {
  TaskFile::fields(task, from);
  from(data, work, dma, queued, own_data, status, error, io, operation, block, length, offset, bytes);
  if (data > Data::kPacket || work > Work::kTrim || block == 0 || (own_data && bytes.size() != length))
    from.fail();
}

IoStatus Drive::move(Command& command, uint64_t at, std::span<const iovec> parts) {
  if (!command.own_data) {
    command.io = transfer_medium(command, at, parts);
  } else if (command.data == Data::kIn) {
    scatter(std::span(command.bytes).subspan(at), parts);
  } else {
    gather(parts, std::span(command.bytes).subspan(at));
  }
  return command.io;
}

void Drive::complete(Command& command) {
  if (command.work != Work::kNothing && command.io == IoStatus::kDone) command.io = work_on(command);
}

void Drive::end(Command& command) {
  if (command.io != IoStatus::kDone && !command.failed()) {
    const bool wrote = command.data == Data::kOut || command.work == Work::kFlush;
    command.fail(wrote ? kAborted : kUncorrectable);
    if (wrote) command.status |= kWriteFault;
  }
}

}  // namespace eidolon::device::storage::ata
