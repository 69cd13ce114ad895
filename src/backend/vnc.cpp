#include "backend/vnc.h"

extern "C" {  // their headers do not say so themselves
#include <aml.h>
#include <neatvnc.h>
}
#include <pixman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "backend/keysyms.h"
#include "base/try.h"
#include "device/display/renderer.h"

namespace eidolon::backend {

namespace {

using device::display::Rectangle;
using device::display::Renderer;
using device::display::Surface;
using device::input::PointerEvent;

constexpr uint32_t kXrgb8888 = 0x34325258;  // the fourcc "XR24"
constexpr int kFrameMilliseconds = 33, kIdleMilliseconds = 250;

uint8_t buttons_of(unsigned mask) {
  return static_cast<uint8_t>(((mask & NVNC_BUTTON_LEFT) != 0 ? device::input::kLeftButton : 0) |
                              ((mask & NVNC_BUTTON_MIDDLE) != 0 ? device::input::kMiddleButton : 0) |
                              ((mask & NVNC_BUTTON_RIGHT) != 0 ? device::input::kRightButton : 0));
}

}  // namespace

/// Everything of neatvnc's happens on thread_, under mutex_.
class Vnc::Server {
 public:
  Server() = default;
  ~Server();
  Result<> open(const DisplayTarget& target, const std::string& name);
  void show(const device::display::Vga* vga, device::input::Input* input);

 private:
  static Server& of(nvnc_client* client) {
    return *static_cast<Server*>(nvnc_get_userdata(nvnc_client_get_server(client)));
  }
  void serve();
  void draw();
  void feed(const std::vector<Rectangle>& changed);
  void key(uint16_t code, bool down);
  void pointer(uint16_t x, uint16_t y, unsigned mask);
  void client_came();
  void client_left();

