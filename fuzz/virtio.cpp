// A hostile driver: virtio devices on a PCI bus and on MMIO, driven by the input's bytes. Each operation is
// an access to configuration space, to a BAR or a register, a proper set-up of a queue, the same by the
// legacy interface, a change of the rings in memory, a notification, a frame from the network, packets of
// sockets, a request of the host's, or a snapshot that is loaded back, damaged or not.
#include "device/storage/scsi_cdrom.h"
#include "device/storage/scsi_disk.h"
#include "device/virtio/balloon.h"
#include "device/virtio/block.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/input_keyboard.h"
#include "device/virtio/input_tablet.h"
#include "device/virtio/mmio_transport.h"
#include "device/virtio/net.h"
#include "device/virtio/pci_transport.h"
#include "device/virtio/pmem.h"
#include "device/virtio/rng.h"
#include "device/virtio/scsi.h"
#include "device/virtio/vsock.h"
#include "net/fake_link.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;
using fuzz::kMemory;
using fuzz::SmallMedium;

constexpr uint64_t kRings = 0x1000, kRingBytes = 0x3000, kRingPlaces = 20;
static_assert(kRings + kRingPlaces * kRingBytes <= kMemory);
constexpr unsigned kQueues = 6;   ///< those that a device does not have are not there to be set up
constexpr unsigned kNetSlot = 1;  ///< in Machine
constexpr uint64_t kRegisters = 0xfef40000;

class Wire final : public device::Channel {
 public:
  void plug(device::Port* port) override { port_ = port; }
  void wake() override {}
  [[nodiscard]] bool connected() const override { return connected_; }
  [[nodiscard]] std::optional<device::TextSize> size() const override { return device::TextSize{80, 25}; }
  device::Port* port_ = nullptr;
  bool connected_ = true;
};

class Sockets final : public virtio::VsockWire {
 public:
  void plug(virtio::VsockGuest* guest) override { guest_ = guest; }
  void wake() override {}
  virtio::VsockGuest* guest_ = nullptr;
};

/// Touches all that it is given.
class Files final : public virtio::FileServer {
 public:
  uint32_t serve(virtio::FileMessage& message) override {
    uint8_t sum = 0;
    for (const uint8_t byte : message.copied()) sum ^= byte;
    for (const iovec& part :
         message.payload(sum, message.length() - std::min<uint64_t>(sum, message.length())))
      for (size_t i = 0; i < part.iov_len; ++i) sum ^= static_cast<const uint8_t*>(part.iov_base)[i];
    for (const iovec& part : message.places(sum, message.room() - std::min<uint64_t>(sum, message.room())))
      std::memset(part.iov_base, sum, part.iov_len);
    return message.write(0, std::span(&sum, 1)) ? 1 : 0;
  }
  void forget() override {}
  [[nodiscard]] bool in_use() const override { return false; }
};

struct Machine : fuzz::Board {
  SmallMedium medium;
  net::FakeLink cable, other_cable, old_cable;
  std::array<Wire, 2> wires;
  Sockets sockets;
  Files files;
  struct Slot {
    std::unique_ptr<virtio::PciTransport> transport;
    std::unique_ptr<virtio::Device> device;
  };
  std::vector<Slot> slots;
  std::vector<Slot> old_slots;  ///< behind them on the bus, and transitional
  struct MmioSlot {
    std::unique_ptr<virtio::MmioTransport> transport;
    std::unique_ptr<virtio::Device> device;
  };
  std::vector<MmioSlot> mmio_slots;
  virtio::Balloon* balloon = nullptr;
  virtio::InputKeyboard* keyboard = nullptr;
  virtio::InputTablet* tablet = nullptr;

