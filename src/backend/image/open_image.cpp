#include "backend/image/open_image.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "backend/image/nbd_medium.h"
#include "backend/image/probed_raw_medium.h"
#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_format.h"
#include "backend/image/qcow2_medium.h"
#include "backend/image/raw_medium.h"
#include "backend/image/vdi.h"
#include "backend/image/vhdx.h"
#include "backend/image/vmdk.h"
#include "base/try.h"

namespace eidolon::backend::image {

using device::storage::Medium;

namespace {

/// The images that stand on each other, from the user's down.
class Chain {
 public:
  Result<std::unique_ptr<Medium>> open(const std::string& path, const OpenOptions& options);

 private:
  Result<> enter(const std::string& path);
  Result<std::unique_ptr<Medium>> open_raw(std::unique_ptr<HostFile> file, const OpenOptions& options);
  Result<std::unique_ptr<Medium>> open_qcow2(std::unique_ptr<HostFile> file, const OpenOptions& options);
  Result<std::unique_ptr<Medium>> open_foreign(std::unique_ptr<HostFile> file, Format format,
                                               const OpenOptions& options);
  Result<std::unique_ptr<Medium>> open_backing(const std::string& path, const qcow2::Header& header,
                                               const OpenOptions& options);

  static constexpr size_t kMostImages = 64;
  std::vector<HostFile::Identity> entered_;
};

Result<> Chain::enter(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};  // opening it says why
  const HostFile::Identity identity = {.device = info.st_dev, .number = info.st_ino};
  if (std::find(entered_.begin(), entered_.end(), identity) != entered_.end())
    return fail("image '{}' is its own backing file, in the end; name another one with qemu-img rebase -u",
                path);
  if (entered_.size() == kMostImages)
    return fail(
        "image '{}' is the backing file of {} others, which is too many; put some together with qemu-img "
        "commit",
        path, kMostImages);
  entered_.push_back(identity);
  return {};
}

Result<std::unique_ptr<Medium>> Chain::open(const std::string& path, const OpenOptions& options) {
  if (NbdMedium::is_uri(path)) return NbdMedium::open(path, options.read_only, options.say);
  if (options.format == Format::kNbd)
    return fail("'{}' names no server; format nbd goes with names as nbd://localhost/export", path);
  EIDOLON_TRY(enter(path));
  std::unique_ptr<HostFile> file =
      EIDOLON_TRY(HostFile::open(path, options.read_only ? Access::kRead : Access::kWrite));
  const Format format = options.format == Format::kUnknown ? EIDOLON_TRY(probe_file(*file)) : options.format;
  switch (format) {
    case Format::kRaw:
      return open_raw(std::move(file), options);
    case Format::kQcow2:
      return open_qcow2(std::move(file), options);
    case Format::kVmdk:
    case Format::kVhdx:
    case Format::kVdi:
      return open_foreign(std::move(file), format, options);
    case Format::kNbd:
    case Format::kUnknown:
      break;
  }
  return fail("image '{}' has no format that can be in a file; name another one", path);
}

/// Formats that are only read.
Result<std::unique_ptr<Medium>> Chain::open_foreign(std::unique_ptr<HostFile> file, Format format,
                                                    const OpenOptions& options) {
  const std::string name = file->path();
  if (!options.read_only)
    return fail(
        "image '{}' has format {}, which can only be read; add ,readonly or ,snapshot, or convert it with "
        "eidolon "
        "image convert",
        name, format_name(format));
  if (format == Format::kVdi) return open_vdi(std::move(file), name);
  if (format == Format::kVhdx) return open_vhdx(std::move(file), name);
  const VmdkFiles extents = [&name](const std::string& extent) -> Result<std::unique_ptr<File>> {
    return HostFile::open(backing_path(name, extent), Access::kRead);
  };
  return open_vmdk(std::move(file), name, extents);
}

Result<std::unique_ptr<Medium>> Chain::open_raw(std::unique_ptr<HostFile> file, const OpenOptions& options) {
  const std::string name = file->path();
  std::unique_ptr<Medium> raw = EIDOLON_TRY(RawMedium::open(std::move(file)));
  if (options.format == Format::kRaw || options.read_only) return raw;
  return std::make_unique<ProbedRawMedium>(std::move(raw), name, options.say);
}

Result<std::unique_ptr<Medium>> Chain::open_qcow2(std::unique_ptr<HostFile> file,
                                                  const OpenOptions& options) {
  const std::string name = file->path();
  qcow2::Header header = EIDOLON_TRY(qcow2::read_header(*file, name));
  if (!options.read_only && (header.incompatible & qcow2::kIncompatibleCorrupt) != 0)
    return fail(
        "image '{}' is marked as damaged; repair it with qemu-img check -r all, or open it with ,readonly",
        name);
  if (!options.read_only && (header.incompatible & qcow2::kIncompatibleDirty) != 0) {
    // Its last writer had postponed the refcounts and did not come to write them.
    EIDOLON_TRY(repair_qcow2(*file, name, header));
    header = EIDOLON_TRY(qcow2::read_header(*file, name));
  }
  std::unique_ptr<Medium> backing;
  if (!header.backing_file.empty()) backing = EIDOLON_TRY(open_backing(name, header, options));
  return Qcow2Medium::open(std::move(file), name, header, std::move(backing), options.say);
}

Result<std::unique_ptr<Medium>> Chain::open_backing(const std::string& path, const qcow2::Header& header,
                                                    const OpenOptions& options) {
  OpenOptions below = {.format = Format::kUnknown, .read_only = true, .say = options.say};
  if (!header.backing_format.empty()) {
    const Result<Format> format = parse_format(header.backing_format);
    if (!format)
      return fail(
          "image '{}' has a backing file of format '{}', which is not supported; convert that with qemu-img "
          "convert",
          path, header.backing_format);
    below.format = *format;
  }
  const std::string name =
      NbdMedium::is_uri(header.backing_file) ? header.backing_file : backing_path(path, header.backing_file);
  Result<std::unique_ptr<Medium>> backing = open(name, below);
  if (!backing) return fail("image '{}' needs its backing file: {}", path, backing.error().message);
  return backing;
}

}  // namespace

Result<Format> probe_file(HostFile& file) {
  std::array<uint8_t, 512> sector{};
  const iovec part = {sector.data(), sector.size()};
  if (!read_padded(file, 0, {&part, 1}))
    return fail("cannot read the start of image '{}'; see whether its disk is sound", file.path());
  const Format format = probe(sector);
  if (format == Format::kUnknown)
    return fail(
        "image '{}' has a format that is not supported; convert it with qemu-img convert, or say ,format=raw",
        file.path());
  return format;
}

std::string backing_path(const std::string& image, const std::string& backing) {
  constexpr std::string_view kFile = "file:";
  const std::string name = backing.starts_with(kFile) ? backing.substr(kFile.size()) : backing;
  return (std::filesystem::path(image).parent_path() / name).string();  // an absolute name stays one
}

Result<std::unique_ptr<Medium>> open_image(const std::string& path, const OpenOptions& options) {
  return Chain().open(path, options);
}

}  // namespace eidolon::backend::image
