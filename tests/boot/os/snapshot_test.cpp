// Snapshots as a user takes and restores them: a guest under load goes on, on either engine, with its
// devices; and whatever is wrong with a snapshot is said in one sentence.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/clock.h"
#include "base/state_stream.h"
#include "boot/os/disk_image.h"
#include "boot/os/flat_kernel.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"
#include "snapshot/table.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

class Snapshot : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    file = directory + "/machine.snap";
  }
  /// The machine that is called "state".
  [[nodiscard]] int take(const std::string& more = "") const {
    return ask("snapshot --name state " + more + " " + file);
  }
  [[nodiscard]] std::vector<std::string> restore(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> options = {"restore", file, "--name", "state"};
    options.insert(options.end(), more.begin(), more.end());
    return options;
  }
  /// The monitor's one sentence about a restore that cannot be.
  std::string refusal(const std::vector<std::string>& more = {}) {
    GuestProcess guest(restore(more));
    EXPECT_EQ(guest.wait_for_end(60s), 2) << guest.errors();
    EXPECT_EQ(guest.errors().find('\n'), guest.errors().size() - 1) << guest.errors();
    return guest.errors();
  }
  [[nodiscard]] size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
  }

  std::string file;
};

class DebianSnapshot : public Snapshot {
 protected:
  void SetUp() override {
    Snapshot::SetUp();
    require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  }
  static std::vector<std::string> start(const std::string& initrd, const std::vector<std::string>& more) {
    std::vector<std::string> options = {
        "run", "--name", "state", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file(initrd)};
    options.insert(options.end(), more.begin(), more.end());
    return options;
  }
};

/// Hashes for some seconds and gives the answer when it is asked for, with a line: a busy host may take
/// longer for the snapshots. The command line does not contain the answer.
constexpr const char* kLoad =
    "n=$(for i in $(seq 1 40); do seq 1 20000 | sha256sum; done | grep -c f6351f5ead9a700e); read line; "
    "echo sums=$n\n";
constexpr const char* kLoadAnswer = "sums=40\r\n";

