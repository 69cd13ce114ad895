// The clock of a machine: the host's, less the time spent paused, and from where a snapshot left off.
#pragma once

#include "base/clock.h"

namespace eidolon::machine {

class MachineClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override { return begin_ + clock_.now(); }
  void pause() { clock_.pause(); }
  void resume() { clock_.resume(); }
  /// Stands at `now` until resume(). Before anybody has read it.
  void pause_at(Nanoseconds now) {
    clock_.pause();
    begin_ = now - clock_.now();
  }

 private:
  HostClock clock_;
  Nanoseconds begin_ = 0;
};

}  // namespace eidolon::machine
