#include "machine/clone_config.h"

#include <gtest/gtest.h>

namespace eidolon::machine {

namespace {

using Access = DiskConfig::Access;

TEST(CloneConfig, WhatIsWrittenIsForgottenAndPortsAreNotPublishedTwice) {
  MachineConfig config;
  config.disks.push_back({.path = "disc", .access = Access::kReadOnly});
  config.disks.push_back({.path = "disk", .access = Access::kReadWrite});
  for (int i = 0; i < 2; ++i)
    config.networks.emplace_back().published.push_back({.host_port = 8080, .guest_port = 80});
  config.vsock.path = "vsock";
  ASSERT_NE(written_disk(config), nullptr);
  EXPECT_EQ(written_disk(config)->path, "disk");
  ASSERT_TRUE(make_clone(config));
  EXPECT_EQ(config.disks[0].access, Access::kReadOnly);
  EXPECT_EQ(config.disks[1].access, Access::kSnapshot);
  EXPECT_EQ(written_disk(config), nullptr);
  ASSERT_EQ(config.networks.size(), 2u);
  EXPECT_TRUE(config.networks[0].published.empty());
  EXPECT_TRUE(config.networks[1].published.empty());
  EXPECT_EQ(config.vsock.path, "vsock");
  EXPECT_FALSE(config.vsock.listens) << "the original does";
}

TEST(CloneConfig, EachHasAnAddressOfItsOwn) {
  MachineConfig one, other;
  one.networks.resize(2);
  other.networks.resize(1);
  ASSERT_TRUE(make_clone(one));
  ASSERT_TRUE(make_clone(other));
  EXPECT_NE(one.networks[0].address, other.networks[0].address);
  EXPECT_NE(one.networks[0].address, one.networks[1].address);
  EXPECT_NE(one.networks[0].address, device::net::kFirstAddress);
  EXPECT_EQ(one.networks[0].address[0] & 3, 2) << "no vendor's, and for one receiver";
}

TEST(CloneConfig, PortsFollowOneAnother) {
  const std::vector<backend::PublishedPort> first = {{.host_port = 8081, .guest_port = 80},
                                                     {.host_port = 65533, .guest_port = 22, .udp = true}};
  const auto third = ports_of_clone(first, 3);
  ASSERT_TRUE(third);
  EXPECT_EQ(to_string((*third)[0]), "127.0.0.1:8083:80");
  EXPECT_EQ(to_string((*third)[1]), "127.0.0.1:65535:22/udp");
  EXPECT_FALSE(ports_of_clone(first, 4));
  MachineConfig config;
  EXPECT_FALSE(make_clone(config, first)) << "there is no network to lead into";
  config.networks.emplace_back().kind = NetworkConfig::Kind::kSwitch;
  config.networks.emplace_back().kind = NetworkConfig::Kind::kUser;
  ASSERT_TRUE(make_clone(config, first));
  EXPECT_TRUE(config.networks[0].published.empty());
  EXPECT_EQ(config.networks[1].published.size(), 2u);
}

TEST(CloneConfig, VariablesInAFileCannotBeShared) {
  MachineConfig config;
  config.firmware.variables_path = "vars.fd";
  const Result<> clone = make_clone(config);
  ASSERT_FALSE(clone);
  EXPECT_NE(clone.error().message.find("vars.fd"), std::string::npos);
}

TEST(CloneConfig, PersistentMemoryIsSharedIfItIsOnlyRead) {
  MachineConfig config;
  config.pmem.push_back({.path = "a", .read_only = true});
  EXPECT_TRUE(make_clone(config));
  config.pmem.push_back({.path = "memory.img"});
  const Result<> clone = make_clone(config);
  ASSERT_FALSE(clone);
  EXPECT_NE(clone.error().message.find("memory.img"), std::string::npos);
}

}  // namespace

}  // namespace eidolon::machine