TEST_F(DebianSnapshot, ALoadedGuestGoesOnAndSoDoItsSnapshots) {
  {
    GuestProcess guest(start("initrd", {"--append", "console=ttyS0 quiet", "--engine", "translate"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type(kLoad);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(take(i % 5 == 4 ? "--compress" : ""), 0) << "snapshot " << i;
    EXPECT_EQ(take(), 0);
    guest.type("\n");
    EXPECT_TRUE(guest.wait_for(kLoadAnswer, kCommandLimit)) << guest.tail();
    guest.send_signal(SIGKILL);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  }
  GuestProcess guest(restore({"--engine", "translate"}));
  guest.type("\n");
  ASSERT_TRUE(guest.wait_for(kLoadAnswer, kCommandLimit)) << guest.tail() << guest.errors();
  ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
  expect_answer(guest, "dmesg | grep -c -i -E 'unstable|stall|backwards'", "0\r\n");
  expect_answer(guest, "dmesg | grep -c 'crng reseeded due to virtual machine fork'", "1\r\n");
  power_off(guest);
}

TEST_F(DebianSnapshot, OnlyWhatChangedIsInADifferentialOne) {
  const std::string second = directory + "/second.snap", third = directory + "/third.snap";
  {
    GuestProcess guest(start("initrd", {"--append", "console=ttyS0 quiet", "--cpus", "2"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest,
                  "head -c 60000000 /dev/urandom > before; sha256sum < before > right; echo done$((1))",
                  "done1");
    EXPECT_EQ(ask("snapshot --name state --since " + file + " " + second), 1) << "there is none yet";
    ASSERT_EQ(take("--track"), 0);
    expect_answer(guest, "head -c 3000000 /dev/urandom > after; sha256sum < after >> right; echo done$((2))",
                  "done2");
    ASSERT_EQ(ask("snapshot --name state --since " + file + " " + second), 0);
    EXPECT_EQ(ask("snapshot --name state --since " + file + " " + third), 1) << "not the last";
    expect_answer(guest, "echo la''ter > note; echo done$((3))", "done3");
    ASSERT_EQ(ask("snapshot --name state --compress --stop --since " + second + " " + third), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0);
  }
  EXPECT_GT(std::filesystem::file_size(file), 70u << 20);
  EXPECT_LT(std::filesystem::file_size(second), 40u << 20);
  GuestProcess restored({"restore", third, "--name", "state"});
  expect_answer(restored, "(sha256sum < before; sha256sum < after) | cmp - right && cat note", "later");
  power_off(restored);
  std::filesystem::remove(file);
  GuestProcess alone({"restore", third});
  EXPECT_EQ(alone.wait_for_end(kEndLimit), 2);
  EXPECT_NE(alone.errors().find(file), std::string::npos) << alone.errors();
}

TEST_F(DebianSnapshot, AnotherEngineGoesOnAndBack) {
  {
    GuestProcess guest(start("initrd", {"--append", "console=ttyS0 quiet", "--engine", "translate"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type("A=$((6 * 7))\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    ASSERT_EQ(take("--stop"), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  {
    GuestProcess guest(restore({"--engine", "step"}));
    guest.type("B=$((A + 1)); echo b is $B\n");
    ASSERT_TRUE(guest.wait_for("b is 43", kCommandLimit)) << guest.tail() << guest.errors();
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
    ASSERT_EQ(take("--stop"), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest(restore({"--engine", "translate"}));
  guest.type("echo c is $((B + 1))\n");
  ASSERT_TRUE(guest.wait_for("c is 44", kCommandLimit)) << guest.tail() << guest.errors();
  expect_answer(guest, "seq 1 20000 | sha256sum",
                "f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a");
  power_off(guest);
}

/// The snapshot was taken so much earlier than it was.
void make_older(const std::string& path, Nanoseconds by) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto write = [&file](uint64_t at, std::span<const uint8_t> bytes) {
    std::ranges::copy(bytes, std::ostreambuf_iterator<char>(file.seekp(static_cast<std::streamoff>(at))));
  };
  const auto read = [&file](uint64_t at, uint64_t length) {
    std::vector<char> bytes(length);
    file.seekg(static_cast<std::streamoff>(at)).read(bytes.data(), static_cast<std::streamsize>(length));
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  };
  const auto place = snapshot::read_preamble(read(0, snapshot::kPreambleBytes), path);
  ASSERT_TRUE(place);
  auto sections = *snapshot::read_table(read(place->offset, place->length), *place, path);
  snapshot::Section& clock = *std::ranges::find(sections, "clock", &snapshot::Section::name);
  const std::vector<uint8_t> old = read(clock.offset, clock.length);
  StateReader from(old);
  Nanoseconds now = 0, time_of_day = 0;
  const uint32_t version = from.begin("clock");
  from(now, time_of_day);
  StateWriter to;
  to.begin("clock", version);
  to(now, time_of_day - by);
  to.end();
  ASSERT_EQ(to.bytes().size(), clock.length);
  write(clock.offset, to.bytes());
  clock.checksum = snapshot::checksum(to.bytes());
  const snapshot::Frame frame = snapshot::make_frame(sections, place->offset);
  write(place->offset, frame.table);
  write(0, frame.preamble);
}

/// How far its clock is behind the host's, in seconds.
double late(GuestProcess& guest) {
  guest.type("date +time:%s:\n");
  EXPECT_TRUE(guest.wait_for("\ntime:", kCommandLimit)) << guest.tail();
  EXPECT_TRUE(guest.wait_for(":", kCommandLimit));
  return static_cast<double>(std::time(nullptr)) -
         std::stod(guest.output().substr(guest.output().rfind("\ntime:") + 6));
}

TEST_F(DebianSnapshot, ClocksStandOrCatchUp) {
  if (IsSkipped()) return;
  constexpr double kHour = 3600;
  GuestProcess guest(start("initrd", {"--append", "console=ttyS0 quiet"}));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  const double before = late(guest);
  ASSERT_EQ(take("--stop"), 0) << guest.errors();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0);
  // A watchdog that is not told complains after 20 seconds.
  make_older(file, static_cast<Nanoseconds>(kHour) * 1'000'000'000);
  {
    GuestProcess stood(restore());
    EXPECT_NEAR(late(stood), before, kHour / 2) << "it cannot have jumped";
    power_off(stood);
  }
  GuestProcess caught_up(restore({"--catch-up"}));
  double behind = late(caught_up);
  for (int tries = 0; tries < 60 && behind > before - kHour + 10; ++tries) {
    std::this_thread::sleep_for(1s);
    behind = late(caught_up);
  }
  EXPECT_NEAR(behind, before - kHour, 15) << "it went on for the hour that the host's clock did not";
  expect_answer(caught_up, "sleep 5; dmesg | grep -ci 'lockup\\|stall\\|unstable' | sed s/^/complaints:/",
                "complaints:0");
  power_off(caught_up);
}

TEST_F(DebianSnapshot, DisksNetworkAndUsbGoOn) {
  require_guest({"initrd-drivers"}, "scripts/fetch_drivers.sh");
  if (IsSkipped()) return;
  const DiskImage kept(16 << 20, "kept"), forgotten(16 << 20, "forgotten"), sata(16 << 20, "sata"),
      nvme(16 << 20, "nvme"), scsi(16 << 20, "scsi");
  {
    GuestProcess guest(start(
        "initrd-drivers",
        {"--append", "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--disk", kept.path(),
         "--disk", forgotten.path() + ",snapshot", "--disk", sata.path() + ",if=ahci", "--disk",
         nvme.path() + ",if=nvme", "--disk", scsi.path() + ",if=scsi", "--net", "user", "--usb", "tablet"}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    for (const std::string disk : {"vda", "vdb", "sda", "sdb", "nvme0n1"})
      expect_answer(guest,
                    "seq 1 100000 | dd of=/dev/" + disk + " bs=4k 2>/dev/null; sync; echo synced $((6 * 7))",
                    "synced 42");
    // While the snapshot is taken, requests are under way.
    guest.type(
        "while :; do for d in vda vdb sda sdb nvme0n1; do dd if=/dev/$d of=/dev/$d bs=4k count=100 "
        "conv=fsync "
        "2>/dev/null; "
        "done; done & echo begun $((6 * 7))\n");
    ASSERT_TRUE(guest.wait_for("begun 42", kCommandLimit));
    ASSERT_EQ(take("--stop"), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest(restore());
  guest.type("kill %1; wait; echo ended $((6 * 7))\n");
  ASSERT_TRUE(guest.wait_for("ended 42", kCommandLimit)) << guest.tail() << guest.errors();
  for (const std::string disk : {"vda", "vdb", "sda", "sdb", "nvme0n1"})
    expect_answer(guest,
                  "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/" + disk +
                      " bs=4k 2>/dev/null | head -c 588895 | sha256sum",
                  "b2bc7d3f8b652d2ec96865b68ad8f80e22cca174abe1aed7889e242a747d590f");
  expect_answer(guest, "dmesg | grep -c -E 'I/O error|timeout|reset controller|exception Emask'", "0\r\n");
  EXPECT_EQ(forgotten.at(0, 2), std::string("\0\0", 2)) << "what is to be forgotten is not in the file";
  power_off(guest);
}

/// Writes 'r' and then turns in a loop that counts in memory.
const std::initializer_list<uint8_t> kCounts = {0x66, 0xba, 0xf8, 0x03, 0xb0, 'r',  0xee, 0xff,
                                                0x05, 0,    0,    0x20, 0,    0xeb, 0xf8};

class SmallSnapshot : public Snapshot {
 protected:
  void take_one(const std::vector<std::string>& more = {}) {
    std::vector<std::string> options = {"run", "--kernel", kernel_.path(), "--memory",
                                        "16M", "--name",   "state"};
    options.insert(options.end(), more.begin(), more.end());
    GuestProcess guest(options);
    ASSERT_TRUE(guest.wait_for("r", 60s)) << guest.errors();
    ASSERT_EQ(take("--stop"), 0);
    EXPECT_EQ(guest.wait_for_end(60s), 0);
  }
  void expect_refusal(const std::string& part, const std::vector<std::string>& more = {}) {
    const std::string sentence = refusal(more);
    EXPECT_NE(sentence.find(part), std::string::npos) << "no '" << part << "' in: " << sentence;
  }

 private:
  const FlatKernel kernel_{kCounts};
};

TEST_F(SmallSnapshot, WhatIsWrongWithTheFileIsSaid) {
  expect_refusal("cannot open the snapshot");
  std::ofstream(file) << "some text";
  expect_refusal("no snapshot of a machine");
  take_one();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  expect_refusal("cut short");
  take_one();
  {
    std::fstream damaged(file, std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekp(100);
    damaged.put('\x5a');
  }
  expect_refusal("damaged");
  take_one();
  expect_refusal("--engine lockstep", {"--engine", "lockstep"});
}

TEST_F(SmallSnapshot, ADiskThatIsNotAsItWasIsRefused) {
  const DiskImage disk(1 << 20);
  take_one({"--disk", disk.path()});
  { GuestProcess(restore()).send_signal(SIGTERM); }
  disk.write(0, "other");
  expect_refusal("was written after the snapshot");
  GuestProcess nevertheless(restore({"--changed-disks"}));
  nevertheless.send_signal(SIGTERM);
  EXPECT_EQ(nevertheless.wait_for_end(60s), 128 + SIGTERM);
  std::filesystem::resize_file(disk.path(), 2 << 20);
  expect_refusal("2097152 bytes");
  std::filesystem::remove(disk.path());
  expect_refusal(disk.path());
}

TEST_F(SmallSnapshot, AMachineGoesOnWhenThereIsNoRoomOrNoFolder) {
  const FlatKernel kernel(kCounts);
  GuestProcess guest({"run", "--kernel", kernel.path(), "--memory", "16M", "--name", "state"});
  ASSERT_TRUE(guest.wait_for("r", 60s));
  const size_t before = files();
  EXPECT_EQ(ask("snapshot --name state /dev/full"), 1);
  EXPECT_EQ(ask("snapshot --name state " + directory + "/nowhere/file"), 1);
  EXPECT_EQ(files(), before);
  EXPECT_EQ(ask("pause"), 0);
  EXPECT_EQ(take(), 0);
  EXPECT_EQ(ask("resume"), 0);
  EXPECT_EQ(take(), 0);
  EXPECT_EQ(ask("stop"), 0);
  EXPECT_EQ(guest.wait_for_end(60s), 0);
}

}  // namespace
}  // namespace eidolon::boot_test
