// An xHCI controller on the bus of the PCI tests with a tablet in it, and a driver that sets it up as the
// specification says.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "device/usb/hid_tablet.h"
#include "device/usb/xhci_controller.h"
#include "pci/fixture.h"

namespace eidolon::device::usb {

class XhciTest : public pci::PciTest {
 protected:
  using Trb = xhci::Trb;
  using Code = xhci::Code;

  static constexpr unsigned kSlot = 5;
  static constexpr GuestPhysical kContexts = 0x10000, kCommands = 0x11000, kEvents = 0x12000,
                                 kTable = 0x13000, kInput = 0x14000, kDevice = 0x15000, kControl = 0x20000,
                                 kIn = 0x21000, kData = 0x30000;
  static constexpr unsigned kEntries = 64;
  static constexpr uint64_t kPort1 = 0x440;
  static constexpr unsigned kControlIndex = 1, kInIndex = 3;

  /// A ring that the driver writes.
  struct Ring {
    GuestPhysical base;
    unsigned index = 0;
    bool cycle = true;
  };

  XhciTest() {
    EXPECT_TRUE(controller.plug(tablet));
    root.add(kSlot, 0, controller);
    EXPECT_TRUE(pci::place(root, bridge, lpc, kWindows));
    write(kSlot, pci::kCommand, 2, 6);
    bar = read(kSlot, 0x10) & ~15u;
  }

  uint32_t get(uint64_t offset) { return static_cast<uint32_t>(mmio.read(bar + offset, 4)); }
  void set(uint64_t offset, uint32_t value) { mmio.write(bar + offset, 4, value); }
  void set64(uint64_t offset, uint64_t value) { mmio.write(bar + offset, 8, value); }
  uint32_t* word(GuestPhysical at) { return reinterpret_cast<uint32_t*>(memory->host(at, 4)); }

  void start() {
    const std::vector<uint8_t> zeroes(0x1000);
    for (const GuestPhysical ring : {kCommands, kEvents, kControl, kIn})
      EXPECT_TRUE(memory->write(ring, zeroes.data(), zeroes.size()));
    poke<uint64_t>(kTable, kEvents);
    poke<uint32_t>(kTable + 8, kEntries);
    set(0x78, 8);                // CONFIG: slots
    set64(0x70, kContexts);      // DCBAAP
    set64(0x58, kCommands | 1);  // CRCR
    set(0x1028, 1);              // ERSTSZ
    set64(0x1038, kEvents);      // ERDP
    set64(0x1030, kTable);       // ERSTBA
    set(0x1020, 2);              // IMAN
    set(0x40, 5);                // USBCMD: run, interrupts
    commands = {.base = kCommands};
    events = {.base = kEvents};
  }

  /// The word with the cycle bit last: the controller's thread looks at it.
  void put(Ring& ring, Trb trb) {
    const GuestPhysical at = ring.base + ring.index * sizeof trb;
    poke(at, trb.parameter);
    poke(at + 8, trb.status);
    __atomic_store_n(word(at + 12), trb.control | (ring.cycle ? 1 : 0), __ATOMIC_RELEASE);
    if (++ring.index < kEntries - 1) return;
    poke(at + 16, ring.base);
    poke(at + 24, 0u);
    __atomic_store_n(word(at + 28), xhci::trb_type(xhci::kLink) | 2 | (ring.cycle ? 1 : 0), __ATOMIC_RELEASE);
    ring.index = 0;
    ring.cycle = !ring.cycle;
  }
  std::optional<Trb> poll_event() {
    const GuestPhysical at = events.base + events.index * sizeof(Trb);
    const uint32_t control = __atomic_load_n(word(at + 12), __ATOMIC_ACQUIRE);
    if ((control & 1) != (events.cycle ? 1 : 0)) return std::nullopt;
    const Trb event = {.parameter = peek<uint64_t>(at), .status = peek<uint32_t>(at + 8), .control = control};
    if (++events.index == kEntries) {
      events.index = 0;
      events.cycle = !events.cycle;
    }
    return event;
  }
  void take_events() { set64(0x1038, (events.base + events.index * sizeof(Trb)) | 8); }
  /// The next event of a type; others are left out. An empty one after ten seconds.
  Trb wait_event(xhci::TrbType type) {
    std::optional<Trb> event;
    const bool came = wait_until([&] {
      event = poll_event();
      return event && event->type() == type;
    });
    EXPECT_TRUE(came);
    take_events();
    return event.value_or(Trb{});
  }
  bool quiet() {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return !poll_event().has_value();
  }
  static Code code(const Trb& event) { return static_cast<Code>(event.status >> 24); }

