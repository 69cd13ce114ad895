#include "backend/terminal.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

namespace eidolon::backend {
namespace {

struct Pty {
  Pty() {
    int master_fd = -1;
    int slave_fd = -1;
    if (openpty(&master_fd, &slave_fd, nullptr, nullptr, nullptr) != 0) ADD_FAILURE() << "openpty failed";
    master = FileDescriptor(master_fd);
    slave = FileDescriptor(slave_fd);
  }
  [[nodiscard]] bool cooked() const {
    termios now{};
    EXPECT_EQ(tcgetattr(slave.get(), &now), 0);
    return (now.c_lflag & ICANON) != 0 && (now.c_lflag & ECHO) != 0 && (now.c_lflag & ISIG) != 0;
  }
  FileDescriptor master;
  FileDescriptor slave;
};

TEST(Terminal, IsRawOnlyWhileAskedFor) {
  Pty pty;
  {
    Terminal terminal(pty.slave.get());
    ASSERT_TRUE(terminal.is_terminal());
    EXPECT_TRUE(pty.cooked()) << "not before enter_raw";
    terminal.enter_raw();
    EXPECT_TRUE(terminal.raw());
    EXPECT_FALSE(pty.cooked());
    terminal.restore();
    EXPECT_TRUE(pty.cooked());
    terminal.enter_raw();
  }
  EXPECT_TRUE(pty.cooked()) << "given back by the destructor";
}

TEST(Terminal, LeavesAPipeAlone) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const FileDescriptor reader(ends[0]);
  const FileDescriptor writer(ends[1]);
  Terminal terminal(reader.get());
  terminal.enter_raw();
  EXPECT_FALSE(terminal.is_terminal());
  EXPECT_FALSE(terminal.raw());
}

/// Runs `crash` in a child with the terminal raw and returns the child's wait status.
int status_of_crash(const Pty& pty, void (*crash)()) {
  const pid_t child = fork();
  if (child == 0) {
    Terminal terminal(pty.slave.get());
    terminal.enter_raw();
    crash();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST(Terminal, IsGivenBackAfterAnAbort) {
  Pty pty;
  const int status = status_of_crash(pty, [] { abort(); });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  EXPECT_TRUE(pty.cooked());
}

TEST(Terminal, IsGivenBackAfterAFault) {
  Pty pty;
  const int status = status_of_crash(pty, [] { __builtin_trap(); });
#ifndef EIDOLON_SANITIZED  // a sanitizer reports the fault and exits
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL) << status;
#endif
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(pty.cooked());
}

TEST(Terminal, IsGivenBackAfterAQuitSignal) {
  Pty pty;
  const int status = status_of_crash(pty, [] { kill(getpid(), SIGQUIT); });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT) << status;
  EXPECT_TRUE(pty.cooked());
}

}  // namespace
}  // namespace eidolon::backend
