// The submission and completion queues of an NVMe controller (NVM Express 1.4, chapter 4): which there are,
// where they have got to, and the entries that go through them. No lock: the controller has one.
//
// A command is taken only when its completion queue has room for its completion, which is then reserved; so a
// completion never has to wait.
#pragma once

#include <optional>

#include "base/state_stream.h"
#include "device/dma.h"
#include "device/storage/nvme_protocol.h"

namespace eidolon::device::storage::nvme {

struct SubmissionQueue {
  GuestPhysical base = 0;
  uint32_t size = 0;  ///< entries; 0: there is no such queue
  uint32_t head = 0;
  uint32_t tail = 0;
  uint16_t completion = 0;  ///< number of its completion queue
  bool deleting = false;    ///< no further command is taken
  uint32_t in_flight = 0;

  [[nodiscard]] bool exists() const { return size != 0; }
  [[nodiscard]] uint32_t waiting() const { return (tail + size - head) % size; }
};

struct CompletionQueue {
  GuestPhysical base = 0;
  uint32_t size = 0;
  uint32_t head = 0;
  uint32_t tail = 0;
  bool phase = true;  ///< tag of the next entry
  bool interrupts = false;
  uint16_t vector = 0;
  uint32_t reserved = 0;  ///< entries for commands in flight

  [[nodiscard]] bool exists() const { return size != 0; }
  [[nodiscard]] uint32_t unread() const { return (tail + size - head) % size; }
  [[nodiscard]] bool has_room() const { return unread() + reserved < size - 1; }
};

enum class DoorbellResult : uint8_t { kDone, kNoSuchQueue, kBadValue };

class Queues {
 public:
  struct Taken {
    uint16_t queue = 0;  ///< the submission queue's number
    Command command{};
  };
  enum class Take : uint8_t { kNothing, kCommand, kFailed /**< a queue is not in memory */ };

  void clear();
  [[nodiscard]] SubmissionQueue* submission(unsigned id) { return existing(submissions_, id); }
  [[nodiscard]] CompletionQueue* completion(unsigned id) { return existing(completions_, id); }
  /// Numbers below kQueues that are free.
  void add(unsigned id, const SubmissionQueue& queue) { submissions_[id] = queue; }
  void add(unsigned id, const CompletionQueue& queue) { completions_[id] = queue; }
  void remove_submission(unsigned id) { submissions_[id] = {}; }
  void remove_completion(unsigned id) { completions_[id] = {}; }
  /// Whether a submission queue leads to this completion queue.
  [[nodiscard]] bool completion_in_use(unsigned id) const;

  DoorbellResult ring_submission(unsigned id, uint32_t tail);
  DoorbellResult ring_completion(unsigned id, uint32_t head);

  /// The next command: the administrator's before others, those in turn.
  [[nodiscard]] Take take(const Dma& dma, Taken& taken);
  /// Whether take() would find one.
  [[nodiscard]] bool any_waiting() const;
  /// For what take() gave. False if the completion queue is not in memory.
  [[nodiscard]] bool complete(Dma& dma, const Taken& taken, Status status, uint32_t result);
  /// The command was taken and will not be completed for now (an asynchronous event request).
  void keep(const Taken& taken);
  /// An entry that nothing was reserved for: has_room() of its completion queue is true.
  [[nodiscard]] bool post(Dma& dma, unsigned submission, uint16_t command, Status status, uint32_t result);
  /// Whether a queue with this interrupt vector holds completions that its driver has not taken.
  [[nodiscard]] bool interrupt_wanted(uint32_t masked_vectors) const;

  void save(StateWriter& to) const;
  /// Nothing is in flight in what was saved. What cannot be makes the reader fail.
  void load(StateReader& from);

 private:
  template <typename Queue>
  static Queue* existing(std::array<Queue, kQueues>& queues, unsigned id) {
    return id < kQueues && queues[id].exists() ? &queues[id] : nullptr;
  }
  [[nodiscard]] bool can_take(const SubmissionQueue& queue) const;
  [[nodiscard]] bool valid() const;

  std::array<SubmissionQueue, kQueues> submissions_{};
  std::array<CompletionQueue, kQueues> completions_{};
  unsigned turn_ = 1;  ///< the I/O queue that is asked first
};

}  // namespace eidolon::device::storage::nvme
