#include "control/disk_option.h"

#include <filesystem>
#include <optional>

#include "base/try.h"

namespace eidolon::control {

namespace {

using machine::DiskConfig;

bool exists(std::string_view path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<DiskConfig::Interface> parse_interface(std::string_view name) {
  using Interface = DiskConfig::Interface;
  if (name == "virtio") return Interface::kVirtio;
  if (name == "ide") return Interface::kIde;
  if (name == "ahci") return Interface::kAhci;
  if (name == "scsi") return Interface::kScsi;
  if (name == "nvme") return Interface::kNvme;
  return fail("there is no disk interface '{}'; say if=virtio, if=scsi, if=nvme, if=ahci or if=ide", name);
}

/// Whether `word` is one of the options; then it is in `disk`.
Result<bool> apply(std::string_view word, DiskConfig& disk) {
  constexpr std::string_view kInterface = "if=", kFormat = "format=", kFull = "on-full=";
  if (word == "readonly") {
    disk.access = DiskConfig::Access::kReadOnly;
  } else if (word == "snapshot") {
    disk.access = DiskConfig::Access::kSnapshot;
  } else if (word.starts_with(kFormat)) {
    disk.format = EIDOLON_TRY(backend::image::parse_format(word.substr(kFormat.size())));
  } else if (word == "on-full=wait" || word == "on-full=error") {
    disk.error_when_full = word == "on-full=error";
  } else if (word.starts_with(kFull)) {
    return fail("--disk does not know ',{}'; say ,on-full=wait or ,on-full=error", word);
  } else if (word.starts_with(kInterface)) {
    disk.interface = EIDOLON_TRY(parse_interface(word.substr(kInterface.size())));
  } else {
    return false;
  }
  return true;
}

/// The options are taken off the end, so that a file's name may have commas in it.
Result<DiskConfig> parse(std::string_view text, std::string_view option, DiskConfig disk) {
  for (size_t comma; (comma = text.rfind(',')) != std::string_view::npos; text = text.substr(0, comma)) {
    const std::string_view word = text.substr(comma + 1);
    if (EIDOLON_TRY(apply(word, disk))) continue;
    if (!exists(text) && exists(text.substr(0, comma)))
      return fail("{} does not know ',{}'; a file's name may be followed by ,if=, ,readonly and ,snapshot",
                  option, word);
    break;
  }
  disk.path = text;
  return disk;
}

}  // namespace

Result<DiskConfig> parse_disk(std::string_view text) {
  constexpr std::string_view kServed = "vhost-user:";
  if (!text.starts_with(kServed)) return parse(text, "--disk", {});
  DiskConfig disk;
  disk.served = true;
  disk.path = text.substr(kServed.size());
  if (disk.path.empty())
    return fail("--disk vhost-user: needs the socket of a back end, as vhost-user:/tmp/disk");
  if (disk.path.find(',') != std::string::npos)
    return fail(
        "what serves a disk over vhost-user decides how it is; leave out what follows the socket in '{}'",
        text);
  return disk;
}

Result<DiskConfig> parse_cdrom(std::string_view text) {
  using Interface = DiskConfig::Interface;
  DiskConfig disc;
  disc.access = DiskConfig::Access::kReadOnly;
  disc.interface = Interface::kAhci;
  disc.cdrom = true;
  disc = EIDOLON_TRY(parse(text, "--cdrom", disc));
  if (disc.access != DiskConfig::Access::kReadOnly)
    return fail("a CD-ROM is never written; leave out ,snapshot behind '{}'", disc.path);
  if (disc.interface != Interface::kAhci && disc.interface != Interface::kIde &&
      disc.interface != Interface::kScsi)
    return fail("a CD-ROM drive is on AHCI, IDE or SCSI; say ,if=ahci, ,if=ide or ,if=scsi behind '{}'",
                disc.path);
  return disc;
}

Result<DiskConfig> parse_floppy(std::string_view text) {
  using Interface = DiskConfig::Interface;
  DiskConfig diskette;
  diskette.interface = Interface::kFloppy;
  diskette = EIDOLON_TRY(parse(text, "--floppy", diskette));
  if (diskette.interface != Interface::kFloppy)
    return fail("a diskette is in a floppy drive; leave out ,if= behind '{}', or say --disk", diskette.path);
  return diskette;
}

}  // namespace eidolon::control
