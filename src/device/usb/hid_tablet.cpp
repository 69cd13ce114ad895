#include "device/usb/hid_tablet.h"

#include <algorithm>

namespace eidolon::device::usb {

namespace {

// A report: the buttons, X and Y in 16 bits each, the wheel's movement.
constexpr uint8_t kReportBytes = 6, kWheel = 5;

// HID 1.11, 6.2.2, with the usages of HID Usage Tables 1.12.
const std::vector<uint8_t> kReportDescriptor = {
    0x05, 0x01,              // usage page: generic desktop
    0x09, 0x02,              // usage: mouse
    0xa1, 0x01,              // collection: application
    0x09, 0x01,              //   usage: pointer
    0xa1, 0x00,              //   collection: physical
    0x05, 0x09,              //     usage page: buttons
    0x19, 0x01, 0x29, 0x05,  //     from 1 to 5
    0x15, 0x00, 0x25, 0x01,  //     each 0 or 1
    0x75, 0x01, 0x95, 0x05,  //     5 fields of 1 bit
    0x81, 0x02,              //     input: data, variable, absolute
    0x75, 0x03, 0x95, 0x01,  //     3 bits of padding
    0x81, 0x01,              //     input: constant
    0x05, 0x01,              //     usage page: generic desktop
    0x09, 0x30, 0x09, 0x31,  //     usages: X, Y
    0x15, 0x00,              //     from 0 ...
    0x26, 0xff, 0x7f,        //     ... to 0x7fff
    0x35, 0x00,              //     and so in physical units
    0x46, 0xff, 0x7f,        //
    0x75, 0x10, 0x95, 0x02,  //     2 fields of 16 bits
    0x81, 0x02,              //     input: data, variable, absolute
    0x09, 0x38,              //     usage: wheel
    0x15, 0x81, 0x25, 0x7f,  //     from -127 to 127
    0x35, 0x00, 0x45, 0x00,  //     no physical units
    0x75, 0x08, 0x95, 0x01,  //     1 field of 8 bits
    0x81, 0x06,              //     input: data, variable, relative
    0xc0, 0xc0,              // end of both collections
};

constexpr uint8_t kKnownButtons = 0x1f;  // numbered as HID does: left, right, middle, side, extra

uint16_t position(int32_t value) {
  return static_cast<uint16_t>(std::clamp(value, int32_t{0}, input::PointerEvent::kRange));
}

int wheel_of(const std::vector<uint8_t>& report) { return static_cast<int8_t>(report[kWheel]); }

}  // namespace

HidTablet::HidTablet(std::string name)
    : HidDevice(std::move(name), {.product = 1,
                                  .product_name = "USB tablet",
                                  .report_descriptor = kReportDescriptor,
                                  .report_bytes = kReportBytes}) {}

HidTablet::Report HidTablet::report(int32_t wheel) const {
  const auto notches = static_cast<int8_t>(std::clamp(wheel, int32_t{-127}, int32_t{127}));
  return {buttons_,
          static_cast<uint8_t>(x_),
          static_cast<uint8_t>(x_ >> 8),
          static_cast<uint8_t>(y_),
          static_cast<uint8_t>(y_ >> 8),
          static_cast<uint8_t>(notches)};
}

HidTablet::Report HidTablet::current() const { return report(0); }

/// Movements that the guest has not fetched become one; a change of buttons is kept where it happened.
void HidTablet::pointer(const input::PointerEvent& event) {
  if (!event.absolute || !ready()) return;
  change_reports([&](std::deque<Report>& reports) {
    const uint8_t before = buttons_;
    buttons_ = event.buttons & kKnownButtons;
    x_ = position(event.x);
    y_ = position(event.y);
    const bool moved_only = buttons_ == before && reports.size() >= 2 && reports.back()[0] == buttons_ &&
                            reports[reports.size() - 2][0] == buttons_;
    if (moved_only || reports.size() >= kMostReports) {
      reports.back() = report(wheel_of(reports.back()) + event.wheel);
    } else {
      reports.push_back(report(event.wheel));
    }
  });
}

}  // namespace eidolon::device::usb
