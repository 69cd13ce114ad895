#include "snapshot/table.h"

#include <algorithm>
#include <cstring>

#include "base/state_stream.h"

namespace eidolon::snapshot {

namespace {

constexpr std::array<uint8_t, 8> kMagic = {0x89, 'E', 'i', 'd', 'o', 'l', 'o', 'n'};
constexpr uint64_t kMostTable = 16 << 20;
constexpr uint32_t kMostSections = 65536;
constexpr uint64_t kLongestSection = uint64_t{1} << 30;

constexpr size_t kVersionAt = 8, kTableAt = 16, kTableLengthAt = 24, kTableChecksumAt = 32,
                 kFileLengthAt = 40, kOwnChecksumAt = 56;

template <typename T>
T get(Bytes from, size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

auto damaged(const std::string& path) {
  return fail("the snapshot '{}' is damaged; restore from another copy", path);
}

}  // namespace

Frame make_frame(const std::vector<Section>& sections, uint64_t offset) {
  StateWriter writer;
  writer.begin("sections", 1);
  writer(static_cast<uint32_t>(sections.size()));
  for (const Section& section : sections)
    writer(std::vector<uint8_t>(section.name.begin(), section.name.end()), section.offset, section.length,
           section.checksum);
  writer.end();
  Frame frame{.table = writer.bytes(), .preamble = {}};
  std::ranges::copy(kMagic, frame.preamble.begin());
  const auto put = [&frame](size_t at, auto value) {
    std::memcpy(frame.preamble.data() + at, &value, sizeof value);
  };
  put(kVersionAt, kFormatVersion);
  put(kTableAt, offset);
  put(kTableLengthAt, uint64_t{frame.table.size()});
  put(kTableChecksumAt, checksum(frame.table));
  put(kFileLengthAt, offset + frame.table.size());
  put(kOwnChecksumAt, checksum(Bytes(frame.preamble).first(kOwnChecksumAt)));
  return frame;
}

Result<TablePlace> read_preamble(Bytes preamble, const std::string& path) {
  if (preamble.size() < kMagic.size() || !std::ranges::equal(preamble.first(kMagic.size()), kMagic))
    return fail("'{}' is no snapshot of a machine; name a file that eidolon snapshot has written", path);
  if (preamble.size() < kPreambleBytes)
    return fail("the snapshot '{}' is cut short after {} bytes; copy it again", path, preamble.size());
  if (checksum(preamble.first(kOwnChecksumAt)) != get<uint64_t>(preamble, kOwnChecksumAt))
    return damaged(path);
  const auto version = get<uint32_t>(preamble, kVersionAt);
  if (version > kFormatVersion)
    return fail(
        "the snapshot '{}' is of format {}, and this version of Eidolon knows up to {}; use a newer one",
        path, version, kFormatVersion);
  const TablePlace place = {.offset = get<uint64_t>(preamble, kTableAt),
                            .length = get<uint64_t>(preamble, kTableLengthAt),
                            .checksum = get<uint64_t>(preamble, kTableChecksumAt),
                            .file_length = get<uint64_t>(preamble, kFileLengthAt)};
  const bool whole = version != 0 && place.length <= kMostTable && place.length <= place.file_length &&
                     place.offset == place.file_length - place.length;
  if (!whole) return damaged(path);
  return place;
}

Result<std::vector<Section>> read_table(Bytes table, const TablePlace& place, const std::string& path) {
  if (checksum(table) != place.checksum) return damaged(path);
  StateReader reader(table);
  uint32_t count = 0;
  reader.begin("sections");
  reader(count);
  std::vector<Section> sections;
  for (uint32_t i = 0; i < std::min(count, kMostSections) && !reader.failed(); ++i) {
    Section section;
    std::vector<uint8_t> name;
    reader(name, section.offset, section.length, section.checksum);
    section.name.assign(name.begin(), name.end());
    if (section.offset > place.offset || section.length > place.offset - section.offset ||
        section.length > kLongestSection)
      reader.fail();
    sections.push_back(std::move(section));
  }
  if (reader.failed() || sections.size() != count) return damaged(path);
  return sections;
}

}  // namespace eidolon::snapshot
