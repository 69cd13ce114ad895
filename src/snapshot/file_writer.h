// Writes a snapshot's file. It has another name until it is complete and on the disk: whatever fails, nothing
// half-written is left behind, and what was under the name before is still there.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "snapshot/table.h"

namespace eidolon::snapshot {

class FileWriter {
 public:
  static Result<FileWriter> create(const std::string& path);
  /// One that is on no disk, to be sent elsewhere; finish_in_memory() is its last call. `name` is for
  /// sentences.
  static Result<FileWriter> create_in_memory(const std::string& name);
  FileWriter(FileWriter&&) = default;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Result<> add(std::string name, Bytes bytes);

  // For bytes that are no section but what one leads to.
  /// Keeps `length` bytes free, at a multiple of `alignment`; where they are. What is not written is a hole.
  [[nodiscard]] uint64_t reserve(uint64_t length, uint64_t alignment);
  Result<> write(uint64_t offset, Bytes bytes);

  /// Everything is on the disk, under the file's name, when this returns. The last call.
  Result<> finish();
  /// What FileReader::identity() will be of it. After finish().
  [[nodiscard]] uint64_t identity() const { return identity_; }
  /// The file, complete.
  Result<FileDescriptor> finish_in_memory();

 private:
  FileWriter(std::string path, std::string unfinished, FileDescriptor file)
      : path_(std::move(path)), unfinished_(std::move(unfinished)), file_(std::move(file)) {}
  [[nodiscard]] std::unexpected<Error> failure(int error) const;
  Result<> write_frame();

  std::string path_;
  std::string unfinished_;  ///< the file's name for now; empty: there is none
  FileDescriptor file_;
  uint64_t end_ = kPreambleBytes;
  uint64_t identity_ = 0;
  std::vector<Section> sections_;
};

}  // namespace eidolon::snapshot
