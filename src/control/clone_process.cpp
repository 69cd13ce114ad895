#include "control/clone_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "base/try.h"
#include "control/ask_machine.h"
#include "control/socket_path.h"

namespace eidolon::control {

using namespace std::chrono_literals;

namespace {

Result<FileDescriptor> open_output(const std::string& log) {
  FileDescriptor output(log.empty()
                            ? memfd_create("eidolon-clone", MFD_CLOEXEC)
                            : ::open(log.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!output.valid() && log.empty())
    return fail("cannot make an anonymous file ({}); raise ulimit -n", std::strerror(errno));
  if (!output.valid())
    return fail("cannot write '{}' ({}); name another folder with --logs", log, std::strerror(errno));
  return output;
}

/// In a session of its own: it is not to get this terminal's signals, nor to end with it.
int spawn(pid_t& pid, const std::vector<const char*>& arguments, int output, bool serial) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (serial)
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  else
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  // SAFETY: posix_spawn changes none of the arguments.
  const int failed = posix_spawn(&pid, "/proc/self/exe", &files, &attributes,
                                 const_cast<char* const*>(arguments.data()), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

}  // namespace

Result<CloneProcess> CloneProcess::start(const std::string& image, const std::string& name,
                                         const std::vector<backend::PublishedPort>& published,
                                         const std::string& log) {
  CloneProcess process(name, EIDOLON_TRY(open_output(log)));
  std::vector<const char*> arguments = {
      "eidolon", "restore",    image.c_str(), "--clone",
      "--name",  name.c_str(), "--serial",    log.empty() ? "null" : "stdio"};
  std::vector<std::string> ports;
  for (const backend::PublishedPort& port : published) ports.push_back("--publish=" + to_string(port));
  for (const std::string& port : ports) arguments.push_back(port.c_str());
  arguments.push_back(nullptr);
  if (const int failed = spawn(process.pid_, arguments, process.output_.get(), !log.empty()); failed != 0)
    return fail("cannot start '{}' ({}); let fewer programs run", name, std::strerror(failed));
  return process;
}

Result<> CloneProcess::wait_until_it_runs() const {
  constexpr auto kPatience = 60s;
  constexpr auto kPause = 5ms;
  const std::string path = EIDOLON_TRY(socket_path(name_));
  for (const auto end = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < end;
       std::this_thread::sleep_for(kPause)) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_)
      return fail("'{}' could not be started: {}", name_, last_line());
    if (ask_machine(path, R"({"command": "status"})")) return {};
  }
  return fail("'{}' does not answer after {} s; look at what else this host does", name_, kPatience.count());
}

void CloneProcess::end() const {
  if (pid_ > 0 && kill(pid_, SIGTERM) == 0) waitpid(pid_, nullptr, 0);
}

/// Of what it said, without its own name in front.
std::string CloneProcess::last_line() const {
  std::array<char, 4096> bytes{};
  const off_t length = lseek(output_.get(), 0, SEEK_END);
  const off_t from = std::max<off_t>(0, length - static_cast<off_t>(bytes.size()));
  const ssize_t got = pread(output_.get(), bytes.data(), bytes.size(), from);
  std::string text(bytes.data(), got > 0 ? static_cast<size_t>(got) : 0);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  text.erase(0, text.rfind('\n') + 1);
  constexpr std::string_view kPrefix = "eidolon: ";
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  return text.empty() ? "it said nothing" : text;
}

}  // namespace eidolon::control
