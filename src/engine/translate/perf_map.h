// The map of generated code that Linux `perf` reads: /tmp/perf-PID.map, one line a block with its host
// address, size and name (tools/perf/Documentation/jit-interface.txt in the kernel's sources).
//
// A map has no times in it. When the code cache is emptied and its addresses are used again, the file starts
// again too, so it names what was there last. (perf's other format, the jitdump, has times, but makes perf
// write one ELF file a block, and a boot has a hundred thousand.)
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/result.h"
#include "engine/translate/observer.h"

namespace eidolon::engine::translate {

class PerfMap final : public BlockObserver {
 public:
  /// A new file; one that is there already is replaced.
  static Result<std::unique_ptr<PerfMap>> create(const std::string& path);
  /// Where perf looks for the map of this process.
  [[nodiscard]] static std::string default_path();

  [[nodiscard]] bool wants_anonymous_code() const override { return true; }
  [[nodiscard]] bool takes_copies() const override { return true; }
  void made(const MadeBlock& made) override { copied(made.block, made.cache_address); }
  void copied(const Block& block, uint64_t cache_address) override;
  void extended(const Block& block, uint64_t address, uint32_t size) override;
  void emptied(uint64_t cache_address, uint32_t used) override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit PerfMap(std::FILE* file) : file_(file) {}
  void line(uint64_t address, uint32_t size, const std::string& name);
  std::mutex mutex_;  ///< of what follows: each processor's engine tells of its blocks
  std::unique_ptr<std::FILE, Close> file_;
  std::set<uint64_t> caches_;
};

/// "guest:ffffffff81000123 k64": linear address; u or k for user or kernel, and the code size.
[[nodiscard]] std::string block_name(const Block& block);

}  // namespace eidolon::engine::translate
