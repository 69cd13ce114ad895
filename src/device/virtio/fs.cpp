#include "device/virtio/fs.h"

#include <algorithm>

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 26;
constexpr uint16_t kUrgentQueueSize = 128, kQueueSize = 512;  ///< the first is for FORGET and the like
constexpr uint32_t kRequestQueues = 1;

/// A buffer of the ring's as a message.
class ChainMessage final : public FileMessage {
 public:
  ChainMessage(Dma& dma, const Chain& chain) : dma_(dma), chain_(chain) {
    copied_.resize(std::min<uint64_t>(chain.readable_bytes(), kMostCopied));
    if (!chain.read(dma, 0, copied_.data(), copied_.size())) copied_.clear();
  }
  ~ChainMessage() override {
    for (const Segment& segment : filled_) dma_.written(segment.address, segment.length);
  }
  ChainMessage(const ChainMessage&) = delete;
  ChainMessage& operator=(const ChainMessage&) = delete;

  [[nodiscard]] std::span<const uint8_t> copied() const override { return copied_; }
  [[nodiscard]] uint64_t length() const override { return copied_.empty() ? 0 : chain_.readable_bytes(); }
  [[nodiscard]] std::vector<iovec> payload(uint64_t offset, uint64_t length) const override {
    std::vector<iovec> parts;
    if (offset > chain_.readable_bytes() || length > chain_.readable_bytes() - offset) return {};
    for (const Segment& segment : slice(chain_.readable(), offset, length)) {
      const std::span<const uint8_t> bytes = dma_.readable(segment.address, segment.length);
      if (bytes.size() != segment.length) return {};
      parts.push_back({const_cast<uint8_t*>(bytes.data()), bytes.size()});  // pwritev only reads
    }
    return parts;
  }
  [[nodiscard]] uint64_t room() const override { return chain_.writable_bytes(); }
  [[nodiscard]] std::vector<iovec> places(uint64_t offset, uint64_t length) override {
    std::vector<iovec> parts;
    if (offset > room() || length > room() - offset) return {};
    const std::vector<Segment> segments = slice(chain_.writable(), offset, length);
    for (const Segment& segment : segments) {
      const std::span<uint8_t> bytes = dma_.writable(segment.address, segment.length);
      if (bytes.size() != segment.length) return {};
      parts.push_back({bytes.data(), bytes.size()});
    }
    filled_.insert(filled_.end(), segments.begin(), segments.end());
    return parts;
  }
  [[nodiscard]] bool write(uint64_t offset, std::span<const uint8_t> bytes) override {
    return chain_.write(dma_, offset, bytes.data(), bytes.size());
  }

 private:
  Dma& dma_;
  const Chain& chain_;
  std::vector<uint8_t> copied_;
  std::vector<Segment> filled_;
};

}  // namespace

Fs::Fs(std::string name, FileServer& server, std::string tag)
    : RequestDevice({.name = std::move(name),
                     .type = kType,
                     .queue_sizes = {kUrgentQueueSize, kQueueSize},
                     .class_code = 0x018000},
                    2, kThreads),
      server_(server),
      tag_(std::move(tag)) {}

/// What the server knows of files is the host's, and is not saved.
std::string_view Fs::obstacle() const {
  return server_.in_use()
             ? "the guest has a shared folder mounted, which a snapshot cannot hold; unmount it in "
               "the guest and try again"
             : "";
}

uint32_t Fs::execute(unsigned /*queue*/, const Chain& chain) {
  ChainMessage message(dma(), chain);
  return server_.serve(message);
}

/// The tag, padded with zeros, and how many queues there are for requests (5.11.4).
std::vector<uint8_t> Fs::config() {
  std::vector<uint8_t> bytes(kLongestTag + sizeof kRequestQueues);
  std::copy_n(tag_.begin(), std::min(tag_.size(), kLongestTag), bytes.begin());
  std::memcpy(bytes.data() + kLongestTag, &kRequestQueues, sizeof kRequestQueues);
  return bytes;
}

}  // namespace eidolon::device::virtio
