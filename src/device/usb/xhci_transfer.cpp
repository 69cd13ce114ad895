#include "device/usb/xhci_transfer.h"

#include <algorithm>

namespace eidolon::device::usb::xhci {

namespace {

Trb event_of(unsigned slot, unsigned endpoint, uint64_t parameter, uint32_t length, Code code,
             uint32_t flags = 0) {
  return {.parameter = parameter,
          .status = (length & 0xffffff) | static_cast<uint32_t>(code) << 24,
          .control = trb_type(kTransferEvent) | flags | endpoint << 16 | slot << 24};
}

}  // namespace

bool Transfer::Block::has_data() const { return trb.type() == kNormal || trb.type() == kDataStage; }

Transfer::Found Transfer::broken(Code code) {
  code_ = code;
  return Found::kBroken;
}

/// Chained blocks are one transfer; those of a control transfer go on to its status stage.
Transfer::Found Transfer::collect(const Dma& dma, RingPlace& ring, bool control) {
  blocks_.clear();
  data_.clear();
  code_ = Code::kSuccess;
  RingPlace place = ring;
  bool status_seen = false;
  while (blocks_.size() < kMostBlocks) {
    const Fetched fetched = fetch(dma, place);
    if (fetched.what == Fetched::What::kBroken) {
      if (blocks_.empty()) blocks_.push_back({.trb = {}, .address = fetched.address});
      return broken(Code::kTrbError);
    }
    if (fetched.what == Fetched::What::kNothing) return Found::kNothing;
    blocks_.push_back({.trb = fetched.trb, .address = fetched.address});
    status_seen = status_seen || fetched.trb.type() == kStatusStage;
    const bool opens_control = blocks_.front().trb.type() == kSetupStage;
    if ((fetched.trb.control & kChain) != 0 || (control && opens_control && !status_seen)) continue;
    ring = place;
    return valid(control) ? Found::kWhole : broken(Code::kTrbError);
  }
  return broken(Code::kTrbError);
}

bool Transfer::valid(bool control) {
  size_t bytes = 0;
  for (const Block& block : blocks_) {
    const unsigned type = block.trb.type();
    if ((type == kSetupStage || type == kDataStage || type == kStatusStage) && !control) return false;
    if (type != kNormal && type != kSetupStage && type != kDataStage && type != kStatusStage &&
        type != kEventDataTrb && type != kNoOp)
      return false;
    if (block.has_data()) bytes += block.trb.length();
    constexpr uint32_t kMostImmediate = 8;
    if (block.has_data() && (block.trb.control & kImmediateData) != 0 && block.trb.length() > kMostImmediate)
      return false;
  }
  if (bytes > kMostBytes) return false;
  if (blocks_.front().trb.type() == kNoOp && blocks_.size() == 1) return true;
  return !control || valid_control();
}

/// Setup, data if there are any, status: in this order, once each.
bool Transfer::valid_control() {
  const Trb& first = blocks_.front().trb;
  if (first.type() != kSetupStage || (first.control & kImmediateData) == 0) return false;
  std::memcpy(&setup_, &first.parameter, sizeof setup_);
  bool status_seen = false;
  for (size_t i = 1; i < blocks_.size(); ++i) {
    const unsigned type = blocks_[i].trb.type();
    if (type == kSetupStage || (status_seen && type != kEventDataTrb)) return false;
    status_seen = status_seen || type == kStatusStage;
  }
  return status_seen;
}

bool Transfer::prepare(const Dma& dma, bool in) {
  size_t bytes = 0;
  for (const Block& block : blocks_)
    if (block.has_data()) bytes += block.trb.length();
  data_.assign(bytes, 0);
  if (in) return true;
  size_t at = 0;
  for (const Block& block : blocks_) {
    if (!block.has_data()) continue;
    const uint32_t length = block.trb.length();
    if ((block.trb.control & kImmediateData) != 0) {
      std::memcpy(&data_[at], &block.trb.parameter, length);
    } else if (length != 0 && !dma.read(block.trb.parameter, &data_[at], length)) {
      return false;
    }
    at += length;
  }
  return true;
}

bool Transfer::deliver(Dma& dma, uint32_t length) const {
  size_t at = 0;
  for (const Block& block : blocks_) {
    if (!block.has_data()) continue;
    const auto part = static_cast<uint32_t>(std::min<size_t>(block.trb.length(), length - at));
    if (part != 0 && !dma.write(block.trb.parameter, &data_[at], part)) return false;
    at += part;
  }
  return true;
}

bool Transfer::empty() const {
  return std::ranges::none_of(
      blocks_, [](const Block& block) { return block.has_data() || block.trb.type() == kSetupStage; });
}

size_t Transfer::most_events() const {
  const auto wanted = std::ranges::count_if(
      blocks_, [](const Block& block) { return (block.trb.control & kInterruptOnCompletion) != 0; });
  return static_cast<size_t>(wanted) + 1;  // a short packet or a failure
}

bool Transfer::concerns(unsigned interrupter) const {
  return std::ranges::any_of(blocks_, [interrupter](const Block& block) {
    return block.trb.interrupter() % kInterrupters == interrupter;
  });
}

/// The first block that the data did not fill ends the data (4.10.1.1): it is told if the driver wants to
/// know of short packets or of this block; if neither, then at a later block that it wants to know of.
std::vector<Transfer::Event> Transfer::events(unsigned slot, unsigned endpoint, uint32_t length) const {
  std::vector<Event> all;
  uint32_t left = length, since_event_data = 0;
  bool is_short = false, short_told = false;
  for (const Block& block : blocks_) {
    const bool wanted = (block.trb.control & kInterruptOnCompletion) != 0;
    const auto add = [&](Trb trb) {
      all.push_back(
          {.trb = trb,
           .interrupter = block.trb.interrupter() % kInterrupters,
           .quiet = (block.trb.control & kBlockEventInterrupt) != 0 && block.trb.type() != kSetupStage});
    };
    const Code code = is_short ? Code::kShortPacket : Code::kSuccess;
    if (block.trb.type() == kEventDataTrb) {
      if (wanted) add(event_of(slot, endpoint, block.trb.parameter, since_event_data, code, kEventData));
      short_told = short_told || wanted;
      since_event_data = 0;
    } else if (block.has_data()) {
      const uint32_t part = std::min(left, block.trb.length());
      const uint32_t rest = block.trb.length() - part;
      left -= part;
      since_event_data += part;
      if (rest == 0 && !is_short) {
        if (wanted) add(event_of(slot, endpoint, block.address, 0, Code::kSuccess));
        continue;
      }
      const bool first = !is_short;
      is_short = true;
      const bool told_here = wanted || (first && (block.trb.control & kShortInterrupt) != 0);
      if (told_here && !short_told) {
        add(event_of(slot, endpoint, block.address, rest, Code::kShortPacket));
        short_told = true;
      }
    } else if (wanted) {
      add(event_of(slot, endpoint, block.address, 0, Code::kSuccess));
    }
  }
  return all;
}

/// Told at the block that the driver expects it at: the data if there are any.
Transfer::Event Transfer::failure(unsigned slot, unsigned endpoint, Code code) const {
  const auto data = std::ranges::find_if(blocks_, &Block::has_data);
  const Block& block = data != blocks_.end() ? *data : blocks_.back();
  const uint32_t rest = block.has_data() ? block.trb.length() : 0;
  return {.trb = event_of(slot, endpoint, block.address, rest, code),
          .interrupter = block.trb.interrupter() % kInterrupters,
          .quiet = false};
}

}  // namespace eidolon::device::usb::xhci
