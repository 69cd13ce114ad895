// A hostile driver of NE2000s, one on ports of its own and one on PCI, driven by the input's bytes. Each
// operation is an access to configuration space or ports, a proper set-up, a frame from the network, a frame
// that is sent, a cable that comes and goes, or a snapshot that is loaded back, damaged or not.
#include "device/net/ne2000.h"

#include "device/net/ethernet.h"
#include "net/fake_link.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;

constexpr uint64_t kIsaPort = 0x300;

struct Machine : fuzz::Board {
  std::array<net::FakeLink, 2> cables;
  net::Ne2000 isa{cables[0], net::kFirstAddress, [](bool) {}};
  net::Ne2000Pci pci{"ne2000", cables[1], net::kFirstAddress};

  Machine() {
    root.add(root.free_device(), 0, pci);
    place();
    EIDOLON_ASSERT(ports.attach(kIsaPort, net::Ne2000::kPorts, isa, "isa").has_value());
  }
  uint64_t port(Input& input) {
    return (input.take<uint8_t>() & 1) != 0 ? kIsaPort : bar(0, 0) & ~uint64_t{3};
  }
};

/// What an honest driver does, up to its ring.
void set_up(Machine& machine, Input& input) {
  machine.root.config_write(0, 1 << 3, 4, 2, 7);
  const uint64_t port = machine.port(input);
  constexpr std::array<std::array<uint8_t, 2>, 13> kSteps = {{{0, 0x21},
                                                              {14, 0x49},
                                                              {12, 0x1c},
                                                              {13, 0},
                                                              {4, 0x40},
                                                              {1, 0x46},
                                                              {2, 0x80},
                                                              {3, 0x7f},
                                                              {15, 0x3f},
                                                              {0, 0x61},
                                                              {7, 0x46},
                                                              {0, 0x22},
                                                              {7, 0xff}}};
  for (const auto& [index, value] : kSteps) machine.ports.write(port + index, 1, value);
}

void access_ports(Machine& machine, Input& input) {
  const uint64_t port = machine.port(input);
  const auto where = input.take<uint8_t>();
  const unsigned size = 1u << (where >> 6 & 1) << (where >> 7);
  for (unsigned i = input.take<uint8_t>() % 8; i > 0; --i) {
    if ((where & 0x20) != 0) {
      (void)machine.ports.read(port + (where & 31), size);
    } else {
      machine.ports.write(port + (where & 31), size, input.take<uint32_t>());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto machine = std::make_unique<Machine>();
  Input input({data, size});
  std::vector<uint8_t> frame;
  while (!input.empty()) {
    net::FakeLink& cable = machine->cables[input.take<uint8_t>() & 1];
    switch (input.take<uint8_t>() & 7) {
      case 0:
        set_up(*machine, input);
        break;
      case 1:
        fuzz::access_configuration(*machine, input, 1);
        break;
      case 2:
        frame.assign(input.take<uint16_t>() % 2000, input.take<uint8_t>());
        (void)cable.card->receive(frame);
        break;
      case 3:
        if (cable.card->next_frame(frame))
          EIDOLON_ASSERT(frame.size() >= net::kHeaderBytes && frame.size() <= net::kLongestFrame);
        break;
      case 4:
        if ((input.take<uint8_t>() & 7) == 0) fuzz::snapshot(machine->pci, input);
        cable.card->set_link((input.take<uint8_t>() & 1) != 0);
        break;
      default:
        access_ports(*machine, input);
        break;
    }
  }
  return 0;
}
