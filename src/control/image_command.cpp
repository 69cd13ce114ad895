#include "control/image_command.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "backend/image/copy_disk.h"
#include "backend/image/host_file.h"
#include "backend/image/nbd_medium.h"
#include "backend/image/open_image.h"
#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_snapshots.h"
#include "backend/image/raw_medium.h"
#include "base/try.h"
#include "control/exit_status.h"

namespace eidolon::control {

using namespace backend::image;
using device::storage::Medium;

namespace {

constexpr int kExitDamaged = 1;

void say(const std::string& sentence) { std::fprintf(stderr, "eidolon: %s\n", sentence.c_str()); }

Result<Format> format_of(const std::string& path) {
  const std::unique_ptr<HostFile> file = EIDOLON_TRY(HostFile::open(path, Access::kRead));
  return probe_file(*file);
}

Result<> make(const std::string& path, Format format, const Qcow2Options& options) {
  const std::unique_ptr<HostFile> file =
      EIDOLON_TRY(HostFile::create(path, format == Format::kRaw ? options.size : 0));
  if (format == Format::kRaw) return {};
  if (file->is_block_device()) return fail("'{}' is a block device; a qcow2 image is made in a file", path);
  return create_qcow2(*file, path, options);
}

Result<int> create(const ImageRequest& request) {
  Qcow2Options options = {.size = request.size.value_or(0), .backing_file = request.backing};
  if (!request.backing.empty()) {
    const std::string backing =
        NbdMedium::is_uri(request.backing) ? request.backing : backing_path(request.path, request.backing);
    std::error_code ignored;
    if (std::filesystem::equivalent(backing, request.path, ignored))
      return fail("'{}' cannot be its own backing file; name another one", request.path);
    const std::unique_ptr<Medium> disk =
        EIDOLON_TRY(open_image(backing, {.format = request.backing_format, .read_only = true, .say = say}));
    if (!request.size) options.size = disk->size();
    Format format = request.backing_format;
    if (format == Format::kUnknown)
      format = NbdMedium::is_uri(backing) ? Format::kRaw : EIDOLON_TRY(format_of(backing));
    options.backing_format = format_name(format);
  }
  EIDOLON_TRY(make(request.path, request.format, options));
  return kExitOk;
}

Result<int> convert(const ImageRequest& request) {
  std::error_code ignored;
  if (std::filesystem::equivalent(request.path, request.target, ignored))
    return fail("'{}' cannot be converted into itself; name another file", request.path);
  const std::unique_ptr<Medium> from =
      EIDOLON_TRY(open_image(request.path, {.format = request.from, .read_only = true, .say = say}));
  const bool device = std::filesystem::is_block_file(request.target, ignored);
  EIDOLON_TRY(make(request.target, request.format, {.size = from->size()}));
  const std::unique_ptr<Medium> to =
      EIDOLON_TRY(open_image(request.target, {.format = request.format, .say = say}));
  EIDOLON_TRY(copy_disk(*from, *to, device ? Target::kUnknown : Target::kZeroes));
  return kExitOk;
}

nlohmann::ordered_json describe_qcow2(HostFile& file, const qcow2::Header& header) {
  nlohmann::ordered_json facts = {{"version", header.version}, {"cluster_bytes", header.cluster_bytes()}};
  if (!header.backing_file.empty()) facts["backing_file"] = header.backing_file;
  if (!header.backing_format.empty()) facts["backing_format"] = header.backing_format;
  nlohmann::ordered_json snapshots = nlohmann::ordered_json::array();
  if (const auto table = qcow2::read_snapshots(file, header))
    for (const qcow2::Snapshot& snapshot : table->snapshots) snapshots.push_back(snapshot.name);
  if (!snapshots.empty()) facts["snapshots"] = snapshots;
  return facts;
}

Result<nlohmann::ordered_json> describe(const ImageRequest& request) {
  nlohmann::ordered_json facts = {{"file", request.path}};
  if (NbdMedium::is_uri(request.path)) {
    const auto disk = EIDOLON_TRY(open_image(request.path, {.read_only = true, .say = say}));
    facts["format"] = "nbd";
    facts["disk_bytes"] = disk->size();
    return facts;
  }
  const std::unique_ptr<HostFile> file = EIDOLON_TRY(HostFile::open(request.path, Access::kRead));
  const Format format = request.from != Format::kUnknown ? request.from : EIDOLON_TRY(probe_file(*file));
  facts["format"] = format_name(format);
  if (format == Format::kQcow2) {
    const qcow2::Header header = EIDOLON_TRY(qcow2::read_header(*file, request.path));
    facts["disk_bytes"] = header.size;
    facts.update(describe_qcow2(*file, header));
  } else {
    facts["disk_bytes"] =
        EIDOLON_TRY(open_image(request.path, {.format = format, .read_only = true, .say = say}))->size();
  }
  facts["file_bytes"] = file->size();
  facts["on_disk_bytes"] = file->allocated();
  return facts;
}

Result<int> info(const ImageRequest& request) {
  const nlohmann::ordered_json facts = EIDOLON_TRY(describe(request));
  // Names in an image may be no text at all.
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  if (request.json) {
    std::printf("%s\n", facts.dump(2, ' ', false, kReplace).c_str());
    return kExitOk;
  }
  for (const auto& [name, value] : facts.items()) {
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    const std::string text =
        value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, kReplace);
    std::printf("%-16s %s\n", label.c_str(), text.c_str());
  }
  return kExitOk;
}

Result<int> check(const ImageRequest& request) {
  const std::unique_ptr<HostFile> file =
      EIDOLON_TRY(HostFile::open(request.path, request.repair ? Access::kWrite : Access::kRead));
  if (EIDOLON_TRY(probe_file(*file)) != Format::kQcow2)
    return fail("'{}' is no qcow2 image, and other formats have nothing that is checked", request.path);
  qcow2::Header header = EIDOLON_TRY(qcow2::read_header(*file, request.path));
  if (request.repair) {
    EIDOLON_TRY(repair_qcow2(*file, request.path, header));
    header = EIDOLON_TRY(qcow2::read_header(*file, request.path));
  }
  const CheckReport report = EIDOLON_TRY(check_qcow2(*file, request.path, header));
  std::printf("%llu clusters of data, %llu compressed\n",
              static_cast<unsigned long long>(report.used_clusters),
              static_cast<unsigned long long>(report.compressed_clusters));
  if (report.leaked > 0)
    std::printf("%llu clusters are lost: nothing uses them; --repair gives them back\n",
                static_cast<unsigned long long>(report.leaked));
  if (report.corrupt > 0)
    std::printf("%llu errors: %s\n", static_cast<unsigned long long>(report.corrupt), report.first.c_str());
  if (report.corrupt == 0) std::printf("no damage was found\n");
  return report.corrupt == 0 ? kExitOk : kExitDamaged;
}

Result<int> act(const ImageRequest& request) {
  switch (request.action) {
    case ImageRequest::Action::kCreate:
      return create(request);
    case ImageRequest::Action::kInfo:
      return info(request);
    case ImageRequest::Action::kCheck:
      return check(request);
    case ImageRequest::Action::kConvert:
      return convert(request);
  }
  return kExitUsage;
}

}  // namespace

int image_command(const ImageRequest& request) {
  const Result<int> status = act(request);
  if (status) return *status;
  say(status.error().message);
  return kExitUsage;
}

}  // namespace eidolon::control
