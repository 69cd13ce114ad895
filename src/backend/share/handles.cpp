#include "backend/share/handles.h"

namespace eidolon::backend::share {

Answer<uint64_t> Handles::add(FileDescriptor file) {
  auto open = std::make_shared<OpenFile>();
  open->file = std::move(file);
  return add(std::move(open));
}

Answer<uint64_t> Handles::add(std::unique_ptr<DIR, CloseDirectory> directory) {
  auto open = std::make_shared<OpenFile>();
  open->directory = std::move(directory);
  return add(std::move(open));
}

Answer<uint64_t> Handles::add(std::shared_ptr<OpenFile> open) {
  std::lock_guard lock(mutex_);
  if (open_.size() >= limit_) return refuse(ENFILE);
  open_.emplace(next_, std::move(open));
  return next_++;
}

std::shared_ptr<OpenFile> Handles::find(uint64_t handle) const {
  std::lock_guard lock(mutex_);
  const auto found = open_.find(handle);
  return found == open_.end() ? nullptr : found->second;
}

Answer<std::shared_ptr<OpenFile>> Handles::file(uint64_t handle) const {
  std::shared_ptr<OpenFile> open = find(handle);
  if (!open || !open->file.valid()) return refuse(EBADF);
  return open;
}

Answer<std::shared_ptr<OpenFile>> Handles::directory(uint64_t handle) const {
  std::shared_ptr<OpenFile> open = find(handle);
  if (!open || !open->directory) return refuse(EBADF);
  return open;
}

void Handles::remove(uint64_t handle) {
  std::shared_ptr<OpenFile> last;  // closed without the lock
  std::lock_guard lock(mutex_);
  const auto found = open_.find(handle);
  if (found == open_.end()) return;
  last = std::move(found->second);
  open_.erase(found);
}

void Handles::clear() {
  std::lock_guard lock(mutex_);
  open_.clear();
}

}  // namespace eidolon::backend::share
