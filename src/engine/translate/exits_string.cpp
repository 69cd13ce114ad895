// String instructions that generated code does not finish by itself: they go page by page, while the guest's
// x87 and vector state may still be in the host's registers. What needs more than host memory (a fault, MMIO,
// a page with translations) is left to the step engine, with RSI, RDI and RCX as after the iterations done.
#include "cpu/linear.h"
#include "engine/translate/impl.h"
#include "engine/translate/string_pieces.h"

namespace eidolon::engine {

using namespace translate;

namespace {

using Operation = StringForm::Operation;
using Repeat = StringForm::Repeat;

/// In lockstep the other engine has to come as far in a bounded number of steps.
constexpr uint64_t kElementsPerRound = 64 << 10;

class StringRun {
 public:
  StringRun(cpu::Cpu& cpu, Frame& frame, const Site& site)
      : cpu_(cpu),
        gpr_(frame.host_gpr),
        form_(site.form),
        mode_(site.block->mode),
        view_(cpu.data_view()),
        mask_(site.form.narrow ? 0xffffffff : ~uint64_t{0}),
        down_((cpu.state.rflags & x86::kFlagDf) != 0) {}

  [[nodiscard]] uint64_t left() const {
    if (form_.repeats()) return gpr_[x86::kRcx] & mask_;
    return done_ == 0 ? 1 : 0;
  }
  [[nodiscard]] bool finished() const { return stopped_ || left() == 0; }
  [[nodiscard]] uint64_t done() const { return done_; }
  [[nodiscard]] uint64_t flags() const { return flags_; }

  /// Does some elements; false if the next one is nothing for plain host accesses.
  bool advance() {
    switch (form_.size) {
      case 1:
        return advance_by<uint8_t>();
      case 2:
        return advance_by<uint16_t>();
      case 4:
        return advance_by<uint32_t>();
      default:
        return advance_by<uint64_t>();
    }
  }

 private:
  /// Elements of one operand.
  struct Span {
    uint64_t linear;
    uint64_t count;          ///< that lie in the page of the first; 0 if that one does not
    uint8_t* host;           ///< of the first
    uint8_t* host_of_rest;   ///< of the next page, if `count` is 0
    uint8_t* host_of_first;  ///< then: what `host` was before it became the address of `buffer`
    uint64_t buffer;         ///< a copy of that element
  };

  template <typename T>
  bool advance_by() {
    Span source{}, target{};
    uint64_t count = left();
    // As the processor: MOVS translates its source first, CMPS its target.
    if (form_.operation == Operation::kCompare && !prepare_target(target, count)) return false;
    if (form_.uses_source() && !prepare_source(source, count)) return false;
    if (form_.operation != Operation::kCompare && form_.uses_target() && !prepare_target(target, count))
      return false;
    if (form_.uses_source() && source.count == 0) gather(source);
    if (form_.uses_target() && target.count == 0) gather(target);
    run<T>(source.host, target.host, count);
    if (form_.writes_target() && target.count == 0) scatter(target);
    move_on(count);
    return true;
  }

  template <typename T>
  void run(uint8_t* source, uint8_t* target, uint64_t& count) {
    using Pieces = StringPieces<T>;
    switch (form_.operation) {
      case Operation::kMove:
        Pieces::move(target, source, count, down_);
        break;
      case Operation::kStore:
        Pieces::store(target, gpr_[x86::kRax], count, down_);
        break;
      case Operation::kLoad:
        gpr_[x86::kRax] = Pieces::load(gpr_[x86::kRax], source, count, down_);
        break;
      case Operation::kCompare:
      case Operation::kScan: {
        const bool scan = form_.operation == Operation::kScan;
        const bool while_equal = form_.repeat == Repeat::kWhileEqual;
        // SAFETY: the accumulator's low bytes are what is compared.
        const uint8_t* left = scan ? reinterpret_cast<const uint8_t*>(&gpr_[x86::kRax]) : source;
        const auto compared = Pieces::compare(left, target, count, down_, scan, while_equal);
        stopped_ = ((compared.flags & kSavedZf) != 0) != while_equal;
        flags_ = compared.flags;
        count = compared.count;
        break;
      }
    }
  }

  bool prepare_source(Span& span, uint64_t& count) {
    uint64_t base = 0;
    if (form_.segment != x86::kDs) base = cpu_.state.segment[form_.segment].base;
    return prepare(span, base, gpr_[x86::kRsi] & mask_, false, count);
  }
  bool prepare_target(Span& span, uint64_t& count) {
    return prepare(span, 0, gpr_[x86::kRdi] & mask_, form_.writes_target(), count);
  }

