// Debian's virtiofs on folders of the host: the same bytes on both sides, many small files, and what a
// read-only share and a snapshot refuse.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "boot/os/archive.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class SharedFolder : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
};

std::string numbers(int last) {
  std::string text;
  for (int i = 1; i <= last; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_F(SharedFolder, IsReadAndWrittenOnBothSides) {
  const std::string work = directory + "/work", data = directory + "/data", snapshot = directory + "/snap";
  fs::create_directory(work);
  fs::create_directory(data);
  std::string noise(3'000'001, '\0');
  std::mt19937 random(1);
  for (char& byte : noise) byte = static_cast<char>(random());
  std::ofstream(work + "/noise", std::ios::binary) << noise;
  std::ofstream(data + "/text") << "for reading\n";
  fs::create_symlink(directory, work + "/out");
  {
    GuestProcess guest({"run", "--name", "share", "--kernel", guest_file("vmlinuz"), "--initrd",
                        guest_file("initrd-drivers"), "--append",
                        "console=ttyS0 quiet no_timer_check rdinit=/drivers/init drivers=share", "--share",
                        work, "--share", data + ",tag=data,ro", "--engine", "translate"});
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest,
                  "mkdir /w /d; mount -t virtiofs share /w && mount -t virtiofs data /d && echo $((6*7))",
                  "42\r\n");
    expect_answer(guest,
                  "cat /d/text; ls /w/out/; cp /w/noise /w/copy && cmp /w/noise /w/copy && echo $((6*7))",
                  "for reading\r\nls: /w/out/: No such file");
    EXPECT_TRUE(read_file(work + "/copy") == noise);

    // As a compiler does it: many small files, a directory for each ten, renamed when they are ready.
    guest.type(
        "for i in $(seq 30); do mkdir -p /w/src/$i; for j in $(seq 10); do echo \"$i $j\" > "
        "/w/src/$i/$j.tmp; mv /w/src/$i/$j.tmp /w/src/$i/$j.o; done; done\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    expect_answer(guest, "find /w/src -name '*.o' | wc -l; cat /w/src/*/*.o | sort -n | tail -n 1",
                  "300\r\n30 9\r\n");
    EXPECT_EQ(read_file(work + "/src/17/9.o"), "17 9\n");
    EXPECT_EQ(
        std::distance(fs::recursive_directory_iterator(work + "/src"), fs::recursive_directory_iterator()),
        330);
    expect_answer(guest, "tar c -C /w/src . | tar x -C /tmp && diff -r /w/src /tmp; rm -r /w/src; ls /w/src",
                  "No such file");
    EXPECT_FALSE(fs::exists(work + "/src"));

    guest.type("seq 100000 > /w/numbers; ln /w/numbers /w/hard; chmod 751 /w/hard; ln -s numbers /w/soft\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    EXPECT_TRUE(read_file(work + "/soft") == numbers(100'000));
    EXPECT_EQ(fs::status(work + "/numbers").permissions(), fs::perms(0751));
    // What the host appends is there for the guest after a second at most.
    std::ofstream(work + "/numbers", std::ios::app) << "from the host\n";
    expect_answer(guest, "sleep 2; tail -n 1 /w/hard; truncate -s 10 /w/hard", "from the host");
    EXPECT_EQ(read_file(work + "/numbers"), "1\n2\n3\n4\n5\n");

    expect_answer(guest, "touch /d/new; rm /d/text", "touch: /d/new: Read-only file system");
    EXPECT_TRUE(fs::exists(data + "/text"));

    GuestProcess refused({"snapshot", "--name", "share", "--stop", snapshot});
    EXPECT_EQ(refused.wait_for_end(kEndLimit), 1);
    EXPECT_NE(refused.errors().find("mounted"), std::string::npos) << refused.errors();
    expect_answer(guest, "umount /w /d; echo $((6*7))", "42\r\n");
    ASSERT_EQ(ask("snapshot --name share --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", snapshot, "--name", "share"});
  for (int i = 0; i < 600 && ask("status --name share") != 0; ++i) std::this_thread::sleep_for(100ms);
  expect_answer(guest,
                "mount -t virtiofs share /w; head -n 1 /w/numbers; cmp /w/noise /w/copy && echo $((6*7))",
                "1\r\n42\r\n");
  power_off(guest);
}

/// The guest has no compiler of its own: it runs the host's, from the host's /usr. What it makes of a source
/// tree is what the host makes of it, byte by byte.
TEST_F(SharedFolder, ASourceTreeIsCompiledWithTheHostsCompiler) {
  const std::string work = directory + "/work";
  fs::create_directory(work);
  for (const char* tree : {"/source", "/by-host", "/by-guest"}) fs::create_directory(work + tree);
  for (const fs::directory_entry& entry : fs::directory_iterator(EIDOLON_SOURCE "/bench/guest"))
    if (entry.is_regular_file()) fs::copy(entry.path(), work + "/source/");
  const auto compile = [](const std::string& to) {
    return "for c in *.c; do gcc -O2 -c $c -o ../" + to + "/${c%.c}.o || break; done; gcc -static ../" + to +
           "/*.o -o ../" + to + "/workloads -Wl,--build-id=none";
  };
  ASSERT_EQ(std::system(("cd " + work + "/source && " + compile("by-host")).c_str()), 0);
  GuestProcess guest({"run", "--name", "share", "--kernel", guest_file("vmlinuz"), "--initrd",
                      guest_file("initrd-drivers"), "--append",
                      "console=ttyS0 quiet no_timer_check rdinit=/drivers/init drivers=share", "--share",
                      work, "--share", "/usr,tag=usr,ro", "--engine", "translate"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest,
                "mkdir -p /w /usr /lib64; mount -t virtiofs share /w && mount -t virtiofs usr /usr && "
                "ln -s /usr/lib /lib; ln -s /usr/lib64/ld-linux-x86-64.so.2 /lib64/; echo $((6*7))",
                "42\r\n");
  guest.type("cd /w/source; (PATH=/usr/bin:/bin; " + compile("by-guest") + "); cd; echo compiled $((6*7))\n");
  ASSERT_TRUE(guest.wait_for("compiled 42", 3 * kCommandLimit)) << guest.tail();
  ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
  size_t files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(work + "/by-host")) {
    ++files;
    EXPECT_TRUE(read_file(entry.path()) == read_file(work + "/by-guest/" + entry.path().filename().string()))
        << entry.path();
  }
  EXPECT_GE(files, 7u);
  expect_answer(guest, "/w/by-guest/workloads 2>&1 | head -n 1 | wc -l", "1\r\n");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
