#include "backend/socket_place.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

/// One after the other, so that no two processes find the same stale socket and replace each other's.
Result<FileDescriptor> lock_directory(const std::string& path, std::string_view other_place) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == path.npos ? "." : path.substr(0, slash + 1);
  FileDescriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || flock(fd.get(), LOCK_EX) != 0)
    return fail("cannot put a socket into '{}' ({}); {}", directory, strerror(errno), other_place);
  return fd;
}

Result<> clear_place(const std::string& path, const SocketPlace::Advice& advice) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return fail("'{}' exists and is no socket; {}", path, advice.other_place);
  if (is_served(path)) return fail("'{}': {}", path, advice.taken);
  if (unlink(path.c_str()) != 0)
    return fail("cannot remove the old socket '{}' ({}); remove it yourself", path, strerror(errno));
  return {};
}

/// Only this user's processes, whatever the file's mode: the directory may be on a file system that has none.
bool is_ours(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         (peer.uid == geteuid() || peer.uid == 0);
}

}  // namespace

Result<SocketPlace> SocketPlace::listen(const std::string& path, const Advice& advice) {
  const sockaddr_un address = EIDOLON_TRY(socket_address(path));
  const FileDescriptor lock = EIDOLON_TRY(lock_directory(path, advice.other_place));
  EIDOLON_TRY(clear_place(path, advice));
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail("cannot make a socket ({}); raise the limit on open files", strerror(errno));
  // Nobody can connect before listen(), and by then the file is ours alone.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // SAFETY: as bind(2) has it
  if (bind(fd.get(), generic, sizeof address) != 0 || chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd.get(), 16) != 0)
    return fail("cannot listen on '{}' ({}); {}", path, strerror(errno), advice.other_place);
  return SocketPlace(std::move(fd), path);
}

void SocketPlace::clear(const std::string& path) {
  const auto lock = lock_directory(path, {});
  if (lock) (void)clear_place(path, {});
}

SocketPlace::SocketPlace(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {
  struct stat made {};
  if (lstat(path_.c_str(), &made) != 0) return;
  device_ = made.st_dev;
  inode_ = made.st_ino;
}

/// The file may have been removed, and another one be there.
SocketPlace::~SocketPlace() {
  if (!fd_.valid()) return;
  struct stat found {};
  if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_)
    unlink(path_.c_str());
}

FileDescriptor SocketPlace::accept() const {
  FileDescriptor fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid() && !is_ours(fd.get())) fd.reset();
  return fd;
}

}  // namespace eidolon::backend
