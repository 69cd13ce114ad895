#include "machine/copied_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "machine/json_fields.h"
#include "machine/open_medium.h"

namespace eidolon::machine {

using device::storage::Medium;

namespace {

Result<DiskConfig> find(const std::string& name, const MachineConfig& config) {
  for (size_t i = 0; i < config.disks.size(); ++i)
    if (name == fmt::format("disk{}", i)) return config.disks[i];
  return fail("the other side sends a disk that this machine does not have");
}

Result<std::unique_ptr<Medium>> open_one(DiskConfig disk, uint64_t bytes,
                                         std::span<const std::string> given) {
  if (std::ranges::find(given, disk.path) == given.end())
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
    const DiskConfig disk = EIDOLON_TRY(find(name, config));
    media.push_back(EIDOLON_TRY(open_one(disk, bytes, given)));
    disks.push_back({.path = disk.path, .medium = media.back().get()});
  }
  return CopiedDisks(std::move(media), std::move(disks));
}

}  // namespace eidolon::machine
