// The standard requests of a USB device (USB 2.0, 9.4), answered from its descriptors. A device class adds
// its own requests and its endpoints' data.
#pragma once

#include <string>
#include <vector>

#include "device/usb/device.h"

namespace eidolon::device::usb {

class StandardDevice : public Device {
 public:
  struct Descriptors {
    std::vector<uint8_t> device;         ///< 18 bytes (9.6.1)
    std::vector<uint8_t> configuration;  ///< with its interfaces and endpoints (9.6.3)
    std::vector<std::string> strings;    ///< from number 1 on, ASCII
  };
  StandardDevice(std::string name, Speed speed, Descriptors descriptors)
      : name_(std::move(name)), speed_(speed), descriptors_(std::move(descriptors)) {}

  [[nodiscard]] std::string_view name() const final { return name_; }
  [[nodiscard]] Speed speed() const final { return speed_; }
  void reset() final;
  [[nodiscard]] Result control(const Setup& setup, std::span<uint8_t> data) final;
  [[nodiscard]] Result in(unsigned number, std::span<uint8_t> data) final;
  [[nodiscard]] Result out(unsigned number, std::span<const uint8_t> data) final;
  void save(StateWriter& to) const final;
  void load(StateReader& from) final;

 protected:
  [[nodiscard]] bool configured() const { return configuration_ != 0; }

  // What a class adds. Endpoints are those of the configuration, neither halted nor unconfigured.
  virtual void reset_class() {}
  [[nodiscard]] virtual Result control_class(const Setup& setup, std::span<uint8_t> data) = 0;
  [[nodiscard]] virtual Result in_class(unsigned number, std::span<uint8_t> data) = 0;
  [[nodiscard]] virtual Result out_class(unsigned number, std::span<const uint8_t> data) = 0;
  /// SET_CONFIGURATION: endpoints begin anew.
  virtual void configured_class(bool /*on*/) {}
  virtual void save_class(StateWriter& /*to*/) const {}
  virtual void load_class(StateReader& /*from*/) {}

  /// An answer to an IN request: as much as was asked for.
  [[nodiscard]] static Result give(std::span<const uint8_t> bytes, std::span<uint8_t> data);

 private:
  [[nodiscard]] Result descriptor(const Setup& setup, std::span<uint8_t> data) const;
  [[nodiscard]] Result status(const Setup& setup, std::span<uint8_t> data) const;
  [[nodiscard]] Result feature(const Setup& setup, bool set);
  /// The endpoint's bit in halted_, or 0 if the configuration has no such endpoint.
  [[nodiscard]] uint32_t endpoint_bit(unsigned address) const;

  const std::string name_;
  const Speed speed_;
  const Descriptors descriptors_;
  uint8_t configuration_ = 0;
  uint32_t halted_ = 0;  ///< OUT endpoints in bits 0 to 15, IN endpoints above
  bool remote_wakeup_ = false;
};

}  // namespace eidolon::device::usb
