// A hostile driver of the flash chip that has UEFI's variables, driven by the input's bytes. Each operation
// is a command with what belongs to it, an access, a reset, or a snapshot that is loaded back, damaged or
// not. In the end what the guest reads is what is on the medium.
#include "device/storage/cfi_flash.h"

#include <array>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "snapshot.h"
#include "storage/memory_medium.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::InputBytes;

constexpr uint64_t kSize = 4 * CfiFlash::kBlock;

/// Also a little behind the end, and often where blocks meet.
uint64_t place(InputBytes& input) {
  const auto where = input.take<uint16_t>();
  const uint64_t near = where % 5 * CfiFlash::kBlock + (where >> 8) - 0x80;
  return (where & 0x80) != 0 ? near % (kSize + 16) : where % (kSize + 16);
}

void command(CfiFlash& flash, InputBytes& input) {
  static constexpr auto kCommands =
      std::to_array<uint8_t>({0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xe8, 0xff});
  flash.io_write(place(input), 1, kCommands[input.take<uint8_t>() % kCommands.size()]);
}

void program_buffer(CfiFlash& flash, InputBytes& input) {
  const uint64_t at = place(input);
  const unsigned last = input.take<uint8_t>() % 40;
  flash.io_write(at, 1, 0xff);
  flash.io_write(at, 1, 0xe8);
  flash.io_write(at, 1, last);
  for (unsigned i = 0; i <= last; ++i) flash.io_write(at + i, 1, input.take<uint8_t>());
  flash.io_write(at, 1, 0xd0);
}

void access(CfiFlash& flash, InputBytes& input) {
  const uint64_t at = place(input);
  const unsigned size = 1u << input.take<uint8_t>() % 4;
  (void)flash.io_read(at, size);
  if ((input.take<uint8_t>() & 1) != 0) flash.io_write(at, size, input.take<uint64_t>());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  storage::MemoryMedium medium(kSize);
  const auto flash = std::move(*CfiFlash::create(medium));
  InputBytes input(std::span(data, size));
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 7) {
      case 0:
        fuzz::snapshot(*flash, input);
        break;
      case 1:
        program_buffer(*flash, input);
        break;
      case 2:
      case 3:
        access(*flash, input);
        break;
      default:
        command(*flash, input);
        break;
    }
  }
  flash->reset();
  for (uint64_t at = 0; at < kSize; at += 8) {
    uint64_t stored = 0;
    std::memcpy(&stored, medium.bytes.data() + at, sizeof stored);
    EIDOLON_ASSERT(flash->io_read(at, 8) == stored);
  }
  return 0;
}
