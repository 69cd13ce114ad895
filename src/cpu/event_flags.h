// Requests to a processor from outside its thread, and the sleep of a halted one.
//
// Generated code polls `word()` at block heads; any set bit leaves to the monitor. It also moves CR8, by way
// of `priority`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace eidolon::cpu {

enum Event : uint32_t {
  kEventInterrupt = 1u << 0,  ///< the interrupt source may have something: ask it
  kEventNmi = 1u << 1,
  kEventInit = 1u << 2,
  kEventSipi = 1u << 3,     ///< with the vector in sipi_vector
  kEventStop = 1u << 4,     ///< the engine returns to its caller
  kEventRecheck = 1u << 5,  ///< leave generated code once: something changed under it
  /// Somebody wrote where code was translated: GuestMemory::settle_foreign_writes()
  kEventForeignWrite = 1u << 6,
  kEventTurn = 1u << 7,        ///< another processor waits for this one's Turn
  kEventMapChanged = 1u << 8,  ///< guest memory lies elsewhere: translations are to be forgotten
  kEventKick = 1u << 9,        ///< ends a halt, this one or the next (paravirtual spin locks)
};

/// What a processor shares with its local APIC, so that moving CR8 need not ask it. Who lowers `task` and
/// then finds `waiting` above it has the APIC look for an interrupt; who makes one pending publishes
/// `waiting` and then looks at `task`. Both in sequentially consistent order, so at least one of them sees
/// the other.
struct SharedPriority {
  std::atomic<uint8_t> task{0};     ///< the TPR
  std::atomic<uint8_t> waiting{0};  ///< bits 7:4 of the highest vector in the IRR
};

/// Gets a processor out of where it does not look at its events.
class Kick {
 public:
  virtual ~Kick() = default;
  /// From any thread; brief.
  virtual void kick() = 0;
};

class EventFlags {
 public:
  /// Sets `events` and wakes the processor. From any thread.
  void raise(uint32_t events);
  /// Called after each raise(); null: none. When this returns the one before is not used any more.
  void set_kick(Kick* kick);
  [[nodiscard]] uint32_t pending() const { return word_.load(std::memory_order_acquire); }
  /// Clears and returns those of `mask` that were set.
  uint32_t take(uint32_t mask) { return word_.fetch_and(~mask, std::memory_order_acq_rel) & mask; }
  /// Sleeps until an event is pending.
  void wait();

  std::atomic<uint8_t> sipi_vector{0};
  SharedPriority priority;  ///< see InterruptSource::shares_priority
  [[nodiscard]] const std::atomic<uint32_t>* word() const { return &word_; }

 private:
  std::atomic<uint32_t> word_{0};
  std::atomic<bool> sleeping_{false};
  std::atomic<Kick*> kick_{nullptr};  ///< used under mutex_
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace eidolon::cpu
