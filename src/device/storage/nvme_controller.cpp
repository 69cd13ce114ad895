#include "device/storage/nvme_controller.h"

#include <algorithm>

#include "base/bits.h"

namespace eidolon::device::storage {

using namespace nvme;

namespace {

constexpr unsigned kTableBar = 4;
constexpr uint64_t kBarBytes = 0x2000;
static_assert(kDoorbells + kQueues * 8 <= kBarBytes);

constexpr uint32_t kFrozenConfig = 0x3ff0;  ///< command set, page size and arbitration, while enabled
constexpr uint32_t kShutdownBits = 3u << 14;
constexpr uint32_t kAdminSizeBits = 0x0fff0fff;
constexpr uint64_t kBaseBits = ~uint64_t{0xfff};

}  // namespace

NvmeController::NvmeController(std::string name, Medium& medium, const std::string& serial)
    : Function(std::move(name), {.vendor = kPciVendor,
                                 .device = kPciDevice,
                                 .class_code = 0x010802,
                                 .subsystem_vendor = kPciVendor,
                                 .subsystem = kPciDevice}),
      space_(medium),
      admin_(queues_, events_, features_, space_, serial),
      pool_(mutex_, kThreads, [this](Lock& held) { return work(held); }) {
  add_bar(0, pci::BarKind::kMemory64, kBarBytes, *this);
  add_msix(kTableBar, kQueues);
  add_interrupt_pin();
  add_power();
  add_express();
}

// Registers

/// CAP (3.1.1): queues are contiguous, the driver waits 20 s for RDY, and there is the NVM command set.
uint64_t NvmeController::capabilities() const {
  constexpr uint64_t kContiguous = 1u << 16, kTimeout = 40u << 24, kNvmCommands = uint64_t{1} << 37;
  return (kMostEntries - 1) | kContiguous | kTimeout | kNvmCommands | uint64_t{kLargestPageShift} << 52;
}

/// The whole bank as bytes: a driver may read any part of a register.
uint64_t NvmeController::io_read(uint64_t offset, unsigned size) {
  std::array<uint8_t, kRegistersEnd + 8> bytes{};
  if (offset >= kRegistersEnd) return 0;
  const auto put = [&bytes](uint64_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  {
    const Lock held(mutex_);
    put(kCap, capabilities());
    put(kVersion, kVersion14);
    put(kMaskSet, masked_);
    put(kMaskClear, masked_);
    put(kConfig, config_);
    put(nvme::kStatus, status_);
    put(kAdminSizes, admin_sizes_);
    put(kAdminSubmission, admin_submission_);
    put(kAdminCompletion, admin_completion_);
  }
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, size);
  return value;
}

/// Registers are written as words, or in pairs of them (3.1).
void NvmeController::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (size < 4 || offset % 4 != 0) return;
  const Lock held(mutex_);
  for (unsigned at = 0; at < size; at += 4) {
    const auto word = static_cast<uint32_t>(value >> (8 * at));
    if (offset + at >= kDoorbells) {
      // The upper half of a wide write is no doorbell of its own.
      if (at == 0) write_doorbell(offset, word);
    } else {
      write_register(offset + at, word);
    }
  }
}

void NvmeController::write_register(uint64_t offset, uint32_t value) {
  const auto set_half = [value](uint64_t& whole, bool upper) {
    whole = upper ? (whole & mask_below(32)) | uint64_t{value} << 32 : (whole & ~mask_below(32)) | value;
    whole &= kBaseBits;
  };
  switch (offset) {
    case kMaskSet:
      masked_ |= value;
      return update_wire();
    case kMaskClear:
      masked_ &= ~value;
      return update_wire();
    case kConfig:
      return write_config(value);
    case kAdminSizes:
      admin_sizes_ = value & kAdminSizeBits;
      return;
    case kAdminSubmission:
    case kAdminSubmission + 4:
      return set_half(admin_submission_, offset != kAdminSubmission);
    case kAdminCompletion:
    case kAdminCompletion + 4:
      return set_half(admin_completion_, offset != kAdminCompletion);
    default:
      return;
  }
}

