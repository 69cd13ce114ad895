// What a card of the 8254x family sends (317453, 3.3 to 3.5): legacy descriptors, and the TCP/IP ones, by
// which it fills in checksums and cuts a long packet into segments.
//
// The network's thread asks for one frame at a time, and a packet may be cut at any byte, so what is under
// way is state: the packet as far as it was gathered, and the descriptor that its next bytes come from.
//
//   descriptor -> piece -> bytes_ --all of the packet, or a segment's worth--> a frame
#pragma once

#include <cstdint>
#include <vector>

#include "device/net/e1000_counters.h"
#include "device/net/e1000_interrupts.h"
#include "device/net/e1000_registers.h"
#include "device/net/e1000_ring.h"

namespace eidolon::device::net::e1000 {

class Transmitter {
 public:
  Transmitter(const Bank& bank, Counters& counters, Interrupts& interrupts)
      : bank_(bank), counters_(counters), interrupts_(interrupts) {}

  enum class Outcome : uint8_t {
    kFrame,
    kNothing,  ///< until the driver writes the tail
    kMore,     ///< enough for once; there may be a frame
  };
  [[nodiscard]] Outcome next(Dma& dma, Ring& ring, std::vector<uint8_t>& frame);

  /// Forgets the packet that is under way, and contexts.
  void reset();
  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  /// A context descriptor (3.3.6). Offsets are in the packet; an end of 0 is the packet's.
  struct Context {
    uint8_t ip_start = 0, ip_sum = 0;
    uint16_t ip_end = 0;
    uint8_t transport_start = 0, transport_sum = 0;
    uint16_t transport_end = 0;
    uint8_t command = 0;
    uint8_t header = 0;    ///< bytes
    uint16_t segment = 0;  ///< bytes of payload in each
    uint32_t payload = 0;  ///< bytes
  };
  struct Packet {
    bool open = false;
    bool dropped = false;
    bool segmented = false;
    bool any_sent = false;
    uint8_t options = 0;
    bool legacy_sum = false;
    uint8_t sum_start = 0, sum_at = 0;
    bool tagged = false;
    uint16_t tag = 0;
    uint32_t payload_left = 0;
    Context context;
  };
  struct Piece {
    bool open = false;
    uint64_t address = 0;
    uint32_t left = 0;
    uint8_t command = 0;
  };

  void begin(const Descriptor& descriptor);
  void begin_context(const Descriptor& descriptor);
  void begin_packet(const Descriptor& descriptor, bool legacy);
  void gather(Dma& dma);
  [[nodiscard]] size_t wanted() const;
  void finish_piece(Dma& dma, Ring& ring);
  [[nodiscard]] bool finish_packet(std::vector<uint8_t>& frame);
  void make_segment(std::vector<uint8_t>& frame, bool last);
  void fix_segment(std::vector<uint8_t>& frame, bool last);
  [[nodiscard]] bool complete(std::vector<uint8_t>& frame);

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& stream);

  const Bank& bank_;
  Counters& counters_;
  Interrupts& interrupts_;
  Context sums_;      ///< for packets with checksums only ...
  Context segments_;  ///< ... and for those that are cut
  Packet packet_;
  Piece piece_;
  std::vector<uint8_t> bytes_;
};

}  // namespace eidolon::device::net::e1000
