#include "device/storage/nvme_queues.h"

#include <algorithm>
#include <cstddef>

namespace eidolon::device::storage::nvme {

void Queues::clear() {
  submissions_ = {};
  completions_ = {};
  turn_ = 1;
}

bool Queues::completion_in_use(unsigned id) const {
  return std::ranges::any_of(submissions_,
                             [id](const auto& queue) { return queue.exists() && queue.completion == id; });
}

/// A tail moves forward over free entries only, so it cannot pass the head.
DoorbellResult Queues::ring_submission(unsigned id, uint32_t tail) {
  SubmissionQueue* queue = submission(id);
  if (queue == nullptr) return DoorbellResult::kNoSuchQueue;
  if (tail >= queue->size) return DoorbellResult::kBadValue;
  const uint32_t added = (tail + queue->size - queue->tail) % queue->size;
  if (added > queue->size - 1 - queue->waiting()) return DoorbellResult::kBadValue;
  queue->tail = tail;
  return DoorbellResult::kDone;
}

DoorbellResult Queues::ring_completion(unsigned id, uint32_t head) {
  CompletionQueue* queue = completion(id);
  if (queue == nullptr) return DoorbellResult::kNoSuchQueue;
  if (head >= queue->size) return DoorbellResult::kBadValue;
  const uint32_t taken = (head + queue->size - queue->head) % queue->size;
  if (taken > queue->unread()) return DoorbellResult::kBadValue;
  queue->head = head;
  return DoorbellResult::kDone;
}

bool Queues::can_take(const SubmissionQueue& queue) const {
  return queue.exists() && !queue.deleting && queue.waiting() != 0 &&
         completions_[queue.completion].has_room();
}

bool Queues::any_waiting() const {
  return std::ranges::any_of(submissions_, [this](const auto& queue) { return can_take(queue); });
}

Queues::Take Queues::take(const Dma& dma, Taken& taken) {
  unsigned id = 0;
  if (!can_take(submissions_[0])) {
    for (unsigned i = 0; i < kIoQueues; ++i) {
      const unsigned candidate = 1 + (turn_ - 1 + i) % kIoQueues;
      if (!can_take(submissions_[candidate])) continue;
      id = candidate;
      break;
    }
    if (id == 0) return Take::kNothing;
    turn_ = 1 + id % kIoQueues;
  }
  SubmissionQueue& queue = submissions_[id];
  taken.queue = static_cast<uint16_t>(id);
  if (!dma.read(queue.base + uint64_t{queue.head} * sizeof(Command), &taken.command, sizeof(Command)))
    return Take::kFailed;
  queue.head = (queue.head + 1) % queue.size;
  ++queue.in_flight;
  ++completions_[queue.completion].reserved;
  return Take::kCommand;
}

void Queues::keep(const Taken& taken) {
  SubmissionQueue& queue = submissions_[taken.queue];
  --queue.in_flight;
  --completions_[queue.completion].reserved;
}

bool Queues::complete(Dma& dma, const Taken& taken, Status status, uint32_t result) {
  keep(taken);
  return post(dma, taken.queue, taken.command.id, status, result);
}

bool Queues::post(Dma& dma, unsigned submission, uint16_t command, Status status, uint32_t result) {
  const SubmissionQueue& from = submissions_[submission];
  CompletionQueue& queue = completions_[from.completion];
  const GuestPhysical at = queue.base + uint64_t{queue.tail} * sizeof(Completion);
  const std::span<uint8_t> entry = dma.writable(at, sizeof(Completion));
  if (entry.size() != sizeof(Completion)) return false;
  const Completion completion = {
      .result = result,
      .unused = 0,
      .submission_head = static_cast<uint16_t>(from.head),
      .submission_queue = static_cast<uint16_t>(submission),
      .command = command,
      .status = static_cast<uint16_t>(status_field(status) | (queue.phase ? 1 : 0))};
  constexpr size_t kLast = offsetof(Completion, command);
  std::memcpy(entry.data(), &completion, kLast);
  uint32_t last = 0;
  std::memcpy(&last, &completion.command, sizeof last);
  // SAFETY: four aligned bytes of guest RAM that Dma has checked. A driver that polls looks at the phase tag
  // in them, so they are written last, and at once.
  __atomic_store_n(reinterpret_cast<uint32_t*>(entry.data() + kLast), last, __ATOMIC_RELEASE);
  dma.written(at, sizeof(Completion));
  if (++queue.tail == queue.size) {
    queue.tail = 0;
    queue.phase = !queue.phase;
  }
  return true;
}

bool Queues::interrupt_wanted(uint32_t masked_vectors) const {
  return std::ranges::any_of(completions_, [masked_vectors](const CompletionQueue& queue) {
    const bool masked = queue.vector < 32 && (masked_vectors >> queue.vector & 1) != 0;
    return queue.exists() && queue.interrupts && !masked && queue.unread() != 0;
  });
}

void Queues::save(StateWriter& to) const {
  for (const SubmissionQueue& queue : submissions_)
    to(queue.base, queue.size, queue.head, queue.tail, queue.completion);
  for (const CompletionQueue& queue : completions_)
    to(queue.base, queue.size, queue.head, queue.tail, queue.phase, queue.interrupts, queue.vector);
}

void Queues::load(StateReader& from) {
  clear();
  for (SubmissionQueue& queue : submissions_)
    from(queue.base, queue.size, queue.head, queue.tail, queue.completion);
  for (CompletionQueue& queue : completions_)
    from(queue.base, queue.size, queue.head, queue.tail, queue.phase, queue.interrupts, queue.vector);
  if (!valid()) from.fail();
  if (from.failed()) clear();
}

bool Queues::valid() const {
  const auto sound = [](const auto& queue) {
    constexpr uint64_t kMask = 4095;
    return !queue.exists() || (queue.size >= 2 && queue.size <= kMostEntries * 4 && queue.head < queue.size &&
                               queue.tail < queue.size && (queue.base & kMask) == 0);
  };
  return std::ranges::all_of(submissions_, sound) && std::ranges::all_of(completions_, sound) &&
         std::ranges::all_of(submissions_, [this](const SubmissionQueue& queue) {
           return !queue.exists() || (queue.completion < kQueues && completions_[queue.completion].exists());
         });
}

}  // namespace eidolon::device::storage::nvme
