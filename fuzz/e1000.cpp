// A hostile driver of an e1000, driven by the input's bytes. Each operation is an access to configuration
// space, to registers in memory or by ports, a proper set-up, a change of a descriptor, a tail, a frame from
// the network, frames that are sent, time that passes, or a snapshot that is loaded back, damaged or not.
#include "device/net/e1000.h"
#include "net/fake_link.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;

constexpr uint64_t kReceive = 0x1000, kTransmit = 0x2000, kBuffers = 0x8000;
constexpr uint32_t kEntries = 16;

struct Machine : fuzz::Board {
  net::FakeLink cable;
  net::E1000 card{"e1000", timers, cable, net::kFirstAddress};

  Machine() {
    root.add(root.free_device(), 0, card);
    place();
  }
  void set(uint64_t offset, uint32_t value) { mmio.write(bar(0, 0) + offset, 4, value); }
};

/// What an honest driver does, up to its rings.
void set_up(Machine& machine) {
  machine.root.config_write(0, 1 << 3, 4, 2, 7);
  machine.set(0x0000, 1u << 26);
  for (uint32_t i = 0; i < kEntries; ++i) machine.poke(kReceive + 16 * i, kBuffers + 0x800 * i);
  machine.set(0x2800, kReceive);
  machine.set(0x2808, kEntries * 16);
  machine.set(0x2818, kEntries - 1);
  machine.set(0x3800, kTransmit);
  machine.set(0x3808, kEntries * 16);
  machine.set(0x00d0, ~0u);
  machine.set(0x0100, 0x801a);
  machine.set(0x0400, 0x000a);
}

void change_descriptor(Machine& machine, Input& input) {
  const bool transmit = (input.take<uint8_t>() & 3) != 0;
  const uint64_t at = (transmit ? kTransmit : kReceive) + 16 * (input.take<uint8_t>() % kEntries);
  const auto shape = input.take<uint8_t>();
  machine.poke(at, (shape & 1) != 0 ? input.value() : kBuffers + (input.take<uint16_t>() & 0x7fff));
  if (!transmit) return;
  // Lengths that fit a frame find more than all of them.
  const uint32_t length = (shape & 2) != 0 ? input.take<uint16_t>() % 2000 : input.take<uint32_t>() & 0xfffff;
  machine.poke(at + 8, length | uint32_t{input.take<uint8_t>()} << 24 | (shape & 4u) << 18);
  machine.poke(at + 12, input.take<uint32_t>() & ((shape & 8) != 0 ? 0x03ffffffu : ~0u));
}

void access_registers(Machine& machine, Input& input) {
  constexpr std::array<uint16_t, 32> kBases = {
      0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x0038, 0x00c0, 0x00c4, 0x00c8, 0x00d0,
      0x00d8, 0x0100, 0x0400, 0x1000, 0x2800, 0x2808, 0x2810, 0x2818, 0x3800, 0x3804, 0x3808,
      0x3810, 0x3818, 0x3828, 0x4000, 0x4088, 0x5000, 0x5200, 0x5400, 0x5600, 0xfff8};
  const auto where = input.take<uint16_t>();
  const uint64_t offset =
      (where & 0x8000) != 0 ? (where & 0x7fff) * 4u : kBases[where % kBases.size()] + (where >> 8 & 4);
  const unsigned size = 1u << (input.take<uint8_t>() & 3);
  const auto how = input.take<uint8_t>();
  if ((how & 3) == 0) {
    (void)machine.mmio.read(machine.bar(0, 0) + offset, size);
  } else if ((how & 3) == 1) {
    const uint64_t ports = machine.bar(0, 1) & ~3u;
    machine.ports.write(ports, 4, offset);
    machine.ports.write(ports + (how >> 2 & 7), 4, input.value() & 0xffffffff);
    (void)machine.ports.read(ports + (how >> 2 & 7), 4);
  } else {
    machine.mmio.write(machine.bar(0, 0) + offset, 4, input.value() & 0xffffffff);
  }
}

/// An IP packet of a kind, or garbage, to the card.
void receive(Machine& machine, Input& input) {
  std::vector<uint8_t> frame(input.take<uint16_t>() % 1600);
  const auto shape = input.take<uint8_t>();
  for (size_t i = 0; i < std::min<size_t>(frame.size(), 64); ++i) frame[i] = input.take<uint8_t>();
  if (frame.size() > 40 && (shape & 1) != 0) {
    const bool tagged = (shape & 2) != 0, six = (shape & 4) != 0;
    const size_t at = tagged ? 16 : 12;
    if (tagged) frame[12] = 0x81, frame[13] = 0;
    frame[at] = six ? 0x86 : 0x08;
    frame[at + 1] = six ? 0xdd : 0x00;
    frame[at + 2] = static_cast<uint8_t>(six ? 0x60 : 0x40 | (shape >> 4));
  }
  (void)machine.cable.card->receive(frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto machine = std::make_unique<Machine>();
  Input input({data, size});
  std::vector<uint8_t> frame;
  set_up(*machine);
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        set_up(*machine);
        break;
      case 1:
        fuzz::access_configuration(*machine, input, 1);
        break;
      case 2:
        if ((input.take<uint8_t>() & 7) == 0) fuzz::snapshot(machine->card, input);
        break;
      case 3:
      case 4:
        access_registers(*machine, input);
        break;
      case 5:
      case 6:
        receive(*machine, input);
        break;
      case 7:
        machine->set(0x2818, input.take<uint8_t>() % kEntries);
        break;
      case 8:
      case 9:
        machine->set(0x3818, input.take<uint8_t>() % kEntries);
        break;
      case 10:
        machine->clock.advance(input.take<uint16_t>() * 16);
        machine->timers.run_due();
        break;
      case 11:
      case 12:
        for (unsigned i = 0; i < 64 && machine->cable.card->next_frame(frame); ++i)
          EIDOLON_ASSERT(frame.size() <= net::kLongestFrame);
        break;
      default:
        change_descriptor(*machine, input);
        break;
    }
  }
  return 0;
}
