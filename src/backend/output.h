// Where the bytes of a guest's serial line go: a file descriptor written by a thread of its own, or nowhere.
//
// A guest writes its console byte by byte. The thread gathers what comes within a millisecond into one system
// call, and a reader that does not keep up slows the guest down instead of losing text.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace eidolon::backend {

class Output {
 public:
  virtual ~Output() = default;
  /// From any thread. May wait for the reader, until release().
  virtual void write(std::span<const uint8_t> bytes) = 0;
  /// From now on write() never waits, and drops what there is no room for: the machine is to end now.
  virtual void release() {}
};

class NullOutput final : public Output {
 public:
  void write(std::span<const uint8_t> /*bytes*/) override {}
};

class DescriptorOutput final : public Output {
 public:
  /// `on_failure` is called once, from the writing thread, when the descriptor takes no more (the reader has
  /// gone, the disk is full); everything after that is dropped.
  DescriptorOutput(FileDescriptor fd, std::function<void(const Error&)> on_failure);
  /// Writes what is left; gives up on a reader that takes nothing for a second.
  ~DescriptorOutput() override;

  void write(std::span<const uint8_t> bytes) override;
  void release() override;

 private:
  void thread_main();
  void write_out(std::span<const uint8_t> bytes);
  [[nodiscard]] bool wait_writable();

  static constexpr size_t kBufferBytes = 64 * 1024;

  FileDescriptor fd_;
  std::function<void(const Error&)> on_failure_;
  std::mutex mutex_;                   ///< guards what follows
  std::condition_variable not_empty_;  ///< the thread waits
  std::condition_variable not_full_;   ///< the guest waits
  std::vector<uint8_t> pending_;
  bool released_ = false;
  bool closing_ = false;
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace eidolon::backend
