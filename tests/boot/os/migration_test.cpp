// Machines that move between processes while they run, and what happens when they cannot.
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"
#include "boot/os/moving_guest.h"
#include "boot/os/screen.h"
#include "migration/listener.h"
#include "migration/message.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;
using migration::Kind;

class MigrationTest : public ScreenTest {
 protected:
  [[nodiscard]] std::string socket() const { return "unix:" + directory + "/moving"; }
  /// With a memory of its own that changes all the time.
  std::vector<std::string> guest_arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"run",
                                          "--name",
                                          "state",
                                          "--cpus",
                                          "2",
                                          "--memory",
                                          "256M",
                                          "--kernel",
                                          guest_file("vmlinuz"),
                                          "--initrd",
                                          guest_file("initrd"),
                                          "--append",
                                          "console=ttyS0 quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static void start_work(GuestProcess& guest) {
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type("head -c 20000000 /dev/urandom > random; sha256sum < random > right; echo ready$((1))\n");
    ASSERT_TRUE(guest.wait_for("ready1", kCommandLimit)) << guest.tail();
    guest.type(
        "(while cat random > copy; sha256sum < copy | cmp - right; do :; done; echo wrong$((1))) & "
        "(while sha256sum < random | cmp - right; do :; done; echo wrong$((1))) &\n");
  }
};

TEST_F(MigrationTest, AGuestUnderLoadMovesOnAndOn) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  auto guest = std::make_unique<GuestProcess>(guest_arguments());
  start_work(*guest);
  std::string name = "state";
  for (int turn = 1; turn <= 4; ++turn) {
    const std::string next = "state" + std::to_string(turn);
    // The engine may be another one.
    auto there = std::make_unique<GuestProcess>(std::vector<std::string>{
        "receive", socket(), "--name", next, "--engine", turn == 3 ? "step" : "translate"});
    for (int tries = 0; tries < 100 && !std::filesystem::exists(directory + "/moving"); ++tries)
      std::this_thread::sleep_for(50ms);
    ASSERT_EQ(ask("migrate " + socket() + " --name " + name), 0) << guest->errors();
    EXPECT_EQ(guest->wait_for_end(kEndLimit), 0) << guest->errors();
    EXPECT_EQ(guest->output().find("wrong1"), std::string::npos) << guest->tail();
    guest = std::move(there);
    name = next;
    expect_right(*guest, turn);
  }
  expect_answer(*guest, "dmesg | grep -ci 'unstable\\|lockup\\|virtual machine fork' | sed s/^/complaints:/",
                "complaints:0");
  guest->type("date +time:%s:\n");
  ASSERT_TRUE(guest->wait_for("\ntime:", kCommandLimit)) << guest->tail();
  ASSERT_TRUE(guest->wait_for(":", kCommandLimit));
  const std::string& said = guest->output();
  const long shown = std::stol(said.substr(said.rfind("\ntime:") + 6));
  EXPECT_NEAR(static_cast<double>(shown), static_cast<double>(std::time(nullptr)), 5) << "its clock went on";
  power_off(*guest);
}