void NvmeController::write_config(uint32_t value) {
  const uint32_t old = config_;
  const uint32_t kept = (old & kConfigEnable) != 0 && (value & kConfigEnable) != 0 ? kFrozenConfig : 0;
  config_ = (old & kept) | (value & kConfigBits & ~kept);
  const uint32_t changed = old ^ config_;
  if ((changed & kConfigEnable) != 0) {
    if ((config_ & kConfigEnable) == 0) {
      disable();
    } else if (!stopping_) {
      enable();
    }
  }
  if ((changed & kShutdownBits) != 0 && (config_ & kShutdownBits) != 0) {
    status_ = (status_ & ~kStatusShutdown) | kStatusShutdownOccurring;
    shutdown_wanted_ = true;
    pool_.wake();
  }
}

void NvmeController::write_doorbell(uint64_t offset, uint32_t value) {
  if (!running()) return;
  const auto number = static_cast<unsigned>((offset - kDoorbells) / 4);
  const unsigned id = number / 2;
  const bool is_completion = number % 2 != 0;
  const DoorbellResult result =
      is_completion ? queues_.ring_completion(id, value) : queues_.ring_submission(id, value);
  if (result != DoorbellResult::kDone) {
    events_.doorbell_error(result == DoorbellResult::kNoSuchQueue ? Events::Error::kNoSuchDoorbell
                                                                  : Events::Error::kBadDoorbellValue);
    return tell_events();
  }
  if (is_completion) {
    update_wire();
    if (id == 0) tell_events();
  }
  if (queues_.any_waiting()) pool_.wake();
}

// Life

uint64_t NvmeController::page() const {
  return uint64_t{4096} << std::min(config_ >> 7 & 0xf, uint32_t{kLargestPageShift});
}

bool NvmeController::running() const {
  return (status_ & (kStatusReady | kStatusFatal)) == kStatusReady && !stopping_;
}

void NvmeController::enable() {
  status_ = 0;
  const uint32_t submissions = (admin_sizes_ & 0xfff) + 1, completions = (admin_sizes_ >> 16) + 1;
  const bool known = (config_ >> 4 & 7) == 0 && (config_ >> 7 & 0xf) <= kLargestPageShift &&
                     (config_ >> 11 & 7) == 0;  // command set, page size, arbitration
  if (!known || submissions < 2 || completions < 2 || admin_submission_ % page() != 0 ||
      admin_completion_ % page() != 0)
    return fail();
  queues_.add(0, CompletionQueue{.base = admin_completion_, .size = completions, .interrupts = true});
  queues_.add(0, SubmissionQueue{.base = admin_submission_, .size = submissions});
  status_ = kStatusReady;
}

/// CSTS.RDY stays set until what is in flight has come to its end, so that no memory is written afterwards.
void NvmeController::disable() {
  if (in_flight_ == 0) return finish_disable();
  stopping_ = true;
  drained_.notify_all();
}

void NvmeController::finish_disable() {
  stopping_ = false;
  clear();
  if ((config_ & kConfigEnable) != 0) enable();
}

/// A controller level reset (7.3.2) keeps the admin queues' registers.
void NvmeController::clear() {
  queues_.clear();
  events_.clear();
  features_.reset();
  status_ = masked_ = 0;
  shutdown_wanted_ = false;
  update_wire();
}

void NvmeController::fail() {
  status_ |= kStatusFatal;
  drained_.notify_all();
}

void NvmeController::reset_device() {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  stopping_ = false;
  config_ = admin_sizes_ = 0;
  admin_submission_ = admin_completion_ = 0;
  clear();
}

void NvmeController::save_device(StateWriter& to) const {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  to(config_, status_, masked_, admin_sizes_, admin_submission_, admin_completion_);
  queues_.save(to);
  events_.save(to);
  features_.save(to);
}

void NvmeController::load_device(StateReader& from) {
  Lock held(mutex_);
  const QuietPool quiet(pool_, held);
  stopping_ = false;
  clear();
  from(config_, status_, masked_, admin_sizes_, admin_submission_, admin_completion_);
  config_ &= kConfigBits;
  status_ &= kStatusReady | kStatusFatal | kStatusShutdown;
  admin_sizes_ &= kAdminSizeBits;
  admin_submission_ &= kBaseBits;
  admin_completion_ &= kBaseBits;
  queues_.load(from);
  events_.load(from);
  features_.load(from);
  const bool ready = (status_ & kStatusReady) != 0;
  const bool whole = queues_.submission(0) != nullptr && queues_.submission(0)->completion == 0;
  if (ready && !whole) from.fail();
  if (!ready) queues_.clear();
}

