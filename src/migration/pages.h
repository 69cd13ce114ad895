// Pages of memory on their way. A kPages message is a list of up to kMostPages entries of 8 bytes, the page's
// number times two, plus one for a page of zeros; then the bytes of those that are not. A number of entries
// of 8 bytes stands in front.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "migration/connection.h"
#include "migration/memory_layout.h"

namespace eidolon::migration {

inline constexpr uint64_t kMostPages = 256;

/// Calls visit(page, content) for each page of a kPages message, with an empty content for one of zeros. What
/// is no list of pages of `layout` is a sentence; some of it may have been visited.
Result<> read_pages(Bytes payload, const MemoryLayout& layout,
                    const std::function<Result<>(uint64_t page, Bytes content)>& visit);

class PageSender {
 public:
  /// `memory`: the whole mapping; it may change while it is read, and what was is sent again then.
  PageSender(Connection& to, Bytes memory) : to_(to), memory_(memory) {}

  /// The first time, pages of zeros need not be told of: the other side's are zeros.
  enum class Zeros : uint8_t { kLeaveOut, kTell };
  Result<> add(uint64_t page, Zeros zeros);
  /// What was added is on its way.
  Result<> flush();
  [[nodiscard]] uint64_t sent_bytes() const { return sent_; }

 private:
  Connection& to_;
  const Bytes memory_;
  std::vector<uint64_t> entries_;
  std::vector<uint8_t> bytes_;
  uint64_t sent_ = 0;
};

/// Where they arrive: memory of ours that becomes a machine's.
class PageReceiver {
 public:
  static Result<PageReceiver> create(MemoryLayout layout);
  PageReceiver(PageReceiver&& other) noexcept;
  PageReceiver& operator=(PageReceiver&&) = delete;
  ~PageReceiver();

  /// What is no list of pages of the layout is a sentence; some of it may have been taken.
  Result<> take(Bytes payload);
  [[nodiscard]] const MemoryLayout& layout() const { return layout_; }
  /// Moves what has arrived into `memory`, the machine's mapping, which nothing uses yet. Once.
  Result<> move_into(std::span<uint8_t> memory);

 private:
  PageReceiver(MemoryLayout layout, uint8_t* mapping, uint64_t mapped)
      : layout_(std::move(layout)), mapping_(mapping), mapped_(mapped) {}
  [[nodiscard]] uint8_t* begin() const;

  MemoryLayout layout_;
  uint8_t* mapping_;
  uint64_t mapped_;
};

}  // namespace eidolon::migration
