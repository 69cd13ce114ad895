// The command list of a port: taking a slot, carrying it out, telling how it went.
#include <algorithm>
#include <bit>

#include "device/storage/ahci_port.h"
#include "device/storage/dma_pieces.h"

namespace eidolon::device::storage::ahci {

namespace {

constexpr unsigned kSlots = 32;

ata::TaskFile task_of(const std::array<uint8_t, 20>& fis) {
  const auto byte = [&fis](unsigned at) { return uint64_t{fis[at]}; };
  return {.command = fis[2],
          .device = fis[7],
          .features = static_cast<uint16_t>(byte(3) | byte(11) << 8),
          .count = static_cast<uint16_t>(byte(12) | byte(13) << 8),
          .lba = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(8) << 24 | byte(9) << 32 | byte(10) << 40};
}

unsigned tag_of(const ata::Command& command) { return command.task.count >> 3 & 31; }

}  // namespace

/// Slots come in turn from the current one on.
unsigned Port::next_slot() const {
  const unsigned first = (slot_ + 1) % kSlots;
  return (first + static_cast<unsigned>(std::countr_zero(std::rotr(ci_, static_cast<int>(first))))) % kSlots;
}

bool Port::take(Job& job) {
  // Several control FISes may precede a command that takes time.
  while (running() && !busy_ && ci_ != 0) {
    job = {};
    job.slot = next_slot();
    const uint32_t before = ci_;
    if (start(job)) return true;
    if (ci_ == before) return false;
  }
  return false;
}

/// False if nothing is to be carried out: the slot is done with, it has to wait, or the port has failed.
bool Port::start(Job& job) {
  CommandHeader header;
  std::array<uint8_t, 20> fis;
  job.header = clb_ + job.slot * sizeof header;
  if (!dma_->read(job.header, &header, sizeof header)) {
    fail(kIntHostBusFatal);
    return false;
  }
  job.table = (uint64_t{header.table_high} << 32 | header.table_low) & ~uint64_t{127};
  job.prds = header.prds;
  if (!dma_->read(job.table, fis.data(), fis.size())) {
    fail(kIntHostBusFatal);
    return false;
  }
  if (fis[0] != kFisH2d || (header.options & CommandHeader::kLengthMask) < fis.size() / 4) {
    fail(kIntInterfaceFatal);
    return false;
  }
  if ((fis[1] & kFisIsCommand) == 0) {
    if (queued_ == 0) control(fis[15], job.slot);
    return false;
  }
  return begin(job, fis);
}

/// The two FISes of a soft reset: SRST set, SRST clear.
void Port::control(uint8_t value, unsigned slot) {
  slot_ = slot;
  ci_ &= ~(1u << slot);
  const bool reset = (value & ata::kSoftReset) != 0;
  if (resetting_ && !reset) {
    drive_->reset(false);
    send_signature();
  }
  resetting_ = reset;
}

bool Port::begin(Job& job, const std::array<uint8_t, 20>& fis) {
  const ata::TaskFile task = task_of(fis);
  const bool queued = task.command == ata::kReadFpdma || task.command == ata::kWriteFpdma;
  if (!queued && queued_ != 0) return false;  // its turn comes
  job.command = drive_->begin(task);
  slot_ = job.slot;
  if (job.command.queued) {
    const uint32_t tag = 1u << tag_of(job.command);
    if ((queued_ & tag) != 0) job.command.fail(ata::kAborted);
    queued_ |= tag;
    ci_ &= ~(1u << job.slot);  // accepted; PxSACT says when it is done
    tfd_ = ata::kIdle;
  } else {
    busy_ = true;
    tfd_ = ata::kBusy | ata::kIdle;
  }
  if (job.command.data == ata::Data::kPacket) {
    ata::Drive::Cdb cdb;
    if (dma_->read(job.table + kTableCdb, cdb.data(), cdb.size())) {
      job.command = drive_->begin_packet(job.command, cdb);
    } else {
      job.fault = Job::Fault::kBus;
    }
  }
  if (job.fault == Job::Fault::kNone && !job.command.finished()) return true;
  finish(job);
  return false;
}

void Port::run(Job& job) const {
  ata::Command& command = job.command;
  if (command.data != ata::Data::kNone) {
    const bool in = command.data == ata::Data::kIn;
    DmaPieces pieces(*dma_, in);
    for (unsigned i = 0; i < job.prds && pieces.total() < command.length; ++i) {
      Prd prd;
      if (!dma_->read(job.table + kTablePrds + i * sizeof prd, &prd, sizeof prd) ||
          !pieces.add(prd.address(), std::min(prd.length(), command.length - pieces.total()))) {
        job.fault = Job::Fault::kBus;
        return;
      }
    }
    if (pieces.total() < command.length) {
      job.fault = Job::Fault::kOverflow;
      return;
    }
    drive_->move(command, 0, pieces.parts());
    if (in) pieces.written();
  }
  drive_->complete(command);
}

void Port::finish(Job& job) {
  ata::Command& command = job.command;
  if (!command.queued) busy_ = false;
  if (job.fault == Job::Fault::kOverflow) {
    command.fail(ata::kAborted);
    is_ |= kIntOverflow;
  }
  // Before end(), which forgets it when the command has failed.
  const ata::Data direction = command.data;
  const uint64_t moved = direction == ata::Data::kNone || command.io != IoStatus::kDone ? 0 : command.length;
  drive_->end(command);
  if (job.fault == Job::Fault::kBus) {
    if (command.queued) queued_ &= ~(1u << tag_of(command));
    return fail(kIntHostBusFatal);
  }
  if (failed_) return;  // an earlier queued command's error has ended this one, too
  const auto bytes = static_cast<uint32_t>(moved);
  (void)dma_->write(job.header + offsetof(CommandHeader, bytes), &bytes, sizeof bytes);
  if (command.queued) return finish_queued(job);

  const bool packet = drive_->is_packet_device() && command.task.command == ata::kPacket;
  const bool pio_data = !command.dma && direction != ata::Data::kNone && !command.failed();
  const bool last = direction == ata::Data::kIn && !packet;
  if (pio_data) send_pio_setup(command, moved, direction == ata::Data::kIn);
  if (!command.failed()) ci_ &= ~(1u << job.slot);
  if (!pio_data || !last) send_register(command, true);
}

void Port::finish_queued(const Job& job) {
  const uint32_t tag = 1u << tag_of(job.command);
  queued_ &= ~tag;
  if (!job.command.failed()) sact_ &= ~tag;
  send_device_bits(job.command, job.command.failed() ? 0 : tag);
}

void Port::fail(uint32_t cause) {
  is_ |= cause;
  failed_ = true;
}

}  // namespace eidolon::device::storage::ahci
