// Debian's xHCI and HID drivers on the USB controller: what a user does with pointer and keyboard arrives in
// the guest's /dev/input. The guest is that of scripts/fetch_drivers.sh; in this process, where the test is
// the user.
#include <gtest/gtest.h>
#include <linux/input-event-codes.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "machine/machine.h"

namespace eidolon::machine {
namespace {

constexpr auto kLimit = std::chrono::seconds(400);  // a hang must end the test, a slow host must not

/// A machine on a thread of its own, whose serial console the test reads and types on.
class Guest {
 public:
  explicit Guest(const MachineConfig& config) {
    auto made = Machine::create(config, [this](std::span<const uint8_t> bytes) {
      const std::lock_guard lock(mutex_);
      output_.append(bytes.begin(), bytes.end());
      more_.notify_all();
    });
    EXPECT_TRUE(made) << made.error().message;
    if (!made) return;
    machine_ = *std::move(made);
    thread_ = std::thread([this] { (void)machine_->run(); });
  }
  ~Guest() {
    if (!machine_) return;
    machine_->stop();
    thread_.join();
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// Waits for text that has come since the last time.
  [[nodiscard]] bool wait_for(std::string_view text, std::chrono::seconds limit = kLimit) {
    std::unique_lock lock(mutex_);
    const auto find = [&] { return output_.find(text, seen_); };
    if (!more_.wait_for(lock, limit, [&] { return find() != std::string::npos; })) return false;
    seen_ = find() + text.size();
    return true;
  }
  /// Does something again and again until the guest has written `text`: Linux throws away what comes in the
  /// first moments after a program has opened an input device.
  template <typename Action>
  [[nodiscard]] bool wait_for(std::string_view text, Action action) {
    for (auto left = kLimit; left.count() > 0; --left) {
      action();
      if (wait_for(text, std::chrono::seconds(1))) return true;
    }
    return false;
  }
  void type(std::string_view text) {
    while (!text.empty()) {
      const size_t taken = machine_->receive(
          {reinterpret_cast<const uint8_t*>(text.data()), std::min<size_t>(text.size(), 8)});
      text.remove_prefix(taken);
      if (taken == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  [[nodiscard]] std::string output() {
    const std::lock_guard lock(mutex_);
    return output_;
  }
  [[nodiscard]] device::input::Input& input() { return machine_->input(); }
  [[nodiscard]] bool made() const { return machine_ != nullptr; }

 private:
  std::unique_ptr<Machine> machine_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::string output_;
  size_t seen_ = 0;
  std::thread thread_;
};

TEST(UsbBoot, PointerAndKeysArriveInDebian) {
  const std::string guest_folder = EIDOLON_GUEST;
  if (!std::filesystem::exists(guest_folder + "/initrd-drivers")) {
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr)
      FAIL() << "no guest with drivers in " << guest_folder;
    GTEST_SKIP() << "no guest with drivers; run scripts/fetch_drivers.sh";
  }
  MachineConfig config;
  config.kernel_path = guest_folder + "/vmlinuz";
  config.initrd_path = guest_folder + "/initrd-drivers";
  // The kernel's check of the timer fails on a host that is so busy that ticks get lost.
  config.command_line = "console=ttyS0 quiet no_timer_check rdinit=/drivers/init";
  config.engine = EngineChoice::kTranslate;
  config.usb = {.tablet = true, .keyboard = true};
  Guest guest(config);
  ASSERT_TRUE(guest.made());
  constexpr std::string_view kPrompt = "eidolon:/root# ";
  ASSERT_TRUE(guest.wait_for(kPrompt)) << guest.output();

  // Prints `bytes` of what arrives at the input device with that word in its name, a line for each event.
  guest.type(
      "events() { while ! grep -qi $1 /sys/class/input/event*/device/name; do sleep 1; done; "
      "e=$(grep -il $1 /sys/class/input/event*/device/name | cut -d/ -f5); echo listening $((6 * 7)); "
      "head -c $2 /dev/input/$e | od -A n -v -t x2 -w24 | cut -c41-; }\n");
  ASSERT_TRUE(guest.wait_for(kPrompt)) << guest.output();
  guest.type("events USB.tablet 72\n");
  ASSERT_TRUE(guest.wait_for("listening 42")) << guest.output();
  ASSERT_TRUE(guest.wait_for("0003 0000 1234 0000", [&guest] {
    guest.input().pointer({.absolute = true, .x = 0, .y = 0});
    guest.input().pointer({.absolute = true, .x = 0x1234, .y = 0x567});
  })) << guest.output();
  ASSERT_TRUE(guest.wait_for("0003 0001 0567 0000")) << guest.output();
  ASSERT_TRUE(guest.wait_for(kPrompt)) << guest.output();

  // Six events: wherever the guest begins to listen, a press is among them.
  guest.type("events USB.keyboard 144\n");
  ASSERT_TRUE(guest.wait_for("listening 42")) << guest.output();
  ASSERT_TRUE(guest.wait_for("0001 0030 0001 0000", [&guest] {
    guest.input().key({.code = KEY_B, .down = true});
    guest.input().key({.code = KEY_B, .down = false});
  })) << guest.output();
  ASSERT_TRUE(guest.wait_for(kPrompt)) << guest.output();
}

}  // namespace
}  // namespace eidolon::machine
