// A file that is written line by line: the log of a guest's firmware.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class LogFile {
 public:
  /// Opens the file and leaves it as it is until start(). An empty path: nothing is written.
  static Result<LogFile> open(const std::string& path);
  LogFile(LogFile&&) = default;
  LogFile& operator=(LogFile&&) = default;
  ~LogFile() { write_out(); }

  /// Empties the file.
  void start();
  /// On one thread at a time. What the host's disk has no room for is lost.
  void put(uint8_t byte);

 private:
  explicit LogFile(FileDescriptor file) : file_(std::move(file)) {}
  void write_out();

  FileDescriptor file_;
  std::string line_;
};

}  // namespace eidolon::backend
