// The files and directories that a guest has open, by the numbers (handles) that it was given for them.
#pragma once

#include <dirent.h>

#include <memory>
#include <mutex>
#include <unordered_map>

#include "backend/share/request.h"
#include "base/file.h"

namespace eidolon::backend::share {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

/// One of the two.
struct OpenFile {
  FileDescriptor file;
  std::unique_ptr<DIR, CloseDirectory> directory;
  std::mutex mutex;       ///< guards what follows, and the directory
  uint64_t position = 0;  ///< where the directory's stream is
};

class Handles {
 public:
  explicit Handles(size_t limit) : limit_(limit) {}

  [[nodiscard]] Answer<uint64_t> add(FileDescriptor file);
  [[nodiscard]] Answer<uint64_t> add(std::unique_ptr<DIR, CloseDirectory> directory);
  /// As long as the result is held the file is open, whatever else becomes of the handle.
  [[nodiscard]] Answer<std::shared_ptr<OpenFile>> file(uint64_t handle) const;
  [[nodiscard]] Answer<std::shared_ptr<OpenFile>> directory(uint64_t handle) const;
  void remove(uint64_t handle);
  void clear();

 private:
  [[nodiscard]] Answer<uint64_t> add(std::shared_ptr<OpenFile> open);
  [[nodiscard]] std::shared_ptr<OpenFile> find(uint64_t handle) const;

  const size_t limit_;
  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<OpenFile>> open_;
};

}  // namespace eidolon::backend::share
