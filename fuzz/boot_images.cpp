// Hostile kernel images and modules into the boot loaders. The input's first bytes choose the kind of header,
// the size of RAM and where the kernel ends and the module begins, so that noise comes past the magic
// numbers.
//
// What must hold, besides not crashing: a refusal is one sentence, and what was accepted has an entry point.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/assert.h"
#include "boot/loader.h"
#include "boot/memory_layout.h"

namespace {

using namespace eidolon;

void put(std::vector<uint8_t>& image, size_t at, std::initializer_list<uint8_t> bytes) {
  if (at + bytes.size() <= image.size()) std::ranges::copy(bytes, image.begin() + static_cast<long>(at));
}

/// The magic numbers of a kind of kernel, at their places.
void dress(std::vector<uint8_t>& image, unsigned kind) {
  switch (kind) {
    case 5:  // a bzImage with something packed in it, at 0x400
    case 6:
    case 7: {
      constexpr uint8_t kMagic[3][4] = {
          {0x1f, 0x8b, 8, 0}, {0x28, 0xb5, 0x2f, 0xfd}, {0x02, 0x21, 0x4c, 0x18}};
      const uint8_t* magic = kMagic[kind - 5];
      const size_t length = image.size() > 0x400 ? image.size() - 0x400 : 0;
      put(image, 0x1f1,
          {1, 0, 0, static_cast<uint8_t>(length / 16), static_cast<uint8_t>(length / 4096), 0, 0});
      put(image, 0x248,
          {0, 0, 0, 0, static_cast<uint8_t>(length & 0xf0), static_cast<uint8_t>(length >> 8), 0, 0});
      put(image, 0x234, {0});                                      // not relocatable
      put(image, 0x260, {0, 0, 8, 0});                             // init_size
      put(image, 0x400 + (length & 0xfff0) - 4, {0, 0x20, 0, 0});  // the size of what is packed
      put(image, 0x400, {magic[0], magic[1], magic[2], magic[3]});
      [[fallthrough]];
    }
    case 0:  // bzImage: boot sector, "HdrS", protocol 2.15, loaded high, 64-bit entry
      put(image, 0x1fe, {0x55, 0xaa});
      put(image, 0x202, {'H', 'd', 'r', 'S', 0x0f, 0x02});
      put(image, 0x211, {1});
      put(image, 0x236, {1, 0});
      break;
    case 1:  // ELF64 for x86-64
      put(image, 0, {0x7f, 'E', 'L', 'F', 2, 1, 1});
      put(image, 16, {2, 0, 62, 0, 1, 0, 0, 0});
      put(image, 32, {64, 0, 0, 0, 0, 0, 0, 0});
      put(image, 52, {64, 0, 56, 0, 3, 0});
      break;
    case 2:  // ELF32 for i386
      put(image, 0, {0x7f, 'E', 'L', 'F', 1, 1, 1});
      put(image, 16, {2, 0, 3, 0, 1, 0, 0, 0});
      put(image, 28, {52, 0, 0, 0});
      put(image, 40, {52, 0, 32, 0, 3, 0});
      [[fallthrough]];
    case 3:  // Multiboot 1 with address fields
      put(image, 0x100, {0x02, 0xb0, 0xad, 0x1b, 0x00, 0x00, 0x01, 0x00, 0xfe, 0x4f, 0x51, 0xe4});
      break;
    default:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const unsigned kind = data[0] % 8;
  const uint64_t ram = uint64_t{2 + data[1] % 14u} << 20;
  const size_t module_at = (size - 4) * data[2] / 256;
  const bool with_module = data[3] % 2 != 0;
  std::vector<uint8_t> kernel(data + 4, data + (with_module ? 4 + module_at : size));
  const std::vector<uint8_t> module(data + 4 + module_at, data + size);
  dress(kernel, kind);

  auto memory = memory::GuestMemory::create(ram);
  EIDOLON_ASSERT(memory.has_value());
  EIDOLON_ASSERT(boot::add_ram(**memory, ram).has_value());
  cpu::State processor;
  processor.reset();
  boot::LoadInput input{.kernel = kernel,
                        .modules = {},
                        .command_line = std::string(data[2], 'x'),
                        .kernel_name = "kernel",
                        .rsdp = 0xe0000,
                        .force_32bit = data[3] % 4 >= 2};
  if (with_module) input.modules.push_back({.bytes = module, .command = "module"});
  const Result<> loaded = boot::load_image(input, **memory, processor);
  if (loaded) {
    EIDOLON_ASSERT(processor.protected_mode());
  } else {
    EIDOLON_ASSERT(!loaded.error().message.empty());
    EIDOLON_ASSERT(loaded.error().message.find('\n') == std::string::npos);
  }
  return 0;
}
