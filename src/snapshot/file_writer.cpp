#include "snapshot/file_writer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/bits.h"
#include "base/try.h"

namespace eidolon::snapshot {

Result<FileWriter> FileWriter::create(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    return fail("'{}' is no regular file, and a snapshot becomes one; name another file", path);
  // Beside the file: a rename does not lead from one file system to another. mkostemp lets only the owner
  // read it, for a guest's memory holds its secrets.
  std::string unfinished = path + ".XXXXXX";
  FileDescriptor file(mkostemp(unfinished.data(), O_CLOEXEC));
  if (!file.valid())
    return fail("cannot write the snapshot '{}' ({}); name a file in a folder of yours", path,
                strerror(errno));
  return FileWriter(path, std::move(unfinished), std::move(file));
}

Result<FileWriter> FileWriter::create_in_memory(const std::string& name) {
  FileDescriptor file(memfd_create("eidolon-state", MFD_CLOEXEC));
  if (!file.valid()) return fail("cannot make an anonymous file ({}); raise ulimit -n", strerror(errno));
  return FileWriter(name, {}, std::move(file));
}

FileWriter::~FileWriter() {
  if (file_.valid() && !unfinished_.empty()) unlink(unfinished_.c_str());
}

std::unexpected<Error> FileWriter::failure(int error) const {
  return error == ENOSPC || error == EDQUOT
             ? fail(
                   "the disk is full, so there is no snapshot '{}'; make room, or name a file on another "
                   "disk",
                   path_)
             : fail("cannot write the snapshot '{}' ({}); name a file on another disk", path_,
                    strerror(error));
}

uint64_t FileWriter::reserve(uint64_t length, uint64_t alignment) {
  const uint64_t at = align_up(end_, alignment);
  end_ = at + length;
  return at;
}

Result<> FileWriter::write(uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure(written < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Result<> FileWriter::add(std::string name, Bytes bytes) {
  const uint64_t at = reserve(bytes.size(), 8);
  EIDOLON_TRY(write(at, bytes));
  sections_.push_back(
      {.name = std::move(name), .offset = at, .length = bytes.size(), .checksum = checksum(bytes)});
  return {};
}

Result<> FileWriter::write_frame() {
  const Frame frame = make_frame(sections_, end_);
  identity_ = checksum(frame.table);
  EIDOLON_TRY(write(end_, frame.table));
  return write(0, frame.preamble);
}

Result<FileDescriptor> FileWriter::finish_in_memory() {
  EIDOLON_TRY(write_frame());
  return std::move(file_);
}

Result<> FileWriter::finish() {
  EIDOLON_TRY(write_frame());
  if (fsync(file_.get()) != 0) return failure(errno);
  if (rename(unfinished_.c_str(), path_.c_str()) != 0) return failure(errno);
  unfinished_.clear();
  // The name, too; that a file system has no such thing is no failure.
  const std::filesystem::path folder = std::filesystem::absolute(path_).parent_path();
  const FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.valid()) (void)fsync(opened.get());
  return {};
}

}  // namespace eidolon::snapshot
