#include "backend/image/patient_medium.h"

#include <fmt/format.h>

#include <chrono>

namespace eidolon::backend::image {

bool PatientMedium::wait() {
  constexpr std::chrono::milliseconds kPause{500};
  std::unique_lock lock(mutex_);
  if (!full_ && !stopping_ && say_)
    say_(fmt::format(
        "the host's disk is full, and the guest's writes to '{}' wait; make room, and they go on", name_));
  full_ = true;
  ++waiting_;
  const uint64_t before = retries_;
  changed_.wait_for(lock, kPause, [this, before] { return stopping_ || retries_ != before; });
  --waiting_;
  return !stopping_;
}

void PatientMedium::note_room() {
  std::lock_guard lock(mutex_);
  if (!full_ || waiting_ > 0) return;
  full_ = false;
  if (!stopping_ && say_)
    say_(fmt::format("there is room again for '{}', and the guest's writes go on", name_));
}

void PatientMedium::stop_waiting() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  medium_->stop_waiting();
}

void PatientMedium::retry_now() {
  {
    std::lock_guard lock(mutex_);
    ++retries_;
  }
  changed_.notify_all();
  medium_->retry_now();
}

}  // namespace eidolon::backend::image
