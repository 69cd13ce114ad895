// A hostile driver of a USB controller with a tablet and a keyboard, driven by the input's bytes. Each
// operation is an access to configuration space or to a BAR, a proper set-up, a block in a ring, a change of
// contexts or rings in memory, a doorbell, something that the user does, or a snapshot that is loaded back,
// damaged or not.
#include <linux/input-event-codes.h>

#include "device/usb/hid_keyboard.h"
#include "device/usb/hid_tablet.h"
#include "device/usb/xhci_controller.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;
using usb::xhci::Trb;

constexpr uint64_t kContexts = 0x1000, kTable = 0x2000, kEvents = 0x3000, kInput = 0x4000, kRings = 0x8000,
                   kRingBytes = 0x400, kData = 0x18000;
constexpr unsigned kRingCount = 4, kEntries = 16;

struct Machine : fuzz::Board {
  usb::HidTablet tablet{"tablet"};
  usb::HidKeyboard keyboard{"keyboard"};
  usb::XhciController controller{"xhci", clock};
  struct Ring {
    unsigned index = 0;
    bool cycle = true;
  };
  std::array<Ring, kRingCount> rings{};  ///< number 0 is the command ring

  Machine() {
    EIDOLON_ASSERT(controller.plug(tablet) && controller.plug(keyboard));
    root.add(root.free_device(), 0, controller);
    place();
  }
  void set(uint64_t offset, unsigned size, uint64_t value) { mmio.write(bar(0, 0) + offset, size, value); }
};

uint64_t ring_at(unsigned ring) { return kRings + ring * kRingBytes; }

void put(Machine& machine, unsigned number, Trb trb) {
  Machine::Ring& ring = machine.rings[number];
  const auto own = [&](uint32_t control) { return (control & ~1u) | (ring.cycle ? 1u : 0u); };
  trb.control = own(trb.control);
  machine.poke(ring_at(number) + ring.index * sizeof trb, trb);
  if (++ring.index < kEntries - 1) return;
  machine.poke(ring_at(number) + ring.index * sizeof trb,
               Trb{.parameter = ring_at(number), .control = own(6u << 10 | 2)});
  ring = {.index = 0, .cycle = !ring.cycle};
}

void command(Machine& machine, unsigned type, uint64_t parameter, uint32_t control) {
  put(machine, 0, {.parameter = parameter, .control = type << 10 | control});
  machine.set(0x2000, 4, 0);
}

void put_endpoint(Machine& machine, unsigned index, unsigned type, unsigned ring) {
  machine.poke<uint32_t>(kInput + 0x20 * (index + 1) + 4, 8u << 16 | type << 3);
  machine.poke<uint64_t>(kInput + 0x20 * (index + 1) + 8, ring_at(ring) | 1);
}

void control(Machine& machine, uint64_t setup) {
  put(machine, 1, {.parameter = setup, .status = 8, .control = 2u << 10 | 0x40});
  if (setup >> 48 != 0)
    put(machine, 1,
        {.parameter = kData, .status = static_cast<uint32_t>(setup >> 48), .control = 3u << 10 | 0x24});
  put(machine, 1, {.control = 4u << 10 | 0x20});
  machine.set(0x2004, 4, 1);
}

