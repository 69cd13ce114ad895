// A hostile driver: a PCI bus with virtio devices on it, driven by the input's bytes. Each operation is an
// access to configuration space, to a BAR, a proper set-up of a queue, a change of the rings in memory, a
// notification, a frame from the network, packets of sockets, a request of the host's, or a snapshot that is
// loaded back, damaged or not.
#include "device/virtio/balloon.h"
#include "device/virtio/block.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/net.h"
#include "device/virtio/pci_transport.h"
#include "device/virtio/rng.h"
#include "device/virtio/vsock.h"
#include "pci_board.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;
using fuzz::Input;
using fuzz::kMemory;
using fuzz::SmallMedium;

constexpr uint64_t kRings = 0x1000, kRingBytes = 0x3000, kRingPlaces = 20;
static_assert(kRings + kRingPlaces * kRingBytes <= kMemory);
constexpr unsigned kQueues = 6;  ///< those that a device does not have are not there to be set up

class Cable final : public net::Link {
 public:
  void plug(net::Card* card) override { card_ = card; }
  void wake() override {}
  net::Card* card_ = nullptr;
};

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
  Cable cable;
  std::array<Wire, 2> wires;
  Sockets sockets;
  Files files;
  struct Slot {
    std::unique_ptr<virtio::PciTransport> transport;
    std::unique_ptr<virtio::Device> device;
  };
  std::vector<Slot> slots;
  virtio::Balloon* balloon = nullptr;

  Machine() {
    put(std::make_unique<virtio::Block>("blk", medium, "serial"));
    put(std::make_unique<virtio::Net>("net", cable, net::kFirstAddress));
    put(std::make_unique<virtio::Rng>("rng"));
    put(std::make_unique<virtio::Balloon>("balloon"));
    balloon = static_cast<virtio::Balloon*>(slots.back().device.get());
    put(std::make_unique<virtio::Console>(
        "console", &wires[0], std::vector<virtio::Console::Named>{{.name = "port", .channel = &wires[1]}}));
    put(std::make_unique<virtio::Vsock>("vsock", sockets, 3));
    put(std::make_unique<virtio::Fs>("fs", files, "tag"));
    place();
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
                            ((choice & 8) != 0 ? 1u << 15 : 0) | (choice >> 4);
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
        if ((input.take<uint8_t>() & 7) == 0)
          fuzz::snapshot(*board->slots[take_slot(*board, input)].transport, input);
        break;
      case 11:
        board->balloon->set_target(input.value());
        (void)board->balloon->report(std::chrono::milliseconds(0));
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
        frame.resize(14 + input.take<uint16_t>() % 1500);
        (void)board->cable.card_->receive(frame);
        break;
      case 7:
        for (unsigned i = 0; i < 64 && board->cable.card_->next_frame(frame); ++i)
          EIDOLON_ASSERT(frame.size() <= net::kLongestFrame);
        break;
      case 8:
      case 9:
      case 10: {
        const unsigned slot = take_slot(*board, input);
        board->mmio.write(board->bar(slot, 0) + 0x3000 + 4 * (input.take<uint8_t>() % kQueues), 2, 0);
        break;
      }
      default:
        change_ring(*board, input);
        break;
    }
  }
  return 0;
}