void NvmeController::loaded() {
  const Lock held(mutex_);
  shutdown_wanted_ = (status_ & kStatusShutdown) == kStatusShutdownOccurring;
  update_wire();
  if (shutdown_wanted_ || running()) pool_.wake();
}

/// Bus mastering may have been switched on, or messages on or off.
void NvmeController::config_written(unsigned /*offset*/, unsigned /*size*/) {
  const Lock held(mutex_);
  update_wire();
  if (running() && queues_.any_waiting()) pool_.wake();
}

// Interrupts

void NvmeController::update_wire() { set_interrupt(!uses_messages() && queues_.interrupt_wanted(masked_)); }

/// A completion was posted for a submission queue.
void NvmeController::tell(unsigned submission_queue) {
  const CompletionQueue& queue = *queues_.completion(queues_.submission(submission_queue)->completion);
  if (!queue.interrupts) return;
  if (uses_messages()) return send_message(queue.vector);
  update_wire();
}

void NvmeController::tell_events() {
  while (running() && queues_.completion(0)->has_room()) {
    const std::optional<Events::Notice> notice = events_.next();
    if (!notice) return;
    if (!queues_.post(dma(), 0, notice->command, nvme::Status::kSuccess, notice->result)) return fail();
    tell(0);
  }
}

// Commands

bool NvmeController::work(Lock& held) {
  if (shutdown_wanted_) {
    flush_for_shutdown(held);
    return true;
  }
  if (!running() || !dma().enabled()) return false;
  Queues::Taken taken;
  switch (queues_.take(dma(), taken)) {
    case Queues::Take::kNothing:
      return false;
    case Queues::Take::kFailed:
      fail();
      return false;
    case Queues::Take::kCommand:
      break;
  }
  if (queues_.any_waiting()) pool_.wake();
  ++in_flight_;
  const Result result = taken.queue == 0 ? administer(held, taken.command) : carry_out(held, taken.command);
  --in_flight_;
  if (stopping_) {
    if (in_flight_ == 0) finish_disable();
  } else if (running()) {
    finish(taken, result);
  }
  drained_.notify_all();
  return true;
}

/// What the driver wrote is to be on the disk when CSTS says that the shutdown is done (3.1.6).
void NvmeController::flush_for_shutdown(Lock& held) {
  shutdown_wanted_ = false;
  held.unlock();
  (void)space_.flush();  // there is nobody left to tell
  held.lock();
  if ((status_ & kStatusShutdown) == kStatusShutdownOccurring)
    status_ = (status_ & ~kStatusShutdown) | kStatusShutdownDone;
}

NvmeController::Result NvmeController::administer(Lock& held, const Command& command) {
  using Then = Admin::Outcome::Then;
  if (command.opcode == kDeleteSubmission && command.cdw(10) % 0x10000 != 0) {
    const unsigned id = command.cdw(10) & 0xffff;
    if (SubmissionQueue* queue = queues_.submission(id)) queue->deleting = true;
    // Others work on what is in flight; nothing waits for this thread.
    drained_.wait(held, [&] {
      const SubmissionQueue* queue = queues_.submission(id);
      return queue == nullptr || queue->in_flight == 0 || !running();
    });
    if (!running()) return {.status = nvme::Status::kAbortRequested};
  }
  const Admin::Outcome outcome = admin_.execute(command, dma(), {.config = config_, .page = page()});
  nvme::Status status = outcome.status;
  if (outcome.then == Then::kFlushAndComplete) {
    held.unlock();
    const nvme::Status flushed = space_.flush();
    held.lock();
    if (status == nvme::Status::kSuccess) status = flushed;
  }
  return {.status = status, .value = outcome.result, .keep = outcome.then == Then::kKeep};
}

NvmeController::Result NvmeController::carry_out(Lock& held, const Command& command) {
  const bool write_through = !features_.write_cache();
  const uint64_t page_bytes = page();
  held.unlock();
  const nvme::Status status = space_.execute(command, dma(), page_bytes, write_through);
  held.lock();
  return {.status = status};
}

void NvmeController::finish(const Queues::Taken& taken, const Result& result) {
  if (result.keep) {
    queues_.keep(taken);
  } else {
    if (result.status != nvme::Status::kSuccess)
      events_.command_error(taken.queue, taken.command, result.status);
    if (!queues_.complete(dma(), taken, result.status, result.value)) return fail();
    tell(taken.queue);
  }
  tell_events();  // there is a request, or room for one
}

}  // namespace eidolon::device::storage
