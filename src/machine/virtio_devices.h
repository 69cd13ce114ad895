// The virtio devices of a machine: made from its configuration and put on the PCI bus.
#pragma once

#include <memory>
#include <vector>

#include "backend/user_network.h"
#include "base/result.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "device/virtio/balloon.h"
#include "device/virtio/pci_transport.h"
#include "machine/boot_order.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

class VirtioDevices {
 public:
  /// All but the disks. Opens what the devices stand on. Starts no thread.
  Result<> add(const MachineConfig& config, device::pci::Root& root, BootOrder& order);
  /// After all other devices of the bus, whose places it leaves as they are.
  void add_balloon(const MachineConfig& config, device::pci::Root& root);
  /// `medium` outlives remove_all().
  void add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium, std::string serial);
  /// Ends their threads, and them. Once, before what they interrupt is destroyed.
  void remove_all() {
    balloon_ = nullptr;
    slots_.clear();
  }
  /// Null: there is none.
  [[nodiscard]] device::virtio::Balloon* balloon() const { return balloon_; }
  /// What is behind the network card; null: there is none.
  [[nodiscard]] Stateful* network() { return network_.get(); }

 private:
  /// A device uses its transport until its threads have ended: it goes first.
  struct Slot {
    std::unique_ptr<device::virtio::PciTransport> transport;
    std::unique_ptr<device::virtio::Device> device;
  };
  void put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device);
  Result<> add_network(const MachineConfig& config, device::pci::Root& root, BootOrder& order);

  std::unique_ptr<backend::UserNetwork> network_;
  std::vector<Slot> slots_;                     ///< after what they stand on
  device::virtio::Balloon* balloon_ = nullptr;  ///< in slots_
};

}  // namespace eidolon::machine
