// How a machine's processors sit in sockets, cores and threads, and the APIC IDs that this gives them (SDM
// volume 3, 9.9.1; AMD APM volume 3, E.4.26): an ID is the numbers of socket, core and thread side by side,
// each in as many bits as its level needs. Where a level is not a power of two, IDs are left out.
#pragma once

#include <bit>
#include <cstdint>

namespace eidolon::x86 {

struct Topology {
  static constexpr unsigned kMostProcessors = 64;

  unsigned sockets = 1;
  unsigned cores = 1;    ///< of each socket
  unsigned threads = 1;  ///< of each core

  /// What who only says a number gets: one socket, a thread to each core.
  [[nodiscard]] static constexpr Topology of(unsigned processors) { return {.cores = processors}; }
  [[nodiscard]] constexpr bool valid() const {
    const auto fits = [](unsigned count) { return count >= 1 && count <= kMostProcessors; };
    return fits(sockets) && fits(cores) && fits(threads) && fits(sockets * cores * threads);
  }

  [[nodiscard]] constexpr unsigned processors() const { return sockets * cores * threads; }
  [[nodiscard]] constexpr unsigned processors_per_socket() const { return cores * threads; }

  /// Bits of an APIC ID below the number of the core, and below that of the socket.
  [[nodiscard]] constexpr unsigned core_shift() const { return bits_for(threads); }
  [[nodiscard]] constexpr unsigned socket_shift() const { return core_shift() + bits_for(cores); }

  /// Of processor 0 to processors() - 1: threads of a core are neighbours, and so are cores of a socket.
  [[nodiscard]] constexpr unsigned thread_of(unsigned processor) const { return processor % threads; }
  [[nodiscard]] constexpr unsigned core_of(unsigned processor) const { return processor / threads % cores; }
  [[nodiscard]] constexpr unsigned socket_of(unsigned processor) const {
    return processor / processors_per_socket();
  }
  [[nodiscard]] constexpr uint32_t apic_id(unsigned processor) const {
    return socket_of(processor) << socket_shift() | core_of(processor) << core_shift() | thread_of(processor);
  }
  [[nodiscard]] constexpr uint32_t highest_apic_id() const { return apic_id(processors() - 1); }

  friend constexpr bool operator==(const Topology&, const Topology&) = default;

 private:
  [[nodiscard]] static constexpr unsigned bits_for(unsigned count) {
    return static_cast<unsigned>(std::bit_width(count - 1));
  }
};

}  // namespace eidolon::x86
