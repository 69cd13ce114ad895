// Requests about the bytes of files.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "backend/share/session.h"

namespace eidolon::backend::share {

namespace {

/// What of a guest's open(2) is the host's matter too. Not O_DIRECT: what it asks of buffers is the guest
/// kernel's business with its own disks.
constexpr uint32_t kOpenFlags = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC;

bool writes(uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0; }

Answer<off_t> position(uint64_t offset, uint64_t length) {
  const auto most = static_cast<uint64_t>(LLONG_MAX);
  if (offset > most || length > most - offset) return refuse(EINVAL);
  return static_cast<off_t>(offset);
}

fuse_open_out open_reply(uint64_t handle) { return {.fh = handle, .open_flags = 0, .padding = 0}; }

}  // namespace

Answer<> open_file(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_open_in>());
  if (writes(what.flags) && session.read_only) return refuse(EROFS);
  if (node->type == S_IFDIR) return refuse(EISDIR);
  FileDescriptor file = EIDOLON_TRY(open_node(*node, static_cast<int>(what.flags & kOpenFlags)));
  request.answer(open_reply(EIDOLON_TRY(session.handles.add(std::move(file)))));
  return {};
}

namespace {

/// What has that name already: another has been quicker.
Answer<FileDescriptor> open_existing(int directory, const std::string& name, int flags) {
  FileDescriptor fd = EIDOLON_TRY(open_entry(directory, name));
  const struct stat status = EIDOLON_TRY(status_of(fd.get()));
  if (S_ISDIR(status.st_mode)) return refuse(EISDIR);
  const Node node{.id = 0, .fd = std::move(fd), .device = 0, .inode = 0, .type = status.st_mode & S_IFMT};
  return open_node(node, flags);
}

}  // namespace

Answer<> create_file(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_create_in>());
  const std::string name = EIDOLON_TRY(request.take_name());
  const int flags = static_cast<int>(what.flags & kOpenFlags), here = parent->fd.get();
  // Exclusively, for what is there might be anything.
  FileDescriptor file(openat(here, name.c_str(), flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                             what.mode & 07777));
  if (file.valid()) {
    EIDOLON_TRY(give_to_maker(session, request, file.get(), what.mode));
  } else if (errno != EEXIST || (what.flags & O_EXCL) != 0) {
    return refuse_errno();
  } else {
    file = EIDOLON_TRY(open_existing(here, name, flags));
  }
  const int fd = file.get();
  const uint64_t handle = EIDOLON_TRY(session.handles.add(std::move(file)));
  // The node is of this very file, whatever has its name by now.
  const auto entry = find_open(session, fd);
  if (!entry) {
    session.handles.remove(handle);
    return refuse(entry.error());
  }
  request.answer(*entry);
  request.answer(open_reply(handle));
  return {};
}

Answer<> read_file(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_read_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  const uint64_t length = std::min<uint64_t>(what.size, request.room());
  const off_t offset = EIDOLON_TRY(position(what.offset, length));
  const std::vector<iovec> parts = EIDOLON_TRY(request.places(length));
  const ssize_t count = preadv(open->file.get(), parts.data(), static_cast<int>(parts.size()), offset);
  if (count < 0) return refuse_errno();
  request.filled(static_cast<uint64_t>(count));
  return {};
}

Answer<> write_file(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_write_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  const off_t offset = EIDOLON_TRY(position(what.offset, what.size));
  const std::vector<iovec> parts = EIDOLON_TRY(request.take_payload(what.size));
  const ssize_t count = pwritev(open->file.get(), parts.data(), static_cast<int>(parts.size()), offset);
  if (count < 0) return refuse_errno();
  request.answer(fuse_write_out{.size = static_cast<uint32_t>(count), .padding = 0});
  return {};
}

/// A close on the guest's side; on some file systems of the host, that is when an error is told.
Answer<> flush_file(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_flush_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  const int copy = fcntl(open->file.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return refuse_errno();
  return done(close(copy));
}

Answer<> sync_file(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_fsync_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  const int fd = open->file.get();
  return done((what.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0 ? fdatasync(fd) : fsync(fd));
}

Answer<> allocate(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_fallocate_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  if ((what.mode & ~unsigned{FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE}) != 0)
    return refuse(EOPNOTSUPP);
  const off_t offset = EIDOLON_TRY(position(what.offset, what.length));
  return done(
      fallocate(open->file.get(), static_cast<int>(what.mode), offset, static_cast<off_t>(what.length)));
}

/// For data and holes; other places the guest finds by itself.
Answer<> seek(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_lseek_in>());
  const auto open = EIDOLON_TRY(session.handles.file(what.fh));
  if (what.whence != SEEK_DATA && what.whence != SEEK_HOLE) return refuse(EINVAL);
  const off_t found =
      lseek(open->file.get(), EIDOLON_TRY(position(what.offset, 0)), static_cast<int>(what.whence));
  if (found < 0) return refuse_errno();
  request.answer(fuse_lseek_out{.offset = static_cast<uint64_t>(found)});
  return {};
}

Answer<> release(Session& session, Request& request) {
  session.handles.remove(EIDOLON_TRY(request.take<fuse_release_in>()).fh);
  return {};
}

}  // namespace eidolon::backend::share
