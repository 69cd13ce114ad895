// Hostile snapshots: a small one, damaged, with checksums that fit again; and lists of sections and of memory
// that are any bytes. Each is refused with a sentence, or fills the memory that it is for and no other.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "snapshot/file_reader.h"
#include "snapshot/file_writer.h"
#include "snapshot/memory_checker.h"
#include "snapshot/memory_reader.h"
#include "snapshot/memory_writer.h"

namespace {

using namespace eidolon;
using namespace eidolon::snapshot;

constexpr size_t kPiece = 16 << 10, kPreambleChecksum = 56;

std::vector<uint8_t> make_snapshot(Packing packing) {
  std::vector<uint8_t> memory(kPiece, 0);
  std::fill_n(memory.begin() + 4096, 4096, uint8_t{7});
  const std::string path = "/tmp/eidolon-fuzz-" + std::to_string(getpid());
  {
    auto writer = FileWriter::create(path).value();
    const std::vector<Bytes> pieces = {memory, memory};
    EIDOLON_ASSERT(writer.add("machine", memory) && write_memory(writer, pieces, packing) && writer.finish());
  }
  const auto reader = FileReader::open(path).value();
  unlink(path.c_str());
  std::vector<uint8_t> bytes(reader.length());
  EIDOLON_ASSERT(reader.read(0, bytes));
  return bytes;
}

template <typename T>
T get(const std::vector<uint8_t>& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// As whoever wants to do harm would: the frame's checksums are right.
void mend(std::vector<uint8_t>& file) {
  const auto put = [&file](size_t at, uint64_t value) {
    std::memcpy(file.data() + at, &value, sizeof value);
  };
  const auto table = get<uint64_t>(file, 16), length = get<uint64_t>(file, 24);
  if (table <= file.size() && length <= file.size() - table)
    put(32, checksum(Bytes(file).subspan(table, length)));
  put(kPreambleChecksum, checksum(Bytes(file).first(kPreambleChecksum)));
}

/// A piece of memory between pages that nobody may touch.
struct Guarded {
  uint8_t* all = static_cast<uint8_t*>(
      mmap(nullptr, kPiece + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  std::span<uint8_t> piece{all + 4096, kPiece};
  Guarded() { EIDOLON_ASSERT(mprotect(piece.data(), kPiece, PROT_READ | PROT_WRITE) == 0); }
  ~Guarded() { munmap(all, kPiece + 8192); }
};

void restore(const std::vector<uint8_t>& file) {
  const int fd = memfd_create("snapshot", MFD_CLOEXEC);
  EIDOLON_ASSERT(fd >= 0 && write(fd, file.data(), file.size()) == static_cast<ssize_t>(file.size()));
  {
    const auto reader = FileReader::open("/proc/self/fd/" + std::to_string(fd));
    EIDOLON_ASSERT(reader || !reader.error().message.empty());
    if (reader) {
      (void)reader->section("machine");
      const Guarded first, second;
      const std::vector<std::span<uint8_t>> pieces = {first.piece, second.piece};
      const auto index = read_memory_index(*reader);
      EIDOLON_ASSERT(index || !index.error().message.empty());
      const std::atomic<bool> stopping{false};
      if (index && read_memory(*reader, *index, pieces)) (void)check_memory(*reader, *index, stopping);
    }
  }
  close(fd);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<uint8_t> originals[] = {make_snapshot(Packing::kPlain),
                                                   make_snapshot(Packing::kPacked)};
  fuzz::InputBytes input({data, size});
  const TablePlace place = {
      .offset = 4096, .length = size, .checksum = checksum({data, size}), .file_length = 8192};
  (void)read_table({data, size}, place, "any");
  (void)decode_memory_index({data, size}, 1 << 20, "any");
  for (unsigned tries = 4; tries > 0; --tries) {
    std::vector<uint8_t> file = originals[input.take<uint8_t>() & 1];
    for (unsigned damage = input.take<uint8_t>() % 8; damage > 0; --damage) {
      // Most of what there is to get wrong stands at the end, and before it.
      const size_t back = input.take<uint16_t>() % file.size();
      file[file.size() - 1 - back / (1 + (damage & 1) * 63)] = input.take<uint8_t>();
    }
    if ((input.take<uint8_t>() & 3) != 0) mend(file);
    restore(file);
  }
  return 0;
}
