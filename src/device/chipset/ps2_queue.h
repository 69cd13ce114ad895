// What a PS/2 device has to say: answers to commands first, then keys or movements, as far as its buffer
// holds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/state_stream.h"

namespace eidolon::device {

class Ps2Queue {
 public:
  static constexpr size_t kCapacity = 16;  ///< of a keyboard's buffer
  static constexpr size_t kMostAnswers = 16;

  void answer(std::initializer_list<uint8_t> bytes) {
    for (const uint8_t byte : bytes)
      if (answers_.size() < kMostAnswers) answers_.push_back(byte);
  }
  [[nodiscard]] bool has_room(size_t bytes) const { return events_.size() + bytes <= kCapacity; }
  /// All of it or nothing: half a code would be another key.
  bool put(std::span<const uint8_t> bytes) {
    if (!has_room(bytes.size())) return false;
    events_.insert(events_.end(), bytes.begin(), bytes.end());
    return true;
  }
  [[nodiscard]] bool empty() const { return answers_.empty() && events_.empty(); }
  [[nodiscard]] std::optional<uint8_t> take() {
    std::deque<uint8_t>& from = answers_.empty() ? events_ : answers_;
    if (from.empty()) return std::nullopt;
    last_ = from.front();
    from.pop_front();
    return last_;
  }
  /// For the command "resend".
  [[nodiscard]] uint8_t last() const { return last_; }
  void clear_events() { events_.clear(); }
  void clear() {
    answers_.clear();
    events_.clear();
  }

  void save(StateWriter& to) const {
    to(std::vector<uint8_t>(answers_.begin(), answers_.end()),
       std::vector<uint8_t>(events_.begin(), events_.end()), last_);
  }
  void load(StateReader& from) {
    std::vector<uint8_t> answers, events;
    from(answers, events, last_);
    if (answers.size() > kMostAnswers || events.size() > kCapacity) from.fail();
    if (from.failed()) return;
    answers_.assign(answers.begin(), answers.end());
    events_.assign(events.begin(), events.end());
  }

 private:
  std::deque<uint8_t> answers_;
  std::deque<uint8_t> events_;
  uint8_t last_ = 0;
};

}  // namespace eidolon::device
