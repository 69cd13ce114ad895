// The packed virtqueue (virtio 1.2, 2.8): one ring of descriptors that both sides write, in which a bit that
// flips with every round says whose each is.
#pragma once

#include <optional>

#include "device/virtio/ring.h"

namespace eidolon::device::virtio {

class PackedRing final : public Ring {
 public:
  PackedRing(Dma& dma, const RingPlace& place, uint64_t features);

  [[nodiscard]] Take take(Chain& chain) override;
  void put_back() override { next_ = taken_; }
  [[nodiscard]] bool fill(const Chain& chain, uint32_t written) override;
  [[nodiscard]] bool publish() override;
  [[nodiscard]] bool interrupt_wanted() override;
  [[nodiscard]] bool rearm() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  /// A place in the ring and the round that it belongs to.
  struct Position {
    uint16_t index = 0;
    bool wrap = true;
    void advance(uint16_t by, uint16_t size);
    bool operator==(const Position&) const = default;
  };
  [[nodiscard]] bool available(Position at, uint16_t flags) const;
  [[nodiscard]] std::optional<uint16_t> flags_at(uint16_t index) const;
  [[nodiscard]] bool add_indirect(Chain& chain, GuestPhysical table, uint32_t length) const;

  Dma& dma_;
  const RingPlace place_;
  const bool indirect_;
  const bool event_index_;
  Position next_;
  Position taken_;  ///< next_ before the last take()
  Position used_;
  Position signalled_;
  /// The flags of the first descriptor that was filled: while it is not the driver's, it looks no further.
  struct Withheld {
    GuestPhysical at;
    uint16_t flags;
  };
  std::optional<Withheld> withheld_;
};

}  // namespace eidolon::device::virtio
