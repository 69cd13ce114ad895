// A back end that has been reached: what it offers, and the starting and stopping of its rings.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vhost/connection.h"

namespace eidolon::vhost {

class BackEnd {
 public:
  /// Reaches whoever listens at `socket` and asks what there is, with `config_bytes` of the configuration.
  static Result<BackEnd> reach(const std::string& socket, uint32_t config_bytes);
  /// The same of one that has been connected to.
  static Result<BackEnd> greet(Connection connection, uint32_t config_bytes);

  [[nodiscard]] uint64_t features() const { return features_; }  ///< of the device and of rings
  [[nodiscard]] uint64_t queues() const { return queues_; }      ///< the most; 0: it does not say
  [[nodiscard]] const std::vector<uint8_t>& config() const { return config_; }

  /// Memory that it is given. Descriptors find it from `guest` on, and so do the addresses of rings: the same
  /// at every start, for some look for the rings of the last one in new memory before they hear of others.
  struct Memory {
    int file;
    std::span<const uint8_t> bytes;
    uint64_t guest;
  };
  /// One ring, by where descriptors would find its parts, and its event descriptors.
  struct Ring {
    uint16_t size;
    uint64_t descriptors;
    uint64_t available;
    uint64_t used;
    int kick;
    int call;
  };
  Result<> start(uint64_t features, const Memory& first, const Memory& second, std::span<const Ring> rings);
  /// When it returns, the back end looks at no ring any more.
  Result<> stop(unsigned rings);

  [[nodiscard]] int watched() const { return connection_.watched(); }

 private:
  explicit BackEnd(Connection connection) : connection_(std::move(connection)) {}
  Result<> agree(uint32_t config_bytes);
  Result<> read_config(uint32_t bytes);
  Result<> start_ring(uint32_t index, const Ring& ring);

  Connection connection_;
  uint64_t features_ = 0;
  uint64_t queues_ = 0;
  bool has_protocol_ = false;
  std::vector<uint8_t> config_;
};

}  // namespace eidolon::vhost