/// What an honest driver does, up to a configured device with an endpoint that waits for it.
void set_up(Machine& machine, unsigned port) {
  machine.root.config_write(0, 1 << 3, 4, 2, 6);
  machine.set(0x40, 4, 2);
  machine.rings = {};
  for (unsigned ring = 0; ring < kRingCount; ++ring)
    for (unsigned i = 0; i < kEntries; ++i) machine.poke(ring_at(ring) + i * sizeof(Trb), Trb{});
  machine.poke<uint64_t>(kTable, kEvents);
  machine.poke<uint32_t>(kTable + 8, 64);
  machine.set(0x78, 4, 8);
  machine.set(0x70, 8, kContexts);
  machine.set(0x58, 8, ring_at(0) | 1);
  machine.set(0x1028, 4, 1);
  machine.set(0x1038, 8, kEvents);
  machine.set(0x1030, 8, kTable);
  machine.set(0x1020, 4, 2);
  machine.set(0x40, 4, 5);
  machine.set(0x440 + 0x10 * (port - 1), 4, 1 << 9 | 1 << 4);
  for (unsigned slot = 1; slot <= 8; ++slot)
    machine.poke<uint64_t>(kContexts + 8 * slot, 0x5000 + 0x400 * slot);
  machine.poke<uint32_t>(kInput + 4, 3 | 1 << 3);
  machine.poke<uint32_t>(kInput + 0x20, 3u << 27);
  machine.poke<uint32_t>(kInput + 0x24, port << 16);
  put_endpoint(machine, 1, 4, 1);
  put_endpoint(machine, 3, 7, 2);
  command(machine, 9, 0, 0);
  command(machine, 11, kInput, 1u << 24);
  command(machine, 12, kInput, 1u << 24);
  control(machine, 0x0000'0000'0001'0900);
  put(machine, 2, {.parameter = kData, .status = 8, .control = 1u << 10 | 0x24});
  machine.set(0x2004, 4, 3);
}

void any_block(Machine& machine, Input& input) {
  Trb trb;
  trb.parameter = input.value();
  trb.status = static_cast<uint32_t>(input.value());
  const auto kind = input.take<uint8_t>();
  const uint32_t type = (kind & 0x80) != 0   ? kind & 0x3fu
                        : (kind & 0x40) != 0 ? 9u + kind % 15
                                             : 1u + kind % 8;
  trb.control = type << 10 | (input.take<uint32_t>() & 0x031f03ff);
  put(machine, input.take<uint8_t>() % kRingCount, trb);
  machine.set(0x2000 + 4 * (input.take<uint8_t>() % 4), 4, input.take<uint8_t>() % 6);
}

void any_control(Machine& machine, Input& input) {
  constexpr std::array<uint8_t, 8> kTypes = {0x00, 0x80, 0x21, 0xa1, 0x81, 0x02, 0x82, 0x01};
  uint64_t setup = kTypes[input.take<uint8_t>() % kTypes.size()] | uint64_t{input.take<uint8_t>() % 13u} << 8;
  setup |= uint64_t{input.take<uint32_t>()} << 16 | uint64_t{input.take<uint8_t>()} << 48;
  control(machine, setup);
}

void access_bar(Machine& machine, Input& input) {
  const uint64_t bar = machine.bar(0, (input.take<uint8_t>() & 7) != 0 ? 0 : 2);
  constexpr std::array<uint16_t, 8> kBanks = {0, 0x40, 0x440, 0x440, 0x800, 0x1000, 0x1020, 0x2000};
  const uint64_t offset = kBanks[input.take<uint8_t>() % kBanks.size()] + input.take<uint8_t>() % 0x48;
  const unsigned size = 1u << (input.take<uint8_t>() & 3);
  if ((input.take<uint8_t>() & 1) != 0) {
    (void)machine.mmio.read(bar + offset, size);
  } else {
    machine.mmio.write(bar + offset, size, input.value());
  }
}

void user(Machine& machine, Input& input) {
  const auto what = input.take<uint32_t>();
  machine.tablet.pointer({.absolute = (what & 1) != 0,
                          .x = static_cast<int32_t>(what),
                          .y = static_cast<int32_t>(what >> 8),
                          .wheel = static_cast<int32_t>(what % 7) - 3,
                          .buttons = static_cast<uint8_t>(what >> 16)});
  machine.keyboard.key({.code = static_cast<uint16_t>(what % (KEY_MAX + 2)), .down = (what & 2) != 0});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto machine = std::make_unique<Machine>();
  Input input({data, size});
  set_up(*machine, 1);
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        set_up(*machine, 1 + (input.take<uint8_t>() & 1));
        break;
      case 1:
        fuzz::access_configuration(*machine, input, 1);
        break;
      case 2:
      case 3:
      case 4:
        access_bar(*machine, input);
        break;
      case 5:
        if ((input.take<uint8_t>() & 7) == 0) fuzz::snapshot(machine->controller, input);
        break;
      case 6:
      case 7:
        machine->poke(kContexts + (input.take<uint16_t>() & 0xfff8), input.value());
        break;
      case 8:
        machine->set(0x1038, 8, (kEvents + (input.take<uint8_t>() & 0x3f) * 16) | 8);
        break;
      case 9:
      case 10:
        user(*machine, input);
        break;
      case 11:
        any_control(*machine, input);
        break;
      default:
        any_block(*machine, input);
        break;
    }
  }
  machine->controller.stop();
  return 0;
}
