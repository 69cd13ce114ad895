#include "machine/saved_machine.h"

#include "base/try.h"
#include "machine/json_fields.h"
#include "machine/saved_config.h"

namespace eidolon::machine {

namespace {

using Json = nlohmann::json;

constexpr const char *kDescription = "machine", *kClock = "clock";
constexpr uint32_t kClockVersion = 2;  ///< 1: without the time of day
constexpr Nanoseconds kLongestTime = Nanoseconds{1}
                                     << 61;  ///< 73 years: what is added to it does not overflow

std::string section_of(const Stateful& part) { return "part/" + std::string(part.name()); }

/// Of a section that a StateWriter wrote: the version that stands behind its name.
uint32_t version_of(const std::vector<uint8_t>& bytes, std::string_view name) {
  StateReader reader(bytes);
  return reader.begin(name);
}

}  // namespace

Result<SavedMachine> SavedMachine::open(const std::string& path) {
  return read(EIDOLON_TRY(snapshot::FileReader::open(path)));
}

Result<SavedMachine> SavedMachine::read(snapshot::FileReader file) {
  const std::string path = file.path();
  SavedMachine saved{.file = std::move(file), .config = {}, .media = {}};
  const std::vector<uint8_t> text = EIDOLON_TRY(saved.file.section(kDescription));
  const Json json = Json::parse(text, nullptr, false);
  JsonFields fields(json);
  const Json& config = fields.object("config");
  saved.media = fields.list("media");
  if (fields.failed()) return fail("the snapshot '{}' does not say what machine it is of", path);
  saved.config = EIDOLON_TRY(config_from_json(config));
  saved.bases = EIDOLON_TRY(snapshot::open_bases(saved.file));
  return saved;
}

Result<> write_description(snapshot::FileWriter& to, const MachineConfig& config, const Json& media) {
  const Json json = {{"config", to_json(config)}, {"media", media}};
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  return to.add(kDescription, std::vector<uint8_t>(text.begin(), text.end()));
}

Result<> write_parts(snapshot::FileWriter& to, std::span<Stateful* const> parts) {
  for (const Stateful* part : parts) {
    StateWriter writer;
    part->save(writer);
    EIDOLON_TRY(to.add(section_of(*part), writer.bytes()));
  }
  return {};
}

Result<> read_parts(const snapshot::FileReader& from, std::span<Stateful* const> parts) {
  for (Stateful* part : parts) {
    StateWriter own;
    part->save(own);
    const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section(section_of(*part)));
    const uint32_t known = version_of(own.bytes(), part->name()), version = version_of(bytes, part->name());
    if (version > known)
      return fail(
          "the snapshot '{}' has '{}' in version {}, and this version of Eidolon knows {}; use a newer one",
          from.path(), part->name(), version, known);
    StateReader reader(bytes);
    part->load(reader);
    if (reader.failed())
      return fail(
          "the state of '{}' in the snapshot '{}' is not one that it can have; restore from another copy",
          part->name(), from.path());
  }
  return {};
}

Result<> write_clock(snapshot::FileWriter& to, const SavedClock& clock) {
  StateWriter writer;
  writer.begin(kClock, kClockVersion);
  writer(clock.now, clock.time_of_day);
  writer.end();
  return to.add(kClock, writer.bytes());
}

Result<SavedClock> read_clock(const snapshot::FileReader& from) {
  const std::vector<uint8_t> bytes = EIDOLON_TRY(from.section(kClock));
  StateReader reader(bytes);
  SavedClock clock;
  const uint32_t version = reader.begin(kClock);
  reader(clock.now);
  if (version >= kClockVersion) reader(clock.time_of_day);
  if (reader.failed() || version > kClockVersion || clock.now < 0 || clock.now > kLongestTime ||
      clock.time_of_day < 0)
    return fail("the snapshot '{}' has no time that a machine can have; restore from another copy",
                from.path());
  return clock;
}

}  // namespace eidolon::machine
