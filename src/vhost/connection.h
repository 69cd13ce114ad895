// One connection to a vhost-user back end: messages, and the answers to those that have one. Whatever is not
// as the protocol says, or takes longer than some seconds, is the end of the connection.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "vhost/protocol.h"

namespace eidolon::vhost {

class Connection {
 public:
  static Result<Connection> open(const std::string& path);
  /// Over a socket that is connected.
  explicit Connection(FileDescriptor socket) : socket_(std::move(socket)) {}

  /// A message; if the back end can say so (acknowledge_all()), it has done what it was told.
  Result<> tell(Request request, std::span<const uint8_t> payload, std::initializer_list<int> files = {});
  Result<std::vector<uint8_t>> ask(Request request, std::span<const uint8_t> payload = {});
  Result<> tell_number(Request request, uint64_t number, std::initializer_list<int> files = {});
  Result<uint64_t> ask_number(Request request);
  /// Both sides have agreed on it.
  void acknowledge_all() { acknowledged_ = true; }

  /// For poll(): readable when nothing was asked means that it has ended.
  [[nodiscard]] int watched() const { return socket_.get(); }

 private:
  Result<> send(Request request, uint32_t flags, std::span<const uint8_t> payload,
                std::initializer_list<int> files);
  Result<std::vector<uint8_t>> receive(Request request);
  Result<> read_all(std::span<uint8_t> bytes);

  FileDescriptor socket_;
  bool acknowledged_ = false;
};

/// The bytes of a message's payload.
template <typename T>
[[nodiscard]] std::span<const uint8_t> bytes_of(const T& value) {
  // SAFETY: plain numbers, read as bytes.
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

}  // namespace eidolon::vhost
