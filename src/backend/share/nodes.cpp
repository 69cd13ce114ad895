#include "backend/share/nodes.h"

namespace eidolon::backend::share {

Nodes::Nodes(FileDescriptor root, const struct stat& status, size_t limit)
    : limit_(limit),
      root_(std::make_shared<Node>(Node{.id = FUSE_ROOT_ID,
                                        .fd = std::move(root),
                                        .device = status.st_dev,
                                        .inode = status.st_ino,
                                        .type = S_IFDIR})) {}

Answer<NodePointer> Nodes::find(uint64_t id) const {
  if (id == FUSE_ROOT_ID) return root_;
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return refuse(ESTALE);
  return found->second.node;
}

Answer<NodePointer> Nodes::directory(uint64_t id) const {
  NodePointer node = EIDOLON_TRY(find(id));
  if (node->type != S_IFDIR) return refuse(ENOTDIR);
  return node;
}

Answer<NodePointer> Nodes::keep(FileDescriptor fd, const struct stat& status) {
  if (status.st_dev == root_->device && status.st_ino == root_->inode) return root_;
  std::lock_guard lock(mutex_);
  const std::pair file(status.st_dev, status.st_ino);
  if (const auto known = by_file_.find(file); known != by_file_.end()) {
    Entry& entry = entries_.at(known->second);
    ++entry.told;
    return entry.node;
  }
  if (entries_.size() >= limit_) return refuse(ENFILE);
  const uint64_t id = next_++;
  auto node = std::make_shared<Node>(Node{.id = id,
                                          .fd = std::move(fd),
                                          .device = status.st_dev,
                                          .inode = status.st_ino,
                                          .type = status.st_mode & S_IFMT});
  by_file_.emplace(file, id);
  entries_.emplace(id, Entry{.node = node});
  return node;
}

void Nodes::forget(uint64_t id, uint64_t times) {
  NodePointer last;  // closed without the lock
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.told -= std::min(entry.told, times);
  if (entry.told != 0) return;
  last = entry.node;
  by_file_.erase({last->device, last->inode});
  entries_.erase(found);
}

void Nodes::clear() {
  std::lock_guard lock(mutex_);
  by_file_.clear();
  entries_.clear();
}

size_t Nodes::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace eidolon::backend::share
