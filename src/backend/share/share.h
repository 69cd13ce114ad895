// A folder of the host that a guest mounts (docs/shared-folders.md): the server behind virtio-fs. It speaks
// FUSE 7.31 as Linux's <linux/fuse.h> has it, needs no privileges, and reaches nothing but what is in the
// folder.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backend/share/session.h"
#include "base/result.h"

namespace eidolon::backend::share {

/// How many files a guest may know, and how many it may have open.
struct Limits {
  size_t nodes = 200'000;
  size_t handles = 20'000;
};

class Share final : public device::virtio::FileServer {
 public:
  static Result<std::unique_ptr<Share>> open(const std::string& folder, bool read_only, const Limits& limits);

  // device::virtio::FileServer
  [[nodiscard]] uint32_t serve(device::virtio::FileMessage& message) override;
  void forget() override;
  [[nodiscard]] bool in_use() const override { return mounted_.load(); }

 private:
  Share(FileDescriptor root, const struct stat& status, bool read_only, const Limits& limits);
  [[nodiscard]] Answer<> carry_out(Request& request);
  [[nodiscard]] Answer<> begin(Request& request);

  Session session_;
  std::atomic<bool> mounted_{false};
};

}  // namespace eidolon::backend::share
