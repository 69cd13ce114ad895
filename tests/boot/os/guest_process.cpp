#include "boot/os/guest_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

namespace eidolon::boot_test {

using std::chrono::steady_clock;

namespace {

struct Pipe {
  FileDescriptor reader, writer;
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "pipe2 failed";
    reader = FileDescriptor(ends[0]);
    writer = FileDescriptor(ends[1]);
  }
};

/// Appends what is there; false, and the descriptor closed, at its end.
bool drain(FileDescriptor& fd, std::string& into) {
  std::array<char, 4096> buffer;
  const ssize_t count = read(fd.get(), buffer.data(), buffer.size());
  if (count <= 0) {
    fd.reset();
    return false;
  }
  into.append(buffer.data(), static_cast<size_t>(count));
  return true;
}

}  // namespace

GuestProcess::GuestProcess(const std::vector<std::string>& arguments) {
  signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  std::vector<std::string> words = {EIDOLON_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.reader.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.writer.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.writer.get(), STDERR_FILENO);
  const int problem = posix_spawn(&pid_, EIDOLON_PROGRAM, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) {
    ADD_FAILURE() << "cannot start " << EIDOLON_PROGRAM;
    pid_ = -1;
  }
  to_ = std::move(in.writer);
  output_fd_ = std::move(out.reader);
  errors_fd_ = std::move(err.reader);
}

GuestProcess::~GuestProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void GuestProcess::send_signal(int number) const {
  ASSERT_GT(pid_, 0) << "the monitor does not run";
  kill(pid_, number);
}

std::vector<pid_t> GuestProcess::children() const {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task", gone)) {
    std::ifstream list(thread.path() / "children");
    for (pid_t child = -1; list >> child;) found.push_back(child);
  }
  return found;
}

uint64_t GuestProcess::resident_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) << 10;
  ADD_FAILURE() << "the monitor does not run";
  return 0;
}

void GuestProcess::type(std::string_view text) const {
  EXPECT_EQ(write(to_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

bool GuestProcess::read_more(Deadline deadline) {
  std::array<pollfd, 2> watched = {pollfd{.fd = output_fd_.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = errors_fd_.get(), .events = POLLIN, .revents = 0}};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
  if (left.count() <= 0 || poll(watched.data(), watched.size(), static_cast<int>(left.count())) <= 0)
    return false;
  if (watched[1].revents != 0) (void)drain(errors_fd_, errors_);
  if (watched[0].revents != 0) (void)drain(output_fd_, output_);
  return output_fd_.valid() || errors_fd_.valid();
}

bool GuestProcess::wait_for(std::string_view text, std::chrono::seconds limit) {
  return wait_for_any({text}, limit);
}

bool GuestProcess::wait_for_any(std::initializer_list<std::string_view> texts, std::chrono::seconds limit) {
  const Deadline deadline = steady_clock::now() + limit;
  for (bool more = true;; more = read_more(deadline)) {
    size_t end = std::string::npos;
    for (const std::string_view text : texts) {
      const size_t at = output_.find(text, seen_);
      if (at != std::string::npos) end = std::min(end, at + text.size());
    }
    if (end != std::string::npos) {
      seen_ = end;
      return true;
    }
    if (!more) return false;
  }
}

int GuestProcess::wait_for_end(std::chrono::seconds limit) {
  const Deadline deadline = steady_clock::now() + limit;
  while (read_more(deadline)) {
  }
  if (pid_ <= 0 || output_fd_.valid() || errors_fd_.valid()) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string GuestProcess::tail() const {
  constexpr size_t kBytes = 3000;
  return "last output:\n" + output_.substr(output_.size() - std::min(output_.size(), kBytes)) +
         "\nstandard error:\n" + errors_;
}

}  // namespace eidolon::boot_test
