#include "migration/state.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "base/state_stream.h"
#include "migration/pair.h"

namespace eidolon::migration {
namespace {

constexpr uint64_t kHost = uint64_t{1} << 30;
const MemoryLayout kLayout{{{0, 16 << 20}, {32 << 20, 4096}}};

FileDescriptor file_of(const std::vector<uint8_t>& bytes) {
  FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return file;
}
std::vector<uint8_t> contents(const FileDescriptor& file) {
  std::vector<uint8_t> bytes(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)));
  EXPECT_EQ(pread(file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

TEST(Hello, ComesAsItWasSent) {
  Pair pair;
  const std::vector<uint8_t> description(100'000, 5);
  const FileDescriptor file = file_of(description);
  ASSERT_TRUE(send_hello(*pair.one, kLayout, file.get(), true));
  const auto hello = read_hello(*receive_message(*pair.other), kHost);
  ASSERT_TRUE(hello) << hello.error().message;
  EXPECT_EQ(hello->layout, kLayout);
  EXPECT_EQ(contents(hello->description), description);
  EXPECT_TRUE(hello->memory_may_follow);
}

TEST(Hello, AnythingElseIsASentence) {
  Pair pair;
  const FileDescriptor file = file_of({1, 2, 3});
  ASSERT_TRUE(send_hello(*pair.one, kLayout, file.get(), true));
  const Message good = *receive_message(*pair.other);
  EXPECT_FALSE(read_hello(good, kHost / 1024)) << "more memory than the host has";
  EXPECT_FALSE(read_hello({.kind = Kind::kReady, .payload = good.payload}, kHost));
  for (size_t length = 0; length < good.payload.size(); ++length)
    EXPECT_FALSE(read_hello(
        {.kind = Kind::kHello,
         .payload = {good.payload.begin(), good.payload.begin() + static_cast<std::ptrdiff_t>(length)}},
        kHost))
        << length;
  StateWriter newer;
  newer.begin("eidolon-migration", 3);
  newer.end();
  const auto refused = read_hello({.kind = Kind::kHello, .payload = newer.bytes()}, kHost);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("version 3"), std::string::npos) << refused.error().message;
}

TEST(State, ComesInPartsAndWhole) {
  Pair pair;
  std::vector<uint8_t> state((3 << 20) + 17);
  for (size_t i = 0; i < state.size(); ++i) state[i] = static_cast<uint8_t>(i * 7 >> 3);
  const FileDescriptor file = file_of(state);
  std::thread sender(
      [&] { EXPECT_TRUE(send_state(*pair.one, file.get(), {.stopped_at = 12345, .paused = true})); });
  StateReceiver receiver = *StateReceiver::create();
  Message message = *receive_message(*pair.other);
  for (; message.kind == Kind::kState; message = *receive_message(*pair.other))
    EXPECT_TRUE(receiver.take(message.payload));
  sender.join();
  ASSERT_EQ(message.kind, Kind::kStateEnd);
  const auto end = receiver.finish(message.payload);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->stopped_at, 12345);
  EXPECT_TRUE(end->paused);
  EXPECT_EQ(contents(receiver.take_file()), state);
}

TEST(State, AMissingPartIsASentence) {
  Pair pair;
  const FileDescriptor file = file_of(std::vector<uint8_t>(10));
  ASSERT_TRUE(send_state(*pair.one, file.get(), {}));
  StateReceiver receiver = *StateReceiver::create();
  (void)*receive_message(*pair.other);
  EXPECT_FALSE(receiver.finish(receive_message(*pair.other)->payload));
}

}  // namespace
}  // namespace eidolon::migration
