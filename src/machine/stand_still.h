// A machine that stands, so that it can be looked at as a whole.
#pragma once

#include <mutex>

#include "base/try.h"
#include "machine/machine.h"

namespace eidolon::machine {

/// For as long as it lives, processors and clocks stand and devices are held.
class Machine::StandStill {
 public:
  explicit StandStill(Machine& machine) : machine_(machine), alone_(machine.still_mutex_) {
    {
      std::lock_guard lock(machine_.ending_mutex_);
      was_paused_ = machine_.pause_wanted_;
      machine_.held_ = true;
    }
    machine_.pause();
  }
  ~StandStill() {
    if (devices_held_) machine_.devices_.release();
    std::lock_guard lock(machine_.ending_mutex_);
    machine_.held_ = false;
    machine_.pause_wanted_ = was_paused_;
    machine_.pause_changed_.notify_all();
  }
  StandStill(const StandStill&) = delete;
  StandStill& operator=(const StandStill&) = delete;

  Result<> hold_devices() {
    {
      std::lock_guard lock(machine_.ending_mutex_);
      if (!machine_.standing_) return fail("the machine is ending, and it is too late for a snapshot");
    }
    EIDOLON_TRY(machine_.devices_.hold());
    devices_held_ = true;
    return {};
  }
  /// What waits is not to be done any more: it is in the snapshot.
  void leave_devices_held() { devices_held_ = false; }

  /// They go on standing until somebody resumes them.
  void stay_paused() { was_paused_ = true; }
  [[nodiscard]] bool was_paused() const { return was_paused_; }

 private:
  Machine& machine_;
  const std::lock_guard<std::mutex> alone_;  ///< one at a time
  bool was_paused_ = false;
  bool devices_held_ = false;
};

}  // namespace eidolon::machine
