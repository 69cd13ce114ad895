#include "machine/virtio_devices.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "boot/memory_layout.h"
#include "device/virtio/block.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/input_keyboard.h"
#include "device/virtio/input_tablet.h"
#include "device/virtio/net.h"
#include "device/virtio/pmem.h"
#include "device/virtio/rng.h"
#include "device/virtio/vsock.h"
#include "machine/boot_order.h"
#include "memory/attach_device.h"
#include "vhost/block.h"
#include "vhost/fs.h"
#include "vhost/net.h"

namespace eidolon::machine {

static_assert(boot::kVirtioBytes == device::virtio::MmioTransport::kBytes);
static_assert(boot::kVirtioFirstPin + boot::kVirtioPins ==
              device::pci::Pirq::kFirstPin + device::pci::Pirq::kLines);

void VirtioDevices::add(const MachineConfig& config, device::pci::Root& root) {
  // A recording cannot hold what a device's thread writes into memory.
  if (config.engine != EngineChoice::kLockstep)
    put(root, std::make_unique<device::virtio::Rng>("virtio-rng0"));
}

Result<> VirtioDevices::add_console(const MachineConfig& config, device::pci::Root& root) {
  if (config.ports.empty()) return {};
  device::Channel* console = nullptr;
  std::vector<device::virtio::Console::Named> named;
  for (const PortConfig& port : config.ports) {
    if (!port.channel)
      return fail("the machine has ports, and this command leads them nowhere; use eidolon run");
    if (port.name.empty()) {
      console = port.channel.get();
    } else {
      named.push_back({.name = port.name, .channel = port.channel.get()});
    }
  }
  put(root, std::make_unique<device::virtio::Console>("virtio-console0", console, named));
  return {};
}

void VirtioDevices::add_balloon(const MachineConfig& config, device::pci::Root& root) {
  if (!config.balloon || config.engine == EngineChoice::kLockstep) return;
  auto balloon = std::make_unique<device::virtio::Balloon>("virtio-balloon0");
  balloon_ = balloon.get();
  put(root, std::move(balloon));
}

Result<> VirtioDevices::add_vsock(const MachineConfig& config, device::pci::Root& root) {
  if (config.vsock.path.empty()) return {};
  if (!config.vsock.wire)
    return fail("the machine has sockets (vsock), and this command leads them nowhere; use eidolon run");
  put(root, std::make_unique<device::virtio::Vsock>("virtio-vsock0", *config.vsock.wire, config.vsock.cid));
  return {};
}

Result<> VirtioDevices::add_shares(const MachineConfig& config, device::pci::Root& root,
                                   memory::GuestMemory& memory) {
  for (size_t number = 0; number < config.shares.size(); ++number) {
    const ShareConfig& share = config.shares[number];
    const std::string name = fmt::format("virtio-fs{}", number);
    if (share.served) {
      put_served(root, EIDOLON_TRY(vhost::make_fs(name, share.path, share.tag, memory)));
      continue;
    }
    if (!share.server)
      return fail("the machine has shared folders, and this command opens none; use eidolon run");
    put(root, std::make_unique<device::virtio::Fs>(name, *share.server, share.tag));
  }
  return {};
}

void VirtioDevices::add_input(const InputDevices& config, device::pci::Root& root,
                              device::input::Input& input) {
  if (config.tablet) {
    auto tablet = std::make_unique<device::virtio::InputTablet>("virtio-tablet0");
    input.add(*tablet);
    put(root, std::move(tablet));
  }
  if (config.keyboard) {
    auto keyboard = std::make_unique<device::virtio::InputKeyboard>("virtio-keyboard0");
    input.add(*keyboard);
    put(root, std::move(keyboard));
  }
}

void VirtioDevices::add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium,
                             std::string serial, unsigned queues) {
  put(root, std::make_unique<device::virtio::Block>(fmt::format("virtio-blk{}", number), medium,
                                                    std::move(serial), queues));
}

void VirtioDevices::add_pmem(device::pci::Root& root, size_t number, device::storage::Medium& medium,
                             memory::GuestPhysical start) {
  put(root, std::make_unique<device::virtio::Pmem>(fmt::format("virtio-pmem{}", number), medium, start));
}

