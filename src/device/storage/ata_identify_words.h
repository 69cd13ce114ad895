// The 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ACS-3, 7.12.7 and 7.13.6) while they are
// filled.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace eidolon::device::storage::ata {

class IdentifyWords {
 public:
  uint16_t& operator[](unsigned word) { return words_[word]; }
  /// Padded with spaces; two characters a word, the first in the upper half.
  void text(unsigned first, unsigned words, std::string_view value);
  void number(unsigned first, unsigned words, uint64_t value);
  /// The bytes, with the checksum in the last word.
  [[nodiscard]] std::vector<uint8_t> finish();

 private:
  std::array<uint16_t, 256> words_{};
};

}  // namespace eidolon::device::storage::ata
