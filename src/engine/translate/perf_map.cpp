#include "engine/translate/perf_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace eidolon::engine::translate {

std::string PerfMap::default_path() { return fmt::format("/tmp/perf-{}.map", getpid()); }

Result<std::unique_ptr<PerfMap>> PerfMap::create(const std::string& path) {
  // A process with this number may have left one. In a directory that others write to, the file has to be
  // made by us: an open without O_EXCL would follow another user's link.
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  std::FILE* file = fd < 0 ? nullptr : fdopen(fd, "w");
  if (file == nullptr) {
    const int why = errno;
    if (fd >= 0) close(fd);
    return fail(
        "cannot write the perf map '{}' ({}); remove the file of that name, or run without --perf-map", path,
        std::strerror(why));
  }
  // perf may look while the machine runs, and a machine that is killed leaves whole lines.
  std::setvbuf(file, nullptr, _IOLBF, 4096);
  return std::unique_ptr<PerfMap>(new PerfMap(file));
}

std::string block_name(const Block& block) {
  return fmt::format("guest:{:x} {}{}", block.rip, block.mode.user() ? 'u' : 'k',
                     block.mode.long_code() ? 64 : 32);
}

void PerfMap::copied(const Block& block, uint64_t cache_address) {
  const std::lock_guard lock(mutex_);
  line(cache_address + block.begin, block.end - block.begin, block_name(block));
  line(cache_address + block.cold_begin, block.cold_end - block.cold_begin, block_name(block) + " (cold)");
}

void PerfMap::extended(const Block& block, uint64_t address, uint32_t size) {
  const std::lock_guard lock(mutex_);
  line(address, size, block_name(block) + " (entry)");
}

void PerfMap::emptied(uint64_t cache_address, uint32_t used) {
  const std::lock_guard lock(mutex_);
  caches_.insert(cache_address);
  // The lines of other processors' caches must stay. Old lines before the new ones do no harm but to the
  // profile.
  if (caches_.size() == 1) {
    std::rewind(file_.get());
    [[maybe_unused]] const int status = ftruncate(fileno(file_.get()), 0);
  }
  line(cache_address, used, "eidolon:enter and exit");
}

// A full disk costs the rest of the map, not the machine.
void PerfMap::line(uint64_t address, uint32_t size, const std::string& name) {
  std::fputs(fmt::format("{:x} {:x} {}\n", address, size, name).c_str(), file_.get());
}

}  // namespace eidolon::engine::translate
