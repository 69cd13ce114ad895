// The network card of a machine, the network behind it, and what listens in between.
#pragma once

#include <memory>

#include "backend/capture.h"
#include "backend/switch_link.h"
#include "backend/user_network.h"
#include "base/clock.h"
#include "base/result.h"
#include "device/net/e1000.h"
#include "device/pci/root.h"
#include "machine/boot_order.h"
#include "machine/machine_config.h"
#include "machine/virtio_devices.h"

namespace eidolon::machine {

class NetworkDevices {
 public:
  /// A paravirtual card becomes one of `virtio`, whose devices end before this. Starts no thread.
  Result<> add(const NetworkConfig& config, device::pci::Root& root, TimerQueue& timers, BootOrder& order,
               VirtioDevices& virtio);
  /// Once, before what the card interrupts is destroyed.
  void remove_card() { e1000_.reset(); }
  /// Of what only one process may have (backend::UserNetwork).
  void let_go() {
    if (user_) user_->let_go();
  }
  [[nodiscard]] bool take_back() { return !user_ || user_->take_back(); }
  /// What a snapshot has of the network; null: nothing.
  [[nodiscard]] Stateful* state() { return user_.get(); }

 private:
  /// What the card is to be plugged into.
  Result<device::net::Link*> make_link(const NetworkConfig& config);

  // One of these two.
  std::unique_ptr<backend::UserNetwork> user_;
  std::unique_ptr<backend::SwitchLink> switch_;
  std::unique_ptr<backend::Capture> capture_;
  std::unique_ptr<device::net::E1000> e1000_;  ///< after what it is plugged into
};

}  // namespace eidolon::machine
