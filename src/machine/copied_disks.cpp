#include "machine/copied_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "backend/image/raw_medium.h"
#include "base/try.h"
#include "device/storage/cfi_flash.h"
#include "machine/json_fields.h"
#include "machine/open_medium.h"
#include "machine/saved_media.h"

namespace eidolon::machine {

using device::storage::Medium;

namespace {

Result<DiskConfig> find(const std::string& name, const MachineConfig& config) {
  for (size_t i = 0; i < config.disks.size(); ++i)
    if (name == fmt::format("disk{}", i)) return config.disks[i];
  return fail("the other side sends a disk that this machine does not have");
}

bool is_in(std::span<const std::string> given, const std::string& path) {
  return std::ranges::find(given, path) != given.end();
}

Result<std::unique_ptr<Medium>> open_disk(DiskConfig disk, uint64_t bytes,
                                          std::span<const std::string> given) {
  if (!is_in(given, disk.path))
    return fail(
        "'{}' would be overwritten with a disk of the machine; if it is to be, receive with --disk FROM={}",
        disk.path, disk.path);
  if (disk.access != DiskConfig::Access::kReadWrite)
    return fail("the other side sends a disk that its machine may not write");
  disk.error_when_full = true;  // the machine can go on where it is
  std::unique_ptr<Medium> medium = EIDOLON_TRY(open_medium(disk));
  if (medium->read_only()) return fail("'{}' can only be read; it has to get the machine's disk", disk.path);
  if (medium->size() != bytes)
    return fail(
        "'{}' has {} bytes here and {} where the machine is; make it as large, with eidolon image create",
        disk.path, medium->size(), bytes);
  return medium;
}

/// For this user only, as run --uefi-vars makes it.
Result<std::unique_ptr<backend::image::RawMedium>> make_variables(const std::string& path, uint64_t bytes) {
  using backend::image::HostFile;
  std::unique_ptr<HostFile> file = EIDOLON_TRY(HostFile::create(path, bytes));
  std::error_code error;
  std::filesystem::permissions(path, std::filesystem::perms(0600), error);
  if (error) return fail("cannot make '{}' this user's only ({}); name another file", path, error.message());
  return backend::image::RawMedium::open(std::move(file));
}

Result<std::unique_ptr<Medium>> open_variables(const std::string& path, uint64_t bytes,
                                               std::span<const std::string> given) {
  if (path.empty() || bytes == 0 || bytes > device::CfiFlash::kMostBytes)
    return fail("the other side sends UEFI variables that its machine does not have");
  if (!is_in(given, path))
    return fail(
        "the machine's UEFI variables come along, and '{}' would be overwritten; say where they go with "
        "receive --uefi-vars FILE",
        path);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return make_variables(path, bytes);
  std::unique_ptr<Medium> medium = EIDOLON_TRY(backend::image::RawMedium::open(path, false));
  if (medium->size() != bytes)
    return fail(
        "'{}' has {} bytes, and the machine's UEFI variables {}; name a file that is as large, or not there",
        path, medium->size(), bytes);
  return medium;
}

}  // namespace

Result<CopiedDisks> CopiedDisks::open(const nlohmann::json& described, const MachineConfig& config,
                                      std::span<const std::string> given) {
  std::vector<std::unique_ptr<Medium>> media;
  std::vector<migration::Disk> disks;
  for (const nlohmann::json& one : described) {
    JsonFields fields(one);
    std::string name;
    uint64_t bytes = 0;
    fields.get("name", name);
    fields.get("bytes", bytes, ~uint64_t{0});
    if (fields.failed()) return fail("the other side does not say which disks it sends");
    if (name == kVariablesName) {
      const std::string& path = config.firmware.variables_path;
      media.push_back(EIDOLON_TRY(open_variables(path, bytes, given)));
      disks.push_back({.path = path, .medium = media.back().get()});
    } else {
      const DiskConfig disk = EIDOLON_TRY(find(name, config));
      media.push_back(EIDOLON_TRY(open_disk(disk, bytes, given)));
      disks.push_back({.path = disk.path, .medium = media.back().get()});
    }
  }
  return CopiedDisks(std::move(media), std::move(disks));
}

}  // namespace eidolon::machine
