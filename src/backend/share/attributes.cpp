// Requests about what a file is, apart from its bytes.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>

#include "backend/share/session.h"

namespace eidolon::backend::share {

Answer<> get_attributes(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  request.answer(attributes_reply(EIDOLON_TRY(status_of(node->fd.get()))));
  return {};
}

namespace {

Answer<> set_owner(const Node& node, const fuse_setattr_in& what) {
  const uid_t owner = (what.valid & FATTR_UID) != 0 ? what.uid : static_cast<uid_t>(-1);
  const gid_t group = (what.valid & FATTR_GID) != 0 ? what.gid : static_cast<gid_t>(-1);
  return done(fchownat(node.fd.get(), "", owner, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

/// By the handle, if there is one: it may be open where the file itself cannot be written any more.
Answer<> set_size(const Session& session, const Node& node, const fuse_setattr_in& what) {
  if (what.size > static_cast<uint64_t>(LLONG_MAX)) return refuse(EFBIG);
  const auto size = static_cast<off_t>(what.size);
  if ((what.valid & FATTR_FH) != 0)
    return done(ftruncate(EIDOLON_TRY(session.handles.file(what.fh))->file.get(), size));
  if (node.type != S_IFREG) return refuse(node.type == S_IFDIR ? EISDIR : EINVAL);
  return done(ftruncate(EIDOLON_TRY(open_node(node, O_WRONLY)).get(), size));
}

timespec time_to_set(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds, uint32_t nanoseconds) {
  if ((valid & now) != 0) return {.tv_sec = 0, .tv_nsec = UTIME_NOW};
  if ((valid & set) == 0) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  // UTIME_NOW and UTIME_OMIT are no nanoseconds; others that are none either are refused by the host.
  return {.tv_sec = static_cast<time_t>(seconds), .tv_nsec = std::min<uint32_t>(nanoseconds, 999'999'999)};
}

Answer<> set_times(const Node& node, const fuse_setattr_in& what) {
  const timespec times[] = {
      time_to_set(what.valid, FATTR_ATIME, FATTR_ATIME_NOW, what.atime, what.atimensec),
      time_to_set(what.valid, FATTR_MTIME, FATTR_MTIME_NOW, what.mtime, what.mtimensec)};
  return done(utimensat(AT_FDCWD, node.path().c_str(), times, 0));
}

}  // namespace

Answer<> set_attributes(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_setattr_in>());
  if ((what.valid & (FATTR_UID | FATTR_GID)) != 0) EIDOLON_TRY(set_owner(*node, what));
  if ((what.valid & FATTR_MODE) != 0) {
    if (node->type == S_IFLNK) return refuse(EOPNOTSUPP);
    EIDOLON_TRY(done(chmod(node->path().c_str(), what.mode & 07777)));
  }
  if ((what.valid & FATTR_SIZE) != 0) EIDOLON_TRY(set_size(session, *node, what));
  if ((what.valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)) != 0)
    EIDOLON_TRY(set_times(*node, what));
  request.answer(attributes_reply(EIDOLON_TRY(status_of(node->fd.get()))));
  return {};
}

Answer<> read_link(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  if (node->type != S_IFLNK) return refuse(EINVAL);
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlinkat(node->fd.get(), "", target.data(), target.size());
  if (length < 0) return refuse_errno();
  request.answer(std::span(reinterpret_cast<const uint8_t*>(target.data()), static_cast<size_t>(length)));
  return {};
}

/// Of the monitor's own rights: the guest's kernel looks after those of its users.
Answer<> check_access(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_access_in>());
  if ((what.mask & W_OK) != 0 && session.read_only) return refuse(EROFS);
  if (node->type == S_IFLNK) return {};
  return done(
      faccessat(AT_FDCWD, node->path().c_str(), static_cast<int>(what.mask & (R_OK | W_OK | X_OK)), 0));
}

Answer<> get_statistics(Session& session, Request& request) {
  const NodePointer node = EIDOLON_TRY(session.nodes.find(request.header().nodeid));
  struct statvfs found {};
  EIDOLON_TRY(done(fstatvfs(node->fd.get(), &found)));
  request.answer(fuse_statfs_out{.st = {.blocks = found.f_blocks,
                                        .bfree = found.f_bfree,
                                        .bavail = found.f_bavail,
                                        .files = found.f_files,
                                        .ffree = found.f_ffree,
                                        .bsize = static_cast<uint32_t>(found.f_bsize),
                                        .namelen = static_cast<uint32_t>(found.f_namemax),
                                        .frsize = static_cast<uint32_t>(found.f_frsize),
                                        .padding = 0,
                                        .spare = {}}});
  return {};
}

}  // namespace eidolon::backend::share
