// One buffer of a virtqueue as the device sees it: the pieces to read, then the pieces to write
// (virtio 1.2, 2.6.4). The descriptors were copied out of guest memory once and checked; the pieces are
// checked when they are used.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/state_stream.h"
#include "device/dma.h"

namespace eidolon::device::virtio {

struct Segment {
  GuestPhysical address;
  uint32_t length;
};

class Chain {
 public:
  static constexpr size_t kMaxSegments = 1024;
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

  void clear(uint16_t id);
  /// False if the chain gets too long, or if a piece to read comes after one to write.
  [[nodiscard]] bool add(const Segment& segment, bool device_writes);

  [[nodiscard]] std::span<const Segment> readable() const { return readable_; }
  [[nodiscard]] std::span<const Segment> writable() const { return writable_; }
  [[nodiscard]] uint64_t readable_bytes() const { return readable_bytes_; }
  [[nodiscard]] uint64_t writable_bytes() const { return writable_bytes_; }
  [[nodiscard]] size_t segments() const { return readable_.size() + writable_.size(); }

  // Copies of a part of either half; false if it is not there as a whole, or not in memory.
  [[nodiscard]] bool read(const Dma& dma, uint64_t offset, void* to, uint64_t length) const;
  [[nodiscard]] bool write(Dma& dma, uint64_t offset, const void* from, uint64_t length) const;

  void save(StateWriter& to) const;
  /// Not of the ring that it is from: what it says is checked when it is used.
  void load(StateReader& from);

  uint16_t id = 0;     ///< what the driver calls it
  uint16_t slots = 1;  ///< descriptors that it takes in a packed ring

 private:
  std::vector<Segment> readable_;
  std::vector<Segment> writable_;
  uint64_t readable_bytes_ = 0;
  uint64_t writable_bytes_ = 0;
};

/// The part [offset, offset + length) of a list of segments, as segments of its own; shorter if the list
/// ends.
[[nodiscard]] std::vector<Segment> slice(std::span<const Segment> segments, uint64_t offset, uint64_t length);

}  // namespace eidolon::device::virtio
