#include "boot/read_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace eidolon::boot {

Result<std::vector<uint8_t>> read_file(const std::string& path, std::string_view what, uint64_t limit) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid())
    return fail("cannot open the {} {} ({}); check its name and permissions", what, path,
                std::strerror(errno));
  constexpr uint64_t kFirstChunk = 1 << 20;
  std::vector<uint8_t> contents;
  uint64_t size = 0;
  for (;;) {
    if (size == contents.size()) contents.resize(std::max(kFirstChunk, size * 2));
    const ssize_t got = ::read(file.get(), contents.data() + size, contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail("cannot read the {} {} ({}); name a regular file", what, path, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<uint64_t>(got);
    if (size > limit)
      return fail("the {} {} is larger than the guest's {} MiB of memory; give it more with --memory", what,
                  path, limit >> 20);
  }
  if (size == 0) return fail("the {} {} is empty; copy it again", what, path);
  contents.resize(size);
  return contents;
}

}  // namespace eidolon::boot
