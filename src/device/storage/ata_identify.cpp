#include <algorithm>

#include "device/storage/ata_disk.h"
#include "device/storage/ata_identify_words.h"

namespace eidolon::device::storage::ata {

void IdentifyWords::text(unsigned first, unsigned words, std::string_view value) {
  const auto at = [value](size_t i) { return static_cast<uint8_t>(i < value.size() ? value[i] : ' '); };
  for (unsigned i = 0; i < words; ++i)
    words_[first + i] = static_cast<uint16_t>(at(2 * i) << 8 | at(2 * i + 1));
}

void IdentifyWords::number(unsigned first, unsigned words, uint64_t value) {
  for (unsigned i = 0; i < words; ++i) words_[first + i] = static_cast<uint16_t>(value >> (16 * i));
}

std::vector<uint8_t> IdentifyWords::finish() {
  words_[255] = 0xa5;
  std::vector<uint8_t> bytes;
  for (const uint16_t word : words_) {
    bytes.push_back(static_cast<uint8_t>(word));
    bytes.push_back(static_cast<uint8_t>(word >> 8));
  }
  uint8_t sum = 0;
  for (const uint8_t byte : bytes) sum = static_cast<uint8_t>(sum + byte);
  bytes.back() = static_cast<uint8_t>(-sum);
  return bytes;
}

std::vector<uint8_t> Disk::identify() const {
  constexpr uint16_t kValid = 0x4000;  // of words that must have bit 14 set and bit 15 clear
  const uint64_t total = sectors();
  const bool serial_bus = bus_ == BusKind::kSerial;
  IdentifyWords words;
  words[0] = 0x0040;  // a disk that is not removable
  words[1] = natural_.cylinders;
  words[3] = natural_.heads;
  words[6] = natural_.sectors;
  words.text(10, 10, serial_);
  words.text(23, 4, "1.0");
  words.text(27, 20, "Eidolon disk");
  words[47] = 0x8000 | kMaxMultiple;
  words[48] = kValid;  // no trusted computing
  words[49] = 0x0f00;  // IORDY, LBA, DMA
  words[50] = kValid;
  words[51] = words[52] = 0x0200;
  words[53] = 7;  // words 54-58, 64-70 and 88 mean something
  words[54] = geometry_.cylinders;
  words[55] = geometry_.heads;
  words[56] = geometry_.sectors;
  const uint64_t by_geometry = uint64_t{geometry_.cylinders} * geometry_.heads * geometry_.sectors;
  words.number(57, 2, by_geometry);
  words[59] = multiple_ == 0 ? 0 : static_cast<uint16_t>(0x0100 | multiple_);
  words.number(60, 2, std::min<uint64_t>(total, 0x0fffffff));
  const auto selected = [this](uint8_t kind) {
    return (dma_mode_ & 0xf0) == kind ? uint16_t{1} << (8 + (dma_mode_ & 7)) : 0;
  };
  words[63] = static_cast<uint16_t>(0x07 | selected(0x20));
  words[64] = 3;                                        // PIO modes 3 and 4
  words[65] = words[66] = words[67] = words[68] = 120;  // ns a word
  words[75] = serial_bus ? 31 : 0;                      // depth of the queue, less one
  words[76] = serial_bus ? 0x010e : 0;                  // NCQ; 1.5, 3 and 6 Gbit/s
  words[80] = 0x01f0;                                   // ATA/ATAPI-4 to ATA8
  words[82] = 0x0069;                                   // look-ahead, write cache, power management, SMART
  words[83] = kValid | 0x3400;                          // FLUSH CACHE and its EXT, 48-bit addresses
  words[84] = kValid | 0x0160;  // world-wide name, forced unit access, general purpose logging
  words[85] = static_cast<uint16_t>(0x0008 | smart_ | write_cache_ << 5 | look_ahead_ << 6);
  words[86] = 0x3400;
  words[87] = words[84];
  words[88] = static_cast<uint16_t>((serial_bus ? 0x7f : 0x07) | selected(0x40));
  words[93] = serial_bus ? 0 : 0x6001;  // an 80-wire cable
  words.number(100, 4, total);
  words[105] = 8;       // blocks of a TRIM
  words[106] = kValid;  // logical sectors are physical ones
  // A locally made world-wide name from the serial number, so that it is the same at every start.
  uint64_t name = 0xcbf29ce484222325;
  for (const char c : serial_) name = (name ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  name = uint64_t{3} << 60 | name >> 4;
  for (unsigned i = 0; i < 4; ++i) words[108 + i] = static_cast<uint16_t>(name >> (48 - 16 * i));
  words[169] = 1;  // TRIM
  words[217] = 1;  // does not rotate
  words[222] = serial_bus ? 0x1020 : 0;
  return words.finish();
}

}  // namespace eidolon::device::storage::ata