  Machine() {
    put(std::make_unique<virtio::Block>("blk", medium, "serial"));
    put(std::make_unique<virtio::Net>("net", cable, net::kFirstAddress, 2));
    put(std::make_unique<virtio::Rng>("rng"));
    put(std::make_unique<virtio::Balloon>("balloon"));
    balloon = static_cast<virtio::Balloon*>(slots.back().device.get());
    put(std::make_unique<virtio::Console>(
        "console", &wires[0], std::vector<virtio::Console::Named>{{.name = "port", .channel = &wires[1]}}));
    put(std::make_unique<virtio::Vsock>("vsock", sockets, 3));
    put(std::make_unique<virtio::Fs>("fs", files, "tag"));
    put(std::make_unique<virtio::InputKeyboard>("keyboard"));
    keyboard = static_cast<virtio::InputKeyboard*>(slots.back().device.get());
    put(std::make_unique<virtio::InputTablet>("tablet"));
    tablet = static_cast<virtio::InputTablet*>(slots.back().device.get());
    put(std::make_unique<virtio::Pmem>("pmem", medium, kMemory));
    auto scsi = std::make_unique<virtio::Scsi>("scsi", 2);
    scsi->attach(std::make_unique<storage::scsi::Disk>(medium, "serial"));
    scsi->attach(std::make_unique<storage::scsi::Cdrom>(medium, "disc"));
    put(std::move(scsi));
    put_old(std::make_unique<virtio::Block>("old-blk", medium, "serial"));
    put_old(std::make_unique<virtio::Net>("old-net", old_cable, net::kFirstAddress, 1));
    put_on_mmio(std::make_unique<virtio::Block>("mmio-blk", medium, "serial"));
    put_on_mmio(std::make_unique<virtio::Net>("mmio-net", other_cable, net::kFirstAddress, 1));
    place();
  }
  void put_on_mmio(std::unique_ptr<virtio::Device> device) {
    auto transport = std::make_unique<virtio::MmioTransport>(*device, *memory, root.pirq().source(4));
    const uint64_t at = kRegisters + mmio_slots.size() * virtio::MmioTransport::kBytes;
    EIDOLON_ASSERT(
        mmio.attach(at, virtio::MmioTransport::kBytes, *transport, device->shape().name).has_value());
    mmio_slots.push_back({.transport = std::move(transport), .device = std::move(device)});
  }
  void put_old(std::unique_ptr<virtio::Device> device) {
    Slot slot{.transport = std::make_unique<virtio::PciTransport>(*device, virtio::PciForm::kTransitional),
              .device = std::move(device)};
    root.add(root.free_device(), 0, *slot.transport);
    old_slots.push_back(std::move(slot));
  }
  void put(std::unique_ptr<virtio::Device> device) {
    Slot slot{.transport = std::make_unique<virtio::PciTransport>(*device), .device = std::move(device)};
    root.add(root.free_device(), 0, *slot.transport);
    slots.push_back(std::move(slot));
  }
};

unsigned take_slot(Machine& board, Input& input) {
  return static_cast<unsigned>(input.take<uint8_t>() % board.slots.size());
}

/// Some devices meet in the same place, which two hostile drivers could do as well.
uint64_t ring_place(unsigned slot, unsigned queue) {
  return kRings + (slot * 4 + queue) % kRingPlaces * kRingBytes;
}

/// What an honest driver does, up to DRIVER_OK.
void set_up(Machine& board, Input& input) {
  const unsigned slot = take_slot(board, input);
  board.root.config_write(0, (slot + 1) << 3, 4, 2, 7);
  const uint64_t bar = board.bar(slot, 0);
  const auto set = [&](uint64_t offset, unsigned size, uint64_t value) {
    board.mmio.write(bar + offset, size, value);
  };
  set(0x14, 1, 0);
  set(0x14, 1, 3);
  const auto choice = input.take<uint8_t>();
  const uint64_t features = virtio::kFeatureVersion1 | ((choice & 1) != 0 ? virtio::kFeatureIndirect : 0) |
                            ((choice & 2) != 0 ? virtio::kFeatureEventIndex : 0) |
                            ((choice & 4) != 0 ? virtio::kFeaturePacked : 0) |
                            ((choice & 8) != 0 ? 1u << 15 : 0) | (choice >> 4) |
                            (slot == kNetSlot ? input.take<uint32_t>() & 0xffffff : 0);
  for (unsigned half = 0; half < 2; ++half) {
    set(0x08, 4, half);
    set(0x0c, 4, (features & board.slots[slot].device->offered_features()) >> (32 * half) & 0xffffffff);
  }
  set(0x14, 1, 11);
  for (unsigned queue = 0; queue < kQueues; ++queue) {
    set(0x16, 2, queue);
    set(0x18, 2, 8);
    set(0x20, 8, ring_place(slot, queue));
    set(0x28, 8, ring_place(slot, queue) + 0x1000);
    set(0x30, 8, ring_place(slot, queue) + 0x2000);
    set(0x1c, 2, 1);
  }
  set(0x14, 1, 15);
}

