// The files that a guest knows, by the numbers (node IDs) that it was given for them. Each is held by a
// descriptor that neither reads nor writes (O_PATH) and stays on the file whatever becomes of its name: so no
// path is ever walked again, and nobody can put something else in a file's place.
//
// One file is one node, by whichever name it was found. A node lives until the guest has forgotten it as
// often as it was told of it.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "backend/share/request.h"
#include "base/file.h"

namespace eidolon::backend::share {

struct Node {
  uint64_t id;
  FileDescriptor fd;
  dev_t device;
  ino_t inode;
  mode_t type;  ///< S_IFREG and the others
  /// A path to the file itself, for calls that take no such descriptor. What is opened by it is known to be
  /// a regular file or a directory, whose kind never changes.
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd.get()); }
};
using NodePointer = std::shared_ptr<const Node>;

class Nodes {
 public:
  /// `root` is node 1, which is always there. At most `limit` others.
  Nodes(FileDescriptor root, const struct stat& status, size_t limit);

  [[nodiscard]] Answer<NodePointer> find(uint64_t id) const;
  /// The same, and it is a directory.
  [[nodiscard]] Answer<NodePointer> directory(uint64_t id) const;
  /// The node of a file that is told to the guest once more.
  [[nodiscard]] Answer<NodePointer> keep(FileDescriptor fd, const struct stat& status);
  void forget(uint64_t id, uint64_t times);
  /// All but the root.
  void clear();
  [[nodiscard]] size_t size() const;

 private:
  struct Entry {
    NodePointer node;
    uint64_t told = 1;
  };
  const size_t limit_;
  const NodePointer root_;
  mutable std::mutex mutex_;
  uint64_t next_ = FUSE_ROOT_ID + 1;  ///< numbers are not used again
  std::unordered_map<uint64_t, Entry> entries_;
  std::map<std::pair<dev_t, ino_t>, uint64_t> by_file_;
};

}  // namespace eidolon::backend::share
