// A hostile driver: a PCI bus with virtio devices on it, driven by the input's bytes. Each operation is an
// access to configuration space, to a BAR, a proper set-up of a queue, a change of the rings in memory, a
// notification, a frame from the network, or a snapshot that is loaded back, damaged or not.
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.h"
#include "device/pci/config_access.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/placement.h"
#include "device/virtio/block.h"
#include "device/virtio/net.h"
#include "device/virtio/pci_transport.h"
#include "device/virtio/rng.h"
#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"
#include "memory/io_bus.h"

namespace {

using namespace eidolon;
using namespace eidolon::device;

constexpr uint64_t kMemory = 256 << 10;
constexpr uint64_t kRings = 0x1000, kRingBytes = 0x3000;

class SmallMedium final : public storage::Medium {
 public:
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] bool read_only() const override { return false; }
  storage::IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    for (const iovec& part : into) {
      check(offset, part.iov_len);
      std::memset(part.iov_base, 0x11, part.iov_len);
      offset += part.iov_len;
    }
    return storage::IoStatus::kDone;
  }
  storage::IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    for (const iovec& part : from) {
      check(offset, part.iov_len);
      uint8_t sum = 0;
      for (size_t i = 0; i < part.iov_len; ++i) sum ^= static_cast<const uint8_t*>(part.iov_base)[i];
      sum_ = sum;
      offset += part.iov_len;
    }
    return storage::IoStatus::kDone;
  }
  storage::IoStatus flush() override { return storage::IoStatus::kDone; }
  storage::IoStatus discard(uint64_t offset, uint64_t length) override {
    check(offset, length);
    return storage::IoStatus::kFailed;
  }
  storage::IoStatus write_zeroes(uint64_t offset, uint64_t length, bool /*may_unmap*/) override {
    check(offset, length);
    return storage::IoStatus::kDone;
  }

 private:
  void check(uint64_t offset, uint64_t length) const {
    EIDOLON_ASSERT(offset <= bytes_.size() && length <= bytes_.size() - offset);
  }
  std::array<uint8_t, 64 << 10> bytes_{};
  std::atomic<uint8_t> sum_{0};
};

class Cable final : public net::Link {
 public:
  void plug(net::Card* card) override { card_ = card; }
  void wake() override {}
  net::Card* card_ = nullptr;
};

struct Board {
  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events;
  interrupt::Pic pic;
  interrupt::ApicBus apics;
  interrupt::LocalApic local{apics, timers, 0, true, &pic};
  interrupt::IoApic io_apic{apics};
  interrupt::IrqRouter irqs{&pic, &io_apic};
  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(kMemory);
  memory::IoBus ports, mmio;
  class Nothing final : public memory::IoHandler {
    uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return 0; }
    void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {}
  } reset_control;
  pci::Root root{*memory, apics, irqs};
  pci::HostBridge bridge{root};
  pci::Lpc lpc{root.pirq()};
  pci::ConfigPorts config_ports{root, reset_control};
  SmallMedium medium;
  Cable cable;
  struct Slot {
    std::unique_ptr<virtio::PciTransport> transport;
    std::unique_ptr<virtio::Device> device;
  };
  std::vector<Slot> slots;

  Board() {
    EIDOLON_ASSERT(memory->add_region(0, kMemory, memory::RegionKind::kRam).has_value());
    apics.connect(local);
    apics.connect(io_apic);
    local.attach(events, {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
    root.add(0, 0, bridge);
    root.add(pci::Lpc::kDevice, 0, lpc);
    put(std::make_unique<virtio::Block>("blk", medium, "serial"));
    put(std::make_unique<virtio::Net>("net", cable, virtio::Net::kFirstAddress));
    put(std::make_unique<virtio::Rng>("rng"));
    const pci::Windows windows = {.ports = {0xc000, 0x10000},
                                  .memory32 = {0xc0000000, 0xd0000000},
                                  .memory64 = {0x4'00000000, 0x8'00000000},
                                  .config = 0xe0000000};
    EIDOLON_ASSERT(pci::place(root, bridge, lpc, windows).has_value());
    EIDOLON_ASSERT(ports.attach(pci::ConfigPorts::kPort, 8, config_ports, "config").has_value());
    ports.set_fallback(&root.ports());
    mmio.set_fallback(&root.addresses());
  }
  void put(std::unique_ptr<virtio::Device> device) {
    Slot slot{.transport = std::make_unique<virtio::PciTransport>(*device), .device = std::move(device)};
    root.add(root.free_device(), 0, *slot.transport);
    slots.push_back(std::move(slot));
  }
  [[nodiscard]] uint64_t bar(unsigned slot, unsigned number) const {
    return root.config_read(0, (slot + 1) << 3, 0x10 + 4 * number, 4) & ~15u;
  }
};

/// The input, as a source of numbers; zeros when it is used up.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const size_t length = std::min(sizeof(T), bytes_.size());
    std::memcpy(&value, bytes_.data(), length);
    bytes_ = bytes_.subspan(length);
    return value;
  }
  /// Small numbers and places in memory find more than uniform ones.
  uint64_t value() {
    const auto kind = take<uint8_t>();
    switch (kind & 3) {
      case 0:
        return kind >> 2;
      case 1:
        return take<uint32_t>() % (kMemory + 0x100);
      case 2:
        return ~uint64_t{0} >> (kind >> 2);
      default:
        return take<uint64_t>();
    }
  }

 private:
  std::span<const uint8_t> bytes_;
};

