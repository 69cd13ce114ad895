// National Semiconductor's DP8390 network controller (DP8390D/NS32490D data sheet) with the memory of an
// NE2000: three pages of registers, a ring of 256-byte pages for what it receives, and "remote DMA", by which
// the processor reads and writes that memory through one port.
//
// No lock and no bus: Ne2000 has both.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/state_stream.h"
#include "device/net/link.h"

namespace eidolon::device::net {

class Dp8390 {
 public:
  static constexpr uint32_t kRegisters = 16;

  explicit Dp8390(const MacAddress& address);

  /// As its RESET pin does. What is in memory stays.
  void reset();
  [[nodiscard]] uint8_t read(uint32_t index);
  void write(uint32_t index, uint8_t value);
  // The data port: an access of 1, 2 or 4 bytes moves as many, but one byte if the chip is set to bytes, and
  // at least two if it is set to words.
  [[nodiscard]] uint32_t read_data(unsigned size);
  void write_data(unsigned size, uint32_t value);

  [[nodiscard]] bool wants_interrupt() const;

  // Frames.
  /// Begun by the driver, until finish_sending().
  [[nodiscard]] bool sending() const;
  /// What is to be sent; false: nothing that is a frame, or it is not for the wire.
  [[nodiscard]] bool frame_to_send(std::vector<uint8_t>& frame) const;
  void finish_sending(bool carrier);
  enum class Outcome : uint8_t {
    kTaken,  ///< or lost, as on a wire
    kLater,  ///< the ring is full
  };
  [[nodiscard]] Outcome receive(std::span<const uint8_t> frame);

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  // As the processor sees it: the address PROM, and behind a hole 16 KiB.
  static constexpr uint32_t kPromBytes = 32, kMemoryAt = 0x4000, kMemoryBytes = 0x4000, kPageBytes = 256;

  void command(uint8_t value);
  void write_page_0(uint32_t index, uint8_t value);
  [[nodiscard]] uint8_t read_page_0(uint32_t index);
  [[nodiscard]] uint8_t read_page_2(uint32_t index) const;
  [[nodiscard]] uint8_t read_page_3(uint32_t index) const;
  [[nodiscard]] uint8_t peek(uint32_t address) const;
  void poke(uint32_t address, uint8_t value);
  [[nodiscard]] unsigned units(unsigned size) const;
  void advance(unsigned bytes);
  [[nodiscard]] bool stopped() const;
  [[nodiscard]] bool wants(std::span<const uint8_t> frame) const;
  [[nodiscard]] bool ring_is_possible() const;
  [[nodiscard]] unsigned room() const;

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& stream);

  std::array<uint8_t, kPromBytes> prom_{};
  std::array<uint8_t, kMemoryBytes> memory_{};
  uint8_t command_ = 0;
  uint8_t interrupts_ = 0, mask_ = 0;
  uint8_t first_page_ = 0, end_page_ = 0, boundary_ = 0, current_ = 0;
  uint8_t transmit_page_ = 0, transmit_status_ = 0;
  uint16_t transmit_bytes_ = 0;
  uint16_t remote_start_ = 0, remote_at_ = 0, remote_left_ = 0;
  uint8_t receive_configuration_ = 0, receive_status_ = 0, transmit_configuration_ = 0,
          data_configuration_ = 0;
  MacAddress address_{};
  std::array<uint8_t, 8> groups_{};
  std::array<uint8_t, 3> counters_{};
};

}  // namespace eidolon::device::net
