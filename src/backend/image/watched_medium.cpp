#include "backend/image/watched_medium.h"

#include <bit>
#include <utility>

#include "backend/image/parts.h"

namespace eidolon::backend::image {

using IoStatus = device::storage::IoStatus;

WatchedMedium::WatchedMedium(std::unique_ptr<Medium> medium)
    : medium_(std::move(medium)), words_((parts() + 63) / 64) {}

void WatchedMedium::watch(bool on) {
  for (auto& word : words_) word.store(0);
  watched_.store(on);
}

uint64_t WatchedMedium::written() const {
  uint64_t count = 0;
  for (const auto& word : words_) count += static_cast<unsigned>(std::popcount(word.load()));
  return count;
}

std::vector<uint64_t> WatchedMedium::take_written() {
  std::vector<uint64_t> parts;
  for (uint64_t at = 0; at < words_.size(); ++at)
    for (uint64_t word = words_[at].exchange(0); word != 0; word &= word - 1)
      parts.push_back(at * 64 + static_cast<unsigned>(std::countr_zero(word)));
  return parts;
}

/// After the request: a copy of the part that was made meanwhile may have any of the two contents. Also of
/// one that failed, for it may have done some of it.
template <typename Outcome>
Outcome WatchedMedium::note(uint64_t offset, uint64_t length, Outcome outcome) {
  if (!watched_.load() || length == 0) return outcome;
  for (uint64_t part = offset / kPart; part <= (offset + length - 1) / kPart; ++part)
    words_[part / 64].fetch_or(uint64_t{1} << part % 64);
  return outcome;
}

IoStatus WatchedMedium::write(uint64_t offset, std::span<const iovec> from) {
  return note(offset, bytes_of(from), medium_->write(offset, from));
}

bool WatchedMedium::write_at_once(uint64_t offset, std::span<const iovec> from) {
  return note(offset, bytes_of(from), medium_->write_at_once(offset, from));
}

IoStatus WatchedMedium::discard(uint64_t offset, uint64_t length) {
  return note(offset, length, medium_->discard(offset, length));
}

IoStatus WatchedMedium::write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) {
  return note(offset, length, medium_->write_zeroes(offset, length, may_unmap));
}

}  // namespace eidolon::backend::image