/// The same over MMIO, where the rings are those of the slot with that number on the PCI bus.
void set_up_mmio(Machine& board, Input& input, unsigned slot) {
  const auto set = [&](uint64_t offset, uint64_t value) {
    board.mmio.write(kRegisters + slot * virtio::MmioTransport::kBytes + offset, 4, value & 0xffffffff);
  };
  set(0x70, 0);
  set(0x70, 3);
  const uint64_t features =
      (virtio::kFeatureVersion1 | input.value()) & board.mmio_slots[slot].device->offered_features();
  for (unsigned half = 0; half < 2; ++half) {
    set(0x24, half);
    set(0x20, features >> (32 * half));
  }
  set(0x70, 11);
  for (unsigned queue = 0; queue < kQueues; ++queue) {
    const uint64_t ring = ring_place(slot, queue);
    set(0x30, queue);
    set(0x38, 8);
    set(0x80, ring);
    set(0x90, ring + 0x1000);
    set(0xa0, ring + 0x2000);
    set(0x44, 1);
  }
  set(0x70, 15);
}

/// Registers, mostly those that there are, and notifications.
void access_mmio(Machine& board, Input& input, unsigned slot) {
  const auto where = input.take<uint16_t>();
  const uint64_t base = kRegisters + slot * virtio::MmioTransport::kBytes;
  const uint64_t offset = (where & 0x8000) != 0 ? where % (virtio::MmioTransport::kBytes - 8) : where & 0xfc;
  const auto choice = input.take<uint8_t>();
  const unsigned size = (where & 0x8000) != 0 ? 1u << (choice & 3) : 4;
  if ((choice & 4) != 0) {
    board.mmio.write(base + 0x50, 4, choice >> 5);
  } else if ((choice & 8) != 0) {
    (void)board.mmio.read(base + offset, size);
  } else {
    board.mmio.write(base + offset, size, input.value());
  }
}

void use_mmio(Machine& board, Input& input) {
  const auto choice = input.take<uint8_t>();
  const unsigned slot = (choice >> 3) % static_cast<unsigned>(board.mmio_slots.size());
  switch (choice & 7) {
    case 0:
      return fuzz::snapshot(*board.slots[take_slot(board, input)].transport, input);
    case 1:
      return fuzz::snapshot(*board.mmio_slots[slot].transport, input);
    case 2:
    case 3:
      return set_up_mmio(board, input, slot);
    default:
      return access_mmio(board, input, slot);
  }
}

/// What a legacy driver does, right or not. The rings are those of the slot with that number; the device says
/// how long they are.
void use_legacy(Machine& board, Input& input) {
  const auto choice = input.take<uint8_t>();
  const unsigned slot = (choice >> 3) % static_cast<unsigned>(board.old_slots.size());
  const auto device = static_cast<unsigned>(board.slots.size()) + slot;
  board.root.config_write(0, (device + 1) << 3, 4, 2, 7);
  const uint64_t base = board.bar(device, 0);
  const auto set = [&](uint64_t offset, unsigned size, uint64_t value) {
    board.ports.write(base + offset, size, value & 0xffffffff);
  };
  switch (choice & 7) {
    case 0:
      return fuzz::snapshot(*board.old_slots[slot].transport, input);
    case 1:
    case 2:
      set(18, 1, 0);
      set(18, 1, 3);
      set(4, 4, input.value());
      for (unsigned queue = 0; queue < kQueues; ++queue) {
        set(14, 2, queue);
        set(8, 4, ring_place(slot, queue) >> 12);
      }
      return set(18, 1, 7);
    case 3:
      (void)board.ports.read(base + input.take<uint8_t>() % 124, 1u << (choice >> 6 & 1) * 2);
      return;
    case 4:
      return set(input.take<uint8_t>() % 124, 1u << (choice >> 6), input.value());
    default:
      return set(16, 2, choice >> 5);
  }
}

/// Descriptors, and entries of the available ring that name them.
void change_ring(Machine& board, Input& input) {
  const unsigned slot = take_slot(board, input);
  const uint64_t ring = ring_place(slot, input.take<uint8_t>() % kQueues);
  const auto put = [&](uint64_t at, const auto value) {
    (void)board.memory->write(at, &value, sizeof value);
  };
  const unsigned index = input.take<uint8_t>() % 9;
  put(ring + index * 16, input.value());
  put(ring + index * 16 + 8, static_cast<uint32_t>(input.value()));
  put(ring + index * 16 + 12, input.take<uint16_t>());
  put(ring + index * 16 + 14, input.take<uint16_t>());
  if ((input.take<uint8_t>() & 1) == 0) return;
  put(ring + 0x1000 + 4 + index * 2, static_cast<uint16_t>(input.take<uint8_t>() % 9));
  put(ring + 0x1000 + 2,
      static_cast<uint16_t>(input.take<uint8_t>() % 4 == 0 ? input.take<uint16_t>() : index));
}