  Trb command(xhci::TrbType type, uint64_t parameter = 0, uint32_t control = 0) {
    put(commands, {.parameter = parameter, .control = xhci::trb_type(type) | control});
    set(0x2000, 0);
    return wait_event(xhci::kCommandCompletion);
  }
  void ring(unsigned slot, unsigned index) { set(0x2000 + 4 * slot, index); }

  /// An endpoint's input context.
  void put_endpoint(unsigned index, unsigned type, GuestPhysical ring_base) {
    const GuestPhysical at = kInput + 0x20 * (index + 1);
    poke<uint32_t>(at + 4, 8 << 16 | type << 3 | 3 << 1);
    poke<uint64_t>(at + 8, ring_base | 1);
  }
  void put_input(uint32_t add, uint32_t drop = 0) {
    poke<uint32_t>(kInput, drop);
    poke<uint32_t>(kInput + 4, add);
    poke<uint32_t>(kInput + 0x20, 3u << 27 | 1 << 20);
    poke<uint32_t>(kInput + 0x24, 1 << 16);
  }
  /// Port 1 is reset, and its device gets a slot and an address.
  void address() {
    set(kPort1, 1 << 9 | 1 << 4);
    EXPECT_EQ(code(command(xhci::kEnableSlot)), Code::kSuccess);
    poke<uint64_t>(kContexts + 8, kDevice);
    put_input(3);
    control_ring = {.base = kControl};
    put_endpoint(kControlIndex, 4, kControl);
    EXPECT_EQ(code(command(xhci::kAddressDevice, kInput, 1u << 24)), Code::kSuccess);
  }
  void put_control(uint8_t type, uint8_t request, uint16_t value, uint16_t length) {
    const usb::Setup setup = {.type = type, .request = request, .value = value, .index = 0, .length = length};
    uint64_t bytes = 0;
    std::memcpy(&bytes, &setup, sizeof bytes);
    put(control_ring, {.parameter = bytes, .status = 8, .control = xhci::trb_type(xhci::kSetupStage) | 0x40});
    const uint32_t in = setup.is_in() ? 1u << 16 : 0;
    if (length != 0)
      put(control_ring, {.parameter = kData,
                         .status = length,
                         .control = xhci::trb_type(xhci::kDataStage) | in | xhci::kShortInterrupt});
    put(control_ring, {.control = xhci::trb_type(xhci::kStatusStage) | (in ^ 1u << 16) | 0x20});
    ring(1, kControlIndex);
  }
  /// A control transfer of endpoint 0; its last event.
  Trb control(uint8_t type, uint8_t request, uint16_t value, uint16_t length) {
    put_control(type, request, value, length);
    Trb event = wait_event(xhci::kTransferEvent);
    if (code(event) == Code::kShortPacket) event = wait_event(xhci::kTransferEvent);
    return event;
  }
  /// The tablet's configuration and its IN endpoint.
  void configure() {
    address();
    EXPECT_EQ(code(control(0, 9, 1, 0)), Code::kSuccess);
    put_input(1 | 1 << kInIndex);
    in_ring = {.base = kIn};
    put_endpoint(kInIndex, 7, kIn);
    EXPECT_EQ(code(command(xhci::kConfigureEndpoint, kInput, 1u << 24)), Code::kSuccess);
  }
  void put_in(uint32_t length = 8) {
    put(in_ring, {.parameter = kData, .status = length, .control = xhci::trb_type(xhci::kNormal) | 0x24});
    ring(1, kInIndex);
  }
  unsigned endpoint_state(unsigned index) { return peek<uint32_t>(kDevice + 0x20 * index) & 7; }
  unsigned slot_state() { return peek<uint32_t>(kDevice + 12) >> 27; }

  /// The controller has a thread. False after ten seconds.
  static bool wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  HidTablet tablet{"tablet"};
  XhciController controller{"xhci", clock};
  uint64_t bar = 0;
  Ring commands{}, events{}, control_ring{}, in_ring{};
};

}  // namespace eidolon::device::usb
