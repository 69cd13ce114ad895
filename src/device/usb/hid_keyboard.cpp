#include "device/usb/hid_keyboard.h"

#include <algorithm>

#include "device/usb/hid_usages.h"

namespace eidolon::device::usb {

namespace {

// A report: the modifiers, a byte that is 0, six keys. An output report: the lights.
constexpr uint8_t kReportBytes = 8, kFirstKey = 2;
constexpr uint8_t kTooManyKeys = 1;
constexpr uint8_t kKnownLights = 0x1f;

const std::vector<uint8_t> kReportDescriptor = {
    0x05, 0x01,              // usage page: generic desktop
    0x09, 0x06,              // usage: keyboard
    0xa1, 0x01,              // collection: application
    0x05, 0x07,              //   usage page: keys
    0x19, 0xe0, 0x29, 0xe7,  //   the modifiers
    0x15, 0x00, 0x25, 0x01,  //   each 0 or 1
    0x75, 0x01, 0x95, 0x08,  //   8 fields of 1 bit
    0x81, 0x02,              //   input: data, variable, absolute
    0x75, 0x08, 0x95, 0x01,  //   1 field of 8 bits
    0x81, 0x01,              //   input: constant
    0x05, 0x08,              //   usage page: lights
    0x19, 0x01, 0x29, 0x05,  //   from Num Lock to Kana
    0x75, 0x01, 0x95, 0x05,  //   5 fields of 1 bit
    0x91, 0x02,              //   output: data, variable, absolute
    0x75, 0x03, 0x95, 0x01,  //   3 bits of padding
    0x91, 0x01,              //   output: constant
    0x05, 0x07,              //   usage page: keys
    0x19, 0x00, 0x29, 0xff,  //   all of them
    0x15, 0x00,              //   from 0 ...
    0x26, 0xff, 0x00,        //   ... to 255
    0x75, 0x08, 0x95, 0x06,  //   6 fields of 8 bits
    0x81, 0x00,              //   input: data, array
    0xc0,                    // end of the collection
};

}  // namespace

HidKeyboard::HidKeyboard(std::string name)
    : HidDevice(std::move(name), {.product = 2,
                                  .product_name = "USB keyboard",
                                  .subclass = 1,
                                  .protocol = 1,
                                  .report_descriptor = kReportDescriptor,
                                  .report_bytes = kReportBytes}) {}

/// More keys than a report holds are told as that (appendix C).
HidKeyboard::Report HidKeyboard::current() const {
  Report report(kReportBytes);
  report[0] = modifiers_;
  if (pressed_.size() > kMostKeys) {
    std::fill(report.begin() + kFirstKey, report.end(), kTooManyKeys);
  } else {
    std::ranges::copy(pressed_, report.begin() + kFirstKey);
  }
  return report;
}

void HidKeyboard::key(const input::KeyEvent& event) {
  const uint8_t usage = usage_of_key(event.code);
  if (usage == 0 || !ready()) return;
  change_reports([&](std::deque<Report>& reports) {
    if (usage >= kFirstModifier && usage <= kLastModifier) {
      const auto bit = static_cast<uint8_t>(1u << (usage - kFirstModifier));
      modifiers_ = static_cast<uint8_t>(event.down ? modifiers_ | bit : modifiers_ & ~bit);
    } else {
      std::erase(pressed_, usage);
      if (event.down) pressed_.push_back(usage);
    }
    if (reports.size() >= kMostReports) reports.pop_back();
    reports.push_back(current());
  });
}

void HidKeyboard::output(std::span<const uint8_t> report) {
  if (!report.empty()) lights_.store(report[0] & kKnownLights, std::memory_order_relaxed);
}

void HidKeyboard::clear() {
  modifiers_ = 0;
  pressed_.clear();
  lights_.store(0, std::memory_order_relaxed);
}

void HidKeyboard::save_hid(StateWriter& to) const { to(modifiers_, lights(), pressed_); }

void HidKeyboard::load_hid(StateReader& from) {
  uint8_t lights = 0;
  from(modifiers_, lights, pressed_);
  lights_.store(lights & kKnownLights, std::memory_order_relaxed);
}

}  // namespace eidolon::device::usb
