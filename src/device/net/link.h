// A network card and what it is plugged into: the two ends of a cable, whatever card and whatever network.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::device::net {

using MacAddress = std::array<uint8_t, 6>;

/// Of the first card of a machine, as other monitors have it.
inline constexpr MacAddress kFirstAddress = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

inline constexpr size_t kHeaderBytes = 14;     ///< of Ethernet: two addresses and the type
inline constexpr size_t kTagBytes = 4;         ///< IEEE 802.1Q
inline constexpr size_t kLongestFrame = 1518;  ///< header, tag and 1500 bytes, without the checksum

struct Offload;

/// The card. Called from the network's thread; takes the card's own lock.
class Card {
 public:
  virtual ~Card() = default;
  /// The next frame that the guest sends, into `frame`; false if there is none.
  [[nodiscard]] virtual bool next_frame(std::vector<uint8_t>& frame) = 0;
  /// A frame for the guest. False if it has no buffer for it now: the card calls Link::wake() when it has.
  [[nodiscard]] virtual bool receive(std::span<const uint8_t> frame) = 0;

  // For a network that can do with frames that are not finished (offload.h), which are fewer and larger.
  /// The next one, in place of next_frame(), and what is left to do about it. It is right (check()).
  [[nodiscard]] virtual bool next_large(std::vector<uint8_t>& frame, Offload& offload);
  /// Whether the guest takes such a frame at the moment.
  [[nodiscard]] virtual bool takes(const Offload& /*offload*/) { return false; }
  /// As receive(), of a finished frame, or one that it takes() and that is right.
  [[nodiscard]] virtual bool receive_large(std::span<const uint8_t> frame, const Offload& offload);

  /// Whether there is anybody at the other end; so it is until it is said.
  virtual void set_link(bool /*up*/) {}
};

/// The network. Its thread pulls frames, so that a guest cannot flood it.
class Link {
 public:
  virtual ~Link() = default;
  /// One card, or null: when this returns, the card before is not called any more. Not with the card's lock
  /// held.
  virtual void plug(Card* card) = 0;
  /// There are frames to send, or there is room to receive. From any thread, at once, with the card's lock
  /// held or not.
  virtual void wake() = 0;
};

}  // namespace eidolon::device::net