TEST_F(MigrationTest, DisksAndPortsGoAlong) {
  require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  if (IsSkipped()) return;
  const DiskImage disk(16 << 20);
  GuestProcess guest({"run", "--name", "state", "--memory", "256M", "--kernel", guest_file("vmlinuz"),
                      "--initrd", guest_file("initrd-drivers"), "--append",
                      "console=ttyS0 quiet rdinit=/drivers/init", "--disk", disk.path(), "--net", "user",
                      "--publish", "21731:80"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "echo -n written here | dd of=/dev/vda conv=fsync 2>&1 | tail -1; echo done$((1))",
                "done1");
  GuestProcess there({"receive", socket(), "--name", "there"});
  for (int tries = 0; tries < 100 && !std::filesystem::exists(directory + "/moving"); ++tries)
    std::this_thread::sleep_for(50ms);
  ASSERT_EQ(ask("migrate " + socket() + " --name state"), 0) << guest.errors() << there.errors();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  expect_answer(there, "head -c 12 /dev/vda | sed s/w/W/; echo", "Written here");
  expect_answer(there, "echo -n and there | dd of=/dev/vda seek=1 conv=fsync 2>&1 | tail -1; echo done$((2))",
                "done2");
  power_off(there);
  EXPECT_EQ(disk.at(0, 12), "written here");
  EXPECT_EQ(disk.at(512, 9), "and there");
}

/// A destination that does as it should until `fault`, and then goes away.
class BadDestination {
 public:
  enum class Fault { kAtOnce, kAfterHello, kAmongPages, kBeforeLoaded, kRefuses, kGarbage, kStalls };
  BadDestination(const std::string& place, Fault fault)
      : listener_(*migration::Listener::create(*migration::parse_place(place))),
        thread_([this, fault] { serve(fault); }) {}
  ~BadDestination() { thread_.join(); }
  BadDestination(const BadDestination&) = delete;
  BadDestination& operator=(const BadDestination&) = delete;

 private:
  void serve(Fault fault) {
    const auto never = *backend::Wakeup::create();
    FileDescriptor socket = listener_.accept();
    const int listening = socket.get();
    if (fault == Fault::kAtOnce) return;
    auto source = *migration::Connection::accepted(std::move(socket), nullptr, never);
    if (!migration::expect(*source, Kind::kHello) || fault == Fault::kAfterHello) return;
    if (fault == Fault::kGarbage) {
      const std::vector<uint8_t> garbage(1000, 0xcc);
      (void)source->send(garbage);
      return;
    }
    if (!migration::send_message(*source, Kind::kReady)) return;
    if (fault == Fault::kStalls) {
      pollfd gone{.fd = listening, .events = POLLRDHUP, .revents = 0};
      (void)poll(&gone, 1, 60'000);
      return;
    }
    for (int count = 0;; ++count) {
      const auto message = migration::receive_message(*source);
      if (!message || (fault == Fault::kAmongPages && count == 20)) return;
      if (message->kind != Kind::kStateEnd) continue;
      if (fault == Fault::kRefuses) (void)migration::send_refusal(*source, "there is no disk here");
      if (fault == Fault::kRefuses) std::this_thread::sleep_for(100ms);
      return;
    }
  }
  const migration::Listener listener_;
  std::thread thread_;
};

TEST_F(MigrationTest, WhateverTheOtherSideDoesTheGuestGoesOn) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  const DiskImage disk(16 << 20);
  GuestProcess guest(guest_arguments({"--disk", disk.path()}));
  start_work(guest);
  EXPECT_EQ(ask("migrate " + socket() + " --name state"), 1) << "nobody listens";
  using Fault = BadDestination::Fault;
  int turn = 0;
  for (const Fault fault : {Fault::kAtOnce, Fault::kAfterHello, Fault::kGarbage, Fault::kAmongPages,
                            Fault::kBeforeLoaded, Fault::kRefuses}) {
    {
      const BadDestination there(socket(), fault);
      EXPECT_EQ(ask("migrate " + socket() + " --name state"), 1);
    }
    expect_right(guest, turn++);
  }
  {
    GuestProcess there({"receive", socket(), "--name", "there", "--display", "vnc:none"});
    EXPECT_EQ(there.wait_for_end(kEndLimit), 2) << "a session that cannot be";
  }
  EXPECT_EQ(ask("migrate --cancel --name state"), 0) << "nothing is to be cancelled";
  const std::string snapshot = "snapshot --name state " + directory + "/during.snap";
  EXPECT_EQ(ask(snapshot), 0);
  {
    // It is ready for pages, and takes none: the move lasts until it is cancelled.
    const BadDestination there(socket(), Fault::kStalls);
    std::thread mover([this] { EXPECT_EQ(ask("migrate " + socket() + " --name state"), 1); });
    for (int tries = 0; tries < 200 && ask(snapshot) == 0; ++tries) std::this_thread::sleep_for(20ms);
    EXPECT_EQ(ask(snapshot), 1) << "it would take the move's log of writes";
    EXPECT_EQ(ask("engine --name state step"), 1);
    EXPECT_EQ(ask("migrate --cancel --name state"), 0);
    mover.join();
  }
  expect_right(guest, turn++);
  GuestProcess there({"receive", socket(), "--name", "there"});
  for (int tries = 0; tries < 100 && !std::filesystem::exists(directory + "/moving"); ++tries)
    std::this_thread::sleep_for(50ms);
  EXPECT_EQ(ask("migrate " + socket() + " --name state"), 0) << there.errors();
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0);
  expect_right(there, turn);
  power_off(there);
}

}  // namespace
}  // namespace eidolon::boot_test
