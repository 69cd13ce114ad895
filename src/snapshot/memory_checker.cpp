#include "snapshot/memory_checker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "snapshot/memory_reader.h"

namespace eidolon::snapshot {

namespace {

constexpr size_t kReadBytes = 256 << 10;  ///< at once: what was read is still in the processor's cache
constexpr int kNiceness = 10;             ///< the guest goes first

Result<uint64_t> checksum_of(const FileReader& file, const Chunk& chunk, RunningChecksum& sum,
                             std::span<uint8_t> room) {
  sum.restart();
  for (uint64_t at = 0; at < chunk.stored;) {
    const std::span<uint8_t> part = room.first(std::min<uint64_t>(room.size(), chunk.stored - at));
    EIDOLON_TRY(file.read(chunk.offset + at, part));
    sum.add(part);
    at += part.size();
  }
  return sum.value();
}

}  // namespace

Result<> check_memory(const FileReader& file, const MemoryIndex& index, const std::atomic<bool>& stopping) {
  std::vector<uint8_t> room(kReadBytes);
  RunningChecksum sum;
  for (const Chunk& chunk : index.chunks) {
    if (stopping.load()) return {};
    if (EIDOLON_TRY(checksum_of(file, chunk, sum, room)) != chunk.checksum)
      return damaged_memory(file, chunk.offset);
  }
  return {};
}

MemoryChecker::MemoryChecker(FileReader file, MemoryIndex index)
    : file_(std::move(file)), index_(std::move(index)) {
  thread_ = std::thread([this] { thread_main(); });
}

MemoryChecker::~MemoryChecker() {
  stopping_.store(true);
  thread_.join();
}

Result<> MemoryChecker::watch(Report report) {
  std::lock_guard lock(mutex_);
  if (found_) return std::unexpected(*found_);
  report_ = std::move(report);
  return {};
}

void MemoryChecker::thread_main() {
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  const Result<> checked = check_memory(file_, index_, stopping_);
  if (checked) return;
  std::lock_guard lock(mutex_);
  found_ = checked.error();
  if (report_) report_(*found_);
}

}  // namespace eidolon::snapshot
