#include "backend/image/overlay_medium.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "backend/image/parts.h"

namespace eidolon::backend::image {

using device::storage::IoStatus;
using device::storage::Medium;

Result<std::unique_ptr<Medium>> OverlayMedium::create(std::unique_ptr<Medium> base) {
  const char* named = std::getenv("TMPDIR");
  const std::string folder = named != nullptr && *named != '\0' ? named : "/var/tmp";
  FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid() || ftruncate(file.get(), static_cast<off_t>(base->size())) != 0) {
    return fail("cannot make a temporary file for a snapshot in '{}' ({}); name another folder with TMPDIR",
                folder, strerror(errno));
  }
  return std::unique_ptr<Medium>(new OverlayMedium(std::move(base), std::move(file)));
}

OverlayMedium::OverlayMedium(std::unique_ptr<Medium> base, FileDescriptor file)
    : base_(std::move(base)), file_(std::move(file)) {}

uint64_t OverlayMedium::run_length(uint64_t sector, uint64_t most, bool& written) const {
  std::lock_guard lock(mutex_);
  const uint64_t within = sector % kPieceSectors;
  most = std::min(most, kPieceSectors - within);
  const auto piece = written_.find(sector / kPieceSectors);
  written = piece != written_.end() && piece->second[within];
  if (piece == written_.end()) return most;
  uint64_t length = 1;
  while (length < most && piece->second[within + length] == written) ++length;
  return length;
}

void OverlayMedium::mark(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  const uint64_t end = (offset + length) / kSector;
  for (uint64_t sector = offset / kSector; sector < end;) {
    std::vector<bool>& piece = written_[sector / kPieceSectors];
    piece.resize(kPieceSectors, false);
    const uint64_t within = sector % kPieceSectors, count = std::min(end - sector, kPieceSectors - within);
    const auto first = piece.begin() + static_cast<ptrdiff_t>(within);
    std::fill(first, first + static_cast<ptrdiff_t>(count), true);
    sector += count;
  }
}

std::vector<OverlayMedium::Range> OverlayMedium::written() const {
  std::vector<Range> ranges;
  const uint64_t end = size() / kSector;
  for (uint64_t sector = 0; sector < end;) {
    bool is_written = false;
    const uint64_t length = run_length(sector, end - sector, is_written);
    const uint64_t offset = sector * kSector;
    sector += length;
    if (!is_written) continue;
    if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset) {
      ranges.back().length += length * kSector;
    } else {
      ranges.push_back({offset, length * kSector});
    }
  }
  return ranges;
}

IoStatus OverlayMedium::read(uint64_t offset, std::span<const iovec> into) {
  const uint64_t total = bytes_of(into);
  for (uint64_t done = 0; done < total;) {
    bool written = false;
    const uint64_t length =
        run_length((offset + done) / kSector, (total - done) / kSector, written) * kSector;
    const std::vector<iovec> parts = part_of(into, done, length);
    const IoStatus status =
        written ? read_all(file_.get(), offset + done, parts) : base_->read(offset + done, parts);
    if (status != IoStatus::kDone) return status;
    done += length;
  }
  return IoStatus::kDone;
}

IoStatus OverlayMedium::write(uint64_t offset, std::span<const iovec> from) {
  const IoStatus status = write_all(file_.get(), offset, from);
  if (status == IoStatus::kDone) mark(offset, bytes_of(from));
  return status;
}

IoStatus OverlayMedium::discard(uint64_t offset, uint64_t length) {
  return write_zeroes(offset, length, true);
}

IoStatus OverlayMedium::write_zeroes(uint64_t offset, uint64_t length, bool /*may_unmap*/) {
  if (fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                static_cast<off_t>(length)) == 0) {
    mark(offset, length);
    return IoStatus::kDone;
  }
  static std::array<uint8_t, 64 * 1024> zeroes{};
  for (uint64_t done = 0; done < length; done += zeroes.size()) {
    const iovec part = {zeroes.data(), static_cast<size_t>(std::min<uint64_t>(zeroes.size(), length - done))};
    if (const IoStatus status = write(offset + done, {&part, 1}); status != IoStatus::kDone) return status;
  }
  return IoStatus::kDone;
}

}  // namespace eidolon::backend::image
