#include "cpu/task_segment.h"

#include <cstring>

#include "base/try.h"

namespace eidolon::cpu {

namespace {

/// Where the fields are. The dynamic fields lie together: instruction pointer, flags, eight general
/// registers, then the segment selectors, each in a slot of the size of a register.
struct Layout {
  unsigned size;  ///< of a slot
  unsigned dynamic;
  unsigned segments;
  unsigned ldt;
  unsigned bytes;

  [[nodiscard]] constexpr unsigned flags_at() const { return size; }
  [[nodiscard]] constexpr unsigned gpr_at(unsigned index) const { return (2 + index) * size; }
  [[nodiscard]] constexpr unsigned selector_at(unsigned index) const { return (10 + index) * size; }
};

constexpr Layout k16{.size = 2, .dynamic = 14, .segments = 4, .ldt = 42, .bytes = 44};
constexpr Layout k32{.size = 4, .dynamic = 32, .segments = 6, .ldt = 96, .bytes = 104};
constexpr unsigned kCr3 = 28;
constexpr unsigned kDebugTrap = 100;

static_assert(k16.dynamic + k16.selector_at(0) == 34 &&
              k16.dynamic + k16.selector_at(k16.segments) == k16.ldt);
static_assert(k32.dynamic + k32.selector_at(0) == 72 &&
              k32.dynamic + k32.selector_at(k32.segments) == k32.ldt);

[[nodiscard]] const Layout& layout(bool is_16_bit) { return is_16_bit ? k16 : k32; }

using Bytes = std::array<uint8_t, k32.bytes>;

[[nodiscard]] uint64_t field(const Bytes& bytes, unsigned offset, unsigned size) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, size);
  return value;
}

[[nodiscard]] uint16_t selector_field(const Bytes& bytes, unsigned offset) {
  return static_cast<uint16_t>(field(bytes, offset, 2));
}

}  // namespace

Outcome<TaskImage> read_task(Cpu& cpu, uint64_t base, bool is_16_bit) {
  const Layout& at = layout(is_16_bit);
  Bytes bytes{};
  EIDOLON_TRY(read_linear(cpu, base, bytes.data(), at.bytes, mmu::View::kSupervisor));
  TaskImage image;
  image.link = selector_field(bytes, 0);
  image.rip = field(bytes, at.dynamic, at.size);
  image.flags = field(bytes, at.dynamic + at.flags_at(), at.size);
  for (unsigned i = 0; i < image.gpr.size(); ++i)
    image.gpr[i] = field(bytes, at.dynamic + at.gpr_at(i), at.size);
  for (unsigned i = 0; i < at.segments; ++i)
    image.selector[i] = selector_field(bytes, at.dynamic + at.selector_at(i));
  image.ldt = selector_field(bytes, at.ldt);
  if (is_16_bit) return image;
  image.cr3 = field(bytes, kCr3, 4);
  image.debug_trap = (field(bytes, kDebugTrap, 2) & 1) != 0;
  return image;
}

Outcome<> probe_task(Cpu& cpu, uint64_t base, bool is_16_bit) {
  const Layout& at = layout(is_16_bit);
  return probe_write_linear(cpu, base + at.dynamic, at.selector_at(at.segments), mmu::View::kSupervisor);
}

Outcome<> save_task(Cpu& cpu, uint64_t base, bool is_16_bit, const TaskImage& image) {
  const Layout& at = layout(is_16_bit);
  Bytes bytes{};
  const auto put = [&](unsigned offset, uint64_t value) {
    std::memcpy(bytes.data() + offset, &value, at.size);
  };
  put(0, image.rip);
  put(at.flags_at(), image.flags);
  for (unsigned i = 0; i < image.gpr.size(); ++i) put(at.gpr_at(i), image.gpr[i]);
  for (unsigned i = 0; i < at.segments; ++i) put(at.selector_at(i), image.selector[i]);
  return write_linear(cpu, base + at.dynamic, bytes.data(), at.selector_at(at.segments),
                      mmu::View::kSupervisor);
}

}  // namespace eidolon::cpu
