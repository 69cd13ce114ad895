// --display terminal, as a user has it: the program in a terminal of its own, its picture and its keys, and
// the terminal as it was afterwards, however the program ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "backend/tiny_terminal.h"
#include "base/file.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// A boot sector that shows the scan code of each key it gets by INT 16h, as a letter from 'A' on, two a key.
std::string boot_sector() {
  const unsigned char code[] = {
      0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x80, 0x7c,  // xor ax, ax; mov ds, ax; mov si, 0x7c80
      0xac, 0x84, 0xc0, 0x74, 0x09,              // 1: lodsb; test al, al; jz 2f
      0xb4, 0x0e, 0xbb, 0x07, 0x00, 0xcd, 0x10,  // mov ah, 0xe; mov bx, 7; int 0x10
      0xeb, 0xf2,                                // jmp 1b
      0xb4, 0x10, 0xcd, 0x16, 0x88, 0xe1,        // 2: mov ah, 0x10; int 0x16; mov cl, ah
      0x88, 0xc8, 0xc0, 0xe8, 0x04, 0x04, 0x41,  // mov al, cl; shr al, 4; add al, 'A'
      0xb4, 0x0e, 0xcd, 0x10,                    // mov ah, 0xe; int 0x10
      0x88, 0xc8, 0x24, 0x0f, 0x04, 0x41,        // mov al, cl; and al, 15; add al, 'A'
      0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xe3};       // mov ah, 0xe; int 0x10; jmp 2b
  std::string sector(reinterpret_cast<const char*>(code), sizeof code);
  sector.resize(0x80);
  sector += "Boot sector \xcd\xcd Keys: ";
  sector.resize(510);
  return sector + "\x55\xaa";
}

class TerminalGuest {
 public:
  explicit TerminalGuest(std::vector<std::string> arguments) {
    winsize size{.ws_row = 25, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    int master = -1, slave = -1;
    EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
    master_ = FileDescriptor(master);
    slave_ = FileDescriptor(slave);
    fcntl(master, F_SETFD, FD_CLOEXEC);  // or the terminal would not hang up when the test goes
    fcntl(slave, F_SETFD, FD_CLOEXEC);
    arguments.insert(arguments.begin(), EIDOLON_PROGRAM);
    std::vector<char*> argv;
    for (std::string& word : arguments) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    login_tty(slave);
    execv(EIDOLON_PROGRAM, argv.data());
    _exit(127);
  }
  ~TerminalGuest() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  TerminalGuest(const TerminalGuest&) = delete;
  TerminalGuest& operator=(const TerminalGuest&) = delete;

  void type(std::string_view text) const {
    EXPECT_EQ(write(master_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool shows(std::string_view text, std::chrono::seconds limit = 60s) {
    const auto deadline = steady_clock::now() + limit;
    while (terminal.screen().find(text) == std::string::npos)
      if (!read_some(deadline)) return false;
    return true;
  }
  void send_signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
  }
  /// The wait status.
  int wait_for_end(std::chrono::seconds limit = 60s) {
    const auto deadline = steady_clock::now() + limit;
    int status = -1;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (steady_clock::now() > deadline) return -1;
      read_some(steady_clock::now() + 20ms);
    }
    while (read_some(steady_clock::now() + 20ms)) {
    }
    pid_ = -1;
    return status;
  }
  [[nodiscard]] bool cooked() const {
    termios now{};
    EXPECT_EQ(tcgetattr(slave_.get(), &now), 0);
    return (now.c_lflag & ICANON) != 0 && (now.c_lflag & ECHO) != 0;
  }
  backend::TinyTerminal terminal{80, 25};

 private:
  bool read_some(steady_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd ready{.fd = master_.get(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return false;
    char buffer[4096];
    const ssize_t count = read(master_.get(), buffer, sizeof buffer);
    if (count > 0) terminal.feed({buffer, static_cast<size_t>(count)});
    return count > 0;
  }
  FileDescriptor master_, slave_;
  pid_t pid_ = -1;
};

class TerminalScreen : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists("/usr/share/seabios/vgabios-stdvga.bin")) {
      if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "there is no video BIOS";
      GTEST_SKIP() << "there is no video BIOS; run scripts/dependencies.sh test";
    }
    disk = testing::TempDir() + "eidolon-terminal-" +
           testing::UnitTest::GetInstance()->current_test_info()->name() + ".img";
    std::ofstream(disk, std::ios::binary | std::ios::trunc) << boot_sector();
    std::filesystem::resize_file(disk, 1 << 20);
  }
  void TearDown() override { std::filesystem::remove(disk); }
  std::vector<std::string> run() { return {"run", "--disk", disk, "--display", "terminal"}; }
  std::string disk;
};

TEST_F(TerminalScreen, ShowsTheBiosTakesKeysAndIsLeftByItsChord) {
  TerminalGuest guest(run());
  ASSERT_TRUE(guest.shows("Boot sector ══ Keys:")) << guest.terminal.screen();
  EXPECT_TRUE(guest.shows("SeaBIOS (version ")) << guest.terminal.screen();
  EXPECT_TRUE(guest.terminal.own_screen);
  EXPECT_FALSE(guest.cooked());
  guest.type("a");         // scan code 1e
  guest.type("\x1b[21~");  // F10: 44
  EXPECT_TRUE(guest.shows("Keys: BOEE")) << guest.terminal.screen();
  guest.type("\x01h");
  EXPECT_TRUE(guest.shows("Ctrl-A x")) << guest.terminal.screen();
  guest.type("\x03");  // Ctrl-C is the guest's: 2e
  EXPECT_TRUE(guest.shows("Keys: BOEECO")) << guest.terminal.screen();
  guest.type("\x01x");
  EXPECT_EQ(guest.wait_for_end(), 0);
  EXPECT_FALSE(guest.terminal.own_screen);
  EXPECT_TRUE(guest.terminal.cursor_on);
  EXPECT_TRUE(guest.cooked());
}

TEST_F(TerminalScreen, IsGivenBackAfterASignalAndACrash) {
  for (const int number : {SIGTERM, SIGSEGV}) {
    TerminalGuest guest(run());
    ASSERT_TRUE(guest.shows("Keys:")) << guest.terminal.screen();
    guest.send_signal(number);
    const int status = guest.wait_for_end();
    if (number == SIGTERM) {
      EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
    } else {
      EXPECT_TRUE(WIFSIGNALED(status)) << status;
    }
    EXPECT_FALSE(guest.terminal.own_screen) << number;
    EXPECT_TRUE(guest.cooked()) << number;
  }
}

TEST_F(TerminalScreen, NeedsATerminal) {
  auto arguments = std::string(EIDOLON_PROGRAM " run --display terminal --disk ") + disk +
                   " </dev/null 2>&1 | grep -q 'needs a terminal'";
  EXPECT_EQ(std::system(arguments.c_str()), 0);
}

}  // namespace
}  // namespace eidolon::boot_test
