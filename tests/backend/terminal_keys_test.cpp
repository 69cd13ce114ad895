#include "backend/terminal_keys.h"

#include <gtest/gtest.h>
#include <linux/input-event-codes.h>

namespace eidolon::backend {
namespace {

using Codes = std::vector<int>;

/// Presses as numbers, releases as negative ones.
Codes feed(TerminalKeys& keys, std::string_view bytes) {
  Codes codes;
  for (const auto& event : keys.feed({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}))
    codes.push_back(event.down ? event.code : -int{event.code});
  return codes;
}
Codes keys_of(std::string_view bytes) {
  TerminalKeys keys;
  return feed(keys, bytes);
}
Codes with(int modifier, int key) { return {modifier, key, -key, -modifier}; }
Codes just(int key) { return {key, -key}; }

TEST(TerminalKeys, CharactersAreKeysWithShiftWhereNeeded) {
  EXPECT_EQ(keys_of("a"), just(KEY_A));
  EXPECT_EQ(keys_of("A"), with(KEY_LEFTSHIFT, KEY_A));
  EXPECT_EQ(keys_of("~"), with(KEY_LEFTSHIFT, KEY_GRAVE));
  EXPECT_EQ(keys_of("\r"), just(KEY_ENTER));
  EXPECT_EQ(keys_of("\t"), just(KEY_TAB));
  EXPECT_EQ(keys_of("\x7f"), just(KEY_BACKSPACE));
  EXPECT_EQ(keys_of("ab"), (Codes{KEY_A, -KEY_A, KEY_B, -KEY_B}));
}

TEST(TerminalKeys, ControlCharactersAreControlAndAKey) {
  EXPECT_EQ(keys_of("\x03"), with(KEY_LEFTCTRL, KEY_C));
  EXPECT_EQ(keys_of("\x1a"), with(KEY_LEFTCTRL, KEY_Z));
  EXPECT_EQ(keys_of(std::string_view("\0", 1)), with(KEY_LEFTCTRL, KEY_SPACE));
  EXPECT_EQ(keys_of("\x1c"), with(KEY_LEFTCTRL, KEY_BACKSLASH));
  EXPECT_EQ(keys_of("\x1e"), with(KEY_LEFTCTRL, KEY_6));
}

TEST(TerminalKeys, EscapeAloneIsAKeyAndBeforeAnotherIsAlt) {
  EXPECT_EQ(keys_of("\x1b"), just(KEY_ESC));
  EXPECT_EQ(keys_of("\x1b\x1b"), (Codes{KEY_ESC, -KEY_ESC, KEY_ESC, -KEY_ESC}));
  EXPECT_EQ(keys_of("\x1bx"), with(KEY_LEFTALT, KEY_X));
  EXPECT_EQ(keys_of("\x1b["), with(KEY_LEFTALT, KEY_LEFTBRACE));
  EXPECT_EQ(keys_of("\x1bO"),
            (Codes{KEY_LEFTALT, KEY_LEFTSHIFT, KEY_O, -KEY_O, -KEY_LEFTSHIFT, -KEY_LEFTALT}));
}

TEST(TerminalKeys, FunctionAndCursorKeysComeInSeveralDialects) {
  EXPECT_EQ(keys_of("\x1bOP"), just(KEY_F1));
  EXPECT_EQ(keys_of("\x1b[11~"), just(KEY_F1));
  EXPECT_EQ(keys_of("\x1b[[A"), just(KEY_F1));
  EXPECT_EQ(keys_of("\x1b[[E"), just(KEY_F5));
  EXPECT_EQ(keys_of("\x1b[15~"), just(KEY_F5));
  EXPECT_EQ(keys_of("\x1b[21~"), just(KEY_F10));
  EXPECT_EQ(keys_of("\x1b[24~"), just(KEY_F12));
  EXPECT_EQ(keys_of("\x1b[A"), just(KEY_UP));
  EXPECT_EQ(keys_of("\x1bOD"), just(KEY_LEFT));
  EXPECT_EQ(keys_of("\x1b[H"), just(KEY_HOME));
  EXPECT_EQ(keys_of("\x1b[4~"), just(KEY_END));
  EXPECT_EQ(keys_of("\x1b[3~"), just(KEY_DELETE));
  EXPECT_EQ(keys_of("\x1b[5~"), just(KEY_PAGEUP));
}

TEST(TerminalKeys, ModifiersAreInTheSecondParameter) {
  EXPECT_EQ(keys_of("\x1b[1;5C"), with(KEY_LEFTCTRL, KEY_RIGHT));
  EXPECT_EQ(keys_of("\x1b[1;3R"), with(KEY_LEFTALT, KEY_F3));
  EXPECT_EQ(keys_of("\x1b[3;7~"),
            (Codes{KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE, -KEY_DELETE, -KEY_LEFTALT, -KEY_LEFTCTRL}));
  EXPECT_EQ(keys_of("\x1b[Z"), with(KEY_LEFTSHIFT, KEY_TAB));
  EXPECT_EQ(keys_of("\x1b\x1b[A"), with(KEY_LEFTALT, KEY_UP));
}

TEST(TerminalKeys, ASequenceMayComeInPieces) {
  TerminalKeys keys;
  EXPECT_EQ(feed(keys, "\x1b[1"), Codes{});
  EXPECT_EQ(feed(keys, "5~x"), (Codes{KEY_F5, -KEY_F5, KEY_X, -KEY_X}));
}

TEST(TerminalKeys, WhatNoKeyStandsForIsDropped) {
  EXPECT_EQ(keys_of("\xc3\xa4z"), just(KEY_Z)) << "an umlaut";
  EXPECT_EQ(keys_of("\x1b[99~z"), just(KEY_Z));
  EXPECT_EQ(keys_of("\x1b[1;2;3;4;5y"
                    "z"),
            just(KEY_Z));
  TerminalKeys keys;
  EXPECT_EQ(feed(keys, "\x1b[" + std::string(100, '1')), Codes{});
  EXPECT_EQ(feed(keys, "z"), just(KEY_Z)) << "it does not wait for ever";
}

}  // namespace
}  // namespace eidolon::backend
