// The network device (virtio 1.2, 5.1): one pair of queues, mergeable receive buffers, no offloads yet.
//
// The network's thread does the copying: the guest's notification only wakes it.
#pragma once

#include "device/net/link.h"
#include "device/virtio/device.h"

namespace eidolon::device::virtio {

class Net final : public Device, private net::Card {
 public:
  /// `link` outlives the device.
  Net(std::string name, net::Link& link, const net::MacAddress& address);
  ~Net() override;

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override { filling_.clear(); }
  [[nodiscard]] std::vector<uint8_t> config() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  enum Queues : unsigned { kReceive, kTransmit };

  // net::Card
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame) override;
  [[nodiscard]] bool receive(std::span<const uint8_t> frame) override;
  void set_link(bool up) override;
  [[nodiscard]] bool take_receive_buffers(size_t bytes);

  net::Link& link_;
  const net::MacAddress address_;
  Chain sending_;
  bool held_ = false;           ///< frames wait on both sides
  bool up_ = true;              ///< the link
  bool restored_ = false;       ///< the driver may have to be told of it
  std::vector<Chain> filling_;  ///< buffers for the frame that is being received
};

}  // namespace eidolon::device::virtio
