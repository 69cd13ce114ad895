// The socket device (virtio 1.2, 5.10): carries packets between a guest's AF_VSOCK sockets and the host's end
// (vsock_link.h), which knows what they mean.
#pragma once

#include "device/virtio/device.h"
#include "device/virtio/vsock_link.h"

namespace eidolon::device::virtio {

class Vsock final : public Device, private VsockGuest {
 public:
  /// `wire` outlives the device. `cid` is the guest's address.
  Vsock(std::string name, VsockWire& wire, uint32_t cid);
  ~Vsock() override;

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void load_device(StateReader& from) override;

 private:
  enum Queues : unsigned { kReceive, kTransmit, kEvents };

  // VsockGuest
  [[nodiscard]] uint64_t life() override;
  [[nodiscard]] bool next_packet(VsockPacket& packet) override;
  [[nodiscard]] std::optional<size_t> receive(uint64_t life, const VsockHeader& header,
                                              std::span<const uint8_t> payload) override;

  // With the lock held.
  [[nodiscard]] bool next(unsigned queue, Chain& chain);
  void read_packet(const Chain& chain, VsockPacket& packet);
  void tell_of_reset();

  VsockWire& wire_;
  const uint64_t cid_;
  uint64_t life_ = 0;
  bool owes_event_ = false;  ///< restored, and the driver does not know it
  bool held_ = false;        ///< packets wait on both sides
};

}  // namespace eidolon::device::virtio
