// The network device (virtio 1.2, 5.1): pairs of queues, checksums and segmentation left to the device both
// ways, mergeable receive buffers, and a control queue (net_control.cpp).
//
// The network's thread does the copying: the guest's notification only wakes it. What the driver leaves
// undone goes to the network as it is if that can do with it; next_frame() finishes it for all others.
#pragma once

#include "device/net/segments.h"
#include "device/virtio/device.h"
#include "device/virtio/net_filter.h"

namespace eidolon::device::virtio {

class Net final : public Device, private net::Card {
 public:
  static constexpr unsigned kMostPairs = 8;

  /// `link` outlives the device. `pairs` of queues, of which the driver may use fewer: 1 to kMostPairs.
  Net(std::string name, net::Link& link, const net::MacAddress& address, unsigned pairs);
  ~Net() override;

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  using Bytes = std::span<const uint8_t>;
  static unsigned receive_queue(unsigned pair) { return 2 * pair; }
  static unsigned transmit_queue(unsigned pair) { return 2 * pair + 1; }
  /// Behind the pairs that the driver knows of (5.1.2).
  [[nodiscard]] unsigned control_queue() const;

  // net::Card
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame) override;
  [[nodiscard]] bool receive(Bytes frame) override { return receive_large(frame, {}); }
  [[nodiscard]] bool next_large(std::vector<uint8_t>& frame, net::Offload& offload) override;
  [[nodiscard]] bool takes(const net::Offload& offload) override;
  [[nodiscard]] bool receive_large(Bytes frame, const net::Offload& offload) override;
  void set_link(bool up) override;

  // With the lock held.
  [[nodiscard]] bool send(std::vector<uint8_t>& frame, net::Offload& offload);
  [[nodiscard]] size_t header_bytes() const;
  [[nodiscard]] bool read_frame(std::vector<uint8_t>& frame, net::Offload& offload);
  [[nodiscard]] bool takes_now(const net::Offload& offload) const;
  enum class Room : uint8_t { kEnough, kLater, kNever };
  [[nodiscard]] Room find_room(unsigned pair, size_t bytes);
  void write_frame(unsigned pair, Bytes frame, const net::Offload& offload);
  void carry_out_commands();
  [[nodiscard]] bool carry_out(Bytes command);
  [[nodiscard]] bool set_guest_offloads(Bytes data);

  net::Link& link_;
  const net::MacAddress first_address_;
  const unsigned most_pairs_;
  bool held_ = false;      ///< frames wait on both sides
  bool up_ = true;         ///< the link
  bool restored_ = false;  ///< the driver may have to be told of it

  // What the driver makes of it.
  net::MacAddress address_;
  NetFilter filter_;
  unsigned pairs_ = 1;           ///< in use
  uint64_t guest_offloads_ = 0;  ///< which it takes at the moment, as features
  bool announcing_ = false;      ///< it was asked to tell the network where it is

  Chain sending_;
  unsigned next_pair_ = 0;                   ///< to send from
  std::vector<uint8_t> unfinished_;          ///< for next_frame() ...
  net::Segments segments_;                   ///< ... and what is left of it
  std::array<uint8_t, 256> pair_of_flow_{};  ///< where one was last sent from, by flow_of()
  /// Buffers for the frame that is being received, by pairs.
  std::array<std::vector<Chain>, kMostPairs> filling_;
};

}  // namespace eidolon::device::virtio
