#include "engine/translate/large_pages.h"

#include <sys/mman.h>

namespace eidolon::engine::translate {

namespace {
#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // asm-generic/mman-common.h, Linux 6.1
#endif
}  // namespace

void LargePages::filled(uint8_t* begin, size_t end) {
  const size_t whole = end / kSize * kSize;
  if (whole <= asked_) return;
  asked_ = whole;
  {
    const std::lock_guard lock(mutex_);
    wanted_end_ = whole;
  }
  if (!worker_.joinable())
    worker_ = std::jthread([this, begin](const std::stop_token& stop) { work(stop, begin); });
  wanted_.notify_one();
}

void LargePages::stop() { worker_ = {}; }

/// Piece after piece, until the host says that it cannot.
void LargePages::work(const std::stop_token& stop, uint8_t* begin) {
  for (size_t done = 0;; done += kSize) {
    {
      std::unique_lock lock(mutex_);
      if (!wanted_.wait(lock, stop, [&] { return wanted_end_ > done; })) return;
    }
    if (madvise(begin + done, kSize, kCollapse) != 0) return;
  }
}

}  // namespace eidolon::engine::translate
