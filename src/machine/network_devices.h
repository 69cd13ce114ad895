// The network cards of a machine, the networks behind them, and what listens in between.
#pragma once

#include <memory>
#include <vector>

#include "backend/exclusive.h"
#include "backend/user_network.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/state_stream.h"
#include "device/net/ne2000.h"
#include "device/pci/function.h"
#include "device/pci/root.h"
#include "interrupt/irq_router.h"
#include "machine/boot_order.h"
#include "machine/machine_config.h"
#include "machine/virtio_devices.h"
#include "memory/io_bus.h"

namespace eidolon::machine {

class NetworkDevices {
 public:
  /// Where cards are put.
  struct Board {
    device::pci::Root& pci;
    memory::IoBus& ports;
    interrupt::IrqRouter& irqs;
    TimerQueue& timers;
    BootOrder& order;
    memory::GuestMemory& memory;
  };
  /// Paravirtual cards become some of `virtio`, whose devices end before this. Starts no thread.
  Result<> add(const MachineConfig& machine, const Board& board, VirtioDevices& virtio);
  /// Once, before what the cards interrupt is destroyed.
  void remove_cards() {
    cards_.clear();
    isa_cards_.clear();
  }
  /// Of what only one process may have.
  void let_go();
  /// False: others have something of it, and what was published there is not any more.
  [[nodiscard]] bool take_back();
  /// What a snapshot has of the networks, and the cards that are on no PCI bus.
  [[nodiscard]] std::vector<Stateful*> parts() const;

 private:
  Result<> add_isa(const NetworkConfig& config, std::string name, const Board& board,
                   device::net::Link& link);
  /// What a card is to be plugged into.
  Result<device::net::Link*> make_link(const NetworkConfig& config);
  Result<std::unique_ptr<device::net::Link>> make_network(const NetworkConfig& config);
  template <typename Network>
  std::unique_ptr<Network> with_exclusive(std::unique_ptr<Network> network);

  // Each plugged into one before it.
  std::vector<std::unique_ptr<device::net::Link>> links_;
  std::vector<std::unique_ptr<device::pci::Function>> cards_;
  std::vector<std::unique_ptr<device::net::Ne2000Isa>> isa_cards_;
  // In links_.
  std::vector<backend::UserNetwork*> users_;
  std::vector<backend::Exclusive*> exclusive_;
};

}  // namespace eidolon::machine
