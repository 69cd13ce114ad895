// What a machine answers on its control socket: requests and answers are JSON objects, one a line
// (docs/control.md).
//
//   {"command": "keys", "keys": ["ctrl-alt-delete"]}   ->   {"ok": true}
//   {"command": "keys", "keys": ["hyper"]}             ->   {"ok": false, "error": "there is no key 'hyper';
//   ..."}
#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "backend/line_server.h"
#include "base/result.h"
#include "machine/machine.h"

namespace eidolon::control {

/// The machine that is running now: a reset of the guest replaces it. Requests that come in between are
/// answered with a sentence.
class ControlServer {
 public:
  /// Not listening yet; answer() can be used.
  explicit ControlServer(std::string name) : name_(std::move(name)) {}

  Result<> listen(const std::string& path);
  /// Null: none, from when this returns.
  void set_machine(machine::Machine* machine);

  /// The answer to a request, whatever it is. From any thread.
  [[nodiscard]] std::string answer(std::string_view request);

 private:
  using Json = nlohmann::json;
  [[nodiscard]] Result<Json> carry_out(const Json& request);

  const std::string name_;
  std::mutex mutex_;  ///< held while a request is carried out
  machine::Machine* machine_ = nullptr;
  std::unique_ptr<backend::LineServer> server_;
};

}  // namespace eidolon::control
