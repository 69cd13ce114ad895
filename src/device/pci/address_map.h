// One address space of the PCI bus, ports or memory: which BAR answers where. It is what the machine's IoBus
// asks when none of the board's own devices answers.
//
// BARs move while processors run, so it has a lock of its own, which is not held while a device is called.
// Where two windows overlap, which only a confused guest does, the one that was placed first answers.
//
// A window can have doorbells: registers whose write is nothing but a notification, by an event descriptor.
// Who runs the guest takes them, if it can, where the window is at the moment.
#pragma once

#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "memory/doorbells.h"
#include "memory/io_handler.h"

namespace eidolon::device::pci {

class AddressMap final : public memory::IoHandler {
 public:
  /// Puts the window of `key` at [base, base + length), or moves it there. `handler` lives as long as the
  /// map.
  void place(const void* key, uint64_t base, uint64_t length, memory::IoHandler& handler);
  void remove(const void* key);

  /// A write at `offset` into the window of `key`, wherever that is, may raise `event` in place of a call of
  /// its handler. While the machine is put together; the event outlives the map's doorbells.
  void add_doorbell(const void* key, uint64_t offset, int event);
  /// Who takes them, or null: nobody. It outlives its stay here. From any thread.
  void give_doorbells(memory::Doorbells* taker);

  // memory::IoHandler, with the address itself as offset.
  [[nodiscard]] uint64_t io_read(uint64_t address, unsigned size) override;
  void io_write(uint64_t address, unsigned size, uint64_t value) override;

 private:
  struct Window {
    const void* key;
    uint64_t base;
    uint64_t length;
    memory::IoHandler* handler;
  };
  struct Doorbell {
    const void* key;
    uint64_t offset;
    int event;
    std::optional<uint64_t> taken_at;  ///< nothing: its window's handler is called
  };
  [[nodiscard]] std::optional<Window> find(uint64_t address) const;
  // With mutex_ held.
  [[nodiscard]] const Window* window_at(uint64_t address) const;
  [[nodiscard]] std::optional<uint64_t> place_of(const Doorbell& doorbell) const;
  void move_doorbells();

  mutable std::shared_mutex mutex_;
  std::vector<Window> windows_;
  std::vector<Doorbell> doorbells_;
  memory::Doorbells* taker_ = nullptr;
};

}  // namespace eidolon::device::pci