  /// Finds the elements from base + offset on, and lowers `count` to as many as can be done at once.
  bool prepare(Span& span, uint64_t base, uint64_t offset, bool write, uint64_t& count) {
    span.linear = base + offset;
    if (!mode_.long_code()) span.linear &= 0xffffffff;
    const uint64_t size = form_.size;
    const uint64_t in_page = span.linear & x86::kPageMask;
    if (form_.narrow && offset > 0xffffffff - (size - 1)) return false;  // wraps within the element
    span.host = host(span.linear, write);
    if (span.host == nullptr) return false;
    if (in_page + size <= x86::kPageSize) {
      span.count = down_ ? in_page / size + 1 : (x86::kPageSize - in_page) / size;
      if (form_.narrow) {
        const uint64_t in_segment = down_ ? offset / size + 1 : (0x100000000 - offset) / size;
        if (in_segment < span.count) span.count = in_segment;
      }
      if (span.count < count) count = span.count;
      return true;
    }
    count = 1;
    uint64_t next = (span.linear & ~x86::kPageMask) + x86::kPageSize;
    if (!mode_.long_code()) next &= 0xffffffff;
    span.host_of_rest = host(next, write);
    return span.host_of_rest != nullptr;
  }

  /// Host address of the byte at `linear`, if plain accesses to its page will do.
  [[nodiscard]] uint8_t* host(uint64_t linear, bool write) const {
    if (uint8_t* known = cpu_.mmu.tlb().lookup(linear, 1, write, view_)) return known;
    if (mode_.long_code() && !cpu::is_canonical(linear)) return nullptr;
    const auto access = write ? mmu::Access::kWrite : mmu::Access::kRead;
    const auto resolved = cpu_.mmu.resolve(cpu_.state.control, linear, access, view_);
    return resolved ? resolved->host : nullptr;
  }

  // An element that crosses a page is worked on in a buffer.
  [[nodiscard]] uint64_t in_first_page(const Span& span) const {
    return x86::kPageSize - (span.linear & x86::kPageMask);
  }
  void gather(Span& span) const {
    const uint64_t first = in_first_page(span);
    auto* buffer = reinterpret_cast<uint8_t*>(&span.buffer);
    copy_bytes(buffer, span.host, first);
    copy_bytes(buffer + first, span.host_of_rest, form_.size - first);
    span.host_of_first = span.host;
    span.host = buffer;
  }
  void scatter(const Span& span) const {
    const uint64_t first = in_first_page(span);
    copy_bytes(span.host_of_first, span.host, first);
    copy_bytes(span.host_of_rest, span.host + first, form_.size - first);
  }

  void move_on(uint64_t count) {
    done_ += count;
    const uint64_t distance = down_ ? 0 - count * form_.size : count * form_.size;
    if (form_.uses_source()) gpr_[x86::kRsi] = (gpr_[x86::kRsi] + distance) & mask_;
    if (form_.uses_target()) gpr_[x86::kRdi] = (gpr_[x86::kRdi] + distance) & mask_;
    if (form_.repeats()) gpr_[x86::kRcx] = (gpr_[x86::kRcx] - count) & mask_;
  }

  cpu::Cpu& cpu_;
  std::array<uint64_t, 16>& gpr_;
  const StringForm form_;
  const Mode mode_;
  const mmu::View view_;
  const uint64_t mask_;
  const bool down_;
  bool stopped_ = false;
  uint64_t done_ = 0;
  uint64_t flags_ = 0;
};

}  // namespace

/// The host address to go on at behind the instruction, or 0: what is left of it has to be stepped.
uint64_t TranslateEngine::Impl::run_string(const Site& site) {
  StringRun run(cpu_, frame_, site);
  ++statistics_.string_exits;
  while (!run.finished()) {
    if (cpu_.events.pending() != 0 && run.done() != 0) return 0;
    if (round_ != nullptr && run.done() > kElementsPerRound) return 0;
    if (!run.advance()) return 0;
  }
  if (site.form.compares()) {
    // Behind the instruction the flags are in the host's.
    const uint64_t before = site.flags_saved ? frame_.saved_flags : frame_.flags;
    frame_.flags = run.done() != 0 ? run.flags() : before;
  }
  return cache_->executable(site.resume);
}

}  // namespace eidolon::engine
