// Whose turn it is with a processor: its own thread's, or that of another which has something to do in the
// processor's virtual TLB.
//
// A processor's thread has the turn while it runs the guest, and gives it up while it sleeps, stands, or
// waits for another processor's turn: so nobody waits for one that does not run, and no two for each other.
#pragma once

#include <condition_variable>
#include <mutex>

#include "cpu/event_flags.h"

namespace eidolon::cpu {

class Turn {
 public:
  /// `events` are the processor's.
  explicit Turn(EventFlags& events) : events_(events) {}

  // On the processor's thread.
  /// Visitors who wait go first.
  void take();
  void give();
  /// Gives the turn up for as long as `wait` takes.
  template <typename Wait>
  void aside(const Wait& wait) {
    give();
    wait();
    take();
  }
  /// Lets visitors in, for kEventTurn.
  void yield() {
    aside([] {});
  }
  /// Lets others on the host go first: somebody spins, or asks for it.
  void give_way();

  /// Calls `visit` when the processor's thread does not have the turn. On another thread, which has no turn
  /// itself.
  template <typename Visit>
  void visit(const Visit& visit) {
    enter();
    visit();
    give();
  }
  /// The two halves of visit(): give() ends it.
  void enter();

 private:
  EventFlags& events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool taken_ = false;
  unsigned visitors_ = 0;  ///< who wait
};

}  // namespace eidolon::cpu
