#include "migration/page_set.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "base/try.h"
#include "migration/message.h"
#include "snapshot/memory_index.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

namespace {
constexpr size_t kMostRuns = 16384;
static_assert(kMostRuns * sizeof(PageRun) <= kLongestPayload);
}  // namespace

PageSet::PageSet(const MemoryLayout& layout) : words_((layout.end() / kPageBytes + 63) / 64) {}

void PageSet::add(uint64_t page) {
  EIDOLON_ASSERT(page / 64 < words_.size());
  uint64_t& word = words_[page / 64];
  size_ += (word >> page % 64 & 1) ^ 1;
  word |= uint64_t{1} << page % 64;
}

bool PageSet::remove(uint64_t page) {
  if (!has(page)) return false;
  words_[page / 64] &= ~(uint64_t{1} << page % 64);
  --size_;
  return true;
}

bool PageSet::has(uint64_t page) const {
  return page / 64 < words_.size() && (words_[page / 64] >> page % 64 & 1) != 0;
}

std::optional<uint64_t> PageSet::next(uint64_t page) const {
  const uint64_t end = words_.size() * 64;
  const uint64_t from = std::min(page, end);
  if (const auto behind = next_before(from, end)) return behind;
  return next_before(0, from);
}

std::optional<uint64_t> PageSet::next_before(uint64_t from, uint64_t end) const {
  for (uint64_t at = from; at < end; at = (at | 63) + 1) {
    const uint64_t rest = words_[at / 64] >> at % 64;
    if (rest == 0) continue;
    const uint64_t found = at + static_cast<unsigned>(std::countr_zero(rest));
    return found < end ? std::optional(found) : std::nullopt;
  }
  return std::nullopt;
}

std::vector<PageRun> PageSet::runs() const {
  std::vector<PageRun> runs;
  const uint64_t end = words_.size() * 64;
  for (auto page = next_before(0, end); page; page = next_before(*page + 1, end)) {
    if (!runs.empty() && runs.back().first + runs.back().count == *page)
      ++runs.back().count;
    else
      runs.push_back({.first = *page, .count = 1});
  }
  return runs;
}

Result<> PageSet::send(Connection& to) const {
  const std::vector<PageRun> all = runs();
  for (std::span<const PageRun> left = all; !left.empty();) {
    const auto part = left.first(std::min(left.size(), kMostRuns));
    std::vector<uint8_t> payload(part.size_bytes());
    std::memcpy(payload.data(), part.data(), payload.size());
    EIDOLON_TRY(send_message(to, Kind::kMissing, payload));
    left = left.subspan(part.size());
  }
  return {};
}

Result<> PageSet::take(Bytes payload, const MemoryLayout& layout) {
  const auto wrong = [] { return fail("the other side lists pages that this machine does not have"); };
  if (payload.size() % sizeof(PageRun) != 0) return wrong();
  for (; !payload.empty(); payload = payload.subspan(sizeof(PageRun))) {
    PageRun run;
    std::memcpy(&run, payload.data(), sizeof run);
    if (!layout.has_pages(run.first, run.count)) return wrong();
    for (uint64_t page = run.first; page < run.first + run.count; ++page) add(page);
  }
  return {};
}

}  // namespace eidolon::migration
