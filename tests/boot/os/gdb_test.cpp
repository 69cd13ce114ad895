// A debugger at a guest: its packets, as GDB sends them, to the socket of `eidolon run --gdb`.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"
#include "control/gdb_packets.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;
using control::GdbPacketReader;

constexpr const char* kStepped = "T05thread:1;";
constexpr const char* kInterrupted = "T02thread:1;";

class Debugger {
 public:
  /// Waits until somebody listens.
  explicit Debugger(const std::string& path) {
    sockaddr_un there{};
    there.sun_family = AF_UNIX;
    path.copy(there.sun_path, sizeof there.sun_path - 1);
    for (int tries = 0; tries < 500; ++tries, std::this_thread::sleep_for(20ms)) {
      fd_ = FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0) return;
    }
    ADD_FAILURE() << "nobody listens at " << path;
  }
  void say(std::string_view bytes) const {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void begin(std::string_view packet) const { say(control::gdb_packet(packet)); }
  /// The next packet that comes; empty if none does for a minute.
  std::string answer() {
    for (pollfd query{.fd = fd_.get(), .events = POLLIN, .revents = 0}; poll(&query, 1, 60'000) > 0;) {
      char byte = 0;
      if (read(fd_.get(), &byte, 1) != 1) break;
      if (reader_.put(static_cast<uint8_t>(byte)) != GdbPacketReader::Kind::kPacket) continue;
      say("+");
      return reader_.text();
    }
    return {};
  }
  std::string ask(std::string_view packet) {
    begin(packet);
    return answer();
  }
  /// Register 16 of GDB's amd64.
  uint64_t rip() {
    const auto bytes = control::from_hex(ask("p10"));
    uint64_t value = 0;
    if (!bytes || bytes->size() != sizeof value) {
      ADD_FAILURE() << "RIP is not told";
      return 0;
    }
    bytes->copy(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

 private:
  FileDescriptor fd_;
  GdbPacketReader reader_;
};

std::string hex(uint64_t value) {
  char text[17];
  (void)std::snprintf(text, sizeof text, "%lx", value);
  return text;
}

class Gdb : public ScreenTest, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Engines, Gdb, testing::Values("step", "translate"),
                         [](const auto& engine) { return std::string(engine.param); });

TEST_P(Gdb, StopsStepsAndLooksAtDebiansKernel) {
  require_guest({"vmlinuz", "initrd"}, "scripts/fetch_guest.sh");
  if (IsSkipped()) return;
  const std::string path = directory + "/gdb";
  GuestProcess guest({"run", "--engine", GetParam(), "--memory", "256M", "--gdb", "unix:" + path,
                      "--gdb-wait", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file("initrd"),
                      "--append", "console=ttyS0 quiet"});
  {
    Debugger debugger(path);
    EXPECT_NE(debugger.ask("qSupported:swbreak+;hwbreak+").find("vContSupported+"), std::string::npos);
    EXPECT_EQ(debugger.ask("?"), kStepped);
    const uint64_t entry = debugger.rip();
    EXPECT_NE(entry, 0u);
    EXPECT_EQ(debugger.ask("vCont;s:1"), kStepped);
    const uint64_t next = debugger.rip();
    EXPECT_NE(next, entry) << "it has made one step";

    // A breakpoint a few steps ahead, from where it was: the bytes of the guest stay what they are.
    const std::string before = debugger.ask("m" + hex(next) + ",8");
    EXPECT_EQ(before.size(), 16u);
    uint64_t ahead = next;
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(debugger.ask("s"), kStepped);
      ahead = debugger.rip();
    }
    EXPECT_EQ(debugger.ask("P10=" + control::to_hex({reinterpret_cast<const char*>(&next), 8})), "OK");
    EXPECT_EQ(debugger.ask("Z0," + hex(ahead) + ",1"), "OK");
    EXPECT_EQ(debugger.ask("m" + hex(next) + ",8"), before);
    EXPECT_EQ(debugger.ask("vCont;c"), std::string(kStepped) + "swbreak:;");
    EXPECT_EQ(debugger.rip(), ahead);
    EXPECT_EQ(debugger.ask("z0," + hex(ahead) + ",1"), "OK");
    EXPECT_EQ(debugger.ask("D"), "OK");
  }
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail() << guest.errors();

  // Somebody else comes to a guest that runs, looks around, and leaves without a word.
  {
    Debugger debugger(path);
    EXPECT_EQ(debugger.ask("?").substr(0, 3), "T05");
    const std::string code = debugger.ask("m" + hex(debugger.rip()) + ",4");
    EXPECT_EQ(code.size(), 8u);
    EXPECT_EQ(debugger.ask("mdead000000000000,4").substr(0, 1), "E") << "there is nothing";
    debugger.begin("c");
    std::this_thread::sleep_for(100ms);
    debugger.say("\x03");
    EXPECT_EQ(debugger.answer(), kInterrupted);
  }
  expect_answer(guest, "echo it went on $((1000 + 1))", "it went on 1001");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
