// The picture as one onlooker sees it: brought up to date when asked, telling what has changed since.
#pragma once

#include <vector>

#include "device/display/surface.h"
#include "device/display/vga.h"

namespace eidolon::device::display {

/// Each onlooker has its own. Not thread-safe; the guest may run meanwhile.
class Renderer {
 public:
  explicit Renderer(const Vga& vga) : vga_(vga) {}

  /// What has changed in surface(); when its size has, all of it. Empty: nothing.
  std::vector<Rectangle> refresh();
  [[nodiscard]] const Surface& surface() const { return surface_; }

 private:
  std::vector<Rectangle> refresh_legacy();
  std::vector<Rectangle> refresh_packed(bool everything);
  [[nodiscard]] bool same_look() const;

  const Vga& vga_;
  Surface surface_;
  Capture now_, before_;
  Surface drawn_;                ///< the next picture while it is compared with the last one
  std::vector<uint8_t> source_;  ///< of kPacked: the bytes that surface_ shows
};

}  // namespace eidolon::device::display
