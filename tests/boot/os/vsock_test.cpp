// Debian's vsock: streams between guest and host, asked for by either, and what is left of them after a
// snapshot.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "boot/os/archive.h"
#include "boot/os/guest_shell.h"
#include "boot/os/screen.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

/// A stream between here and the guest.
class Stream {
 public:
  explicit Stream(FileDescriptor fd) : fd_(std::move(fd)) {}
  void write_all(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      text.remove_prefix(static_cast<size_t>(count));
    }
  }
  /// So many bytes; fewer if there are no more, or none for two minutes.
  [[nodiscard]] std::string read_all(size_t most) const {
    std::string text;
    for (pollfd query{.fd = fd_.get(), .events = POLLIN, .revents = 0}; text.size() < most;) {
      char bytes[4096];
      if (poll(&query, 1, 120'000) <= 0) break;
      const ssize_t count = read(fd_.get(), bytes, std::min(sizeof bytes, most - text.size()));
      if (count <= 0) break;
      text.append(bytes, static_cast<size_t>(count));
    }
    return text;
  }
  [[nodiscard]] std::string read_line() const {
    std::string line;
    for (std::string byte; byte = read_all(1), !byte.empty() && byte != "\n";) line += byte;
    return line;
  }

 private:
  FileDescriptor fd_;
};

class Vsock : public ScreenTest {
 protected:
  void SetUp() override {
    ScreenTest::SetUp();
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
    if (IsSkipped() || HasFatalFailure()) return;
    path = directory + "/vsock";
    initrd = directory + "/initrd";
    add_programs(initrd, guest_file("initrd-drivers"), {EIDOLON_GUEST_PROGRAMS "/vsock"});
  }
  [[nodiscard]] sockaddr_un address(const std::string& suffix) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (path + suffix).copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  /// A port of the guest's, when somebody listens on it.
  [[nodiscard]] Stream reach(const std::string& port, std::string& answer) const {
    for (int i = 0; i < 100; ++i, std::this_thread::sleep_for(200ms)) {
      FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_un there = address("");
      if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) continue;
      Stream stream(std::move(fd));
      stream.write_all("CONNECT " + port + "\n");
      answer = stream.read_line();
      if (!answer.empty()) return stream;
    }
    return Stream(FileDescriptor());
  }
  [[nodiscard]] FileDescriptor listen_on(const std::string& port) const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un here = address("_" + port);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(listen(fd.get(), 4), 0);
    return fd;
  }

  std::string path, initrd;
};

TEST_F(Vsock, StreamsFromBothSidesUntilASnapshotEndsThem) {
  const std::string snapshot = directory + "/snap";
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "\n";
  std::string answer;
  {
    GuestProcess guest({"run", "--name", "vsock", "--kernel", guest_file("vmlinuz"), "--initrd", initrd,
                        "--append", "console=ttyS0 quiet no_timer_check rdinit=/drivers/init drivers=vsock",
                        "--vsock", path + ",cid=5", "--engine", "translate"});
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    guest.type("/vsock listen 1234 &\n");
    ASSERT_TRUE(guest.wait_for("listening", kCommandLimit)) << guest.tail();
    {
      const Stream stream = reach("1234", answer);
      EXPECT_TRUE(answer.starts_with("OK ")) << answer;
      std::thread writer([&] { stream.write_all(text); });
      EXPECT_TRUE(stream.read_all(text.size()) == text);
      writer.join();
    }
    {
      const FileDescriptor listener = listen_on("77");
      std::string received;
      std::thread server([&] {
        const Stream stream(FileDescriptor(accept(listener.get(), nullptr, nullptr)));
        received = stream.read_all(6);
        stream.write_all(text);
        received += stream.read_all(100);
      });
      expect_answer(guest,
                    "(echo first; sleep 1; echo last) | /vsock connect 2 77 | md5sum; echo end $((6*7))",
                    "end 42");
      server.join();
      EXPECT_EQ(received, "first\nlast\n");
    }
    expect_answer(guest, "/vsock connect 2 78 </dev/null", "connect: Connection reset by peer");
    // One that is open while the machine is saved.
    const FileDescriptor listener = listen_on("79");
    guest.type("(sleep 1000 | /vsock connect 2 79; echo stream $((6*7)) over) &\n");
    const Stream open(FileDescriptor(accept(listener.get(), nullptr, nullptr)));
    open.write_all("begun\n");
    ASSERT_TRUE(guest.wait_for("begun", kCommandLimit)) << guest.tail();
    ASSERT_EQ(ask("snapshot --name vsock --stop " + snapshot), 0);
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
    EXPECT_EQ(open.read_all(1), "") << "the monitor has ended";
  }
  GuestProcess guest({"restore", snapshot, "--name", "vsock"});
  // Linux says either, depending on whether the program was waiting already.
  EXPECT_TRUE(guest.wait_for_any(
      {"read: Connection reset by peer", "read: Transport endpoint is not connected"}, kCommandLimit))
      << guest.tail() << guest.errors();
  const Stream stream = reach("1234", answer);
  EXPECT_TRUE(answer.starts_with("OK ")) << "who listens still does, and says: " << answer;
  stream.write_all("again\n");
  EXPECT_EQ(stream.read_all(6), "again\n");
  power_off(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
