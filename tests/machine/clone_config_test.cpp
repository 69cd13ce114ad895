#include "machine/clone_config.h"

#include <gtest/gtest.h>

namespace eidolon::machine {

namespace {

using Access = DiskConfig::Access;

TEST(CloneConfig, WhatIsWrittenIsForgottenAndPortsAreNotPublishedTwice) {
  MachineConfig config;
  config.disks.push_back({.path = "disc", .access = Access::kReadOnly});
  config.disks.push_back({.path = "disk", .access = Access::kReadWrite});
  config.network.kind = NetworkConfig::Kind::kUser;
  config.network.published.push_back({.host_port = 8080, .guest_port = 80});
  config.vsock.path = "vsock";
  ASSERT_NE(written_disk(config), nullptr);
  EXPECT_EQ(written_disk(config)->path, "disk");
  ASSERT_TRUE(make_clone(config));
  EXPECT_EQ(config.disks[0].access, Access::kReadOnly);
  EXPECT_EQ(config.disks[1].access, Access::kSnapshot);
  EXPECT_EQ(written_disk(config), nullptr);
  EXPECT_EQ(config.network.kind, NetworkConfig::Kind::kUser);
  EXPECT_TRUE(config.network.published.empty());
  EXPECT_EQ(config.vsock.path, "vsock");
  EXPECT_FALSE(config.vsock.listens) << "the original does";
}

TEST(CloneConfig, VariablesInAFileCannotBeShared) {
  MachineConfig config;
  config.firmware.variables_path = "vars.fd";
  const Result<> clone = make_clone(config);
  ASSERT_FALSE(clone);
  EXPECT_NE(clone.error().message.find("vars.fd"), std::string::npos);
}

}  // namespace

}  // namespace eidolon::machine
