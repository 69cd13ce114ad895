// The course of a command on an IDE channel: from the command register to the last interrupt.
#include <algorithm>

#include "device/storage/ide_channel.h"

namespace eidolon::device::storage::ide {

namespace {
constexpr uint64_t kMostFetch = 64 * 1024;
constexpr uint32_t kMostPacketBlock = 0xfffe, kPacketStore = 0x8000;
}  // namespace

void Channel::start_command(uint8_t opcode) {
  if ((control_ & ata::kSoftReset) != 0 || empty()) return;
  if (opcode == ata::kDeviceReset && selected().drive && selected().drive->is_packet_device()) {
    abandon();
    selected().drive->reset(false);
    show_signature(selected());
    return;
  }
  if (phase_ != Phase::kIdle) return;
  if (opcode == ata::kExecuteDiagnostic) return diagnose();
  Unit& unit = selected();
  if (!unit.drive) return;
  lower();
  active_ = select_;
  unit.task.command = opcode;
  unit.error = 0;
  command_ = unit.drive->begin(unit.task);
  moved_ = 0;
  if (command_.finished()) return end_command(true);
  begin_data();
}

/// Both drives answer, the first one for both.
void Channel::diagnose() {
  for (Unit& unit : units_) show_signature(unit);
  select_ = active_ = 0;
  raise();
}

void Channel::show_signature(Unit& unit) const {
  unit.task = {};
  unit.error = ata::kDiagnosticsPassed;
  unit.status = 0;
  if (!unit.drive) return;
  unit.task.count = 1;
  unit.task.lba = unit.drive->signature();
  // A packet device is not ready before its first command: that is how old software tells it.
  unit.status = unit.drive->is_packet_device() ? uint8_t{0} : ata::kIdle;
}

void Channel::abandon() {
  phase_ = Phase::kIdle;
  job_ = Job::kNone;
  command_ = {};
  buffer_.clear();
  at_ = block_end_ = 0;
  moved_ = 0;
  constexpr uint8_t kMasterActive = 1;
  master_status_ &= static_cast<uint8_t>(~kMasterActive);
}

void Channel::begin_data() {
  switch (command_.data) {
    case ata::Data::kPacket:
      phase_ = Phase::kPacket;
      buffer_.assign(std::tuple_size_v<ata::Drive::Cdb>, 0);
      at_ = 0;
      block_end_ = buffer_.size();
      set_packet_registers(ata::kReasonCommand, 0);
      return;
    case ata::Data::kNone:
      return give_job(Job::kComplete);
    case ata::Data::kIn:
    case ata::Data::kOut:
      break;
  }
  if (command_.dma) {
    phase_ = Phase::kDmaWait;
    return start_master_if_ready();
  }
  if (command_.data == ata::Data::kIn) return give_job(Job::kFetch);
  want_data_out();
}

void Channel::begin_packet() {
  ata::Drive::Cdb cdb;
  std::copy_n(buffer_.begin(), cdb.size(), cdb.begin());
  // The host says how much it takes at a time (ATA/ATAPI-6, 8.23.5): even, unless it is all.
  uint32_t limit = command_.task.lba >> 8 & 0xffff;
  if (limit == 0 || limit > kMostPacketBlock) limit = kMostPacketBlock;
  command_ = units_[active_].drive->begin_packet(command_, cdb);
  if (limit % 2 != 0 && limit < command_.length) --limit;
  command_.block = std::max(limit, 1u);
  if (command_.finished()) return end_command(true);
  begin_data();
}

void Channel::give_job(Job job) {
  phase_ = Phase::kWorking;
  job_ = job;
  if (job == Job::kFetch) buffer_.resize(std::min(command_.length - moved_, kMostFetch));
}

void Channel::run() {
  ata::Drive& drive = *units_[active_].drive;
  const iovec all = {buffer_.data(), buffer_.size()};
  switch (running_) {
    case Job::kFetch:
    case Job::kStore:
      drive.move(command_, moved_, {&all, 1});
      return;
    case Job::kDma:
      return run_master();
    case Job::kComplete:
      return drive.complete(command_);
    case Job::kNone:
      return;
  }
}

void Channel::finish() {
  const Job done = std::exchange(running_, Job::kNone);
  if (done == Job::kDma) return finish_master();
  if (command_.io != IoStatus::kDone || done == Job::kComplete) return end_command(true);
  at_ = block_end_ = 0;
  if (done == Job::kFetch) return offer_data_in();
  moved_ += buffer_.size();
  if (moved_ == command_.length) return end_data();
  want_data_out();
  raise();
}

void Channel::want_data_out() {
  phase_ = Phase::kDataOut;
  at_ = 0;
  block_end_ = std::min<uint64_t>(command_.block, command_.length - moved_);
  // What goes to a medium goes in whole sectors, however the host cuts it.
  if (is_packet()) block_end_ = std::min<uint64_t>(kPacketStore, command_.length - moved_);
  buffer_.resize(block_end_);
  if (!is_packet()) return;
  set_packet_registers(0, static_cast<uint32_t>(block_end_));
  raise();
}

void Channel::offer_data_in() {
  phase_ = Phase::kDataIn;
  block_end_ = std::min<size_t>(at_ + command_.block, buffer_.size());
  if (is_packet()) set_packet_registers(ata::kReasonIn, static_cast<uint32_t>(block_end_ - at_));
  raise();
}

void Channel::block_read() {
  if (at_ < buffer_.size()) return offer_data_in();
  moved_ += buffer_.size();
  if (moved_ < command_.length) return give_job(Job::kFetch);
  end_data();
}

void Channel::block_written() {
  if (phase_ == Phase::kPacket) return begin_packet();
  give_job(Job::kStore);
}

/// The data has been moved. The last block of a read by PIO has had its interrupt already.
void Channel::end_data() {
  if (command_.work != ata::Work::kNothing) return give_job(Job::kComplete);
  end_command(is_packet() || command_.data != ata::Data::kIn);
}

void Channel::end_command(bool interrupt) {
  Unit& unit = units_[active_];
  unit.drive->end(command_);
  unit.task = command_.task;
  unit.status = command_.status;
  unit.error = command_.error;
  const bool packet = is_packet();
  phase_ = Phase::kIdle;
  buffer_.clear();
  at_ = block_end_ = 0;
  if (packet) set_packet_registers(ata::kReasonCommand | ata::kReasonIn, 0);
  if (interrupt) raise();
}

/// The count register says what a packet command waits for, LBA mid and high how many bytes.
void Channel::set_packet_registers(uint8_t reason, uint32_t bytes) {
  ata::TaskFile& task = units_[active_].task;
  task.count = reason;
  if (bytes != 0) task.lba = (task.lba & ~uint64_t{0xffff00}) | uint64_t{bytes} << 8;
}

}  // namespace eidolon::device::storage::ide
