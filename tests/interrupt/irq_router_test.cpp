#include "interrupt/irq_router.h"

#include <gtest/gtest.h>

namespace eidolon::interrupt {

namespace {

struct Board {
  ApicBus bus;
  Pic pic;
  IoApic io{bus};
  IrqRouter router{&pic, &io};
  IrqLine& keyboard = router.isa(1);
  IrqLine& first = router.pin(17);
  IrqLine& second = router.pin(17);

  /// What the controllers know of their pins, and all else.
  [[nodiscard]] std::vector<uint8_t> controllers() const {
    StateWriter writer;
    pic.save(writer);
    io.save(writer);
    return writer.bytes();
  }
};

void copy(const Stateful& from, Stateful& to) {
  StateWriter writer;
  from.save(writer);
  StateReader reader(writer.bytes());
  to.load(reader);
  EXPECT_FALSE(reader.failed());
}

TEST(IrqRouter, LoadedLevelsAreNotToldAgain) {
  Board before, after;
  before.keyboard.set(true);
  before.first.set(true);
  before.second.set(true);
  copy(before.router, after.router);
  copy(before.pic, after.pic);
  copy(before.io, after.io);
  EXPECT_EQ(after.controllers(), before.controllers());
  // The wire is the OR of its sources, as before.
  after.first.set(false);
  EXPECT_EQ(after.controllers(), before.controllers());
  after.second.set(false);
  EXPECT_NE(after.controllers(), before.controllers());
}

TEST(IrqRouter, WhileItIsHeldOnlyWhatIsLeftInTheEndIsTold) {
  Board board;
  board.keyboard.set(true);
  const auto before = board.controllers();
  board.router.hold();
  board.keyboard.set(false);
  board.first.set(true);
  EXPECT_EQ(board.controllers(), before);
  board.keyboard.set(true);
  board.first.set(false);
  board.router.release();
  EXPECT_EQ(board.controllers(), before);
  board.router.hold();
  board.first.set(true);
  board.router.release();
  EXPECT_NE(board.controllers(), before);
}

TEST(IrqRouter, AnotherBoardsWiresAreRefused) {
  Board board;
  IrqRouter other(nullptr, nullptr);
  StateWriter writer;
  other.save(writer);
  StateReader reader(writer.bytes());
  board.router.load(reader);
  EXPECT_TRUE(reader.failed());
}

}  // namespace

}  // namespace eidolon::interrupt
