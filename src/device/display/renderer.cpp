#include "device/display/renderer.h"

#include <algorithm>
#include <cstring>

namespace eidolon::device::display {

namespace {

/// Collects changed lines; neighbours become one rectangle.
class Damage {
 public:
  void add(uint32_t y, uint32_t first, uint32_t end) {
    if (!rectangles_.empty()) {
      Rectangle& last = rectangles_.back();
      if (last.y + last.height == y) {
        const uint32_t right = std::max(last.x + last.width, end);
        last.x = std::min(last.x, first);
        last.width = right - last.x;
        ++last.height;
        return;
      }
    }
    rectangles_.push_back({first, y, end - first, 1});
  }
  [[nodiscard]] std::vector<Rectangle> take() { return std::move(rectangles_); }

 private:
  std::vector<Rectangle> rectangles_;
};

std::vector<Rectangle> everything_of(const Surface& surface) {
  return {{0, 0, surface.width, surface.height}};
}

}  // namespace

/// Registers that are only on their way in or out make no difference.
bool Renderer::same_look() const {
  return now_.mode == before_.mode && now_.registers.palette == before_.registers.palette &&
         now_.registers.dac_mask == before_.registers.dac_mask &&
         now_.registers.vbe[vbe::kEnable] == before_.registers.vbe[vbe::kEnable];
}

std::vector<Rectangle> Renderer::refresh() {
  vga_.capture(now_);
  const bool resized = surface_.width != now_.mode.width || surface_.height != now_.mode.height;
  if (resized) surface_.resize(now_.mode.width, now_.mode.height);
  std::vector<Rectangle> changed;
  if (now_.mode.kind == ModeKind::kPacked) {
    changed = refresh_packed(resized || !same_look());
  } else {
    changed = refresh_legacy();
  }
  std::swap(now_, before_);
  return resized ? everything_of(surface_) : changed;
}

std::vector<Rectangle> Renderer::refresh_legacy() {
  if (now_.registers == before_.registers && now_.blink == before_.blink && now_.memory == before_.memory &&
      now_.mode == before_.mode)
    return {};
  drawn_.resize(now_.mode.width, now_.mode.height);
  draw_legacy(now_.registers, now_.mode, now_.blink, now_.memory, drawn_);
  Damage damage;
  for (uint32_t y = 0; y < drawn_.height; ++y) {
    const auto old_line = surface_.line(y), new_line = drawn_.line(y);
    const auto first = std::ranges::mismatch(old_line, new_line).in1 - old_line.begin();
    if (first == static_cast<ptrdiff_t>(old_line.size())) continue;
    auto end = static_cast<ptrdiff_t>(old_line.size());
    while (old_line[static_cast<size_t>(end) - 1] == new_line[static_cast<size_t>(end) - 1]) --end;
    damage.add(y, static_cast<uint32_t>(first), static_cast<uint32_t>(end));
  }
  std::swap(surface_, drawn_);
  return damage.take();
}

std::vector<Rectangle> Renderer::refresh_packed(bool everything) {
  const Mode& mode = now_.mode;
  const size_t line_bytes = size_t{mode.width} * ((mode.bits + 7) / 8);
  if (source_.size() != line_bytes * mode.height) {
    source_.assign(line_bytes * mode.height, 0);
    everything = true;
  }
  const auto memory = vga_.memory();
  Damage damage;
  for (uint32_t y = 0; y < mode.height; ++y) {
    const size_t start = mode.start_byte + size_t{y} * mode.pitch_bytes;
    if (start + line_bytes > memory.size()) break;  // sizes are kept so that this does not happen
    uint8_t* shown = source_.data() + y * line_bytes;
    if (!everything && std::memcmp(shown, memory.data() + start, line_bytes) == 0) continue;
    // The copy is what is drawn: the guest may be writing the original.
    std::memcpy(shown, memory.data() + start, line_bytes);
    draw_packed_line(now_.registers, mode, {shown, line_bytes}, surface_.line(y));
    damage.add(y, 0, mode.width);
  }
  return damage.take();
}

}  // namespace eidolon::device::display
