// A guest whose disk image is on a host file system that becomes full: it waits, goes on when there is room,
// and can be ended meanwhile.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBootLimit = 400s;
constexpr auto kCommandLimit = 120s;
constexpr auto kEndLimit = 60s;

/// A file system of 6 MiB, 4 of them taken.
class SmallHost {
 public:
  SmallHost() : folder_(testing::TempDir() + "eidolon-full-disk") {
    std::filesystem::create_directory(folder_);
    mounted_ = mount("none", folder_.c_str(), "tmpfs", 0, "size=6m") == 0;
    if (!mounted_) return;
    fill();
    std::ofstream(disk()).close();
    std::filesystem::resize_file(disk(), 16 << 20);
  }
  ~SmallHost() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
    std::filesystem::remove(folder_);
  }
  SmallHost(const SmallHost&) = delete;
  SmallHost& operator=(const SmallHost&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] std::string disk() const { return folder_ + "/disk"; }
  void fill() const { std::ofstream(folder_ + "/ballast") << std::string(4 << 20, 'x'); }
  void make_room() const { std::filesystem::remove(folder_ + "/ballast"); }

 private:
  std::string folder_;
  bool mounted_ = false;
};

/// Goes on until the monitor has said `text` on standard error so often.
bool told(GuestProcess& guest, std::string_view text, int times) {
  for (int tries = 0; tries < 120; ++tries) {
    int found = 0;
    for (size_t at = 0; (at = guest.errors().find(text, at)) != std::string::npos; ++at) ++found;
    if (found >= times) return true;
    (void)guest.wait_for("no guest writes this", 1s);
  }
  return false;
}

TEST(FullHostDisk, TheGuestWaitsAndGoesOn) {
  if (!std::filesystem::exists(EIDOLON_GUEST "/initrd-drivers")) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr)
      FAIL() << "no guest with drivers in " << EIDOLON_GUEST;
    GTEST_SKIP() << "no guest with drivers; run scripts/fetch_drivers.sh";
  }
  const SmallHost host;
  if (!host.mounted()) GTEST_SKIP() << "no tmpfs can be mounted here";
  GuestProcess guest({"run", "--kernel", EIDOLON_GUEST "/vmlinuz", "--initrd",
                      EIDOLON_GUEST "/initrd-drivers", "--append",
                      "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate",
                      "--disk", host.disk()});
  ASSERT_TRUE(guest.wait_for("eidolon:/root# ", kBootLimit)) << guest.tail();
  guest.type("(seq 1 600000 | dd of=/dev/vda bs=64k 2>/dev/null; sync; echo synced $((6 * 7))) &\n");
  ASSERT_TRUE(told(guest, "disk is full", 1)) << guest.tail();
  EXPECT_EQ(guest.output().find("synced 42"), std::string::npos);
  guest.type("echo alive $((1 + 1))\n");
  EXPECT_TRUE(guest.wait_for("alive 2", kCommandLimit)) << "the processor goes on\n" << guest.tail();

  host.make_room();
  ASSERT_TRUE(guest.wait_for("synced 42", kCommandLimit)) << guest.tail();
  EXPECT_TRUE(told(guest, "room again", 1)) << guest.tail();
  guest.type("echo 3 > /proc/sys/vm/drop_caches; head -c 4088895 /dev/vda | tail -n 1\n");
  EXPECT_TRUE(guest.wait_for("600000\r\n", kCommandLimit)) << guest.tail();
  EXPECT_EQ(guest.output().find("I/O error"), std::string::npos);

  host.fill();
  guest.type("seq 1 600000 | dd of=/dev/vda bs=64k seek=128 2>/dev/null; sync\n");
  ASSERT_TRUE(told(guest, "disk is full", 2)) << guest.tail();
  guest.send_signal(SIGTERM);
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGTERM) << guest.tail();
}

}  // namespace
}  // namespace eidolon::boot_test
