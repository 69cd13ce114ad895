// A FUSE request as it is carried out, and its answer. Errors are those of errno, which are the guest's own.
#pragma once

#include <linux/fuse.h>

#include <cerrno>
#include <cstring>
#include <expected>
#include <optional>
#include <string>

#include "base/try.h"
#include "device/virtio/file_server.h"

namespace eidolon::backend::share {

template <typename T = void>
using Answer = std::expected<T, int>;

[[nodiscard]] inline std::unexpected<int> refuse(int error) { return std::unexpected(error); }
/// What the system call that has just failed said. Where the monitor has no descriptor left, the guest hears
/// that the system has none: its own limit it is not.
[[nodiscard]] inline std::unexpected<int> refuse_errno() {
  return std::unexpected(errno == EMFILE ? ENFILE : errno);
}

class Request {
 public:
  explicit Request(device::virtio::FileMessage& message) : message_(message) {
    const auto bytes = message.copied();
    if (bytes.size() < sizeof header_) return;
    std::memcpy(&header_, bytes.data(), sizeof header_);
    whole_ = header_.len >= sizeof header_ && header_.len <= message.length();
    if (whole_) rest_ = bytes.first(std::min<size_t>(bytes.size(), header_.len)).subspan(sizeof header_);
  }

  /// It has a header that can be true.
  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] const fuse_in_header& header() const { return header_; }

  // Its arguments, one after the other.
  template <typename T>
  [[nodiscard]] Answer<T> take() {
    if (rest_.size() < sizeof(T)) return refuse(EINVAL);
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  /// A structure that may be shorter, from an older kernel: the rest is zeros.
  template <typename T>
  [[nodiscard]] T take_some() {
    T value{};
    const size_t length = std::min(rest_.size(), sizeof value);
    std::memcpy(&value, rest_.data(), length);
    rest_ = rest_.subspan(length);
    return value;
  }
  /// Up to a zero, which has to be there.
  [[nodiscard]] Answer<std::string> take_text();
  /// The name of an entry of a directory: one that leads nowhere else.
  [[nodiscard]] Answer<std::string> take_name();
  /// What is to be written: `length` bytes where the next argument would be. Not copied.
  [[nodiscard]] Answer<std::vector<iovec>> take_payload(uint64_t length) const;

  // Its answer.
  template <typename T>
  void answer(const T& value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    body_.insert(body_.end(), bytes, bytes + sizeof value);
  }
  void answer(std::span<const uint8_t> bytes) { body_.insert(body_.end(), bytes.begin(), bytes.end()); }
  /// Room for as much as that in the guest's memory, to be filled; then filled() says how much was.
  [[nodiscard]] Answer<std::vector<iovec>> places(uint64_t length);
  void filled(uint64_t length) { filled_ = length; }
  /// How many bytes an answer can have.
  [[nodiscard]] uint64_t room() const;

  /// Writes the answer; how many bytes it is.
  [[nodiscard]] uint32_t finish(const Answer<>& outcome);

 private:
  device::virtio::FileMessage& message_;
  fuse_in_header header_{};
  bool whole_ = false;
  std::span<const uint8_t> rest_;
  std::vector<uint8_t> body_;
  std::optional<uint64_t> filled_;
};

}  // namespace eidolon::backend::share
