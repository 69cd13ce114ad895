// The ISA bus's DMA: two 8237A controllers and the page registers that give their addresses eight more bits
// (ICH9 datasheet, 316972, 13.2). Channels 0 to 3 move bytes; 5 to 7 move words; 4 joins the two.
//
// A device that wants to move bytes calls to_memory() or from_memory() when its channel is open(), and has
// itself called when software opens it.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <span>

#include "device/chipset/dma_chip.h"
#include "device/device.h"
#include "device/dma.h"
#include "memory/io_window.h"

namespace eidolon::device {

class DmaController final : public Device {
 public:
  static constexpr uint64_t kFirstPort = 0x00, kFirstPorts = 16;
  static constexpr uint64_t kPagePort = 0x80, kPagePorts = 16;
  static constexpr uint64_t kSecondPort = 0xc0, kSecondPorts = 32;
  static constexpr unsigned kFloppyChannel = 2;

  explicit DmaController(memory::GuestMemory& memory) : dma_(memory) {}

  [[nodiscard]] memory::IoHandler& first_ports() { return first_; }
  [[nodiscard]] memory::IoHandler& page_ports() { return pages_window_; }
  [[nodiscard]] memory::IoHandler& second_ports() { return second_; }

  struct Moved {
    size_t bytes = 0;
    bool terminal = false;  ///< the count that software gave has been reached
  };
  // For devices on channels 0 to 3, from any thread. Not more than up to the terminal count; nothing if the
  // channel is closed or set up for the other direction. Where there is no memory, writes vanish and reads
  // give ones.
  [[nodiscard]] bool open(unsigned channel) const;
  Moved to_memory(unsigned channel, std::span<const uint8_t> bytes);
  Moved from_memory(unsigned channel, std::span<uint8_t> bytes);
  /// Called without a lock when software may have opened a channel. While the machine is wired.
  void set_open_observer(std::function<void()> observer) { observer_ = std::move(observer); }

  [[nodiscard]] std::string_view name() const override { return "isa-dma"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  uint8_t read_first(unsigned offset);
  void write_first(unsigned offset, uint8_t value);
  uint8_t read_second(unsigned offset);
  void write_second(unsigned offset, uint8_t value);
  uint8_t read_page(unsigned offset);
  void write_page(unsigned offset, uint8_t value);
  [[nodiscard]] GuestPhysical address_of(unsigned channel) const;
  template <typename Byte, typename Move>
  Moved move(unsigned channel, unsigned type, std::span<Byte> bytes, Move move_byte);
  void notify();

  memory::ByteWindow<DmaController, &DmaController::read_first, &DmaController::write_first> first_{*this};
  memory::ByteWindow<DmaController, &DmaController::read_second, &DmaController::write_second> second_{*this};
  memory::ByteWindow<DmaController, &DmaController::read_page, &DmaController::write_page> pages_window_{
      *this};

  Dma dma_;
  std::function<void()> observer_;
  mutable std::mutex mutex_;  ///< after the locks of the devices that move bytes
  std::array<DmaChip, 2> chips_;
  std::array<uint8_t, kPagePorts> pages_{};
};

}  // namespace eidolon::device
