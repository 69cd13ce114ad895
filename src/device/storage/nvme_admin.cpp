#include "device/storage/nvme_admin.h"

#include <algorithm>

#include "device/storage/nvme_log.h"

namespace eidolon::device::storage::nvme {

namespace {

constexpr uint32_t kContiguous = 1u << 0, kInterrupts = 1u << 1;
constexpr unsigned kSubmissionSizeShift = 16, kCompletionSizeShift = 20;  // in CC
constexpr uint32_t kSubmissionEntryShift = 6, kCompletionEntryShift = 4;

/// What CREATE I/O SUBMISSION QUEUE and CREATE I/O COMPLETION QUEUE have in common (5.3, 5.4).
struct NewQueue {
  uint32_t id;
  uint32_t size;
  uint32_t flags;  ///< CDW11, the lower half
  uint32_t upper;  ///< CDW11, the upper half

  explicit NewQueue(const Command& command)
      : id(command.cdw(10) & 0xffff),
        size((command.cdw(10) >> 16) + 1),
        flags(command.cdw(11) & 0xffff),
        upper(command.cdw(11) >> 16) {}
};

Status check(const NewQueue& queue, bool exists, uint64_t base, uint64_t page) {
  if (queue.id == 0 || queue.id >= kQueues || exists) return Status::kInvalidQueueIdentifier;
  if (queue.size < 2 || queue.size > kMostEntries) return Status::kInvalidQueueSize;
  if ((queue.flags & kContiguous) == 0) return Status::kInvalidField;  // CAP.CQR
  if (base % page != 0) return Status::kPrpOffsetInvalid;
  return Status::kSuccess;
}

}  // namespace

Admin::Outcome Admin::execute(const Command& command, Dma& dma, const Registers& registers) {
  if ((command.flags & 3) != 0) return {Status::kInvalidField};  // no fused operations
  switch (command.opcode) {
    case kDeleteSubmission:
      return {delete_submission(command.cdw(10) & 0xffff)};
    case kCreateSubmission:
      return {create_submission(command, registers)};
    case kGetLogPage:
      return {log_page(command, dma, registers.page)};
    case kDeleteCompletion:
      return {delete_completion(command.cdw(10) & 0xffff)};
    case kCreateCompletion:
      return {create_completion(command, registers)};
    case kIdentify:
      return {identify(command, dma, registers.page)};
    case kAbort:
      return abort(command, dma);
    case kSetFeatures:
      return set_features(command);
    case kGetFeatures: {
      const Features::Answer answer = features_.get(command.cdw(10), command.cdw(11));
      return {answer.status, answer.value};
    }
    case kAsyncEventRequest:
      if (!events_.request(command.id)) return {Status::kEventLimitExceeded};
      return {Status::kSuccess, 0, Outcome::Then::kKeep};
    default:
      return {Status::kInvalidOpcode};
  }
}

Status Admin::create_completion(const Command& command, const Registers& registers) {
  const NewQueue queue(command);
  const Status status = check(queue, queues_.completion(queue.id) != nullptr, command.prp1, registers.page);
  if (status != Status::kSuccess) return status;
  if ((registers.config >> kCompletionSizeShift & 0xf) != kCompletionEntryShift) return Status::kInvalidField;
  if (queue.upper >= kQueues) return Status::kInvalidVector;
  queues_.add(queue.id, CompletionQueue{.base = command.prp1,
                                        .size = queue.size,
                                        .interrupts = (queue.flags & kInterrupts) != 0,
                                        .vector = static_cast<uint16_t>(queue.upper)});
  return Status::kSuccess;
}

Status Admin::create_submission(const Command& command, const Registers& registers) {
  const NewQueue queue(command);
  const Status status = check(queue, queues_.submission(queue.id) != nullptr, command.prp1, registers.page);
  if (status != Status::kSuccess) return status;
  if ((registers.config >> kSubmissionSizeShift & 0xf) != kSubmissionEntryShift) return Status::kInvalidField;
  if (queue.upper == 0 || queue.upper >= kQueues) return Status::kInvalidQueueIdentifier;
  if (queues_.completion(queue.upper) == nullptr) return Status::kCompletionQueueInvalid;
  queues_.add(queue.id, SubmissionQueue{.base = command.prp1,
                                        .size = queue.size,
                                        .completion = static_cast<uint16_t>(queue.upper)});
  return Status::kSuccess;
}

Status Admin::delete_completion(uint32_t id) {
  if (id == 0 || queues_.completion(id) == nullptr) return Status::kInvalidQueueIdentifier;
  if (queues_.completion_in_use(id)) return Status::kInvalidQueueDeletion;
  queues_.remove_completion(id);
  return Status::kSuccess;
}

Status Admin::delete_submission(uint32_t id) {
  if (id == 0 || queues_.submission(id) == nullptr) return Status::kInvalidQueueIdentifier;
  queues_.remove_submission(id);
  return Status::kSuccess;
}

Status Admin::identify(const Command& command, Dma& dma, uint64_t page) {
  enum : uint8_t { kNamespace = 0, kController = 1, kActiveList = 2, kDescriptors = 3 };
  constexpr uint32_t kReservedNamespaces = 0xfffffffe;
  IdentifyData data;
  const auto what = static_cast<uint8_t>(command.cdw(10));
  switch (what) {
    case kController:
      data = identify_controller(serial_, space_);
      break;
    case kActiveList:
      if (command.nsid >= kReservedNamespaces) return Status::kInvalidNamespace;
      data = identify_list(command.nsid);
      break;
    case kNamespace:
    case kDescriptors:
      if (command.nsid != Namespace::kId) return Status::kInvalidNamespace;
      data = what == kNamespace ? identify_namespace(space_) : identify_descriptors(serial_);
      break;
    default:
      return Status::kInvalidField;
  }
  Transfer transfer;
  const Status status = transfer.describe(dma, command, data.size(), page);
  return status == Status::kSuccess ? transfer.put(dma, std::as_bytes(std::span(data))) : status;
}

Status Admin::log_page(const Command& command, Dma& dma, uint64_t page) {
  constexpr uint32_t kRetainEvent = 1u << 15;
  const auto number = static_cast<uint8_t>(command.cdw(10));
  const uint64_t words = (uint64_t{command.cdw(11) & 0xffff} << 16 | command.cdw(10) >> 16) + 1;
  const uint64_t offset = command.cdw(12) | uint64_t{command.cdw(13)} << 32;
  std::vector<uint8_t> log = make_log_page(number, events_, space_.counters());
  if (log.empty()) return Status::kInvalidLogPage;
  if (number == kHealthLog && command.nsid != 0 && command.nsid != kEveryNamespace)
    return Status::kInvalidField;  // the log is of the whole controller
  if (words * 4 > kMostBytes || offset > log.size() || offset % 4 != 0) return Status::kInvalidField;
  log.erase(log.begin(), log.begin() + static_cast<ptrdiff_t>(offset));
  log.resize(words * 4);
  Transfer transfer;
  Status status = transfer.describe(dma, command, log.size(), page);
  if (status == Status::kSuccess) status = transfer.put(dma, std::as_bytes(std::span(log)));
  if (status == Status::kSuccess && number == kErrorLog && (command.cdw(10) & kRetainEvent) == 0)
    events_.error_log_read();
  return status;
}

/// Event requests can be aborted. Other commands are under way when they could be found, and are not.
Admin::Outcome Admin::abort(const Command& command, Dma& dma) {
  constexpr uint32_t kNotAborted = 1;
  const uint32_t queue = command.cdw(10) & 0xffff;
  const auto id = static_cast<uint16_t>(command.cdw(10) >> 16);
  CompletionQueue& completions = *queues_.completion(0);
  if (queue != 0 || !completions.has_room() || !events_.withdraw(id)) return {Status::kSuccess, kNotAborted};
  // If it cannot be written, this command's own completion cannot either, and that is noticed.
  (void)queues_.post(dma, 0, id, Status::kAbortRequested, 0);
  return {Status::kSuccess};
}

bool Admin::any_io_queue() {
  for (unsigned id = 1; id < kQueues; ++id)
    if (queues_.submission(id) != nullptr || queues_.completion(id) != nullptr) return true;
  return false;
}

Admin::Outcome Admin::set_features(const Command& command) {
  const bool cached = features_.write_cache();
  const Features::Answer answer = features_.set(command.cdw(10), command.cdw(11), any_io_queue());
  const bool flush = cached && !features_.write_cache();
  return {answer.status, answer.value, flush ? Outcome::Then::kFlushAndComplete : Outcome::Then::kComplete};
}

}  // namespace eidolon::device::storage::nvme
