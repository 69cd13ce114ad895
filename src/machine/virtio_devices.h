// The virtio devices of a machine: made from its configuration and put on the PCI bus, or on MMIO.
#pragma once

#include <memory>
#include <vector>

#include "device/input/input.h"
#include "device/net/link.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "device/virtio/balloon.h"
#include "device/virtio/mmio_transport.h"
#include "device/virtio/pci_transport.h"
#include "device/virtio/scsi.h"
#include "machine/machine_config.h"
#include "memory/doorbells.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class VirtioDevices {
 public:
  /// None of the devices goes on the PCI bus. Before they are added. `memory` outlives remove_all().
  void use_mmio(memory::GuestMemory& memory) { mmio_memory_ = &memory; }
  /// Drivers that are older than virtio 1.0 can use those that were there then. Before they are added.
  void use_transitional() { form_ = device::virtio::PciForm::kTransitional; }
  /// Those on MMIO answer from now on. After all were added.
  Result<> attach(memory::IoBus& mmio);
  /// Who takes the doorbells of those on MMIO, or null: nobody. While all processors stand.
  void give_doorbells(memory::Doorbells* taker);
  /// How many are on MMIO, from boot::virtio_base() on.
  [[nodiscard]] unsigned on_mmio() const {
    return mmio_memory_ != nullptr ? static_cast<unsigned>(slots_.size()) : 0;
  }
  /// What a snapshot has of those.
  [[nodiscard]] std::vector<Stateful*> parts() const;
  /// Where firmware finds the device that is added next; on a PCI bus it is a `node`.
  [[nodiscard]] std::string boot_path(std::string_view node, const device::pci::Root& root) const;

  /// Those that every machine has. Starts no thread.
  void add(const MachineConfig& config, device::pci::Root& root);
  /// The console, if the configuration has ports. Opens what they lead to.
  Result<> add_console(const MachineConfig& config, device::pci::Root& root);
  /// Sockets, if the configuration has a path for them. After add_balloon(), as any that is newer.
  Result<> add_vsock(const MachineConfig& config, device::pci::Root& root);
  /// One for each folder that is shared. After add_vsock().
  Result<> add_shares(const MachineConfig& config, device::pci::Root& root, memory::GuestMemory& memory);
  /// After add_shares(). What the user does reaches them by `input`, which outlives them.
  void add_input(const InputDevices& config, device::pci::Root& root, device::input::Input& input);
  /// After all older devices of the bus, whose places it leaves as they are.
  void add_balloon(const MachineConfig& config, device::pci::Root& root);
  // What a device stands on outlives remove_all().
  void add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium, std::string serial,
                unsigned queues);
  void add_pmem(device::pci::Root& root, size_t number, device::storage::Medium& medium,
                memory::GuestPhysical start);
  // Those that another process serves, at `socket`. `memory` is shared.
  Result<> add_served_network(device::pci::Root& root, size_t number, const std::string& socket,
                              const device::net::MacAddress& address, memory::GuestMemory& memory);
  Result<> add_served_disk(device::pci::Root& root, size_t number, const std::string& socket, unsigned queues,
                           memory::GuestMemory& memory);
  /// The controller, for units to be attached to before the machine runs. On the bus at once.
  [[nodiscard]] device::virtio::Scsi& add_scsi(device::pci::Root& root, unsigned request_queues);
  void add_network(device::pci::Root& root, size_t number, device::net::Link& link,
                   const device::net::MacAddress& address, unsigned processors);
  /// Ends their threads, and them. Once, before what they interrupt is destroyed.
  void remove_all() {
    balloon_ = nullptr;
    slots_.clear();
  }
  /// Null: there is none.
  [[nodiscard]] device::virtio::Balloon* balloon() const { return balloon_; }

 private:
  /// A device uses its transport until its threads have ended: it goes first.
  struct Slot {
    std::unique_ptr<device::virtio::PciTransport> pci;  ///< or
    std::unique_ptr<device::virtio::MmioTransport> mmio;
    std::unique_ptr<device::virtio::Device> device;
  };
  void put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device) {
    put(root, std::move(device), form_);
  }
  void put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device,
           device::virtio::PciForm form);
  /// Who serves it is of virtio 1.0 or younger, and so have drivers to be.
  void put_served(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device) {
    put(root, std::move(device), device::virtio::PciForm::kModern);
  }
  void give_doorbells_of(unsigned number);

  std::vector<Slot> slots_;
  memory::GuestMemory* mmio_memory_ = nullptr;  ///< null: the devices are on PCI
  device::virtio::PciForm form_ = device::virtio::PciForm::kModern;
  device::virtio::Balloon* balloon_ = nullptr;  ///< in slots_
  memory::Doorbells* doorbell_taker_ = nullptr;
  std::vector<memory::Doorbell> doorbells_;  ///< that it has
};

}  // namespace eidolon::machine
