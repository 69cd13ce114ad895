// Brings a snapshot's memory into a machine.
//
// A plain snapshot is mapped: pages come from the file as the guest touches them, and what the guest writes
// is its own, so that the machine can go on at once however large it is. The checksums of what is mapped are
// looked at afterwards, by a thread (MemoryChecker), as looking takes longer than mapping. A packed snapshot
// is unpacked and checked before the machine goes on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "snapshot/file_reader.h"
#include "snapshot/memory_index.h"

namespace eidolon::snapshot {

/// `pieces` are pages of ours that nothing uses yet, all zeros. Mapped over where the snapshot has something.
[[nodiscard]] Result<MemoryIndex> read_memory(const FileReader& from,
                                              std::span<const std::span<uint8_t>> pieces);

/// Looks at the checksums of all chunks that read_memory() mapped, until it finds a bad one.
class MemoryChecker {
 public:
  using Report = std::function<void(const Error&)>;
  /// `report` is called at most once, on the checker's thread.
  MemoryChecker(FileReader file, MemoryIndex index, Report report);
  ~MemoryChecker();
  MemoryChecker(const MemoryChecker&) = delete;
  MemoryChecker& operator=(const MemoryChecker&) = delete;

 private:
  void thread_main();

  const FileReader file_;
  const MemoryIndex index_;
  const Report report_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// The same on the calling thread, until `enough` says so: the first chunk that was not looked at.
[[nodiscard]] Result<size_t> check_chunks(const FileReader& file, const MemoryIndex& index,
                                          const std::function<bool()>& enough);

}  // namespace eidolon::snapshot
