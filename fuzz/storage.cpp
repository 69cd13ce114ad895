// A hostile driver of the disk controllers: an IDE, an AHCI and a floppy controller with drives on them,
// driven by the input's bytes. Each operation is an access to a port, to AHCI's registers or to configuration
// space, a change of memory, a command that is set up as it should be, or a snapshot that is loaded back,
// damaged or not.
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.h"
#include "device/chipset/dma_controller.h"
#include "device/pci/registers.h"
#include "device/storage/ahci.h"
#include "device/storage/ata_cdrom.h"
#include "device/storage/ata_disk.h"
#include "device/storage/floppy.h"
#include "device/storage/ide.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using namespace eidolon::device::storage;

using fuzz::kMemory;
constexpr uint64_t kList = 0x4000, kFis = 0x5000, kTable = 0x6000, kRegions = 0x8000, kData = 0x10000;
constexpr unsigned kAhciAt = Ahci::kDevice << 3 | Ahci::kFunction,
                   kIdeAt = Ide::kDevice << 3 | Ide::kFunction;

struct Board : fuzz::Board {
  fuzz::SmallMedium disk{256 << 10}, disc{(100 << 10) + 512}, diskette{1440 << 10};
  DmaController dma{*memory};
  Ahci ahci{"ahci"};
  Ide ide{"ide", {&irqs.isa(14), &irqs.isa(15)}};
  Floppy floppy{"fdc", irqs.isa(6), dma};
  uint64_t ahci_bar = 0, ide_bar = 0;

  Board() {
    using ata::BusKind;
    ahci.attach(0, std::make_unique<ata::Disk>(disk, "one", BusKind::kSerial));
    ahci.attach(1, std::make_unique<ata::Cdrom>(&disc, "two", BusKind::kSerial));
    ide.attach(0, 0, std::make_unique<ata::Disk>(disk, "three", BusKind::kParallel));
    ide.attach(0, 1, std::make_unique<ata::Cdrom>(&disc, "four", BusKind::kParallel));
    floppy.insert(0, diskette, *floppy_format(diskette.size()));
    floppy.reset();
    root.add(Ahci::kDevice, Ahci::kFunction, ahci);
    root.add(Ide::kDevice, Ide::kFunction, ide);
    place();
    for (unsigned i = 0; i < Ide::kChannels; ++i) {
      attach(Ide::kCommandPort[i], 8, ide.command_ports(i));
      attach(Ide::kControlPort[i], 1, ide.control_port(i));
    }
    attach(Floppy::kPort, Floppy::kPorts, floppy.ports());
    attach(Floppy::kDirectionPort, 1, floppy.direction_port());
    attach(DmaController::kFirstPort, DmaController::kFirstPorts, dma.first_ports());
    attach(DmaController::kPagePort, DmaController::kPagePorts, dma.page_ports());
    attach(DmaController::kSecondPort, DmaController::kSecondPorts, dma.second_ports());
    find_bars();
  }
  void attach(uint64_t base, uint64_t length, memory::IoHandler& handler) {
    EIDOLON_ASSERT(ports.attach(base, length, handler, "fuzzed").has_value());
  }
  void find_bars() {
    root.config_write(0, kAhciAt, pci::kCommand, 2, 7);
    root.config_write(0, kIdeAt, pci::kCommand, 2, 7);
    ahci_bar = root.config_read(0, kAhciAt, 0x24, 4) & ~15u;
    ide_bar = root.config_read(0, kIdeAt, 0x20, 4) & ~3u;
  }
};

using Input = fuzz::Input;

uint8_t take_opcode(Input& input) {
  static constexpr std::array kKnown = std::to_array<uint8_t>(
      {0x06, 0x08, 0x20, 0x24, 0x25, 0x29, 0x2f, 0x30, 0x34, 0x35, 0x39, 0x40, 0x60, 0x61,
       0x90, 0x91, 0xa0, 0xa0, 0xa1, 0xb0, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef});
  const auto which = input.take<uint8_t>();
  return which < 0xe0 ? kKnown[which % kKnown.size()] : input.take<uint8_t>();
}

std::array<uint8_t, 12> take_cdb(Input& input) {
  static constexpr std::array kKnown =
      std::to_array<uint8_t>({0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46, 0x4a, 0x51,
                              0x5a, 0xa8, 0xad, 0xbd, 0xbe});
  std::array<uint8_t, 12> cdb{};
  cdb[0] = kKnown[input.take<uint8_t>() % kKnown.size()];
  for (size_t i = 1; i < cdb.size(); ++i) cdb[i] = static_cast<uint8_t>(input.value());
  return cdb;
}

void access_ports(Board& board, Input& input) {
  static constexpr std::array kBases =
      std::to_array<uint16_t>({0x1f0, 0x1f0, 0x1f0, 0x170, 0x3f0, 0x3f0, 0x00, 0x80, 0xc0});
  const auto which = input.take<uint8_t>();
  const uint64_t base = (which & 0x70) == 0 ? board.ide_bar : kBases[which % kBases.size()];
  const uint64_t port = base + input.take<uint8_t>() % 16;
  const unsigned size = 1u << input.take<uint8_t>() % 3;
  if ((which & 0x80) != 0) {
    (void)board.ports.read(port, size);
  } else {
    board.ports.write(port, size, input.value() & 0xffffffff);
  }
}

void access_ahci(Board& board, Input& input) {
  const auto where = input.take<uint16_t>();
  const uint64_t offset = (where & 0x8000) != 0 ? where % 0x30 : 0x100 + where % 0x180;
  const unsigned size = 1u << input.take<uint8_t>() % 4;
  if ((where & 0x4000) != 0) {
    (void)board.mmio.read(board.ahci_bar + offset, size);
  } else {
    board.mmio.write(board.ahci_bar + offset, size, input.value());
  }
}

