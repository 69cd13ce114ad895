#include "machine/saved_config.h"

#include <algorithm>
#include <filesystem>

#include "machine/json_fields.h"

namespace eidolon::machine {

namespace {

using Json = nlohmann::json;
using backend::image::Format;

constexpr uint64_t kMostMemory = uint64_t{1} << 40;
constexpr uint32_t kMostCid = 0xffff'fffe;

/// Names of servers (nbd://...) stay as they are.
std::string full_name(const std::string& path) {
  if (path.empty() || path.find("://") != std::string::npos) return path;
  std::error_code error;
  const auto full = std::filesystem::absolute(path, error);
  return error ? path : full.lexically_normal().string();
}

std::string to_hex(const std::vector<uint8_t>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

void from_hex(JsonFields& fields, const std::string& text, std::vector<uint8_t>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() % 2 != 0 || text.find_first_not_of(kDigits) != std::string::npos) return fields.fail();
  for (size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(kDigits.find(text[i]) << 4 | kDigits.find(text[i + 1])));
}

Json kernel_json(const MachineConfig& config) {
  return {{"path", full_name(config.kernel_path)},
          {"has_initrd", config.initrd_path.has_value()},
          {"initrd", full_name(config.initrd_path.value_or(""))},
          {"append", config.command_line},
          {"unpack", static_cast<unsigned>(config.kernel_unpack)}};
}

void read_kernel(JsonFields fields, MachineConfig& config, JsonFields& whole) {
  bool has_initrd = false;
  std::string initrd;
  fields.get("path", config.kernel_path);
  fields.get("has_initrd", has_initrd);
  fields.get("initrd", initrd);
  fields.get("append", config.command_line);
  fields.get("unpack", config.kernel_unpack, boot::KernelUnpack::kGuest);
  if (has_initrd) config.initrd_path = initrd;
  whole.include(fields);
}

Json disk_json(const DiskConfig& disk) {
  return {{"path", full_name(disk.path)},
          {"interface", static_cast<unsigned>(disk.interface)},
          {"access", static_cast<unsigned>(disk.access)},
          {"format", static_cast<unsigned>(disk.format)},
          {"error_when_full", disk.error_when_full},
          {"cdrom", disk.cdrom}};
}

DiskConfig read_disk(JsonFields fields, JsonFields& whole) {
  DiskConfig disk;
  fields.get("path", disk.path);
  fields.get("interface", disk.interface, DiskConfig::Interface::kScsi);
  fields.get("access", disk.access, DiskConfig::Access::kSnapshot);
  fields.get("format", disk.format, Format::kNbd);
  fields.get("error_when_full", disk.error_when_full);
  fields.get("cdrom", disk.cdrom);
  whole.include(fields);
  return disk;
}

Json port_json(const backend::PublishedPort& port) {
  return {{"address", port.host_address},
          {"host", port.host_port},
          {"guest", port.guest_port},
          {"udp", port.udp}};
}

backend::PublishedPort read_port(JsonFields fields, JsonFields& whole) {
  backend::PublishedPort port;
  fields.get("address", port.host_address);
  fields.get("host", port.host_port, 0xffff);
  fields.get("guest", port.guest_port, 0xffff);
  fields.get("udp", port.udp);
  whole.include(fields);
  return port;
}

Json network_json(const NetworkConfig& network) {
  Json ports = Json::array();
  for (const backend::PublishedPort& port : network.published) ports.push_back(port_json(port));
  return {{"kind", static_cast<unsigned>(network.kind)},
          {"card", static_cast<unsigned>(network.card)},
          {"address", to_hex({network.address.begin(), network.address.end()})},
          {"switch", full_name(network.switch_path)},
          {"interface", network.interface},
          {"published", ports}};
}

NetworkConfig read_network(JsonFields fields, JsonFields& whole) {
  NetworkConfig network;
  std::string address;
  std::vector<uint8_t> bytes;
  fields.get("kind", network.kind, NetworkConfig::Kind::kPasst);
  fields.get("card", network.card, NetworkConfig::Card::kNe2000Isa);
  fields.get("address", address);
  fields.get("switch", network.switch_path);
  fields.get("interface", network.interface);
  from_hex(fields, address, bytes);
  if (bytes.size() == network.address.size()) {
    std::ranges::copy(bytes, network.address.begin());
  } else {
    fields.fail();
  }
  for (const Json& port : fields.list("published"))
    network.published.push_back(read_port(JsonFields(port), fields));
  whole.include(fields);
  return network;
}

Json channel_json(const PortConfig& port) {
  return {{"name", port.name},
          {"target", static_cast<unsigned>(port.target.kind)},
          {"path", full_name(port.target.path)}};
}

PortConfig read_channel(JsonFields fields, JsonFields& whole) {
  PortConfig port;
  fields.get("name", port.name);
  fields.get("target", port.target.kind, backend::PortTarget::Kind::kNull);
  fields.get("path", port.target.path);
  whole.include(fields);
  return port;
}

void read_vsock(JsonFields fields, VsockConfig& vsock, JsonFields& whole) {
  fields.get("path", vsock.path);
  fields.get("cid", vsock.cid, kMostCid);
  whole.include(fields);
}

Json share_json(const ShareConfig& share) {
  return {{"path", full_name(share.path)}, {"tag", share.tag}, {"read_only", share.read_only}};
}

ShareConfig read_share(JsonFields fields, JsonFields& whole) {
  ShareConfig share;
  fields.get("path", share.path);
  fields.get("tag", share.tag);
  fields.get("read_only", share.read_only);
  whole.include(fields);
  return share;
}

Json pmem_json(const PmemConfig& pmem) {
  return {{"path", full_name(pmem.path)}, {"read_only", pmem.read_only}};
}

PmemConfig read_pmem(JsonFields fields, JsonFields& whole) {
  PmemConfig pmem;
  fields.get("path", pmem.path);
  fields.get("read_only", pmem.read_only);
  whole.include(fields);
  return pmem;
}

Json firmware_json(const FirmwareConfig& firmware) {
  Json items = Json::array(), order = Json::array();
  for (const FwCfgItem& item : firmware.items)
    items.push_back({{"name", item.name}, {"bytes", to_hex(item.bytes)}});
  for (const BootDevice device : firmware.boot_order)
    order.push_back({{"device", static_cast<unsigned>(device)}});
  return {{"rom", full_name(firmware.rom_path)},
          {"variables_template", full_name(firmware.variables_template)},
          {"variables", full_name(firmware.variables_path)},
          {"text_on_serial", firmware.text_on_serial},
          {"items", items},
          {"strings", firmware.smbios_strings},
          {"order", order}};
}

void read_firmware(JsonFields fields, FirmwareConfig& firmware, JsonFields& whole) {
  fields.get("rom", firmware.rom_path);
  fields.get("variables_template", firmware.variables_template);
  fields.get("variables", firmware.variables_path);
  fields.get("text_on_serial", firmware.text_on_serial);
  for (const Json& json : fields.list("items")) {
    JsonFields item(json);
    std::string bytes;
    item.get("name", firmware.items.emplace_back().name);
    item.get("bytes", bytes);
    from_hex(item, bytes, firmware.items.back().bytes);
    fields.include(item);
  }
  for (const Json& json : fields.list("strings")) {
    if (!json.is_string())
      fields.fail();
    else
      firmware.smbios_strings.push_back(json.get<std::string>());
  }
  for (const Json& json : fields.list("order")) {
    JsonFields entry(json);
    entry.get("device", firmware.boot_order.emplace_back(), BootDevice::kNetwork);
    fields.include(entry);
  }
  whole.include(fields);
}

}  // namespace

Json to_json(const MachineConfig& config) {
  Json disks = Json::array(), networks = Json::array(), channels = Json::array(), shares = Json::array(),
       pmem = Json::array();
  for (const NetworkConfig& network : config.networks) networks.push_back(network_json(network));
  for (const ShareConfig& share : config.shares) shares.push_back(share_json(share));
  for (const PmemConfig& file : config.pmem) pmem.push_back(pmem_json(file));
  for (const PortConfig& port : config.ports) channels.push_back(channel_json(port));
  for (const DiskConfig& disk : config.disks) disks.push_back(disk_json(disk));
  return {{"memory", config.memory_bytes},
          {"cpu", config.cpu_model},
          {"paravirt", config.paravirt},
          {"sockets", config.topology.sockets},
          {"cores", config.topology.cores},
          {"threads", config.topology.threads},
          {"present", config.present},
          {"kernel", kernel_json(config)},
          {"disks", disks},
          {"networks", networks},
          {"ports", channels},
          {"vsock", {{"path", full_name(config.vsock.path)}, {"cid", config.vsock.cid}}},
          {"shares", shares},
          {"pmem", pmem},
          {"usb_tablet", config.usb.tablet},
          {"usb_keyboard", config.usb.keyboard},
          {"virtio_tablet", config.virtio_input.tablet},
          {"virtio_keyboard", config.virtio_input.keyboard},
          {"vga", config.vga},
          {"balloon", config.balloon},
          {"virtio_bus", static_cast<unsigned>(config.virtio_bus)},
          {"vga_bios", full_name(config.vga_bios_path)},
          {"firmware", firmware_json(config.firmware)}};
}

Result<MachineConfig> config_from_json(const Json& json) {
  MachineConfig config;
  JsonFields fields(json);
  fields.get("memory", config.memory_bytes, kMostMemory);
  fields.get("cpu", config.cpu_model);
  fields.get("paravirt", config.paravirt);
  fields.get("sockets", config.topology.sockets, x86::Topology::kMostProcessors);
  fields.get("cores", config.topology.cores, x86::Topology::kMostProcessors);
  fields.get("threads", config.topology.threads, x86::Topology::kMostProcessors);
  fields.get("present", config.present, x86::Topology::kMostProcessors);
  read_kernel(JsonFields(fields.object("kernel")), config, fields);
  for (const Json& disk : fields.list("disks")) config.disks.push_back(read_disk(JsonFields(disk), fields));
  for (const Json& network : fields.list("networks"))
    config.networks.push_back(read_network(JsonFields(network), fields));
  for (const Json& port : fields.list("ports"))
    config.ports.push_back(read_channel(JsonFields(port), fields));
  read_vsock(JsonFields(fields.object("vsock")), config.vsock, fields);
  for (const Json& share : fields.list("shares"))
    config.shares.push_back(read_share(JsonFields(share), fields));
  for (const Json& pmem : fields.list("pmem")) config.pmem.push_back(read_pmem(JsonFields(pmem), fields));
  fields.get("usb_tablet", config.usb.tablet);
  fields.get("usb_keyboard", config.usb.keyboard);
  fields.get("virtio_tablet", config.virtio_input.tablet);
  fields.get("virtio_keyboard", config.virtio_input.keyboard);
  fields.get("vga", config.vga);
  fields.get("balloon", config.balloon);
  fields.get("virtio_bus", config.virtio_bus, VirtioBus::kTransitional);
  fields.get("vga_bios", config.vga_bios_path);
  read_firmware(JsonFields(fields.object("firmware")), config.firmware, fields);
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  if (fields.failed() || config.networks.size() > kMostNetworks || !config.topology.valid() ||
      config.present > config.topology.processors() || config.memory_bytes == 0 ||
      config.memory_bytes % kMiB != 0)
    return fail(
        "the snapshot describes its machine in a way that this version of Eidolon does not understand");
  return config;
}

}  // namespace eidolon::machine
