// A Unix socket that listens at a path of the file system, until this is destroyed. One that a process left
// behind when it was killed is replaced; one that is served is not.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class SocketPlace {
 public:
  /// What the sentences say: what to do if it cannot be there, and if somebody else is.
  struct Advice {
    std::string_view other_place;  ///< as "name another socket with --control PATH"
    std::string_view taken;        ///< as "a machine already listens there; give this one another --name"
  };
  static Result<SocketPlace> listen(const std::string& path, const Advice& advice);
  /// Removes what nobody serves.
  static void clear(const std::string& path);
  SocketPlace(SocketPlace&& other) noexcept = default;
  SocketPlace& operator=(SocketPlace&&) = delete;
  ~SocketPlace();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// A connection that does not block, if there is one, of this user's or root's.
  [[nodiscard]] FileDescriptor accept() const;

 private:
  SocketPlace(FileDescriptor fd, std::string path);

  FileDescriptor fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace eidolon::backend
