// A lock that many may share or one may have, where who waits for it alone is not passed by those who come
// later to share it. (std::shared_mutex leaves that open, and with the GNU library readers pass.)
#pragma once

#include <mutex>
#include <shared_mutex>

namespace eidolon::backend::image {

class FairLock {
 public:
  [[nodiscard]] std::shared_lock<std::shared_mutex> share() {
    std::lock_guard turn(turn_);
    return std::shared_lock(mutex_);
  }
  [[nodiscard]] std::unique_lock<std::shared_mutex> alone() {
    std::lock_guard turn(turn_);
    return std::unique_lock(mutex_);
  }

 private:
  std::mutex turn_;
  std::shared_mutex mutex_;
};

}  // namespace eidolon::backend::image