  aml* loop_ = nullptr;
  nvnc* server_ = nullptr;
  nvnc_display* display_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  ///< of what follows
  std::optional<Renderer> renderer_;
  device::input::Input* input_ = nullptr;
  unsigned clients_ = 0;
  bool show_all_ = true;
  unsigned last_mask_ = 0;
  std::thread thread_;
};

Result<> Vnc::Server::open(const DisplayTarget& target, const std::string& name) {
  nvnc_set_log_level(NVNC_LOG_ERROR);
  loop_ = aml_new();
  if (loop_ == nullptr) return fail("cannot start a VNC server; raise the limit on open files");
  aml_set_default(loop_);
  server_ = nvnc_open(target.address.c_str(), target.port);
  if (server_ == nullptr)
    return fail("cannot listen on {} port {} for VNC; choose another port with --display vnc:PORT",
                target.address, target.port);
  display_ = nvnc_display_new(0, 0);
  if (display_ == nullptr) return fail("cannot start a VNC server; free some memory");
  nvnc_add_display(server_, display_);
  nvnc_set_userdata(server_, this, nullptr);
  nvnc_set_name(server_, name.c_str());
  nvnc_set_key_code_fn(server_, [](nvnc_client* client, uint32_t code, bool down) {
    if (code <= UINT16_MAX) of(client).key(static_cast<uint16_t>(code), down);
  });
  nvnc_set_key_fn(server_, [](nvnc_client* client, uint32_t keysym, bool down) {
    if (const auto code = key_of_keysym(keysym)) of(client).key(*code, down);
  });
  nvnc_set_pointer_fn(server_, [](nvnc_client* client, uint16_t x, uint16_t y, nvnc_button_mask mask) {
    of(client).pointer(x, y, mask);
  });
  nvnc_set_new_client_fn(server_, [](nvnc_client* client) {
    of(client).client_came();
    nvnc_set_client_cleanup_fn(client, [](nvnc_client* leaving) { of(leaving).client_left(); });
  });
  thread_ = std::thread([this] { serve(); });
  return {};
}

Vnc::Server::~Server() {
  stopping_ = true;
  if (loop_ != nullptr) aml_interrupt(loop_);
  if (thread_.joinable()) thread_.join();
  if (display_ != nullptr) nvnc_display_unref(display_);
  if (server_ != nullptr) nvnc_close(server_);
  if (loop_ != nullptr) aml_unref(loop_);
}

void Vnc::Server::show(const device::display::Vga* vga, device::input::Input* input) {
  std::lock_guard lock(mutex_);
  renderer_.reset();
  if (vga != nullptr) renderer_.emplace(*vga);
  input_ = input;
  show_all_ = true;
}

void Vnc::Server::serve() {
  while (!stopping_) {
    bool watched = false;
    {
      std::lock_guard lock(mutex_);
      watched = clients_ != 0;
    }
    aml_poll(loop_, watched ? kFrameMilliseconds : kIdleMilliseconds);
    aml_dispatch(loop_);
    std::lock_guard lock(mutex_);
    draw();
  }
}

/// A client that comes first needs a picture to be told its size; afterwards only those who look cost
/// anything.
void Vnc::Server::draw() {
  if (!renderer_ || (clients_ == 0 && !show_all_)) return;
  std::vector<Rectangle> changed = renderer_->refresh();
  const Surface& surface = renderer_->surface();
  if (show_all_) changed = {{0, 0, surface.width, surface.height}};
  if (changed.empty() || surface.width > UINT16_MAX || surface.height > UINT16_MAX) return;
  feed(changed);
  show_all_ = false;
}

void Vnc::Server::feed(const std::vector<Rectangle>& changed) {
  const Surface& surface = renderer_->surface();
  const auto width = static_cast<uint16_t>(surface.width), height = static_cast<uint16_t>(surface.height);
  nvnc_fb* frame = nvnc_fb_new(width, height, kXrgb8888, width);
  if (frame == nullptr) return;
  std::memcpy(nvnc_fb_get_addr(frame), surface.pixels.data(), surface.pixels.size() * sizeof(uint32_t));
  pixman_region16 damage;
  pixman_region_init(&damage);
  for (const Rectangle& part : changed)
    pixman_region_union_rect(&damage, &damage, static_cast<int>(part.x), static_cast<int>(part.y), part.width,
                             part.height);
  nvnc_display_feed_buffer(display_, frame, &damage);
  pixman_region_fini(&damage);
  nvnc_fb_unref(frame);
  if (input_ != nullptr) input_->set_screen_size(surface.width, surface.height);
}

void Vnc::Server::key(uint16_t code, bool down) {
  std::lock_guard lock(mutex_);
  if (input_ != nullptr) input_->key({.code = code, .down = down});
}

void Vnc::Server::pointer(uint16_t x, uint16_t y, unsigned mask) {
  std::lock_guard lock(mutex_);
  const unsigned pressed = mask & ~last_mask_;
  last_mask_ = mask;
  if (input_ == nullptr || !renderer_) return;
  const int32_t wheel =
      ((pressed & NVNC_SCROLL_UP) != 0 ? 1 : 0) - ((pressed & NVNC_SCROLL_DOWN) != 0 ? 1 : 0);
  const Surface& surface = renderer_->surface();
  input_->pointer({.absolute = true,
                   .x = PointerEvent::from_pixel(x, surface.width),
                   .y = PointerEvent::from_pixel(y, surface.height),
                   .wheel = wheel,
                   .buttons = buttons_of(mask)});
}

void Vnc::Server::client_came() {
  std::lock_guard lock(mutex_);
  ++clients_;
  show_all_ = true;
}

void Vnc::Server::client_left() {
  std::lock_guard lock(mutex_);
  if (clients_ != 0) --clients_;
  if (input_ != nullptr) input_->release_all();
}

Vnc::Vnc(std::unique_ptr<Server> server) : server_(std::move(server)) {}
Vnc::~Vnc() = default;

Result<std::unique_ptr<Vnc>> Vnc::create(const DisplayTarget& target, const std::string& name) {
  auto server = std::make_unique<Server>();
  EIDOLON_TRY(server->open(target, name));
  return std::unique_ptr<Vnc>(new Vnc(std::move(server)));
}

void Vnc::show(const device::display::Vga* vga, device::input::Input* input) { server_->show(vga, input); }

}  // namespace eidolon::backend
