// Programs that serve a disk or a folder by vhost-user, for tests that kill them and start them again.
#pragma once

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

namespace eidolon::boot_test {

/// A back end, which ends with the test.
class Daemon {
 public:
  Daemon(std::vector<std::string> arguments, std::string socket)
      : arguments_(std::move(arguments)), socket_(std::move(socket)) {}
  ~Daemon() { kill(); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void start() {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments_) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    ASSERT_EQ(posix_spawnp(&pid_, pointers[0], nullptr, nullptr, pointers.data(), environ), 0);
    for (int tries = 0; tries < 1000 && !std::filesystem::exists(socket_); ++tries) usleep(10'000);
    ASSERT_TRUE(std::filesystem::exists(socket_));
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
    std::filesystem::remove(socket_);
  }

 private:
  const std::vector<std::string> arguments_;
  const std::string socket_;
  pid_t pid_ = -1;
};

/// QEMU's, with two queues.
inline std::vector<std::string> storage_daemon(const std::string& image, const std::string& socket) {
  return {"qemu-storage-daemon", "--blockdev", "driver=file,node-name=image,filename=" + image, "--export",
          "type=vhost-user-blk,id=disk,node-name=image,writable=on,num-queues=2,addr.type=unix,addr.path=" +
              socket};
}

}  // namespace eidolon::boot_test
