// A hostile driver of an NVMe controller, driven by the input's bytes. Each operation is an access to
// configuration space or to a BAR, a proper set-up, a command in a queue, a change of a list of pages, a
// doorbell, or a snapshot that is loaded back, damaged or not.
#include "device/storage/nvme_controller.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;

constexpr uint64_t kQueues = 0x1000, kQueueBytes = 0x1000, kPages = 0x10000;
constexpr unsigned kPairs = 4, kEntries = 16;

struct Machine : fuzz::Board {
  fuzz::SmallMedium medium;
  storage::NvmeController controller{"nvme", medium, "serial"};
  std::array<uint32_t, kPairs> tails{};

  Machine() {
    root.add(root.free_device(), 0, controller);
    place();
  }
  void set(uint64_t offset, unsigned size, uint64_t value) { mmio.write(bar(0, 0) + offset, size, value); }
};

uint64_t submissions(unsigned pair) { return kQueues + 2 * pair * kQueueBytes; }
uint64_t completions(unsigned pair) { return submissions(pair) + kQueueBytes; }

void put_command(Machine& machine, unsigned pair, const storage::nvme::Command& command) {
  machine.poke(submissions(pair) + machine.tails[pair] * sizeof command, command);
  machine.tails[pair] = (machine.tails[pair] + 1) % kEntries;
  machine.set(0x1000 + 8 * pair, 4, machine.tails[pair]);
}

/// What an honest driver does, up to its I/O queues.
void set_up(Machine& machine) {
  machine.root.config_write(0, 1 << 3, 4, 2, 6);
  machine.set(0x14, 4, 0x460000);
  machine.set(0x24, 4, (kEntries - 1) << 16 | (kEntries - 1));
  machine.set(0x28, 8, submissions(0));
  machine.set(0x30, 8, completions(0));
  machine.set(0x14, 4, 0x460001);
  machine.tails = {};
  for (uint32_t pair = 1; pair < kPairs; ++pair) {
    const uint32_t shape = pair | (kEntries - 1) << 16;
    put_command(machine, 0, {.opcode = 5, .prp1 = completions(pair), .words = {shape, 3 | pair << 16}});
    put_command(machine, 0, {.opcode = 1, .prp1 = submissions(pair), .words = {shape, 1 | pair << 16}});
  }
}

void submit(Machine& machine, Input& input) {
  constexpr std::array<uint8_t, 16> kOpcodes = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 2, 1, 2, 1, 0x80, 0xff};
  const unsigned pair = input.take<uint8_t>() % kPairs;
  storage::nvme::Command command{};
  command.opcode = kOpcodes[input.take<uint8_t>() % kOpcodes.size()];
  const auto oddity = input.take<uint8_t>();
  command.flags = (oddity & 0xf0) == 0 ? input.take<uint8_t>() : uint8_t{0};
  command.id = input.take<uint8_t>();
  command.nsid = (oddity & 15) == 0 ? static_cast<uint32_t>(input.value()) : 1;
  command.prp1 = input.value();
  command.prp2 = (oddity & 1) != 0 ? kPages + (input.take<uint16_t>() & 0xfff8) : input.value();
  for (uint32_t& word : command.words) word = static_cast<uint32_t>(input.value());
  put_command(machine, pair, command);
}

void change_pages(Machine& machine, Input& input) {
  const uint64_t at = kPages + (input.take<uint16_t>() & 0xfff8);
  machine.poke(at, (input.take<uint8_t>() & 3) != 0 ? input.value() & ~uint64_t{0xfff} : input.value());
}

void access_bar(Machine& machine, Input& input) {
  const uint64_t bar = machine.bar(0, (input.take<uint8_t>() & 3) != 0 ? 0 : 4);
  const auto where = input.take<uint16_t>();
  // The registers are in the first bytes of two pages.
  const uint64_t offset = (where & 0x8000) != 0 ? where & 0x1fff : where & 0x103f;
  const unsigned size = 1u << (input.take<uint8_t>() & 3);
  if ((input.take<uint8_t>() & 1) != 0) {
    (void)machine.mmio.read(bar + offset, size);
  } else {
    machine.mmio.write(bar + offset, size, input.value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto machine = std::make_unique<Machine>();
  Input input({data, size});
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
      case 3:
        access_bar(*machine, input);
        break;
      case 4:
        if ((input.take<uint8_t>() & 7) == 0) fuzz::snapshot(machine->controller, input);
        break;
      case 5:
      case 6:
        change_pages(*machine, input);
        break;
      case 7:
      case 8:
        machine->set(0x1000 + 4 * (input.take<uint8_t>() % 16), 4, input.take<uint8_t>() % (kEntries + 2));
        break;
      default:
        submit(*machine, input);
        break;
    }
  }
  return 0;
}
