// What passes between a network card and its network, written to a file that Wireshark and tcpdump read: the
// classic format of libpcap (draft-ietf-opsawg-pcap), Ethernet, microseconds of the host's time.
//
//   card <--> Capture <--> network
//
// Each frame is written as it passes, in one piece, so the file can be read at any time, also while the
// machine runs and after the monitor was killed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "device/net/link.h"

namespace eidolon::backend {

class CaptureFile {
 public:
  using Say = std::function<void(const std::string&)>;

  /// Empties the file. `say` is told if the capture comes to its end, once.
  static Result<CaptureFile> create(const std::string& path, Say say);
  void add(std::span<const uint8_t> frame);

 private:
  CaptureFile(FileDescriptor file, std::string path, Say say)
      : file_(std::move(file)), path_(std::move(path)), say_(std::move(say)) {}
  [[nodiscard]] Result<> write(std::span<const uint8_t> header, std::span<const uint8_t> bytes);

  FileDescriptor file_;  ///< not valid: the capture has ended
  std::string path_;
  Say say_;
  uint64_t length_ = 0;  ///< of what is whole
};

class Capture final : public device::net::Link, private device::net::Card {
 public:
  /// `network` outlives it.
  Capture(device::net::Link& network, CaptureFile file) : network_(network), file_(std::move(file)) {}

  void plug(device::net::Card* card) override;
  void wake() override { network_.wake(); }

 private:
  // From the network's thread.
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame) override;
  [[nodiscard]] bool receive(std::span<const uint8_t> frame) override;
  void set_link(bool up) override { card_->set_link(up); }

  device::net::Link& network_;
  device::net::Card* card_ = nullptr;  ///< changes only while the network calls nobody
  CaptureFile file_;
};

}  // namespace eidolon::backend
