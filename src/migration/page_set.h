// A set of pages of a machine's memory, by their numbers in its mapping, and how it is told to the other
// side: a kMissing message is a list of runs, each a first page and a count of 8 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "migration/connection.h"
#include "migration/memory_layout.h"

namespace eidolon::migration {

struct PageRun {
  uint64_t first = 0, count = 0;
  bool operator==(const PageRun&) const = default;
};

class PageSet {
 public:
  /// Empty, and for pages of this layout; `add` takes no others.
  explicit PageSet(const MemoryLayout& layout);

  void add(uint64_t page);
  /// False: it was not there.
  bool remove(uint64_t page);
  [[nodiscard]] bool has(uint64_t page) const;
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// The first one from `page` on, or else the first of all. Nothing: the set is empty.
  [[nodiscard]] std::optional<uint64_t> next(uint64_t page) const;
  /// In order; as long as they are.
  [[nodiscard]] std::vector<PageRun> runs() const;

  Result<> send(Connection& to) const;
  /// Adds what a kMissing message lists; what is none of `layout`'s is a sentence.
  Result<> take(Bytes payload, const MemoryLayout& layout);

 private:
  [[nodiscard]] std::optional<uint64_t> next_before(uint64_t from, uint64_t end) const;
  std::vector<uint64_t> words_;
  uint64_t size_ = 0;
};

}  // namespace eidolon::migration
