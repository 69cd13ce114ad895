// Tests with a network of their own: each is run once more, by itself, in a user and a network namespace,
// where it may make tap devices without being root. Where the host does not let it, it is skipped.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"

namespace eidolon::backend {

class NamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (is_inside()) return;
    if (!FileDescriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)).valid())
      GTEST_SKIP() << "/dev/net/tun is not there, or not for this user; tap devices cannot be tested here";
    if (std::system("unshare --user --map-root-user --net true 2>/dev/null") != 0)
      GTEST_SKIP() << "this host makes no namespaces for this user; tap devices cannot be tested here";
  }
  /// False: it was done inside, and there is nothing left to do.
  static bool inside() {
    if (is_inside()) return true;
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    const std::string command = std::string(kVariable) + "=1 unshare --user --map-root-user --net " +
                                std::filesystem::read_symlink("/proc/self/exe").string() +
                                " --gtest_filter=" + test.test_suite_name() + "." + test.name() + " 1>&2";
    EXPECT_EQ(std::system(command.c_str()), 0) << "it failed in there";
    return false;
  }

  /// A tap device that stays, with an address if there is one, and up.
  static void make_tap(const std::string& name, const char* address = nullptr) {
    change_tap(name, true);
    const FileDescriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = request_for(name);
    if (address != nullptr) {
      auto* inet = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
      inet->sin_family = AF_INET;
      inet_pton(AF_INET, address, &inet->sin_addr);
      ASSERT_EQ(ioctl(any.get(), SIOCSIFADDR, &request), 0);
      inet_pton(AF_INET, "255.255.255.0", &inet->sin_addr);
      ASSERT_EQ(ioctl(any.get(), SIOCSIFNETMASK, &request), 0);
    }
    request = request_for(name);
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(ioctl(any.get(), SIOCSIFFLAGS, &request), 0);
  }
  /// Also while somebody uses it.
  static void remove_tap(const std::string& name) {
    ASSERT_EQ(std::system(("ip link delete " + name).c_str()), 0);
  }

 private:
  static constexpr const char* kVariable = "EIDOLON_TEST_INSIDE";
  static bool is_inside() { return std::getenv(kVariable) != nullptr; }
  static ifreq request_for(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    return request;
  }
  static void change_tap(const std::string& name, bool stays) {
    const FileDescriptor tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request = request_for(name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    ASSERT_EQ(ioctl(tun.get(), TUNSETIFF, &request), 0);
    ASSERT_EQ(ioctl(tun.get(), TUNSETPERSIST, stays ? 1 : 0), 0);
  }
};

}  // namespace eidolon::backend
