// How files are found, and what the guest is told of them.
#include <fcntl.h>
#include <unistd.h>

#include "backend/share/session.h"

namespace eidolon::backend::share {

namespace {

/// How long a guest may believe what it was told: the host's programs change files as well.
constexpr uint64_t kValidSeconds = 1;

constexpr mode_t kPermissions = 0777;

}  // namespace

Answer<> done(int result) {
  if (result < 0) return refuse_errno();
  return {};
}

Answer<struct stat> status_of(int fd) {
  struct stat status {};
  EIDOLON_TRY(done(fstatat(fd, "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)));
  return status;
}

Answer<FileDescriptor> open_entry(int directory, const std::string& name) {
  FileDescriptor fd(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return refuse_errno();
  return fd;
}

Answer<FileDescriptor> open_node(const Node& node, int flags) {
  if (node.type != S_IFREG && node.type != S_IFDIR) return refuse(node.type == S_IFLNK ? ELOOP : ENXIO);
  FileDescriptor fd(open(node.path().c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return refuse_errno();
  return fd;
}

fuse_attr attributes_of(const struct stat& status) {
  return {.ino = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .blocks = static_cast<uint64_t>(status.st_blocks),
          .atime = static_cast<uint64_t>(status.st_atim.tv_sec),
          .mtime = static_cast<uint64_t>(status.st_mtim.tv_sec),
          .ctime = static_cast<uint64_t>(status.st_ctim.tv_sec),
          .atimensec = static_cast<uint32_t>(status.st_atim.tv_nsec),
          .mtimensec = static_cast<uint32_t>(status.st_mtim.tv_nsec),
          .ctimensec = static_cast<uint32_t>(status.st_ctim.tv_nsec),
          .mode = status.st_mode,
          .nlink = static_cast<uint32_t>(status.st_nlink),
          .uid = status.st_uid,
          .gid = status.st_gid,
          .rdev = static_cast<uint32_t>(status.st_rdev),
          .blksize = static_cast<uint32_t>(status.st_blksize),
          .flags = 0};
}

fuse_attr_out attributes_reply(const struct stat& status) {
  return {.attr_valid = kValidSeconds, .attr_valid_nsec = 0, .dummy = 0, .attr = attributes_of(status)};
}

namespace {

Answer<fuse_entry_out> tell(Session& session, FileDescriptor fd) {
  const struct stat status = EIDOLON_TRY(status_of(fd.get()));
  const NodePointer node = EIDOLON_TRY(session.nodes.keep(std::move(fd), status));
  return fuse_entry_out{.nodeid = node->id,
                        .generation = 0,
                        .entry_valid = kValidSeconds,
                        .attr_valid = kValidSeconds,
                        .entry_valid_nsec = 0,
                        .attr_valid_nsec = 0,
                        .attr = attributes_of(status)};
}

}  // namespace

Answer<fuse_entry_out> find_entry(Session& session, int directory, const std::string& name) {
  return tell(session, EIDOLON_TRY(open_entry(directory, name)));
}

Answer<fuse_entry_out> find_open(Session& session, int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  FileDescriptor same(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!same.valid()) return refuse_errno();
  return tell(session, std::move(same));
}

/// The monitor's umask is not the guest's, which has been applied already.
Answer<> give_to_maker(const Session& session, const Request& request, int fd, mode_t mode) {
  const fuse_in_header& maker = request.header();
  // As far as the host lets its root: in a container, and on a network's file system, it may not.
  if (session.is_root) (void)!fchownat(fd, "", maker.uid, maker.gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  const struct stat status = EIDOLON_TRY(status_of(fd));
  if (S_ISLNK(status.st_mode) || (status.st_mode & kPermissions) == (mode & kPermissions)) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return done(chmod(path.c_str(), (status.st_mode & ~kPermissions & 07777) | (mode & kPermissions)));
}

Answer<fuse_entry_out> made_entry(Session& session, const Request& request, int directory,
                                  const std::string& name, mode_t mode) {
  FileDescriptor fd = EIDOLON_TRY(open_entry(directory, name));
  EIDOLON_TRY(give_to_maker(session, request, fd.get(), mode));
  return tell(session, std::move(fd));
}

}  // namespace eidolon::backend::share
