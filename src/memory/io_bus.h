// A bus: which handler answers which range. One instance is the port space (64 KiB), another is the
// MMIO part of the guest-physical address space. What nobody answers reads as all ones; writes vanish.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/io_handler.h"

namespace eidolon::memory {

class IoBus {
 public:
  /// Puts `handler` at [base, base + length). Fails if the range overlaps another. Not thread-safe:
  /// the machine is wired before its processors run.
  Result<> attach(uint64_t base, uint64_t length, IoHandler& handler, std::string name);
  void detach(uint64_t base);
  /// Who is asked where nothing is attached, with the address as offset: a bus behind this one. Null: nobody.
  void set_fallback(IoHandler* fallback) { fallback_ = fallback; }

  /// `size` is 1, 2, 4 or 8. An access that leaves its range is split into bytes.
  [[nodiscard]] uint64_t read(uint64_t address, unsigned size) const;
  void write(uint64_t address, unsigned size, uint64_t value) const;
  /// The same for `size` bytes, in the largest naturally aligned accesses that a bus carries.
  void read_bytes(uint64_t address, uint8_t* to, unsigned size) const;
  void write_bytes(uint64_t address, const uint8_t* from, unsigned size) const;
  /// One observer or none (null); it outlives its stay here. Not thread-safe, like attach.
  void set_observer(IoObserver* observer) { observer_ = observer; }
  [[nodiscard]] bool has_handler(uint64_t address) const { return find(address) != nullptr; }

 private:
  struct Range {
    uint64_t base;
    uint64_t length;
    IoHandler* handler;
    std::string name;
  };
  [[nodiscard]] const Range* find(uint64_t address) const;
  /// Whether nothing is attached anywhere in the access, so that it can go to the fallback as it is.
  [[nodiscard]] bool free(uint64_t address, unsigned size) const;
  [[nodiscard]] uint64_t read_handlers(uint64_t address, unsigned size) const;
  void write_handlers(uint64_t address, unsigned size, uint64_t value) const;
  std::vector<Range> ranges_;  ///< sorted by base
  IoHandler* fallback_ = nullptr;
  IoObserver* observer_ = nullptr;
};

}  // namespace eidolon::memory
