#include "machine/pmem_files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "backend/image/raw_medium.h"
#include "base/bits.h"
#include "base/try.h"
#include "boot/memory_layout.h"
#include "memory/file_window.h"
#include "memory/lost_page.h"
#include "x86/paging.h"

namespace eidolon::machine {

namespace {

using backend::image::Access;
using backend::image::HostFile;
using memory::GuestPhysical;

constexpr size_t kMostFiles = 8;
/// Linux puts its own description of memory in sections of 128 MiB, and maps files by 2 MiB.
constexpr uint64_t kAlignment = uint64_t{128} << 20;
constexpr GuestPhysical kEnd = GuestPhysical{1} << x86::kPhysicalAddressBits;

Result<std::unique_ptr<HostFile>> open_file(const PmemConfig& config) {
  std::unique_ptr<HostFile> file =
      EIDOLON_TRY(HostFile::open(config.path, config.read_only ? Access::kRead : Access::kWrite));
  if (file->is_block_device())
    return fail("persistent memory is in a file, and '{}' is a block device; give that with --disk",
                config.path);
  if (file->size() == 0 || (file->size() & x86::kPageMask) != 0)
    return fail(
        "'{}' has {} bytes, which is no whole number of pages; make it longer with truncate -s, to a "
        "multiple of 2M, as Linux wants it",
        config.path, file->size());
  return file;
}

/// A page for which the host's disk has no room when it is written would end the machine.
Result<> reserve(const HostFile& file) {
  if (file.allocated() >= file.size()) return {};
  int done = 0;
  do {
    done = fallocate(file.descriptor(), 0, 0, static_cast<off_t>(file.size()));
  } while (done != 0 && errno == EINTR);
  if (done == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return {};
  return fail("the host has no room for all {} MiB of '{}' ({}); make room, or a shorter file",
              file.size() >> 20, file.path(), std::strerror(errno));
}

}  // namespace

uint64_t pmem_bytes(const MachineConfig& config) {
  uint64_t sum = 0;
  for (const PmemConfig& pmem : config.pmem) {
    std::error_code error;
    const uint64_t bytes = std::filesystem::file_size(pmem.path, error);
    if (!error && bytes <= kEnd) sum += bytes;
  }
  return sum;
}

Result<> PmemFiles::add(const MachineConfig& config, device::pci::Root& root, VirtioDevices& virtio,
                        const memory::GuestMemory& memory) {
  if (config.pmem.empty()) return {};
  if (config.pmem.size() > kMostFiles)
    return fail("there are {} of --pmem, and a machine has room for {}", config.pmem.size(), kMostFiles);
  GuestPhysical base = boot::pci_high_base(memory) + boot::kPciHighBytes;
  for (const PmemConfig& pmem : config.pmem) {
    std::unique_ptr<HostFile> file = EIDOLON_TRY(open_file(pmem));
    if (base >= kEnd || file->size() > kEnd - base)
      return fail("there is no room for '{}' among the guest's addresses, which end at {} GiB", pmem.path,
                  kEnd >> 30);
    const HostFile* of = file.get();
    files_.push_back({.path = pmem.path,
                      .medium = EIDOLON_TRY(backend::image::RawMedium::open(std::move(file))),
                      .file = of,
                      .base = base});
    virtio.add_pmem(root, files_.size() - 1, *files_.back().medium, base);
    base = align_up(base + of->size(), kAlignment);
  }
  return {};
}

Result<> PmemFiles::show(memory::GuestMemory& memory) const {
  using memory::FileUse;
  if (!files_.empty()) memory::explain_lost_pages();
  for (const Opened& opened : files_) {
    const bool read_only = opened.file->read_only();
    if (!read_only) EIDOLON_TRY(reserve(*opened.file));
    EIDOLON_TRY(memory::add_file_window(memory, opened.base, opened.file->size(), opened.file->descriptor(),
                                        read_only ? FileUse::kReadOnly : FileUse::kShared));
  }
  return {};
}

std::vector<SavedMedium> PmemFiles::saved_media() const {
  std::vector<SavedMedium> media;
  for (size_t i = 0; i < files_.size(); ++i)
    media.push_back(
        {.name = fmt::format("pmem{}", i), .path = files_[i].path, .medium = files_[i].medium.get()});
  return media;
}

}  // namespace eidolon::machine
