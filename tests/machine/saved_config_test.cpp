#include "machine/saved_config.h"

#include <gtest/gtest.h>

namespace eidolon::machine {

namespace {

using Json = nlohmann::json;

MachineConfig full_config() {
  MachineConfig config;
  config.kernel_path = "/boot/vmlinuz";
  config.initrd_path = "/boot/initrd";
  config.command_line = "console=ttyS0 \"quoted\"";
  config.kernel_unpack = boot::KernelUnpack::kGuest;
  config.memory_bytes = uint64_t{3} << 30;
  config.cpu_model = "x86-64-v3";
  config.topology = {.sockets = 2, .cores = 3, .threads = 1};
  config.present = 4;
  config.disks.push_back({.path = "nbd://host/disk", .interface = DiskConfig::Interface::kNvme});
  config.disks.push_back({.path = "/a/disc.iso",
                          .interface = DiskConfig::Interface::kIde,
                          .access = DiskConfig::Access::kReadOnly,
                          .cdrom = true});
  config.networks.push_back(
      {.kind = NetworkConfig::Kind::kUser,
       .card = NetworkConfig::Card::kE1000,
       .address = {2, 0, 0, 0xab, 0, 1},
       .published = {{.host_address = "127.0.0.1", .host_port = 8080, .guest_port = 80, .udp = true}},
       .switch_path = "",
       .interface = "",
       .capture_path = ""});
  config.networks.push_back({.kind = NetworkConfig::Kind::kSwitch,
                             .published = {},
                             .switch_path = "/a/lan",
                             .interface = "tap7",
                             .capture_path = ""});
  config.ports.push_back(
      {.name = "", .target = {.kind = backend::PortTarget::Kind::kStdio, .path = ""}, .channel = nullptr});
  config.ports.push_back({.name = "org.a",
                          .target = {.kind = backend::PortTarget::Kind::kSocket, .path = "/a/s"},
                          .channel = nullptr});
  config.vsock = {.path = "/a/v", .cid = 77, .wire = nullptr};
  config.shares.push_back({.path = "/a/folder", .tag = "work", .read_only = true, .server = nullptr});
  config.pmem.push_back({.path = "/a/memory", .read_only = true});
  config.usb.keyboard = true;
  config.virtio_input.tablet = true;
  config.vga = false;
  config.balloon = false;
  config.virtio_bus = VirtioBus::kTransitional;
  config.firmware.items.push_back({.name = "opt/x", .bytes = {0, 0xff, 0x5a}});
  config.firmware.smbios_strings = {"a", "b"};
  config.firmware.boot_order = {BootDevice::kCdrom, BootDevice::kNetwork};
  config.firmware.text_on_serial = false;
  return config;
}

TEST(SavedConfig, ComesBack) {
  const Json json = to_json(full_config());
  const Result<MachineConfig> back = config_from_json(Json::parse(json.dump()));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_json(*back), json);
  EXPECT_EQ(back->initrd_path, "/boot/initrd");
  EXPECT_EQ(back->topology.processors(), 6u);
  EXPECT_EQ(back->present, 4u);
  EXPECT_EQ(back->disks[0].path, "nbd://host/disk");
  EXPECT_TRUE(back->disks[1].cdrom);
  ASSERT_EQ(back->networks.size(), 2u);
  EXPECT_EQ(back->networks[0].card, NetworkConfig::Card::kE1000);
  EXPECT_EQ(back->networks[0].address, full_config().networks[0].address);
  EXPECT_EQ(back->networks[1].switch_path, "/a/lan");
  EXPECT_EQ(back->networks[1].interface, "tap7");
  EXPECT_EQ(back->ports[1].target.path, "/a/s");
  EXPECT_EQ(back->vsock.path, "/a/v");
  EXPECT_EQ(back->vsock.cid, 77u);
  EXPECT_EQ(back->shares[0].tag, "work");
  EXPECT_TRUE(back->shares[0].read_only);
  ASSERT_EQ(back->pmem.size(), 1u);
  EXPECT_EQ(back->pmem[0].path, "/a/memory");
  EXPECT_TRUE(back->pmem[0].read_only);
  EXPECT_EQ(back->firmware.items[0].bytes, (std::vector<uint8_t>{0, 0xff, 0x5a}));
}

TEST(SavedConfig, FilesGetTheirFullNames) {
  MachineConfig config;
  config.disks.push_back({.path = "disk.img"});
  EXPECT_EQ(to_json(config)["disks"][0]["path"].get<std::string>().front(), '/');
}

TEST(SavedConfig, WhatCannotBeIsRefused) {
  const Json good = to_json(full_config());
  for (const char* name : {"memory", "cpu", "cores", "present", "kernel", "disks", "networks", "vsock",
                           "shares", "pmem", "vga", "firmware"}) {
    Json without = good;
    without.erase(name);
    EXPECT_FALSE(config_from_json(without)) << name;
    Json of_another_type = good;
    of_another_type[name] = nullptr;
    EXPECT_FALSE(config_from_json(of_another_type)) << name;
  }
  const auto refused = [&good](const char* pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    EXPECT_FALSE(config_from_json(changed)) << pointer;
  };
  refused("/memory", 0);
  refused("/memory", (1 << 20) + 1);
  refused("/memory", -1);
  refused("/cores", 1000);
  refused("/sockets", 0);
  refused("/present", 7);
  refused("/disks/0/interface", 99);
  refused("/disks/0", "a string");
  refused("/networks/0/published/0/host", 70000);
  refused("/networks/0/card", 9);
  refused("/networks/0/address", "0102030405");
  refused("/networks", std::vector<Json>(kMostNetworks + 1, good["networks"][0]));
  refused("/firmware/items/0/bytes", "0");
  refused("/firmware/items/0/bytes", "zz");
  refused("/firmware/order/0/device", 4);
  refused("/firmware/strings/0", 1);
  for (const Json& nothing : {Json(), Json::array(), Json(1), Json("text")})
    EXPECT_FALSE(config_from_json(nothing));
}

}  // namespace

}  // namespace eidolon::machine
