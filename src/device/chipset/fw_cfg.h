// QEMU's firmware configuration device (docs/specs/fw_cfg.rst of QEMU), which stock firmware asks for what it
// cannot find out by itself: numbered items, and files, which are items with names and a directory.
//
//   0x510  selector (16 bits, written)       0x511  the selected item, byte by byte (read)
//   0x514  address of a DMA request, big-endian 64 bits; its low half starts the request
//
// The files are set before the machine runs. A file may be made when the guest selects it, because what ACPI
// tables say depends on what the firmware did before.
//
// A request is carried out as a device's DMA is, by the thread of the processor that asks for it, which looks
// for what became stale before its next instruction. Nobody else is called with the lock held.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/dma.h"
#include "memory/guest_memory.h"
#include "memory/io_window.h"

namespace eidolon::device {

class FwCfg final : public Device, public memory::IoHandler {
 public:
  using Bytes = std::vector<uint8_t>;

  static constexpr uint64_t kPort = 0x510;
  static constexpr uint64_t kPorts = 2;
  static constexpr uint64_t kDmaPort = 0x514;
  static constexpr uint64_t kDmaPorts = 8;
  [[nodiscard]] memory::IoHandler& dma_ports() { return dma_window_; }

  enum Key : uint16_t {
    kSignature = 0x00,
    kFeatures = 0x01,
    kRamSize = 0x03,
    kNoGraphics = 0x04,
    kProcessors = 0x05,
    kBootMenu = 0x0e,
    kMostProcessors = 0x0f,
    kDirectory = 0x19,
    kFirstFile = 0x20,
    kIrq0Override = 0x8002,
  };
  static constexpr size_t kLongestName = 55;
  static constexpr size_t kMostFiles = 0x100;

  explicit FwCfg(memory::GuestMemory& memory);

  // While the machine is put together.
  void set_item(Key key, Bytes bytes) { items_[key] = std::move(bytes); }
  /// An item that is a number, little-endian.
  template <typename T>
  void set_number(Key key, T value) {
    set_item(key, bytes_of(value));
  }
  /// False if the name is empty, too long or taken, or there are too many files.
  [[nodiscard]] bool add_file(const std::string& name, Bytes bytes);
  /// `make` is called, on the thread of a processor, each time that the file is selected, and by several at
  /// once if so many select it; what it returns is cut or filled up with zeros to `size`.
  [[nodiscard]] bool add_file(const std::string& name, size_t size, std::function<Bytes()> make);
  template <typename T>
  [[nodiscard]] static Bytes bytes_of(T value) {
    Bytes bytes(sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }

  // memory::IoHandler: selector and data.
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "fw-cfg"; }
  void reset() override;
  /// The selected item and the place in it: items are the machine's configuration.
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct File {
    Bytes bytes;  ///< of a file that is made, only their number counts
    std::function<Bytes()> make;
  };
  [[nodiscard]] uint64_t dma_read(uint64_t offset, unsigned size);
  void dma_write(uint64_t offset, unsigned size, uint64_t value);
  /// Lets go of the lock while a file is made.
  void select(uint16_t key, Lock& lock);
  [[nodiscard]] Bytes directory() const;
  [[nodiscard]] uint8_t next();
  [[nodiscard]] Bytes take(size_t most);
  void run_request(uint64_t address);
  [[nodiscard]] bool put(uint64_t address, std::span<const uint8_t> bytes, uint64_t length);

  Dma dma_;
  // While the machine runs, these do not change.
  std::map<uint16_t, Bytes> items_;
  std::map<std::string, File> files_;  ///< numbered in this order
  mutable std::mutex mutex_;           ///< guards what follows
  uint16_t key_ = 0;
  uint32_t at_ = 0;  ///< the next byte of the selected item
  Bytes selected_;
  uint32_t request_high_ = 0;  ///< of the address of the next request
  memory::IoWindow<FwCfg, &FwCfg::dma_read, &FwCfg::dma_write> dma_window_{*this};
};

}  // namespace eidolon::device
