#include "backend/passt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <sstream>

#include "base/try.h"

namespace eidolon::backend {

namespace {

constexpr int kItsSocket = 3;  ///< the descriptor in its process

Result<std::string> find_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const std::string whole = folder + "/" + program; access(whole.c_str(), X_OK) == 0) return whole;
  return fail("there is no program '{0}'; install Debian's package {0}, or use --net user", program);
}

/// Without a terminal of its own, whose signals are not for it, and with nothing to say: it has the system's
/// log.
pid_t spawn(const std::string& program, const std::vector<std::string>& arguments, int socket) {
  std::vector<char*> pointers;
  // SAFETY: posix_spawn changes none of the arguments.
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&files, socket, kItsSocket);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = -1;
  if (posix_spawn(&pid, program.c_str(), &files, &attributes, pointers.data(), environ) != 0) pid = -1;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return pid;
}

}  // namespace

Passt::Passt(std::string program, std::span<const PublishedPort> published) : program_(std::move(program)) {
  arguments_ = {program_, "--foreground", "--fd", std::to_string(kItsSocket)};
  for (const PublishedPort& port : published) {
    arguments_.emplace_back(port.udp ? "--udp-ports" : "--tcp-ports");
    arguments_.push_back(fmt::format("{}/{}:{}", port.host_address, port.host_port, port.guest_port));
  }
}

void Passt::end() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);  // it has nothing to put away
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

FileDescriptor Passt::open() {
  end();
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return {};
  FileDescriptor ours(ends[0]);
  const FileDescriptor its(ends[1]);
  pid_ = spawn(program_, arguments_, its.get());
  return pid_ < 0 ? FileDescriptor() : std::move(ours);
}

Result<std::unique_ptr<SwitchLink>> make_passt_link(std::span<const PublishedPort> published) {
  std::string program = EIDOLON_TRY(find_in_path("passt"));
  return SwitchLink::create(std::make_unique<Passt>(std::move(program), published), SwitchLink::Peer::kStack);
}

}  // namespace eidolon::backend
