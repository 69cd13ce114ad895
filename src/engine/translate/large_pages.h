// Code in the host's large pages, which spares its processor look-ups of addresses: translated code is
// several times as long as the guest's. Memory that is full of code is gathered by a thread of its own, since
// copying a large page takes longer than translating what fills it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

namespace eidolon::engine::translate {

class LargePages {
 public:
  static constexpr size_t kSize = size_t{2} << 20;

  /// Of the memory from `begin` on, aligned to kSize: what has been filled up to offset `end` may be gathered
  /// while it is in use. A hint: where the host cannot (Linux before 6.1), nothing happens.
  void filled(uint8_t* begin, size_t end);
  /// The memory is going away.
  void stop();
  ~LargePages() { stop(); }

 private:
  void work(const std::stop_token& stop, uint8_t* begin);

  size_t asked_ = 0;  ///< up to where whole pieces have been handed to the thread
  std::mutex mutex_;
  std::condition_variable_any wanted_;
  size_t wanted_end_ = 0;  ///< asked_, for the thread; under mutex_
  std::jthread worker_;
};

}  // namespace eidolon::engine::translate
