#include "base/state_stream.h"

#include <string>

namespace eidolon {

void StateWriter::begin(std::string_view section, uint32_t version) {
  put(static_cast<uint32_t>(section.size()));
  bytes_.insert(bytes_.end(), section.begin(), section.end());
  put(version);
  length_at_ = bytes_.size();
  put(uint64_t{0});
}

void StateWriter::end() {
  const uint64_t length = bytes_.size() - length_at_ - sizeof(uint64_t);
  std::memcpy(&bytes_[length_at_], &length, sizeof(length));
}

void StateWriter::put(const std::vector<uint8_t>& bytes) {
  put(static_cast<uint32_t>(bytes.size()));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

uint32_t StateReader::begin(std::string_view section) {
  section_end_ = bytes_.size();
  uint32_t name_length = 0;
  uint32_t version = 0;
  uint64_t length = 0;
  get(name_length);
  const auto name = take(name_length);
  const bool same = std::string(name.begin(), name.end()) == section;
  (*this)(version, length);
  if (!same || length > bytes_.size() - position_) failed_ = true;
  if (failed_) return 0;
  section_end_ = position_ + length;
  return version;
}

void StateReader::end() {
  if (!failed_) position_ = section_end_;
}

std::span<const uint8_t> StateReader::take(size_t length) {
  if (failed_ || length > section_end_ - position_) {
    failed_ = true;
    return {};
  }
  const auto taken = bytes_.subspan(position_, length);
  position_ += length;
  return taken;
}

void StateReader::get(std::vector<uint8_t>& bytes) {
  uint32_t length = 0;
  get(length);
  const auto raw = take(length);
  bytes.assign(raw.begin(), raw.end());
}

}  // namespace eidolon
