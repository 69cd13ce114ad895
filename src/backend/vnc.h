// The screen for VNC clients (RFC 6143), by neatvnc, on a thread of its own that draws only while somebody
// looks.
#pragma once

#include <memory>

#include "backend/display_target.h"
#include "base/result.h"
#include "device/display/vga.h"
#include "device/input/input.h"

namespace eidolon::backend {

class Vnc {
 public:
  static Result<std::unique_ptr<Vnc>> create(const DisplayTarget& target, const std::string& name);
  ~Vnc();
  Vnc(const Vnc&) = delete;
  Vnc& operator=(const Vnc&) = delete;

  /// What is shown, and who gets keys and pointer; null: nothing and nobody, from when this returns. A screen
  /// that is gone stays on view until the next one comes.
  void show(const device::display::Vga* vga, device::input::Input* input);

 private:
  class Server;
  explicit Vnc(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace eidolon::backend
