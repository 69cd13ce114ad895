#include "machine/network_devices.h"

#include "backend/capture.h"
#include "backend/passt.h"
#include "backend/switch_link.h"
#include "backend/tap_link.h"
#include "backend/terminal.h"
#include "base/try.h"
#include "device/net/e1000.h"
#include "device/net/ne2000.h"

namespace eidolon::machine {

Result<> NetworkDevices::add(const MachineConfig& machine, const Board& board, VirtioDevices& virtio) {
  for (size_t number = 0; number < machine.networks.size(); ++number) {
    const NetworkConfig& config = machine.networks[number];
    constexpr std::string_view kNode = "ethernet", kBehind = "/ethernet-phy@0";
    const auto boots_from_virtio = [&] {
      board.order.add(BootDevice::kNetwork, fmt::format("{}{}", virtio.boot_path(kNode, board.pci), kBehind));
    };
    if (config.kind == NetworkConfig::Kind::kVhostUser) {
      boots_from_virtio();
      EIDOLON_TRY(
          virtio.add_served_network(board.pci, number, config.switch_path, config.address, board.memory));
      continue;
    }
    device::net::Link* link = EIDOLON_TRY(make_link(config));
    const auto name = [number](std::string kind) {
      return number == 0 ? kind : fmt::format("{}-{}", kind, number);
    };
    if (config.card == NetworkConfig::Card::kNe2000Isa) {
      EIDOLON_TRY(add_isa(config, name("ne2000-isa"), board, *link));
      continue;
    }
    if (config.card == NetworkConfig::Card::kVirtio) {
      boots_from_virtio();
      virtio.add_network(board.pci, number, *link, config.address, machine.topology.processors());
      continue;
    }
    const unsigned place = board.pci.free_device();
    board.order.add(BootDevice::kNetwork, fmt::format("{}{}", BootOrder::pci_path(kNode, place), kBehind));
    if (config.card == NetworkConfig::Card::kE1000) {
      cards_.push_back(
          std::make_unique<device::net::E1000>(name("e1000"), board.timers, *link, config.address));
    } else {
      cards_.push_back(std::make_unique<device::net::Ne2000Pci>(name("ne2000"), *link, config.address));
    }
    board.pci.add(place, 0, *cards_.back());
  }
  return {};
}

/// Firmware does not boot from it: it has no ROM.
Result<> NetworkDevices::add_isa(const NetworkConfig& config, std::string name, const Board& board,
                                 device::net::Link& link) {
  using device::net::Ne2000Isa;
  const size_t number = isa_cards_.size();
  if (number >= Ne2000Isa::kPorts.size())
    return fail("a machine has room for {} cards of card=ne2000-isa; take card=ne2000 for the others",
                Ne2000Isa::kPorts.size());
  isa_cards_.push_back(
      std::make_unique<Ne2000Isa>(name, board.irqs.isa(Ne2000Isa::kIrqs[number]), link, config.address));
  return board.ports.attach(Ne2000Isa::kPorts[number], device::net::Ne2000::kPorts,
                            isa_cards_.back()->ports(), name);
}

template <typename Network>
std::unique_ptr<Network> NetworkDevices::with_exclusive(std::unique_ptr<Network> network) {
  exclusive_.push_back(network.get());
  return network;
}

Result<std::unique_ptr<device::net::Link>> NetworkDevices::make_network(const NetworkConfig& config) {
  using backend::SwitchLink;
  switch (config.kind) {
    case NetworkConfig::Kind::kUser: {
      auto user = with_exclusive(
          EIDOLON_TRY(backend::UserNetwork::create(static_cast<unsigned>(users_.size()), config.published)));
      users_.push_back(user.get());
      return user;
    }
    case NetworkConfig::Kind::kSwitch:
      return with_exclusive(EIDOLON_TRY(SwitchLink::create(config.switch_path)));
    case NetworkConfig::Kind::kTap:
      return with_exclusive(EIDOLON_TRY(backend::TapLink::create(config.interface)));
    case NetworkConfig::Kind::kPasst:
      if (config.switch_path.empty())
        return with_exclusive(EIDOLON_TRY(backend::make_passt_link(config.published)));
      return with_exclusive(EIDOLON_TRY(SwitchLink::create(config.switch_path, SwitchLink::Peer::kStack)));
    case NetworkConfig::Kind::kVhostUser:
      break;  // there is nothing between the card and who serves it
  }
  return fail("there is no such network");
}

Result<device::net::Link*> NetworkDevices::make_link(const NetworkConfig& config) {
  links_.push_back(EIDOLON_TRY(make_network(config)));
  device::net::Link* link = links_.back().get();
  if (config.capture_path.empty()) return link;
  auto file = EIDOLON_TRY(backend::CaptureFile::create(
      config.capture_path, [](const std::string& sentence) { backend::say("eidolon: " + sentence); }));
  links_.push_back(std::make_unique<backend::Capture>(*link, std::move(file)));
  return links_.back().get();
}

void NetworkDevices::let_go() {
  for (backend::Exclusive* network : exclusive_) network->let_go();
}

bool NetworkDevices::take_back() {
  bool all = true;
  for (backend::Exclusive* network : exclusive_) all = network->take_back() && all;
  return all;
}

std::vector<Stateful*> NetworkDevices::parts() const {
  std::vector<Stateful*> parts(users_.begin(), users_.end());
  for (const auto& card : isa_cards_) parts.push_back(card.get());
  return parts;
}

}  // namespace eidolon::machine
