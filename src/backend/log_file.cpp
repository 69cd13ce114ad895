#include "backend/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace eidolon::backend {

Result<LogFile> LogFile::open(const std::string& path) {
  if (path.empty()) return LogFile(FileDescriptor());
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
  if (!file.valid())
    return fail("cannot write the log '{}' ({}); name another file", path, std::strerror(errno));
  return LogFile(std::move(file));
}

void LogFile::start() {
  // A pipe or a terminal cannot be emptied, and need not be.
  if (file_.valid() && ftruncate(file_.get(), 0) != 0) return;
}

void LogFile::put(uint8_t byte) {
  constexpr size_t kLongest = 4096;
  line_.push_back(static_cast<char>(byte));
  if (byte == '\n' || line_.size() == kLongest) write_out();
}

void LogFile::write_out() {
  if (file_.valid() && !line_.empty()) {
    [[maybe_unused]] const ssize_t written = ::write(file_.get(), line_.data(), line_.size());
  }
  line_.clear();
}

}  // namespace eidolon::backend
