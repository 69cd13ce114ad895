// What the first processor got from outside, in order, for the second one to get the same: port and MMIO
// accesses, readings of the time-stamp counter, and what the interrupt controller answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eidolon::engine::lockstep {

struct Entry {
  enum class Kind : uint8_t {
    kPortRead,
    kPortWrite,
    kMmioRead,
    kMmioWrite,
    kTsc,
    kAcknowledge,  ///< `value` is the vector
    kTaskPriority,
    kSetTaskPriority,
    kReadMsr,
    kWriteMsr,
    kInit,
  } kind;
  uint8_t size = 0;
  bool fault = false;  ///< kReadMsr, kWriteMsr: #GP
  uint64_t address = 0;
  uint64_t value = 0;
};

[[nodiscard]] std::string describe(const Entry& entry);

class Tape {
 public:
  void record(const Entry& entry) { entries_.push_back(entry); }
  /// The entry that comes next must be of the same kind, address and size as `asked`, and for writes of the
  /// same value: else the processors have parted, which is noted, and an entry of zeros returned.
  Entry replay(const Entry& asked);
  /// The next entry, if it is of this kind.
  [[nodiscard]] const Entry* peek(Entry::Kind kind) const;

  [[nodiscard]] bool finished() const { return next_ == entries_.size(); }
  [[nodiscard]] const std::optional<std::string>& parted() const { return parted_; }
  /// The first entry that nobody asked for.
  [[nodiscard]] const Entry& left_over() const { return entries_[next_]; }
  void clear() {
    entries_.clear();
    next_ = 0;
  }

 private:
  std::vector<Entry> entries_;
  size_t next_ = 0;
  std::optional<std::string> parted_;
};

}  // namespace eidolon::engine::lockstep
