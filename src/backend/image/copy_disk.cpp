#include "backend/image/copy_disk.h"

#include <algorithm>
#include <vector>

#include "backend/image/parts.h"
#include "base/try.h"

namespace eidolon::backend::image {

using device::storage::IoStatus;
using device::storage::Medium;

namespace {

constexpr uint64_t kAtOnce = 4u << 20, kGrain = 64u << 10;

Result<> check(IoStatus status, const char* what, uint64_t offset) {
  if (status == IoStatus::kDone) return {};
  if (status == IoStatus::kNoSpace) return fail("the host's disk is full; make room and convert again");
  return fail("cannot {} the disk at byte {}; see whether image and disk are sound", what, offset);
}

/// Pieces of one kind are written together.
Result<> write_pieces(Medium& to, uint64_t offset, std::span<uint8_t> bytes, Target target) {
  for (size_t at = 0; at < bytes.size();) {
    const auto piece = [&](size_t from) {
      return bytes.subspan(from, std::min<size_t>(kGrain, bytes.size() - from));
    };
    const bool zero = is_zero(piece(at));
    size_t end = at + piece(at).size();
    while (end < bytes.size() && is_zero(piece(end)) == zero) end += piece(end).size();
    const iovec part = {&bytes[at], end - at};
    if (!zero) EIDOLON_TRY(check(to.write(offset + at, {&part, 1}), "write", offset + at));
    if (zero && target == Target::kUnknown)
      EIDOLON_TRY(check(to.write_zeroes(offset + at, end - at, true), "write", offset + at));
    at = end;
  }
  return {};
}

}  // namespace

Result<> copy_disk(Medium& from, Medium& to, Target target) {
  std::vector<uint8_t> buffer(std::min(from.size(), kAtOnce));
  for (uint64_t done = 0; done < from.size(); done += buffer.size()) {
    const std::span<uint8_t> bytes =
        std::span(buffer).first(std::min<uint64_t>(buffer.size(), from.size() - done));
    const iovec part = {bytes.data(), bytes.size()};
    EIDOLON_TRY(check(from.read(done, {&part, 1}), "read", done));
    EIDOLON_TRY(write_pieces(to, done, bytes, target));
  }
  return check(to.flush(), "flush", from.size());
}

}  // namespace eidolon::backend::image