Result<> VirtioDevices::add_served_disk(device::pci::Root& root, size_t number, const std::string& socket,
                                        unsigned queues, memory::GuestMemory& memory) {
  put_served(root,
             EIDOLON_TRY(vhost::make_block(fmt::format("virtio-blk{}", number), socket, queues, memory)));
  return {};
}

Result<> VirtioDevices::add_served_network(device::pci::Root& root, size_t number, const std::string& socket,
                                           const device::net::MacAddress& address,
                                           memory::GuestMemory& memory) {
  put_served(root,
             EIDOLON_TRY(vhost::make_net(fmt::format("virtio-net{}", number), socket, address, memory)));
  return {};
}

device::virtio::Scsi& VirtioDevices::add_scsi(device::pci::Root& root, unsigned request_queues) {
  auto controller = std::make_unique<device::virtio::Scsi>("virtio-scsi0", request_queues);
  device::virtio::Scsi& added = *controller;
  put(root, std::move(controller));
  return added;
}

void VirtioDevices::add_network(device::pci::Root& root, size_t number, device::net::Link& link,
                                const device::net::MacAddress& address, unsigned processors) {
  using device::virtio::Net;
  put(root, std::make_unique<Net>(fmt::format("virtio-net{}", number), link, address,
                                  std::min(processors, Net::kMostPairs)));
}

void VirtioDevices::put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device,
                        device::virtio::PciForm form) {
  Slot slot;
  if (mmio_memory_ != nullptr) {
    const unsigned line = boot::virtio_pin(on_mmio()) - device::pci::Pirq::kFirstPin;
    slot.mmio =
        std::make_unique<device::virtio::MmioTransport>(*device, *mmio_memory_, root.pirq().source(line));
  } else {
    slot.pci = std::make_unique<device::virtio::PciTransport>(*device, form);
    root.add(root.free_device(), 0, *slot.pci);
  }
  slot.device = std::move(device);
  slots_.push_back(std::move(slot));
}

Result<> VirtioDevices::attach(memory::IoBus& mmio) {
  if (on_mmio() > boot::kMostVirtio)
    return fail(
        "there is room for {} devices of virtio on MMIO, and this machine has {}; leave out disks, network "
        "cards or shared folders, or put disks on the SCSI controller (if=scsi)",
        boot::kMostVirtio, on_mmio());
  for (unsigned i = 0; i < on_mmio(); ++i)
    EIDOLON_TRY(memory::attach_device(mmio, *mmio_memory_, boot::virtio_base(i), boot::kVirtioBytes,
                                      *slots_[i].mmio, slots_[i].device->shape().name));
  return {};
}

void VirtioDevices::give_doorbells(memory::Doorbells* taker) {
  for (const memory::Doorbell& doorbell : doorbells_) doorbell_taker_->disconnect(doorbell);
  doorbells_.clear();
  doorbell_taker_ = taker;
  for (unsigned i = 0; taker != nullptr && i < on_mmio(); ++i) give_doorbells_of(i);
}

void VirtioDevices::give_doorbells_of(unsigned number) {
  const device::virtio::Device& device = *slots_[number].device;
  for (unsigned queue = 0; queue < device.shape().queue_sizes.size(); ++queue) {
    const memory::Doorbell doorbell = {
        .address = boot::virtio_base(number) + device::virtio::MmioTransport::kNotifyAt,
        .value = queue,
        .event = device.doorbell(queue)};
    if (doorbell.event >= 0 && doorbell_taker_->connect(doorbell)) doorbells_.push_back(doorbell);
  }
}

std::vector<Stateful*> VirtioDevices::parts() const {
  std::vector<Stateful*> parts;
  for (const Slot& slot : slots_)
    if (slot.mmio) parts.push_back(slot.mmio.get());
  return parts;
}

std::string VirtioDevices::boot_path(std::string_view node, const device::pci::Root& root) const {
  if (mmio_memory_ != nullptr) return fmt::format("/virtio-mmio@{:016x}", boot::virtio_base(on_mmio()));
  return BootOrder::pci_path(node, root.free_device());
}

}  // namespace eidolon::machine