unsigned take_slot(Board& board, Input& input) {
  return static_cast<unsigned>(input.take<uint8_t>() % board.slots.size());
}

uint64_t ring_place(unsigned slot, unsigned queue) { return kRings + (slot * 2 + queue) * kRingBytes; }

/// What an honest driver does, up to DRIVER_OK.
void set_up(Board& board, Input& input) {
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
                            ((choice & 8) != 0 ? 1u << 15 : 0);
  for (unsigned half = 0; half < 2; ++half) {
    set(0x08, 4, half);
    set(0x0c, 4, (features & board.slots[slot].device->offered_features()) >> (32 * half) & 0xffffffff);
  }
  set(0x14, 1, 11);
  for (unsigned queue = 0; queue < 2; ++queue) {
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
void change_ring(Board& board, Input& input) {
  const unsigned slot = take_slot(board, input);
  const uint64_t ring = ring_place(slot, input.take<uint8_t>() & 1);
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

void access_configuration(Board& board, Input& input) {
  const unsigned devices = static_cast<unsigned>(board.slots.size()) + 2;
  const unsigned device = input.take<uint8_t>() % devices;
  const unsigned at = device == devices - 1 ? pci::Lpc::kDevice : device;
  const unsigned size = 1u << input.take<uint8_t>() % 3;
  const unsigned offset = input.take<uint16_t>() % ((input.take<uint8_t>() & 3) != 0 ? 0x100 : 0x1000);
  if ((input.take<uint8_t>() & 1) != 0) {
    (void)board.root.config_read(0, at << 3, offset, size);
  } else {
    board.root.config_write(0, at << 3, offset, size, static_cast<uint32_t>(input.value()));
  }
}

void access_bar(Board& board, Input& input) {
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

void snapshot(Board& board, Input& input) {
  pci::Function& function = *board.slots[take_slot(board, input)].transport;
  StateWriter writer;
  function.save(writer);
  std::vector<uint8_t> bytes = writer.bytes();
  for (unsigned damage = input.take<uint8_t>() % 8; damage > 0; --damage)
    bytes[input.take<uint16_t>() % bytes.size()] = input.take<uint8_t>();
  StateReader reader(bytes);
  function.load(reader);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto board = std::make_unique<Board>();
  Input input({data, size});
  std::vector<uint8_t> frame;
  while (!input.empty()) {
    switch (input.take<uint8_t>() & 0xf) {
      case 0:
        set_up(*board, input);
        break;
      case 1:
      case 2:
        access_configuration(*board, input);
        break;
      case 3:
      case 4:
        access_bar(*board, input);
        break;
      case 5:
        if ((input.take<uint8_t>() & 7) == 0) snapshot(*board, input);
        break;
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
        board->mmio.write(board->bar(slot, 0) + 0x3000 + 4 * (input.take<uint8_t>() & 1), 2, 0);
        break;
      }
      default:
        change_ring(*board, input);
        break;
    }
  }
  return 0;
}
