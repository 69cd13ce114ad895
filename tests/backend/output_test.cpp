#include "backend/output.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "backend/pipe.h"

namespace eidolon::backend {
namespace {

std::span<const uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(DescriptorOutput, WritesEverythingInOrderBeforeItEnds) {
  Pipe pipe;
  std::string expected;
  {
    DescriptorOutput output(std::move(pipe.writer), nullptr);
    for (int i = 0; i < 1000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      output.write(as_bytes(line));
      expected += line;
    }
  }
  EXPECT_EQ(pipe.drain(), expected);
}

TEST(DescriptorOutput, SlowReaderLosesNothing) {
  Pipe pipe;
  const std::string block(300'000, 'x');  // more than the pipe and the buffer hold
  std::string got;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    got = pipe.drain();
  });
  {
    DescriptorOutput output(std::move(pipe.writer), nullptr);
    output.write(as_bytes(block));
  }
  reader.join();
  EXPECT_EQ(got, block);
}

TEST(DescriptorOutput, ReleaseFreesAWriterWhoseReaderNeverReads) {
  Pipe pipe;
  auto output = std::make_unique<DescriptorOutput>(std::move(pipe.writer), nullptr);
  std::atomic<bool> returned{false};
  std::thread guest([&] {
    output->write(as_bytes(std::string(300'000, 'x')));
    returned = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(returned) << "there cannot have been room";
  output->release();
  guest.join();
  EXPECT_TRUE(returned);
  output.reset();  // and the end does not wait for the reader for ever
}

TEST(DescriptorOutput, TellsOnceThatTheReaderHasGone) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.reader.reset();
  std::atomic<int> failures{0};
  {
    DescriptorOutput output(std::move(pipe.writer), [&](const Error&) { ++failures; });
    output.write(as_bytes("first"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    output.write(as_bytes("second"));
  }
  EXPECT_EQ(failures, 1);
}

}  // namespace
}  // namespace eidolon::backend
