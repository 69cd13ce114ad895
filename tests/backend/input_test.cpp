#include "backend/input.h"

#include <gtest/gtest.h>

#include <string>

#include "backend/pipe.h"

namespace eidolon::backend {
namespace {

/// A guest that has room for `room` more bytes.
struct Guest {
  size_t room = 1'000'000;
  std::string received;

  Input::Receiver receiver() {
    return [this](std::span<const uint8_t> bytes) {
      const size_t count = std::min(room, bytes.size());
      received.append(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
      room -= count;
      return count;
    };
  }
};

TEST(Input, HandsBytesOn) {
  Pipe pipe;
  Guest guest;
  Input input(pipe.reader.get(), false);
  input.set_receiver(guest.receiver());
  pipe.put("ls\x01x\n");
  EXPECT_EQ(input.on_readable(), EscapeCommand::kNone) << "a script's Ctrl-A is not the monitor's";
  EXPECT_EQ(guest.received, "ls\x01x\n");
}

TEST(Input, KeepsBackWhatTheGuestHasNoRoomFor) {
  Pipe pipe;
  Guest guest{.room = 3, .received = {}};
  Input input(pipe.reader.get(), false);
  input.set_receiver(guest.receiver());
  pipe.put("abcdef");
  (void)input.on_readable();
  EXPECT_EQ(guest.received, "abc");
  EXPECT_TRUE(input.has_pending());

  guest.room = 100;
  input.deliver();
  EXPECT_EQ(guest.received, "abcdef");
  EXPECT_FALSE(input.has_pending());
}

TEST(Input, StopsReadingAScriptThatTheGuestDoesNotTake) {
  Pipe pipe;
  Guest guest{.room = 0, .received = {}};
  Input input(pipe.reader.get(), false);
  input.set_receiver(guest.receiver());
  pipe.put(std::string(8192, 'x'));
  size_t reads = 0;
  for (; input.wants_data() && reads < 100; ++reads) (void)input.on_readable();
  EXPECT_LT(reads, 100u);
  EXPECT_TRUE(guest.received.empty());

  guest.room = 10'000;
  input.deliver();
  while (guest.received.size() < 8192 && input.wants_data()) (void)input.on_readable();
  EXPECT_EQ(guest.received, std::string(8192, 'x'));
}

TEST(Input, ATypistCanLeaveAGuestThatTakesNothing) {
  Pipe pipe;
  Guest guest{.room = 0, .received = {}};
  Input input(pipe.reader.get(), true);
  input.set_receiver(guest.receiver());
  for (int i = 0; i < 20; ++i) {
    pipe.put(std::string(1024, 'x'));
    (void)input.on_readable();
  }
  ASSERT_TRUE(input.wants_data());
  pipe.put("\x01x");
  EXPECT_EQ(input.on_readable(), EscapeCommand::kQuit);
}

TEST(Input, KeysAfterHelpStillReachTheGuest) {
  Pipe pipe;
  Guest guest;
  Input input(pipe.reader.get(), true);
  input.set_receiver(guest.receiver());
  pipe.put("a\x01hb");
  EXPECT_EQ(input.on_readable(), EscapeCommand::kHelp);
  EXPECT_EQ(guest.received, "ab");
}

TEST(Input, TheEndOfTheInputOnlyEndsTheReading) {
  Pipe pipe;
  Input input(pipe.reader.get(), false);
  pipe.writer.reset();
  EXPECT_EQ(input.on_readable(), EscapeCommand::kNone);
  EXPECT_FALSE(input.wants_data());
}

}  // namespace
}  // namespace eidolon::backend
