// The virtio devices of a machine: made from its configuration and put on the PCI bus.
#pragma once

#include <memory>
#include <vector>

#include "device/net/link.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "device/virtio/balloon.h"
#include "device/virtio/pci_transport.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

class VirtioDevices {
 public:
  /// Those that every machine has. Starts no thread.
  void add(const MachineConfig& config, device::pci::Root& root);
  /// The console, if the configuration has ports. Opens what they lead to.
  Result<> add_console(const MachineConfig& config, device::pci::Root& root);
  /// Sockets, if the configuration has a path for them. After add_balloon(), as any that is newer.
  Result<> add_vsock(const MachineConfig& config, device::pci::Root& root);
  /// One for each folder that is shared. After add_vsock().
  Result<> add_shares(const MachineConfig& config, device::pci::Root& root);
  /// After all older devices of the bus, whose places it leaves as they are.
  void add_balloon(const MachineConfig& config, device::pci::Root& root);
  // What a device stands on outlives remove_all().
  void add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium, std::string serial);
  void add_network(device::pci::Root& root, device::net::Link& link, const device::net::MacAddress& address);
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
    std::unique_ptr<device::virtio::PciTransport> transport;
    std::unique_ptr<device::virtio::Device> device;
  };
  void put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device);

  std::vector<Slot> slots_;
  device::virtio::Balloon* balloon_ = nullptr;  ///< in slots_
};

}  // namespace eidolon::machine
