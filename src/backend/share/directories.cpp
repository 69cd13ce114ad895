// Requests about what is in a directory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "backend/share/session.h"

namespace eidolon::backend::share {

namespace {

constexpr uint64_t kMostBytes = 64 * 1024;       ///< of one answer
constexpr uint64_t kNowhere = ~uint64_t{0};      ///< the stream is not where anybody would look next
constexpr uint64_t kUnknownInode = 0xffff'ffff;  ///< as FUSE servers say it

bool is_dots(const char* name) { return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0; }

/// As the guest is told it. What is above the shared folder it need not know.
void add_entry(Request& request, const dirent64& entry, size_t name_length) {
  fuse_dirent head{};
  head.ino = is_dots(entry.d_name) ? kUnknownInode : entry.d_ino;
  head.off = static_cast<uint64_t>(entry.d_off);
  head.namelen = static_cast<uint32_t>(name_length);
  head.type = entry.d_type;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&head);
  request.answer(std::span(bytes, FUSE_NAME_OFFSET));
  request.answer(std::span(reinterpret_cast<const uint8_t*>(entry.d_name), name_length));
  constexpr std::array<uint8_t, 8> kZeros{};
  request.answer(std::span(kZeros).first(FUSE_REC_ALIGN(name_length) - name_length));
}

/// One that cannot be told (it has just gone, or there are too many) is named, and the guest may ask for it.
fuse_entry_out entry_of(Session& session, DIR* directory, const dirent64& entry) {
  if (is_dots(entry.d_name)) return {};
  const auto found = find_entry(session, dirfd(directory), entry.d_name);
  return found ? *found : fuse_entry_out{};
}

Answer<> read_entries(Session& session, Request& request, bool plus) {
  const auto what = EIDOLON_TRY(request.take<fuse_read_in>());
  const auto open = EIDOLON_TRY(session.handles.directory(what.fh));
  if (what.offset > static_cast<uint64_t>(LLONG_MAX)) return refuse(EINVAL);
  const uint64_t most = std::min({uint64_t{what.size}, request.room(), kMostBytes});
  std::lock_guard lock(open->mutex);
  DIR* const directory = open->directory.get();
  if (what.offset == 0) {
    rewinddir(directory);  // what is new since then is seen
  } else if (what.offset != open->position) {
    seekdir(directory, static_cast<long>(what.offset));
  }
  open->position = what.offset;
  for (uint64_t length = 0;;) {
    errno = 0;
    const dirent64* entry = readdir64(directory);
    if (entry == nullptr) {
      if (errno != 0 && length == 0) return refuse_errno();
      return {};
    }
    const size_t name_length = std::strlen(entry->d_name);
    const uint64_t needed =
        FUSE_REC_ALIGN(FUSE_NAME_OFFSET + name_length) + (plus ? sizeof(fuse_entry_out) : 0);
    if (needed > most - length) {
      open->position = kNowhere;
      if (length == 0) return refuse(EINVAL);
      return {};
    }
    if (plus) request.answer(entry_of(session, directory, *entry));
    add_entry(request, *entry, name_length);
    length += needed;
    open->position = static_cast<uint64_t>(entry->d_off);
  }
}

}  // namespace

Answer<> open_directory(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const FileDescriptor fd = EIDOLON_TRY(open_node(*node, O_RDONLY | O_DIRECTORY));
  const int own = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) return refuse_errno();
  std::unique_ptr<DIR, CloseDirectory> directory(fdopendir(own));
  if (!directory) {
    close(own);
    return refuse(ENOMEM);
  }
  request.answer(fuse_open_out{
      .fh = EIDOLON_TRY(session.handles.add(std::move(directory))), .open_flags = 0, .padding = 0});
  return {};
}

Answer<> read_directory(Session& session, Request& request) { return read_entries(session, request, false); }
Answer<> read_directory_plus(Session& session, Request& request) {
  return read_entries(session, request, true);
}

Answer<> sync_directory(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_fsync_in>());
  const auto open = EIDOLON_TRY(session.handles.directory(what.fh));
  return done(fsync(dirfd(open->directory.get())));
}

}  // namespace eidolon::backend::share
