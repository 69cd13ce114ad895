#include "snapshot/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace eidolon::snapshot {

Result<FileReader> FileReader::open(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid())
    return fail("cannot open the snapshot '{}' ({}); name a file that eidolon snapshot has written", path,
                strerror(errno));
  return adopt(std::move(file), path);
}

Result<FileReader> FileReader::adopt(FileDescriptor file, const std::string& path) {
  FileReader reader(path, std::move(file));
  struct stat found {};
  if (fstat(reader.file_.get(), &found) != 0)
    return fail("cannot read the snapshot '{}' ({}); restore from another copy", path, strerror(errno));
  if (!S_ISREG(found.st_mode))
    return fail("'{}' is no regular file; name a file that eidolon snapshot has written", path);
  reader.length_ = static_cast<uint64_t>(found.st_size);

  Preamble preamble{};
  const std::span<uint8_t> start(preamble.data(), std::min<uint64_t>(preamble.size(), reader.length_));
  EIDOLON_TRY(reader.read(0, start));
  const TablePlace place = EIDOLON_TRY(read_preamble(start, path));
  if (reader.length_ < place.file_length)
    return fail("the snapshot '{}' is cut short: it has {} of {} bytes; copy it again", path, reader.length_,
                place.file_length);
  std::vector<uint8_t> table(place.length);
  EIDOLON_TRY(reader.read(place.offset, table));
  reader.sections_ = EIDOLON_TRY(read_table(table, place, path));
  reader.identity_ = place.checksum;
  return reader;
}

Result<FileReader> FileReader::duplicate() const {
  FileReader reader(path_, FileDescriptor(fcntl(file_.get(), F_DUPFD_CLOEXEC, 0)));
  if (!reader.file_.valid())
    return fail("cannot read the snapshot '{}' by a thread ({}); raise ulimit -n", path_, strerror(errno));
  reader.length_ = length_;
  reader.identity_ = identity_;
  reader.sections_ = sections_;
  return reader;
}

Result<> FileReader::read(uint64_t offset, std::span<uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail("cannot read the snapshot '{}' ({}); restore from another copy", path_, strerror(errno));
    if (got == 0) return fail("the snapshot '{}' is cut short; copy it again", path_);
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

const Section* FileReader::find(std::string_view name) const {
  const auto found = std::ranges::find(sections_, name, &Section::name);
  return found == sections_.end() ? nullptr : &*found;
}

Result<std::vector<uint8_t>> FileReader::section(std::string_view name) const {
  const Section* section = find(name);
  if (section == nullptr)
    return fail("the snapshot '{}' has nothing of '{}'; it was taken of another kind of machine", path_,
                name);
  std::vector<uint8_t> bytes(section->length);
  EIDOLON_TRY(read(section->offset, bytes));
  if (checksum(bytes) != section->checksum)
    return fail("the snapshot '{}' is damaged in its part '{}'; restore from another copy", path_, name);
  return bytes;
}

}  // namespace eidolon::snapshot
