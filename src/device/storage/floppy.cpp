#include "device/storage/floppy.h"

#include <optional>

#include "base/bits.h"

namespace eidolon::device::storage {

namespace {
enum Register : unsigned { kStatusA, kStatusB, kOutput, kTape, kMainStatus, kData };
constexpr uint8_t kNotReset = 4, kGate = 8;  // of the digital output register
constexpr uint8_t kRequest = 0x80, kToHost = 0x40, kBusy = 0x10;
constexpr uint8_t kSoftReset = 0x80;   // of the data rate select register
constexpr uint8_t kDiskChange = 0x80;  // of the digital input register
}  // namespace

Floppy::Floppy(std::string name, IrqLine& irq, DmaController& dma)
    : name_(std::move(name)),
      irq_(irq),
      dma_(dma),
      pool_(mutex_, 1, [this](Lock& lock) { return work(lock); }) {
  dma_.set_open_observer([this] {
    const Lock lock(mutex_);
    if (job_waits_) pool_.wake();
  });
}

Floppy::~Floppy() {
  dma_.set_open_observer({});
  pool_.stop();
}

void Floppy::insert(unsigned drive, Medium& medium, const FloppyFormat& format) {
  drives_[drive].medium = &medium;
  drives_[drive].format = format;
}

Floppy::Drive* Floppy::selected(uint8_t byte) {
  const unsigned number = byte & 3;
  return number < kDrives && drives_[number].medium != nullptr ? &drives_[number] : nullptr;
}

void Floppy::set_interrupt(bool level) {
  interrupt_ = level;
  irq_.set(level && (output_ & kGate) != 0);
}

uint8_t Floppy::main_status() const {
  if ((output_ & kNotReset) == 0) return 0;
  switch (phase_) {
    case Phase::kCommand:
      return command_bytes_ == 0 ? kRequest : kRequest | kBusy;
    case Phase::kWork:
      return kBusy;
    case Phase::kResult:
      return kRequest | kToHost | kBusy;
  }
  return 0;
}

uint8_t Floppy::read_register(unsigned number) {
  const Lock lock(mutex_);
  switch (number) {
    case kStatusA:
      return static_cast<uint8_t>(interrupt_ << 7);
    case kStatusB:
      return 0xc0;
    case kOutput:
      return output_;
    case kTape:
      return tape_;
    case kMainStatus:
      return main_status();
    default:
      return read_result();
  }
}

uint8_t Floppy::read_result() {
  if (phase_ != Phase::kResult) return 0xff;
  set_interrupt(false);
  const uint8_t byte = result_[result_at_++];
  if (result_at_ == result_.size()) {
    phase_ = Phase::kCommand;
    command_bytes_ = 0;
  }
  return byte;
}

void Floppy::write_register(unsigned number, uint8_t value) {
  Lock lock(mutex_);
  switch (number) {
    case kOutput: {
      const bool is_reset = (value & kNotReset) == 0;
      std::optional<QuietPool> quiet;
      if (is_reset && (output_ & kNotReset) != 0) quiet.emplace(pool_, lock);
      const bool was_reset = (output_ & kNotReset) == 0;
      if (is_reset && !was_reset) reset_registers();
      output_ = value;
      if (was_reset && !is_reset) reset_controller();
      set_interrupt(interrupt_);
      return;
    }
    case kTape:
      tape_ = value & 3;
      return;
    case kMainStatus:  // when written: data rate select
      rate_ = value & 3;
      if ((value & kSoftReset) != 0) {
        const QuietPool quiet(pool_, lock);
        reset_registers();
        reset_controller();
      }
      return;
    case kData:
      if ((output_ & kNotReset) == 0 || phase_ != Phase::kCommand) return;
      command_[command_bytes_++] = value;
      if (command_bytes_ == command_length(command_[0])) execute();
      if (job_waits_) pool_.wake();
      return;
    default:
      return;
  }
}

/// Digital input: whether the diskette of the selected drive may have changed, if its motor runs.
uint8_t Floppy::read_direction(unsigned /*offset*/) {
  const Lock lock(mutex_);
  const unsigned number = output_ & 3;
  const bool motor = bit(output_, 4 + number);
  const bool changed = number >= kDrives || drives_[number].medium == nullptr || drives_[number].changed;
  return motor && changed ? kDiskChange : 0;
}

void Floppy::write_direction(unsigned /*offset*/, uint8_t value) {
  const Lock lock(mutex_);
  rate_ = value & 3;
}

/// The command under way is forgotten. What LOCK protects stays.
void Floppy::reset_registers() {
  phase_ = Phase::kCommand;
  command_bytes_ = 0;
  result_.clear();
  result_at_ = 0;
  job_waits_ = false;
  seek_done_ = false;
  after_reset_ = 0;
  set_interrupt(false);
  if (!locked_) {
    config_ = kNoPolling;
    precompensation_ = 0;
  }
  perpendicular_ = 0;
}

/// The end of a reset: each drive has become "ready", which the controller tells as it polls them.
void Floppy::reset_controller() {
  if ((config_ & kNoPolling) != 0 && locked_) return;
  after_reset_ = 0xf;
  set_interrupt(true);
}

bool Floppy::work(Lock& lock) {
  constexpr uint8_t kVerify = 0x16, kCommandMask = 0x1f;
  const bool needs_dma = (command_[0] & kCommandMask) != kVerify;
  if (!job_waits_ || (needs_dma && !dma_.open(DmaController::kFloppyChannel))) return false;
  job_waits_ = false;
  Job job{.command = command_, .drive = *selected(command_[1]), .number = command_[1] & 3u, .rate = rate_};
  lock.unlock();
  run(job);
  lock.lock();
  finish_job(job);
  return true;
}

void Floppy::reset() {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  locked_ = false;
  output_ = tape_ = 0;
  rate_ = 2;
  head_times_ = head_load_ = 0;
  for (Drive& drive : drives_) {
    drive.cylinder = 0;
    drive.changed = true;
  }
  reset_registers();
}

void Floppy::save(StateWriter& to) const {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  to.begin(name_, 1);
  for (const Drive& drive : drives_) to(drive.cylinder, drive.changed);
  to(output_, tape_, rate_, phase_, command_, command_bytes_, result_, result_at_, job_waits_, interrupt_,
     after_reset_, seek_done_, seek_status_, head_times_, head_load_, config_, precompensation_,
     perpendicular_, locked_);
  to.end();
}

void Floppy::load(StateReader& from) {
  from.begin(name_);
  {
    Lock lock(mutex_);
    const QuietPool quiet(pool_, lock);
    for (Drive& drive : drives_) from(drive.cylinder, drive.changed);
    from(output_, tape_, rate_, phase_, command_, command_bytes_, result_, result_at_, job_waits_, interrupt_,
         after_reset_, seek_done_, seek_status_, head_times_, head_load_, config_, precompensation_,
         perpendicular_, locked_);
    rate_ &= 3;
    const bool command_fits = command_bytes_ == 0 || command_bytes_ < command_length(command_[0]);
    const bool result_fits = phase_ != Phase::kResult || result_at_ < result_.size();
    const bool job_fits =
        job_waits_ == (phase_ == Phase::kWork) && (!job_waits_ || selected(command_[1]) != nullptr);
    if (phase_ > Phase::kResult || !command_fits || !result_fits || !job_fits) from.fail();
    // The threads go on at the end of this block, before a reset.
    if (from.failed()) job_waits_ = false;
    if (job_waits_) pool_.wake();
  }
  from.end();
  if (from.failed()) {
    reset();
  } else {
    const Lock lock(mutex_);
    set_interrupt(interrupt_);
  }
}

}  // namespace eidolon::device::storage