/// A SCSI command or a function that is well formed, so that what it says is looked at.
void submit_scsi(Machine& board, Input& input) {
  const auto slot = static_cast<unsigned>(board.slots.size() - 1);
  constexpr uint64_t kHeader = 0x3e000, kStatus = kHeader + 0x100, kDataPlace = kHeader + 0x400;
  const unsigned queue = (input.take<uint8_t>() & 3) == 0 ? 0 : 2 + (input.take<uint8_t>() & 1);
  const uint64_t ring = ring_place(slot, queue);
  const auto put = [&](uint64_t at, const auto value) {
    (void)board.memory->write(at, &value, sizeof value);
  };
  const auto choice = input.take<uint8_t>();
  if (queue == 0) {
    put(kHeader, virtio::TaskManagement{.type = static_cast<virtio::ScsiControl>(choice >> 6),
                                        .function = static_cast<virtio::TaskFunction>(choice & 7),
                                        .address = {1, 0, 0, static_cast<uint8_t>(choice >> 3 & 3)},
                                        .tag = input.take<uint8_t>()});
  } else {
    put(kHeader, virtio::ScsiCommandHeader{.address = {1, 0, 0, static_cast<uint8_t>(choice & 3)},
                                           .tag = input.take<uint8_t>()});
    storage::scsi::Cdb cdb{};
    for (uint8_t& byte : cdb) byte = (choice & 4) != 0 ? input.take<uint8_t>() : uint8_t{0};
    cdb[0] = input.take<uint8_t>();
    cdb[8] = input.take<uint8_t>() & 15;
    put(kHeader + sizeof(virtio::ScsiCommandHeader), cdb);
  }
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  const bool sends = (choice & 8) != 0;
  put(ring, Descriptor{kHeader, queue == 0 ? 24u : 51u, 1, sends ? uint16_t{1} : uint16_t{2}});
  put(ring + 16, Descriptor{kDataPlace, 512u * (choice >> 6), 1, 2});
  put(ring + 32, Descriptor{kStatus, queue == 0 ? 5u : 108u, sends ? uint16_t{2} : uint16_t{3}, 3});
  put(ring + 48, Descriptor{kDataPlace, 512u * (choice >> 6), 2, 0});
  uint16_t available = 0;
  (void)board.memory->read(ring + 0x1002, &available, sizeof available);
  put(ring + 0x1004 + available % 8 * 2, uint16_t{0});
  put(ring + 0x1002, static_cast<uint16_t>(available + 1));
  board.mmio.write(board.bar(slot, 0) + 0x3000 + 4 * queue, 2, queue);
}

void access_bar(Machine& board, Input& input) {
  const unsigned slot = take_slot(board, input);
  const uint64_t bar = board.bar(slot, input.take<uint8_t>() & 1);
  const auto where = input.take<uint16_t>();
  // Most registers are in the first bytes of the four structures.
  const uint64_t offset = (where & 0x8000) != 0 ? where & 0x3fff : (where & 0x3000) | (where & 0x3f);
  const unsigned size = 1u << (input.take<uint8_t>() & 3);
  if ((input.take<uint8_t>() & 1) != 0) {
    (void)board.mmio.read(bar + offset, size);
  } else {
    board.mmio.write(bar + offset, size, input.value());
  }
}

/// What the network has for the guest: finished or not, right or not.
void receive(Machine& board, Input& input, std::vector<uint8_t>& frame) {
  frame.assign(14 + input.take<uint16_t>(), input.take<uint8_t>());
  const net::Offload offload = {.sum_missing = (frame[0] & 1) != 0,
                                .sum_valid = (frame[0] & 2) != 0,
                                .sum_start = input.take<uint16_t>(),
                                .sum_offset = input.take<uint8_t>(),
                                .cut = static_cast<net::Cut>(input.take<uint8_t>() % 3),
                                .segment = input.take<uint16_t>()};
  net::Card& card = *board.cable.card;
  if (offload.finished() || (card.takes(offload) && check(frame, offload)))
    (void)card.receive_large(frame, offload);
}

