#include "boot/os/guest_shell.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace eidolon::boot_test {

std::string guest_file(const std::string& name) { return EIDOLON_GUEST "/" + name; }

void require_guest(const std::vector<std::string>& names, const std::string& script) {
  for (const std::string& name : names) {
    if (std::filesystem::exists(guest_file(name))) continue;
    // ./test says so where scripts/make_disk.sh cannot make its disk.
    const bool excused = name == "debian-12.raw" && std::getenv("EIDOLON_WITHOUT_DISK") != nullptr;
    if (!excused && std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "no " << guest_file(name);
    GTEST_SKIP() << "no " << guest_file(name) << "; run " << script;
  }
}

void expect_answer(GuestProcess& guest, const std::string& command, const std::string& answer,
                   const std::string& prompt) {
  ASSERT_EQ(command.find(answer), std::string::npos);
  guest.type(command + "\n");
  EXPECT_TRUE(guest.wait_for(answer, kCommandLimit)) << "no '" << answer << "' from: " << command << "\n"
                                                     << guest.tail();
  ASSERT_TRUE(guest.wait_for(prompt, kCommandLimit)) << "no prompt after: " << command << "\n"
                                                     << guest.tail();
}

void power_off(GuestProcess& guest) {
  guest.type("poweroff -f\n");
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.tail();
}

}  // namespace eidolon::boot_test
