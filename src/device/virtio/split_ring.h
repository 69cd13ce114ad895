// The split virtqueue (virtio 1.2, 2.7).
#pragma once

#include "device/virtio/ring.h"

namespace eidolon::device::virtio {

class SplitRing final : public Ring {
 public:
  SplitRing(Dma& dma, const RingPlace& place, uint64_t features);

  [[nodiscard]] Take take(Chain& chain) override;
  void put_back() override { --next_; }
  [[nodiscard]] bool fill(const Chain& chain, uint32_t written) override;
  [[nodiscard]] bool publish() override;
  [[nodiscard]] bool interrupt_wanted() override;
  [[nodiscard]] bool rearm() override;
  void save(StateWriter& to) const override { to(next_, used_, signalled_); }
  void load(StateReader& from) override { from(next_, used_, signalled_); }

 private:
  [[nodiscard]] bool follow(Chain& chain, uint16_t head) const;
  [[nodiscard]] bool follow_indirect(Chain& chain, GuestPhysical table, uint32_t length) const;

  Dma& dma_;
  const RingPlace place_;
  const bool indirect_;
  const bool event_index_;
  uint16_t next_ = 0;       ///< index of the next available entry
  uint16_t used_ = 0;       ///< index of the next used entry
  uint16_t signalled_ = 0;  ///< used_ when interrupt_wanted() was last asked
};

}  // namespace eidolon::device::virtio