/// A driver's header and the packet behind it, and what comes of it: always what it is said to be.
void send(Machine& board, Input& input, std::vector<uint8_t>& frame) {
  constexpr uint64_t kAt = kMemory - 0x3000;
  static_assert(kAt >= kRings + kRingPlaces * kRingBytes);
  std::array<uint8_t, 12 + 14 + 20 + 20> bytes = {1, 1, 54, 0, 0x78, 5, 34, 0, 16, 0};
  bytes[12 + 12] = 8;
  bytes[12 + 14] = 0x45;
  bytes[12 + 14 + 9] = 6;
  bytes[12 + 34 + 12] = 0x50;
  for (unsigned i = 0; i < 3; ++i) bytes[input.take<uint8_t>() % bytes.size()] = input.take<uint8_t>();
  (void)board.memory->write(kAt, bytes.data(), bytes.size());
  const uint64_t ring = ring_place(kNetSlot, 1);
  const auto put = [&](uint64_t at, const auto value) {
    (void)board.memory->write(at, &value, sizeof value);
  };
  put(ring, kAt);
  put(ring + 8, static_cast<uint32_t>(bytes.size() + input.take<uint16_t>() % 0x2000));
  put(ring + 12, uint32_t{0});
  uint16_t available = 0;
  (void)board.memory->read(ring + 0x1002, &available, sizeof available);
  put(ring + 0x1004 + available % 8 * 2, uint16_t{0});
  put(ring + 0x1002, static_cast<uint16_t>(available + 1));
  for (unsigned i = 0; i < 64; ++i) {
    if ((input.take<uint8_t>() & 1) != 0) {
      if (!board.cable.card->next_frame(frame)) return;
      EIDOLON_ASSERT(frame.size() <= net::kLongestFrame);
    } else {
      net::Offload offload;
      if (!board.cable.card->next_large(frame, offload)) return;
      EIDOLON_ASSERT(check(frame, offload));
      net::Segments segments;
      EIDOLON_ASSERT(segments.begin(frame, offload));
      for (unsigned cut = 0; cut < 16 && segments.next(frame); ++cut)
        EIDOLON_ASSERT(frame.size() <= net::kLongestFrame);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto board = std::make_unique<Machine>();
  Input input({data, size});
  std::vector<uint8_t> frame;
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        set_up(*board, input);
        break;
      case 1:
      case 2:
        fuzz::access_configuration(*board, input, static_cast<unsigned>(board->slots.size()));
        break;
      case 3:
      case 4:
        access_bar(*board, input);
        break;
      case 5:
        use_mmio(*board, input);
        break;
      case 11:
        board->balloon->set_target(input.value());
        (void)board->balloon->report(std::chrono::milliseconds(0));
        board->keyboard->key({.code = input.take<uint16_t>(), .down = (input.take<uint8_t>() & 1) != 0});
        board->tablet->pointer({.absolute = true,
                                .x = static_cast<int32_t>(input.value()),
                                .y = static_cast<int32_t>(input.value()),
                                .wheel = static_cast<int32_t>(input.value()),
                                .buttons = input.take<uint8_t>()});
        break;
      case 12: {
        Wire& wire = board->wires[input.take<uint8_t>() & 1];
        frame.resize(1 + input.take<uint16_t>() % 1500);
        if (const size_t count = wire.port_->send_some(frame); count > frame.size()) std::abort();
        if (wire.port_->receive(frame) > frame.size()) std::abort();
        wire.connected_ = (input.take<uint8_t>() & 1) != 0;
        wire.port_->channel_changed();
        break;
      }
      case 13: {
        virtio::VsockPacket packet;
        if (board->sockets.guest_->next_packet(packet) &&
            packet.payload.size() > virtio::VsockGuest::kMostPayload)
          std::abort();
        frame.resize(input.take<uint16_t>());
        const auto taken = board->sockets.guest_->receive(
            packet.life + (input.take<uint8_t>() & 1), {.operation = virtio::VsockOperation::kData}, frame);
        if (taken && *taken > frame.size()) std::abort();
        break;
      }
      case 6:
        receive(*board, input, frame);
        break;
      case 7:
        send(*board, input, frame);
        break;
      case 8:
      case 9: {
        const unsigned slot = take_slot(*board, input);
        board->mmio.write(board->bar(slot, 0) + 0x3000 + 4 * (input.take<uint8_t>() % kQueues), 2, 0);
        break;
      }
      case 10:
        use_legacy(*board, input);
        break;
      case 14:
        submit_scsi(*board, input);
        break;
      default:
        change_ring(*board, input);
        break;
    }
  }
  return 0;
}
