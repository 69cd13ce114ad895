// A guest that works while it moves from process to process.
#pragma once

#include <string>

#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {

/// It answers, each time something else, and none of its work in the background, which says wrong1 then, has
/// gone wrong.
inline void expect_right(GuestProcess& guest, int turn) {
  expect_answer(guest, "echo turn $((" + std::to_string(turn) + " * 7 + 700))",
                std::to_string(turn * 7 + 700) + "\r");
  EXPECT_EQ(guest.output().find("wrong1"), std::string::npos) << guest.tail();
}

}  // namespace eidolon::boot_test