/// A command in slot 0 of a port, as a driver would give it.
void command_ahci(Board& board, Input& input) {
  const auto shape = input.take<uint8_t>();
  const uint64_t port = board.ahci_bar + 0x100 + (shape & 1) * 0x80;
  std::array<uint8_t, 20> fis{};
  for (uint8_t& byte : fis) byte = static_cast<uint8_t>(input.value());
  fis[0] = 0x27;
  fis[1] = (shape & 0x30) != 0 ? 0x80 : 0;
  fis[2] = take_opcode(input);
  (void)board.memory->write(kTable, fis.data(), fis.size());
  const std::array<uint8_t, 12> cdb = take_cdb(input);
  (void)board.memory->write(kTable + 0x40, cdb.data(), cdb.size());
  const unsigned regions = input.take<uint8_t>() % 16;
  for (unsigned i = 0; i < regions; ++i) {
    board.poke<uint64_t>(kTable + 0x80 + 16 * i, (shape & 0x40) != 0 ? input.value() : kData + 0x400 * i);
    board.poke<uint64_t>(kTable + 0x88 + 16 * i, input.value() << 32);
  }
  board.poke<uint32_t>(kList, 5 | regions << 16);
  board.poke<uint64_t>(kList + 8, kTable);
  board.mmio.write(port, 8, kList);
  board.mmio.write(port + 8, 8, kFis);
  board.mmio.write(port + 0x14, 4, ~0u);
  if ((shape & 8) != 0) board.mmio.write(port + 0x18, 4, 0x10);
  board.mmio.write(port + 0x18, 4, 0x11);
  if (fis[2] == 0x60 || fis[2] == 0x61) board.mmio.write(port + 0x34, 4, 1u << (fis[12] >> 3));
  board.mmio.write(port + 0x38, 4, 1);
}

void command_ide(Board& board, Input& input) {
  const auto shape = input.take<uint8_t>();
  for (unsigned i = 1; i < 7; ++i) board.ports.write(0x1f0 + i, 1, input.value() & 0xff);
  board.ports.write(0x1f6, 1, 0xe0 | (shape & 1) << 4);
  const unsigned regions = 1 + input.take<uint8_t>() % 8;
  for (unsigned i = 0; i < regions; ++i)
    board.poke<uint64_t>(kRegions + 8 * i, (kData + 0x1000 * i) | (input.value() & 0x8000ffff) << 32);
  board.ports.write(board.ide_bar + 4, 4, kRegions);
  board.ports.write(0x1f7, 1, take_opcode(input));
  if ((shape & 1) != 0) {
    const std::array<uint8_t, 12> cdb = take_cdb(input);
    for (unsigned i = 0; i < 12; i += 2) board.ports.write(0x1f0, 2, cdb[i] | cdb[i + 1] << 8);
  }
  if ((shape & 2) != 0) board.ports.write(board.ide_bar, 1, 9);
  for (unsigned i = 0; i < (shape >> 2 & 15u) * 16u; ++i) {
    if ((shape & 0x40) != 0) {
      (void)board.ports.read(0x1f0, 4);
    } else {
      board.ports.write(0x1f0, 4, i);
    }
  }
}

void command_floppy(Board& board, Input& input) {
  const auto mode = input.take<uint8_t>();
  board.ports.write(0x3f2, 1, 0x1c);
  board.ports.write(0x0b, 1, (mode & 0xfc) | 2);
  board.ports.write(0x0a, 1, 2);
  static constexpr std::array kKnown =
      std::to_array<uint8_t>({0xe6, 0xc5, 0x4d, 0x4a, 0x0f, 0x07, 0x08, 0x16, 0x42, 0x0e});
  board.ports.write(0x3f5, 1, kKnown[input.take<uint8_t>() % kKnown.size()]);
  for (unsigned i = 0; i < 8; ++i) board.ports.write(0x3f5, 1, input.value() & 0xff);
  for (unsigned i = 0; i < 10; ++i) (void)board.ports.read(0x3f5, 1);
}

void access_config(Board& board, Input& input) {
  const unsigned at = (input.take<uint8_t>() & 1) != 0 ? kAhciAt : kIdeAt;
  board.root.config_write(0, at, input.take<uint8_t>(), 1u << input.take<uint8_t>() % 3,
                          static_cast<uint32_t>(input.value()));
  if ((input.take<uint8_t>() & 3) == 0) board.find_bars();
}

void snapshot(Board& board, Input& input) {
  const std::array<Stateful*, 4> parts = {&board.ahci, &board.ide, &board.floppy, &board.dma};
  fuzz::snapshot(*parts[input.take<uint8_t>() % parts.size()], input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto board = std::make_unique<Board>();
  Input input(std::span(data, size));
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        if ((input.take<uint8_t>() & 3) == 0) snapshot(*board, input);
        break;
      case 1:
        access_config(*board, input);
        break;
      case 2:
        board->poke<uint64_t>(input.value() % kMemory, input.value());
        break;
      case 3:
      case 4:
      case 5:
        command_ahci(*board, input);
        break;
      case 6:
      case 7:
      case 8:
        command_ide(*board, input);
        break;
      case 9:
        command_floppy(*board, input);
        break;
      case 10:
      case 11:
      case 12:
        access_ahci(*board, input);
        break;
      default:
        access_ports(*board, input);
        break;
    }
  }
  return 0;
}
