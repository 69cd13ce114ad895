// Has the host supply guest memory before the guest gets there.
//
// Fresh memory has to be found and cleared by the host's kernel, and a processor that touches it first waits
// for that: a quarter of a compiler's time, on a host that is a guest itself. Guests take memory in order, so
// a thread of its own has the pieces ahead of one that was just touched supplied, while the processor works.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

namespace eidolon::memory {

class PopulateAhead {
 public:
  static constexpr unsigned kPieceShift = 21;  ///< what hosts back with one large page
  /// How many pieces ahead of the guest: what one that stops there has cost the host.
  static constexpr unsigned kAhead = 4;

  /// `bytes` are anonymous memory or a file without a name, that nobody has touched by now, and begin where a
  /// large page may. Whoever maps something else there has to end this first.
  explicit PopulateAhead(std::span<uint8_t> bytes)
      : bytes_(bytes), count_(bytes.size() >> kPieceShift), pieces_(new std::atomic<Piece>[count_]()) {
    // Here, for the rest is called while vector registers hold the guest's state and must not use them.
    if (count_ != 0) worker_ = std::thread([this] { work(); });
  }
  ~PopulateAhead();
  PopulateAhead(const PopulateAhead&) = delete;
  PopulateAhead& operator=(const PopulateAhead&) = delete;

  /// The guest is about to write at `offset` in the bytes. From any thread; cheap, and without a lock.
  void touched(uint64_t offset) {
    const uint64_t piece = offset >> kPieceShift;
    if (piece < count_ && pieces_[piece].load(std::memory_order_relaxed) != Piece::kTouched) [[unlikely]]
      first_touch(piece);
  }

 private:
  enum class Piece : uint8_t {
    kFresh,
    kSupplied,  ///< ahead of the guest, which has not been there
    kTouched,
  };

  void first_touch(uint64_t piece);
  void work();
  void supply_beyond(uint64_t piece, bool upward);
  [[nodiscard]] bool is_touched(uint64_t piece) const;

  std::span<uint8_t> bytes_;
  uint64_t count_;  ///< of pieces; what is left at the end is nobody's
  std::unique_ptr<std::atomic<Piece>[]> pieces_;
  static constexpr uint64_t kNone = ~uint64_t{0}, kEnd = kNone - 1;
  /// The piece touched last, times two, plus one for upward. One that is missed costs little.
  std::atomic<uint64_t> latest_{kNone};
  std::thread worker_;
};

}  // namespace eidolon::memory
