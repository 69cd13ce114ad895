// A hostile guest at the VGA adapter: ports, window, frame buffer, the registers in memory, snapshots that
// are loaded back damaged, and a picture now and then, by an onlooker that has seen the ones before.
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "base/assert.h"
#include "device/display/renderer.h"
#include "device/display/window.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device::display;

using Input = fuzz::Input;

void access(memory::IoHandler& handler, uint64_t length, Input& input, unsigned largest) {
  const unsigned size = 1u << input.take<uint8_t>() % (largest + 1);
  const uint64_t offset = input.take<uint32_t>() % (length - size + 1);
  if (input.take<uint8_t>() % 4 == 0) {
    const uint64_t value = handler.io_read(offset, size);
    EIDOLON_ASSERT(size == 8 || value >> (size * 8) == 0);
  } else {
    handler.io_write(offset, size,
                     input.take<uint64_t>() & (size == 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1));
  }
}

/// Index and data at once, or hardly any input would reach a register.
void indexed(Vga& vga, Input& input) {
  constexpr unsigned kPairs[] = {0x3c4 - 0x3b0, 0x3ce - 0x3b0, 0x3d4 - 0x3b0};
  const unsigned which = input.take<uint8_t>() % 5;
  if (which < 3) {
    vga.ports().io_write(kPairs[which], 1, input.take<uint8_t>() % 0x20);
    vga.ports().io_write(kPairs[which] + 1, 1, input.take<uint8_t>());
  } else if (which == 3) {
    (void)vga.ports().io_read(0x3da - 0x3b0, 1);
    vga.ports().io_write(0x10, 1, input.take<uint8_t>() % 0x20);
    vga.ports().io_write(0x10, 1, input.take<uint8_t>());
    vga.ports().io_write(0x10, 1, 0x20);
  } else {
    constexpr uint16_t kValues[] = {0, 1, 4, 8, 15, 16, 24, 32, 0x41, 0xc1, 640, 480, 1024, 0xffff};
    const auto index = static_cast<uint16_t>(input.take<uint8_t>() % 12);
    const auto choice = input.take<uint8_t>();
    const uint16_t value = choice < std::size(kValues) ? kValues[choice] : input.take<uint16_t>();
    vga.vbe_ports().io_write(0, 2, index);
    vga.vbe_ports().io_write(1, 2, value);
  }
}

/// The adapter with its memory and a video BIOS on a bus, where its BARs can be moved.
struct Screen {
  static constexpr unsigned kRomBytes = 8192;
  fuzz::Board board{Vga::kMemoryBytes};
  Vga vga{board.clock, *board.memory, **board.memory->add_window(Vga::kMemoryBytes),
          std::vector<uint8_t>(kRomBytes, 0x55)};
  Screen() {
    board.root.add(1, 0, vga);
    board.place();
  }
};

/// By the handlers of frame buffer and ROM, and as the processor reaches them: in memory, or by the bus.
void draw(Screen& screen, Input& input) {
  const auto& bar = *screen.vga.bars()[input.take<uint8_t>() % 2 == 0 ? 0 : 2];
  access(bar.handler(), bar.size(), input, 3);
  const uint64_t address = screen.board.bar(0, 0) + input.take<uint32_t>() % (2 * Vga::kMemoryBytes);
  const auto value = input.take<uint32_t>();
  if (!screen.board.memory->write(address, &value, 4)) screen.board.mmio.write(address, 4, value);
  if (input.take<uint8_t>() % 8 == 0) screen.board.memory->mark_code(address);
}

/// Where the BARs are and whether they answer.
void configure(Screen& screen, Input& input) {
  constexpr unsigned kOffsets[] = {0x04, 0x10, 0x18, 0x30};
  constexpr uint32_t kPlaces[] = {0,          3,          0xc0000001, 0xc1000000, 0xfe000000,
                                  0xff000000, 0xffffffff, 0xe0000000, 0x1000000,  0xfec00001};
  const auto choice = input.take<uint8_t>();
  const uint32_t value = choice < 0xc0 ? kPlaces[choice % std::size(kPlaces)] : input.take<uint32_t>();
  screen.board.root.config_write(0, 1 << 3, kOffsets[input.take<uint8_t>() % std::size(kOffsets)], 4, value);
  screen.board.memory->settle_foreign_writes();
}

void snapshot(Vga& vga, Input& input) {
  StateWriter writer;
  vga.save(writer);
  std::vector<uint8_t> bytes = writer.bytes();
  // The registers come after configuration space, the memory last.
  for (unsigned damage = input.take<uint8_t>() % 8; damage > 0; --damage)
    bytes[std::min<size_t>(bytes.size() - 1, 4096 + input.take<uint16_t>() % 1200)] = input.take<uint8_t>();
  StateReader reader(bytes);
  vga.load(reader);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto screen = std::make_unique<Screen>();
  Vga* const vga = &screen->vga;
  vga->enter_text_mode();
  Renderer renderer(*vga);
  Input input({data, size});
  unsigned pictures = 0;
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        screen->board.clock.advance(input.take<uint32_t>());
        break;
      case 1:
        if (++pictures > 3) break;  // they take their time
        (void)renderer.refresh();
        EIDOLON_ASSERT(renderer.surface().pixels.size() ==
                       size_t{renderer.surface().width} * renderer.surface().height);
        break;
      case 2:
        // They are as large as the memory: seldom.
        if ((input.take<uint8_t>() & 7) == 0 && ++pictures <= 3) snapshot(*vga, input);
        break;
      case 3:
        access(vga->vbe_ports(), Vga::kVbePorts, input, 1);
        break;
      case 4:
      case 5:
        access(vga->ports(), Vga::kPorts, input, 2);
        break;
      case 6:
        access(vga->bars()[1]->handler(), vga->bars()[1]->size(), input, 3);
        break;
      case 7:
        draw(*screen, input);
        break;
      case 11:
        configure(*screen, input);
        break;
      case 8:
      case 9:
      case 10:
        access(vga->window(), kWindowBytes, input, 3);
        break;
      default:
        indexed(*vga, input);
        break;
    }
  }
  return 0;
}
