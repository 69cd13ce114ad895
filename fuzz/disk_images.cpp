// Hostile disk images: a sound one of each format, with bytes of it changed as the input says, is opened and
// used. Whatever the tables say, the monitor lives, and an image that is written keeps its first bytes.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "backend/image/crc32c.h"
#include "backend/image/format.h"
#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_medium.h"
#include "backend/image/vdi.h"
#include "backend/image/vhdx.h"
#include "backend/image/vmdk.h"
#include "base/assert.h"
#include "image/memory_file.h"

namespace {

using namespace eidolon;
using namespace eidolon::backend::image;
using device::storage::IoStatus;
using device::storage::Medium;

class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  uint64_t take(size_t width) {
    uint64_t value = 0;
    const size_t count = std::min(width, bytes_.size());
    std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
};

void put(Disk& disk, uint64_t offset, std::span<const uint8_t> bytes) {
  if (disk.now.size() < offset + bytes.size()) disk.now.resize(offset + bytes.size(), 0);
  std::copy(bytes.begin(), bytes.end(), disk.now.begin() + static_cast<ptrdiff_t>(offset));
}
template <typename T>
void put(Disk& disk, uint64_t offset, T value) {
  std::array<uint8_t, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  put(disk, offset, std::span<const uint8_t>(bytes));
}
void put_text(Disk& disk, uint64_t offset, std::string_view text) {
  for (const char character : text) put(disk, offset++, static_cast<uint8_t>(character));
}

constexpr uint64_t kDiskBytes = 512 * 1024;

void write_some(Medium& medium) {
  std::array<uint8_t, 16'384> bytes;
  bytes.fill(0x5a);
  const iovec part = {bytes.data(), bytes.size()};
  (void)medium.write(4096, {&part, 1});
  (void)medium.write(200 * 1024, {&part, 1});
  (void)medium.write_zeroes(8192, 4096, true);
}

std::unique_ptr<Medium> open_qcow2(Disk& disk, bool read_only) {
  auto file = std::make_unique<MemoryFile>(disk, read_only);
  const Result<qcow2::Header> header = qcow2::read_header(*file, "fuzz");
  if (!header) return nullptr;
  (void)check_qcow2(*file, "fuzz", *header);
  auto medium = Qcow2Medium::open(std::move(file), "fuzz", *header, nullptr, {});
  return medium ? *std::move(medium) : nullptr;
}

void make_qcow2(Disk& disk, Input& input) {
  const uint64_t shape = input.take(1);
  MemoryFile file(disk);
  const Result<> made =
      create_qcow2(file, "fuzz",
                   {.size = kDiskBytes,
                    .version = shape & 1 ? 2u : 3u,
                    .cluster_bits = shape & 2 ? 9u : 12u,
                    .refcount_order = shape & 1 ? 4u : static_cast<unsigned>(shape >> 2 & 7) % 7});
  EIDOLON_ASSERT(made);
  const auto medium = open_qcow2(disk, false);
  EIDOLON_ASSERT(medium);
  write_some(*medium);
}

void make_vmdk(Disk& disk, Input& input) {
  disk.now.assign(64 * 1024, 0x11);
  std::fill_n(disk.now.begin(), 512, 0);
  put_text(disk, 0, "KDMV");
  put<uint32_t>(disk, 4, 1);
  put<uint32_t>(disk, 8, (input.take(1) & 1) != 0 ? 0x30001 : 1);
  put<uint64_t>(disk, 12, kDiskBytes / 512);
  put<uint64_t>(disk, 20, 8);
  put<uint32_t>(disk, 44, 16);
  put<uint64_t>(disk, 56, 2);
  put<uint16_t>(disk, 77, 1);
  for (unsigned i = 0; i < 8; ++i) put<uint32_t>(disk, 1024 + i * 4, 4 + i);
  for (unsigned i = 0; i < 128; ++i) put<uint32_t>(disk, 2048 + i * 4, i % 3 == 0 ? 0 : 16 + i % 64);
}

void make_vdi(Disk& disk, Input& /*input*/) {
  disk.now.assign(64 * 1024, 0);
  put<uint32_t>(disk, 0x40, 0xbeda107f);
  put<uint32_t>(disk, 0x44, 0x10001);
  put<uint32_t>(disk, 0x4c, 1);
  put<uint32_t>(disk, 0x154, 512);
  put<uint32_t>(disk, 0x158, 4096);
  put<uint32_t>(disk, 0x168, 512);
  put<uint64_t>(disk, 0x170, kDiskBytes);
  put<uint32_t>(disk, 0x178, 16'384);
  put<uint32_t>(disk, 0x180, kDiskBytes / 16'384);
  for (unsigned i = 0; i < 32; ++i) put<uint32_t>(disk, 512 + i * 4, i % 2 == 0 ? i : 0xffffffff);
}

void seal(Disk& disk, uint64_t offset, size_t length) {
  put<uint32_t>(disk, offset + 4, 0);
  if (disk.now.size() < offset + length) return;
  put(disk, offset + 4, crc32c(std::span(disk.now).subspan(offset, length)));
}

constexpr uint64_t kVhdxHeader = 64 * 1024, kVhdxRegions = 192 * 1024, kVhdxMetadata = 320 * 1024;

void make_vhdx(Disk& disk, Input& /*input*/) {
  constexpr std::array<uint8_t, 16> kBat = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                            0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
  constexpr std::array<uint8_t, 16> kMetadata = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                                 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
  constexpr std::array<uint8_t, 48> kItems = {
      0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b,
      0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8,
      0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f};
  disk.now.assign(2 * 1024 * 1024, 0);
  put_text(disk, 0, "vhdxfile");
  put_text(disk, kVhdxHeader, "head");
  put<uint16_t>(disk, kVhdxHeader + 66, 1);
  put_text(disk, kVhdxRegions, "regi");
  put<uint32_t>(disk, kVhdxRegions + 8, 2);
  put(disk, kVhdxRegions + 16, kBat);
  put<uint64_t>(disk, kVhdxRegions + 32, 448 * 1024);
  put<uint32_t>(disk, kVhdxRegions + 40, 4096);
  put(disk, kVhdxRegions + 48, kMetadata);
  put<uint64_t>(disk, kVhdxRegions + 64, kVhdxMetadata);
  put<uint32_t>(disk, kVhdxRegions + 72, 128 * 1024);
  put_text(disk, kVhdxMetadata, "metadata");
  put<uint16_t>(disk, kVhdxMetadata + 10, 3);
  for (unsigned i = 0; i < 3; ++i) {
    put(disk, kVhdxMetadata + 32 + i * 32, std::span(kItems).subspan(i * 16, 16));
    put<uint32_t>(disk, kVhdxMetadata + 48 + i * 32, 65'536 + i * 8);
    put<uint32_t>(disk, kVhdxMetadata + 52 + i * 32, 8);
  }
  put<uint64_t>(disk, kVhdxMetadata + 65'536, 1 << 20);
  put<uint64_t>(disk, kVhdxMetadata + 65'544, 4 << 20);
  put<uint64_t>(disk, kVhdxMetadata + 65'552, 512);
  for (unsigned i = 0; i < 4; ++i)
    put<uint64_t>(disk, 448 * 1024 + i * 8, (uint64_t{i % 2} << 20) | (i % 2 ? 6 : 0));
}

/// Changes a few bytes, most of them where tables are.
void damage(Disk& disk, Input& input, bool is_vhdx) {
  constexpr std::array<uint64_t, 6> kVhdxPlaces = {
      kVhdxHeader, kVhdxRegions, kVhdxMetadata, kVhdxMetadata + 65'536, 448 * 1024, 0};
  const uint64_t count = input.take(1) % 24;
  for (uint64_t i = 0; i < count && !input.empty(); ++i) {
    const uint64_t how = input.take(1), width = size_t{1} << (how & 3);
    uint64_t offset = input.take(2);
    if (is_vhdx) offset = kVhdxPlaces[how / 8 % kVhdxPlaces.size()] + offset % 256;
    offset = (how & 4) != 0 ? offset % 256 : offset % disk.now.size();
    const uint64_t value = input.take(width);
    for (uint64_t byte = 0; byte < width && offset + byte < disk.now.size(); ++byte)
      disk.now[offset + byte] = static_cast<uint8_t>(value >> 8 * byte);
  }
  if ((input.take(1) & 7) == 0) disk.now.resize(input.take(3) % (disk.now.size() + 1));
  if (!is_vhdx) return;
  seal(disk, kVhdxHeader, 4096);
  seal(disk, kVhdxRegions, 65'536);
}

void use(Medium& medium, Input& input) {
  std::vector<uint8_t> bytes(64 * 1024, 0xa5);
  const uint64_t sectors = medium.size() / 512;
  for (int i = 0; i < 64 && !input.empty() && sectors > 0; ++i) {
    const uint64_t what = input.take(1), first = input.take(2) % sectors;
    const uint64_t count = std::min({1 + input.take(1) % 128, sectors - first});
    const iovec part = {bytes.data(), count * 512};
    switch (what % 6) {
      case 0:
      case 1:
        (void)medium.read(first * 512, {&part, 1});
        break;
      case 2:
      case 3:
        (void)medium.write(first * 512, {&part, 1});
        break;
      case 4:
        (void)(what & 64 ? medium.discard(first * 512, count * 512)
                         : medium.write_zeroes(first * 512, count * 512, (what & 128) != 0));
        break;
      default:
        (void)medium.flush();
    }
  }
}

std::unique_ptr<Medium> open_foreign(Disk& disk, uint64_t format) {
  auto file = std::make_unique<MemoryFile>(disk, true);
  const VmdkFiles files = [&disk](const std::string& name) -> Result<std::unique_ptr<File>> {
    if (name.size() > 4) return fail("there is no extent '{}'", name);
    return std::make_unique<MemoryFile>(disk, true);
  };
  Result<std::unique_ptr<Medium>> medium = format == 1   ? open_vmdk(std::move(file), "fuzz", files)
                                           : format == 2 ? open_vhdx(std::move(file), "fuzz")
                                                         : open_vdi(std::move(file), "fuzz");
  if (medium) return *std::move(medium);
  EIDOLON_ASSERT(!medium.error().message.empty());
  return nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input({data, size});
  Disk disk;
  const uint64_t format = input.take(1) % 8;  // half of them qcow2
  const bool is_qcow2 = format == 0 || format > 3;
  if (is_qcow2) make_qcow2(disk, input);
  if (format == 1) make_vmdk(disk, input);
  if (format == 2) make_vhdx(disk, input);
  if (format == 3) make_vdi(disk, input);
  damage(disk, input, format == 2);
  (void)probe(std::span(disk.now).first(std::min<size_t>(512, disk.now.size())));
  const bool read_only = (input.take(1) & 3) == 0;
  const std::unique_ptr<Medium> medium = is_qcow2 ? open_qcow2(disk, read_only) : open_foreign(disk, format);
  if (!medium) return 0;
  use(*medium, input);
  if (is_qcow2) EIDOLON_ASSERT(std::memcmp(disk.now.data(), "QFI\xfb", 4) == 0);
  return 0;
}
