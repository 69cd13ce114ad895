#include "machine/saved_media.h"

#include <sys/stat.h>

#include <algorithm>

#include "backend/image/overlay_medium.h"
#include "backend/image/patient_medium.h"
#include "base/state_stream.h"
#include "base/try.h"
#include "machine/json_fields.h"

namespace eidolon::machine {

namespace {

using backend::image::OverlayMedium;
using device::storage::IoStatus;
using device::storage::Medium;
using Json = nlohmann::json;

constexpr uint64_t kSector = 512, kPart = 1 << 20;
constexpr int64_t kUnknown = 0;

/// Nanoseconds since 1970, or kUnknown of what is no regular file.
int64_t last_written(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return kUnknown;
  return int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
}

/// A part of what is written, and where it is in the file.
struct Part {
  uint64_t offset = 0, length = 0, place = 0, checksum = 0;
};
template <typename Self, typename Stream>
void part_fields(Self& part, Stream& s) {
  s(part.offset, part.length, part.place, part.checksum);
}

/// A medium whose contents end with the machine; null: it is none.
const OverlayMedium* overlay_of(const Medium& medium) {
  if (const auto* patient = dynamic_cast<const backend::image::PatientMedium*>(&medium))
    return overlay_of(patient->inner());
  return dynamic_cast<const OverlayMedium*>(&medium);
}

std::string section_of(const SavedMedium& medium) { return "written/" + medium.name; }

Result<> read_failed(const SavedMedium& medium) {
  return fail("the host cannot read '{}', so there is no snapshot; look after that disk", medium.path);
}

Result<Part> save_part(snapshot::FileWriter& to, const SavedMedium& medium, uint64_t offset,
                       uint64_t length) {
  std::vector<uint8_t> bytes(length);
  const iovec into = {bytes.data(), bytes.size()};
  if (medium.medium->read(offset, {&into, 1}) != IoStatus::kDone)
    return std::unexpected(read_failed(medium).error());
  const Part part = {.offset = offset,
                     .length = length,
                     .place = to.reserve(length, kSector),
                     .checksum = snapshot::checksum(bytes)};
  EIDOLON_TRY(to.write(part.place, bytes));
  return part;
}

Result<> save_written(snapshot::FileWriter& to, const SavedMedium& medium) {
  std::vector<Part> parts;
  const OverlayMedium* overlay = overlay_of(*medium.medium);
  if (overlay == nullptr) return {};
  for (const OverlayMedium::Range& range : overlay->written())
    for (uint64_t at = 0; at < range.length; at += kPart)
      parts.push_back(
          EIDOLON_TRY(save_part(to, medium, range.offset + at, std::min(kPart, range.length - at))));
  if (parts.empty()) return {};
  StateWriter list;
  list.begin(section_of(medium), 1);
  list(static_cast<uint64_t>(parts.size()));
  for (const Part& part : parts) part_fields(part, list);
  list.end();
  return to.add(section_of(medium), list.bytes());
}

Result<> load_part(const snapshot::FileReader& from, const SavedMedium& medium, const Part& part) {
  const uint64_t size = medium.medium->size();
  const bool possible = part.length != 0 && part.length <= kPart && part.length % kSector == 0 &&
                        part.offset % kSector == 0 && part.offset <= size &&
                        part.length <= size - part.offset && part.place <= from.length() &&
                        part.length <= from.length() - part.place;
  std::vector<uint8_t> bytes(possible ? part.length : 0);
  EIDOLON_TRY(from.read(part.place, bytes));
  if (!possible || snapshot::checksum(bytes) != part.checksum)
    return fail("the snapshot '{}' is damaged in what was written to '{}'; restore from another copy",
                from.path(), medium.path);
  const iovec source = {bytes.data(), bytes.size()};
  if (medium.medium->write(part.offset, {&source, 1}) != IoStatus::kDone)
    return fail("there is no room for what was written to '{}'; name another folder with TMPDIR",
                medium.path);
  return {};
}

Result<> load_written(const snapshot::FileReader& from, const SavedMedium& medium) {
  if (!from.has(section_of(medium))) return {};
  const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section(section_of(medium)));
  StateReader list(bytes);
  uint64_t count = 0;
  list.begin(section_of(medium));
  list(count);
  for (uint64_t i = 0; i < count; ++i) {
    Part part;
    part_fields(part, list);
    if (list.failed()) return fail("the snapshot '{}' is damaged; restore from another copy", from.path());
    EIDOLON_TRY(load_part(from, medium, part));
  }
  return {};
}

Result<> check_medium(const SavedMedium& medium, uint64_t bytes, const std::string& written,
                      bool may_differ) {
  if (medium.medium->size() != bytes)
    return fail(
        "the disk '{}' has {} bytes, and it had {} when the snapshot was taken; put back the one of then",
        medium.path, medium.medium->size(), bytes);
  if (may_differ || written == std::to_string(last_written(medium.path))) return {};
  return fail(
      "the disk '{}' was written after the snapshot was taken, and is not as its guest remembers it; put "
      "back the "
      "one of then, or say --changed-disks to go on nevertheless",
      medium.path);
}

}  // namespace

Result<Json> save_media(snapshot::FileWriter& to, std::span<const SavedMedium> media) {
  Json facts = Json::array();
  for (const SavedMedium& medium : media) {
    if (!medium.medium->read_only() && medium.medium->flush() != IoStatus::kDone)
      return std::unexpected(read_failed(medium).error());
    EIDOLON_TRY(save_written(to, medium));
    facts.push_back({{"name", medium.name},
                     {"bytes", medium.medium->size()},
                     {"written", std::to_string(last_written(medium.path))}});
  }
  return facts;
}

Result<> load_media(const snapshot::FileReader& from, const Json& facts, std::span<const SavedMedium> media,
                    const std::function<bool(const std::string&)>& may_differ) {
  const auto wrong = [&from] {
    return fail("the snapshot '{}' does not say which disks it was taken with; restore from another copy",
                from.path());
  };
  if (!facts.is_array() || facts.size() != media.size()) return wrong();
  for (size_t i = 0; i < media.size(); ++i) {
    JsonFields fields(facts[i]);
    std::string name, written;
    uint64_t bytes = 0;
    fields.get("name", name);
    fields.get("bytes", bytes, ~uint64_t{0});
    fields.get("written", written);
    if (fields.failed() || name != media[i].name) return wrong();
    EIDOLON_TRY(check_medium(media[i], bytes, written, may_differ(media[i].path)));
    EIDOLON_TRY(load_written(from, media[i]));
  }
  return {};
}

}  // namespace eidolon::machine
