#include "machine/clone_config.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/try.h"

namespace eidolon::machine {

namespace {
bool is_written(const DiskConfig& disk) { return disk.access == DiskConfig::Access::kReadWrite; }

/// Within what all our cards have in front: no vendor's, and for one receiver.
Result<device::net::MacAddress> new_address() {
  constexpr size_t kVendorBytes = 3;
  device::net::MacAddress address = device::net::kFirstAddress;
  const size_t own = address.size() - kVendorBytes;
  if (getrandom(address.data() + kVendorBytes, own, 0) != static_cast<ssize_t>(own))
    return fail("the host has no random numbers ({})", strerror(errno));
  return address;
}
}  // namespace

const DiskConfig* written_disk(const MachineConfig& config) {
  const auto found = std::ranges::find_if(config.disks, is_written);
  return found == config.disks.end() ? nullptr : &*found;
}

Result<> make_clone(MachineConfig& config, std::vector<backend::PublishedPort> published) {
  const auto user = std::ranges::find_if(config.networks, &NetworkConfig::publishes);
  if (!published.empty() && user == config.networks.end())
    return fail("--publish needs a network to lead into, and this machine was started without --net user");
  if (!config.firmware.variables_path.empty())
    return fail("copies of a machine cannot share the UEFI variables in '{}'; start it without --uefi-vars",
                config.firmware.variables_path);
  for (const PmemConfig& pmem : config.pmem)
    if (!pmem.read_only)
      return fail("copies of a machine cannot share the persistent memory in '{}'; start it with ,readonly",
                  pmem.path);
  for (DiskConfig& disk : config.disks)
    if (is_written(disk)) disk.access = DiskConfig::Access::kSnapshot;
  for (NetworkConfig& network : config.networks) {
    network.published.clear();
    network.address = EIDOLON_TRY(new_address());
  }
  if (user != config.networks.end()) user->published = std::move(published);
  config.vsock.listens = false;  // the original does; who listens for guests can serve them all
  return {};
}

Result<std::vector<backend::PublishedPort>> ports_of_clone(std::vector<backend::PublishedPort> published,
                                                           unsigned number) {
  constexpr unsigned kLastPort = 65535;
  for (backend::PublishedPort& port : published) {
    if (port.host_port + number - 1 > kLastPort)
      return fail("there are no {} ports from {} on; publish from a lower one", number, port.host_port);
    port.host_port = static_cast<uint16_t>(port.host_port + number - 1);
  }
  return published;
}

}  // namespace eidolon::machine
