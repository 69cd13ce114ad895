// A human interface device with one IN endpoint (Device Class Definition for HID 1.11): descriptors, the
// class requests, and a queue of reports that the guest fetches. A keyboard or a tablet says what its reports
// mean.
//
// User input comes from any thread. When the guest does not fetch, the queue is full after a while; then the
// latest report takes the place of the last one, so that the guest at least ends up with the state as it is.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>

#include "device/usb/standard_device.h"

namespace eidolon::device::usb {

class HidDevice : public StandardDevice {
 public:
  struct Shape {
    uint16_t product;
    const char* product_name;
    uint8_t subclass = 0;  ///< 1: has the boot protocol
    uint8_t protocol = 0;  ///< 1: keyboard
    std::vector<uint8_t> report_descriptor;
    uint8_t report_bytes;
  };
  HidDevice(std::string name, const Shape& shape);

 protected:
  using Report = std::vector<uint8_t>;
  static constexpr size_t kMostReports = 32;

  /// The guest has configured the device. From any thread.
  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }

  /// Runs `change(std::deque<Report>&)` under the device's lock, then tells the controller.
  template <typename Change>
  void change_reports(Change change) {
    {
      std::lock_guard lock(mutex_);
      change(reports_);
    }
    tell_listener(kEndpoint);
  }

  // What a device adds. Called with the device's lock held.
  /// The state as it is now, for GET_REPORT.
  [[nodiscard]] virtual Report current() const = 0;
  /// SET_REPORT: the lights of a keyboard.
  virtual void output(std::span<const uint8_t> /*report*/) {}
  /// Back to nothing pressed.
  virtual void clear() = 0;
  virtual void save_hid(StateWriter& /*to*/) const {}
  virtual void load_hid(StateReader& /*from*/) {}

 private:
  static constexpr unsigned kEndpoint = 1;

  void reset_class() final;
  [[nodiscard]] Result control_class(const Setup& setup, std::span<uint8_t> data) final;
  [[nodiscard]] Result in_class(unsigned number, std::span<uint8_t> data) final;
  [[nodiscard]] Result out_class(unsigned number, std::span<const uint8_t> data) final;
  void configured_class(bool on) final;
  void save_class(StateWriter& to) const final;
  void load_class(StateReader& from) final;

  const std::vector<uint8_t> report_descriptor_;
  const std::vector<uint8_t> hid_descriptor_;
  const uint8_t report_bytes_;
  std::atomic<bool> ready_{false};
  mutable std::mutex mutex_;  ///< after the controller's; guards what follows, and what a derived class has
  std::deque<Report> reports_;
  uint8_t idle_ = 0;
  uint8_t protocol_ = 1;  ///< that of the report descriptor
};

}  // namespace eidolon::device::usb
