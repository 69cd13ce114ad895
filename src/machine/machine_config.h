// What a user may say about a machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/image/format.h"
#include "backend/port_target.h"
#include "backend/published_port.h"
#include "boot/loader.h"
#include "device/channel.h"
#include "device/net/link.h"
#include "device/virtio/file_server.h"
#include "device/virtio/vsock_link.h"
#include "engine/translate/observer.h"
#include "machine/firmware_config.h"
#include "x86/topology.h"

namespace eidolon::machine {

enum class EngineChoice : uint8_t { kAuto, kTranslate, kKvm, kStep, kLockstep };
/// Who has the local APICs under KVM: the monitor, or the kernel.
enum class IrqchipChoice : uint8_t { kAuto, kUser, kSplit };
/// Where all devices of virtio are.
enum class VirtioBus : uint8_t {
  kPci,
  kMmio,
  kTransitional,  ///< on PCI, with the legacy interface as well
};

struct DiskConfig {
  enum class Access : uint8_t {
    kReadWrite,
    kReadOnly,
    kSnapshot,  ///< what is written is forgotten when the machine ends
  };
  /// The controller that the guest sees.
  enum class Interface : uint8_t { kVirtio, kNvme, kAhci, kIde, kFloppy, kScsi };
  std::string path;
  Interface interface = Interface::kVirtio;
  Access access = Access::kReadWrite;
  /// kUnknown: as the file's first bytes say.
  backend::image::Format format = backend::image::Format::kUnknown;
  /// The guest sees an error when the host's disk is full; otherwise it waits for room.
  bool error_when_full = false;
  bool cdrom = false;  ///< a disc in a drive, on AHCI, IDE or virtio-scsi
  /// Another process serves it (vhost-user), at the socket `path`; it decides about all but `interface`,
  /// which is kVirtio.
  bool served = false;
};

/// A network card and what it is plugged into.
struct NetworkConfig {
  enum class Kind : uint8_t {
    kUser,
    kSwitch,
    kTap,
    kPasst,
    kVhostUser,  ///< another process serves the card itself, which is a kVirtio
  } kind = Kind::kUser;
  /// What the guest sees.
  enum class Card : uint8_t { kVirtio, kE1000, kNe2000, kNe2000Isa } card = Card::kVirtio;
  device::net::MacAddress address = device::net::kFirstAddress;
  /// Ports of the host may lead into it.
  [[nodiscard]] bool publishes() const {
    return kind == Kind::kUser || (kind == Kind::kPasst && switch_path.empty());
  }
  std::vector<backend::PublishedPort> published;  ///< if it publishes()
  std::string switch_path;                        ///< of kSwitch, kVhostUser, and maybe of kPasst: a socket
  std::string interface;                          ///< of kTap: the host's device
  /// A file that gets all frames; empty: none. It is the host's, and no part of a snapshot.
  std::string capture_path;
};

inline constexpr size_t kMostNetworks = 8;

/// A port of the virtio console.
struct PortConfig {
  std::string name;  ///< empty: the console itself
  backend::PortTarget target;
  /// The target, opened (control/ports.h), to outlive a guest's reset.
  std::shared_ptr<device::Channel> channel;
};

/// The guest's AF_VSOCK sockets, as Unix sockets of the host.
struct VsockConfig {
  std::string path;     ///< empty: there are none
  uint32_t cid = 3;     ///< the guest's address
  bool listens = true;  ///< at `path`, for programs of the host
  /// The host's end, opened, to outlive a guest's reset.
  std::shared_ptr<device::virtio::VsockWire> wire;
};

/// A folder of the host that the guest can mount.
struct ShareConfig {
  std::string path;
  std::string tag;  ///< what the guest calls it
  bool read_only = false;
  bool served = false;  ///< by another process (vhost-user), at the socket `path`
  /// What serves it otherwise, opened, to outlive a guest's reset.
  std::shared_ptr<device::virtio::FileServer> server;
};

/// A file of the host that the guest has as memory.
struct PmemConfig {
  std::string path;
  bool read_only = false;
};

/// What of its user's hands a machine has on a bus.
struct InputDevices {
  bool tablet = false;
  bool keyboard = false;
};

struct MachineConfig {
  std::string kernel_path;  ///< empty: firmware starts what it finds
  std::optional<std::string> initrd_path;
  std::string command_line;
  boot::KernelUnpack kernel_unpack = boot::KernelUnpack::kHost;
  uint64_t memory_bytes = uint64_t{512} << 20;
  std::string cpu_model = "host";  ///< "kvm": what the host's KVM runs, under whichever engine
  bool paravirt = true;            ///< KVM's paravirtual interface is offered
  x86::Topology topology;          ///< valid()
  unsigned present = 0;            ///< processors of it that are there at the start; 0: all
  EngineChoice engine = EngineChoice::kAuto;
  IrqchipChoice irqchip = IrqchipChoice::kAuto;
  std::vector<DiskConfig> disks;
  std::vector<NetworkConfig> networks;  ///< kMostNetworks at most
  std::vector<PortConfig> ports;        ///< at most one of them the console
  VsockConfig vsock;
  std::vector<ShareConfig> shares;
  std::vector<PmemConfig> pmem;
  InputDevices usb;  ///< plugged into the controller; without anything there is none
  InputDevices virtio_input;
  VirtioBus virtio_bus = VirtioBus::kPci;
  bool vga = true;      ///< a VGA adapter
  bool balloon = true;  ///< a virtio balloon, but not in lockstep
  /// The adapter's expansion ROM, for BIOS firmware. If the file is not there, the adapter has none.
  std::string vga_bios_path = "/usr/share/seabios/vgabios-stdvga.bin";
  FirmwareConfig firmware;
  /// Lockstep begins when the guest first writes to this port, not at once.
  std::optional<uint16_t> lockstep_from_port;
  /// Takes samples of where the time goes, for the report.
  bool sample_time = false;
  /// Sees the blocks that `translate` makes; may be null.
  std::shared_ptr<engine::translate::BlockObserver> block_observer;

  /// Whether other processes serve devices, which then see guest memory.
  [[nodiscard]] bool has_served() const {
    return std::ranges::any_of(disks, &DiskConfig::served) ||
           std::ranges::any_of(shares, &ShareConfig::served) ||
           std::ranges::count(networks, NetworkConfig::Kind::kVhostUser, &NetworkConfig::kind) != 0;
  }
};

}  // namespace eidolon::machine
