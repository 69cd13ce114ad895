#include "memory/populate_ahead.h"

#include <pthread.h>
#include <sys/mman.h>

namespace eidolon::memory {

namespace {
#ifdef MADV_POPULATE_WRITE
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
constexpr int kPopulateWrite = 23;  // asm-generic/mman-common.h, Linux 5.14; older ones refuse it
#endif
}  // namespace

PopulateAhead::~PopulateAhead() {
  if (!worker_.joinable()) return;
  latest_.store(kEnd);
  latest_.notify_one();
  worker_.join();
}

/// Nothing is asked for where the guest has just begun.
void PopulateAhead::first_touch(uint64_t piece) {
  if (pieces_[piece].exchange(Piece::kTouched, std::memory_order_relaxed) == Piece::kTouched) return;
  const bool upward = is_touched(piece - 1);
  if (!upward && !is_touched(piece + 1)) return;
  latest_.store(piece * 2 + (upward ? 1 : 0));
  latest_.notify_one();
}

bool PopulateAhead::is_touched(uint64_t piece) const {
  return piece < count_ && pieces_[piece].load(std::memory_order_relaxed) == Piece::kTouched;
}

void PopulateAhead::work() {
  pthread_setname_np(pthread_self(), "ahead");
  for (uint64_t seen = kNone;;) {
    latest_.wait(seen);
    seen = latest_.load();
    if (seen == kEnd) return;
    supply_beyond(seen / 2, seen % 2 != 0);
  }
}

void PopulateAhead::supply_beyond(uint64_t piece, bool upward) {
  for (unsigned step = 1; step <= kAhead; ++step) {
    const uint64_t next = upward ? piece + step : piece - step;
    if (next >= count_) return;  // below the first is beyond the last too
    Piece fresh = Piece::kFresh;
    if (!pieces_[next].compare_exchange_strong(fresh, Piece::kSupplied)) continue;
    const std::span<uint8_t> room = bytes_.subspan(next << kPieceShift, uint64_t{1} << kPieceShift);
    // Contents stay as they are, so nobody has to wait for it or be told. What the host refuses, it supplies
    // when the guest gets there.
    (void)madvise(room.data(), room.size(), kPopulateWrite);
  }
}

}  // namespace eidolon::memory
