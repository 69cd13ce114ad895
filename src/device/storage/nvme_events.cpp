#include "device/storage/nvme_events.h"

#include <algorithm>

namespace eidolon::device::storage::nvme {

namespace {
constexpr uint32_t kErrorLogPage = 1;
constexpr uint16_t kNobody = 0xffff;
}  // namespace

void Events::clear() {
  pending_.reset();
  masked_ = false;
  requests_.clear();
}

void Events::log(ErrorEntry entry) {
  entry.number = ++count_;
  log_[count_ % kErrorEntries] = entry;
}

void Events::doorbell_error(Error what) {
  if (masked_ || pending_) return;  // a storm of them is one event and one entry
  log({.queue = kNobody, .command = kNobody});
  pending_ = what;
}

void Events::command_error(uint16_t queue, const Command& command, Status status) {
  log({.queue = queue,
       .command = command.id,
       .status = status_field(status),
       .block = queue == 0 ? 0 : command.cdw(10) | uint64_t{command.cdw(11)} << 32,
       .nsid = command.nsid});
}

bool Events::request(uint16_t command) {
  if (requests_.size() >= kEventRequests) return false;
  requests_.push_back(command);
  return true;
}

bool Events::withdraw(uint16_t command) {
  const auto at = std::ranges::find(requests_, command);
  if (at == requests_.end()) return false;
  requests_.erase(at);
  return true;
}

std::optional<Events::Notice> Events::next() {
  if (!pending_ || requests_.empty()) return std::nullopt;
  constexpr uint32_t kTypeError = 0;
  const uint32_t result = kTypeError | static_cast<uint32_t>(*pending_) << 8 | kErrorLogPage << 16;
  const Notice notice{.command = requests_.front(), .result = result};
  requests_.erase(requests_.begin());
  pending_.reset();
  masked_ = true;
  return notice;
}

std::array<ErrorEntry, kErrorEntries> Events::error_log() const {
  std::array<ErrorEntry, kErrorEntries> latest_first{};
  for (uint64_t i = 0; i < kErrorEntries && i < count_; ++i)
    latest_first[i] = log_[(count_ - i) % kErrorEntries];
  return latest_first;
}

/// The error log is for people, and is not carried over.
void Events::save(StateWriter& to) const {
  to(pending_.has_value(), pending_.value_or(Error::kNoSuchDoorbell), masked_,
     static_cast<uint8_t>(requests_.size()));
  for (const uint16_t request : requests_) to(request);
}

void Events::load(StateReader& from) {
  clear();
  bool has_event = false;
  Error event{};
  uint8_t count = 0;
  from(has_event, event, masked_, count);
  if (count > kEventRequests || static_cast<uint8_t>(event) > 1) from.fail();
  if (from.failed()) return;
  if (has_event) pending_ = event;
  for (uint8_t i = 0; i < count; ++i) from(requests_.emplace_back());
}

}  // namespace eidolon::device::storage::nvme
