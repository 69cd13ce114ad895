// What the tests of Linux guests share: is the guest's file there, and a shell that answers.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "boot/os/guest_process.h"

namespace eidolon::boot_test {

/// Generous: a hang must end the test, a slow machine must not.
inline constexpr std::chrono::seconds kBootLimit{400};
inline constexpr std::chrono::seconds kCommandLimit{120};
inline constexpr std::chrono::seconds kEndLimit{60};
/// The shell of scripts/guest-init.
inline constexpr const char* kPrompt = "eidolon:/root# ";

/// Where a file of cache/guest is.
std::string guest_file(const std::string& name);

/// Skips the test, or fails it under EIDOLON_REQUIRE_GUEST, unless all files of cache/guest are there. To be
/// called by SetUp(), or asked about afterwards with IsSkipped(). `script` makes them.
void require_guest(const std::vector<std::string>& names, const std::string& script);

/// Types a command; its output up to the next prompt must contain `answer`, which the command line itself
/// must not, for the guest's terminal echoes it.
void expect_answer(GuestProcess& guest, const std::string& command, const std::string& answer,
                   const std::string& prompt = kPrompt);

/// Switches the guest off; the monitor must end with status 0.
void power_off(GuestProcess& guest);

}  // namespace eidolon::boot_test
