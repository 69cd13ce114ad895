// Looks at the checksums of a snapshot's memory while the machine that it is mapped into is put together and
// already runs.
//
//   starts looking --watch()--> what was found so far is told at once, what is found later is reported
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "snapshot/file_reader.h"
#include "snapshot/memory_index.h"

namespace eidolon::snapshot {

/// Of all chunks, on the calling thread, until one is wrong or `stopping`.
[[nodiscard]] Result<> check_memory(const FileReader& file, const MemoryIndex& index,
                                    const std::atomic<bool>& stopping);

class MemoryChecker {
 public:
  using Report = std::function<void(const Error&)>;
  MemoryChecker(FileReader file, MemoryIndex index);
  ~MemoryChecker();
  MemoryChecker(const MemoryChecker&) = delete;
  MemoryChecker& operator=(const MemoryChecker&) = delete;

  /// What was found so far. If nothing was, `report` is called when something is, at most once, on the
  /// checker's thread. Once.
  [[nodiscard]] Result<> watch(Report report);

 private:
  void thread_main();

  const FileReader file_;
  const MemoryIndex index_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  ///< of what follows
  std::optional<Error> found_;
  Report report_;
  std::thread thread_;
};

}  // namespace eidolon::snapshot
