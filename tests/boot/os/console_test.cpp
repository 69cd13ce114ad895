// Debian's virtio_console: a shell on hvc0, and a named port for programs.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

/// What a program writes to a port waits until there is somebody on the host.
constexpr const char* kEcho = "echo ready >&3; cat <&3 >&3 &\n";

/// The host's end of a port on a Unix socket.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
  }
  void type(std::string_view text) const {
    EXPECT_EQ(write(fd_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  /// Until `text` has come.
  bool wait_for(const std::string& text) {
    for (pollfd query{.fd = fd_.get(), .events = POLLIN, .revents = 0};;) {
      if (const size_t at = output.find(text); at != std::string::npos) {
        output.erase(0, at + text.size());
        return true;
      }
      char buffer[4096];
      if (poll(&query, 1, 120'000) <= 0) return false;
      const ssize_t count = read(fd_.get(), buffer, sizeof buffer);
      if (count <= 0) return false;
      output.append(buffer, static_cast<size_t>(count));
    }
  }
  std::string output;

 private:
  FileDescriptor fd_;
};

class VirtioConsole : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
  }
  std::vector<std::string> options(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"run",
                                    "--name",
                                    "ports",
                                    "--kernel",
                                    guest_file("vmlinuz"),
                                    "--initrd",
                                    guest_file("initrd-drivers"),
                                    "--append",
                                    "console=ttyS0 quiet no_timer_check rdinit=/drivers/init",
                                    "--engine",
                                    "translate"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(VirtioConsole, AShellAndAPortThatGoOnFromASnapshot) {
  const std::string console = directory + "/hvc", port = directory + "/port", snapshot = directory + "/snap";
  {
    GuestProcess guest(
        options({"--console", "socket:" + console, "--port", "org.eidolon.echo=socket:" + port}));
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "cat /sys/class/virtio-ports/vport*p1/name", "org.eidolon.echo\r\n");
    // Nobody listens yet, and a console does not wait for that.
    expect_answer(guest, "seq 1 5000 > /dev/hvc0; echo written $((6 * 7))", "written 42");
    guest.type("setsid sh -c 'exec sh -i </dev/hvc0 >/dev/hvc0 2>&1' &\n");
    ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit));
    Client terminal(console);
    terminal.type("echo sum $((40 + 2))\n");
    EXPECT_TRUE(terminal.wait_for("sum 42")) << terminal.output;
    terminal.type("seq 1 30000 | tail -n 29000; echo end $((40 + 2))\n");
    EXPECT_TRUE(terminal.wait_for("\n1001\r\n1002\r\n") && terminal.wait_for("\n30000\r\nend 42"));

    guest.type("exec 3<>$(echo /dev/vport*p1)\n");
    guest.type(kEcho);
    Client agent(port);
    ASSERT_TRUE(agent.wait_for("ready\n"));
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + "\n";
    std::thread writer([&] { agent.type(text); });
    EXPECT_TRUE(agent.wait_for("\n19999\n"));
    writer.join();
    ASSERT_EQ(ask("snapshot --name ports --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", snapshot, "--name", "ports"});
  for (int i = 0; i < 600 && ask("status --name ports") != 0; ++i) std::this_thread::sleep_for(100ms);
  guest.type(kEcho);  // the first one has ended with its client
  Client agent(port);
  ASSERT_TRUE(agent.wait_for("ready\n")) << guest.tail();
  agent.type("again\n");
  EXPECT_TRUE(agent.wait_for("again\n"));
  Client terminal(console);
  terminal.type("echo sum $((40 + 3))\n");
  EXPECT_TRUE(terminal.wait_for("sum 43")) << terminal.output;
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
