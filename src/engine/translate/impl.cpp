#include "engine/translate/impl.h"

#include "base/assert.h"
#include "cpu/vendor_rules.h"
#include "engine/events.h"
#include "engine/translate/extended_state.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace eidolon::engine {

using namespace translate;

namespace {

/// Whether jumps that touch the end of a 32-byte line are slow (compare_and_jump): Intel's processors from
/// Skylake to Comet Lake ("Mitigations for Jump Conditional Code Erratum", table 1).
bool host_decodes_by_line() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_INTEL_ebx) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned family = eax >> 8 & 0xf, model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
  constexpr std::array<unsigned, 7> kAffected{0x4e, 0x55, 0x5e, 0x8e, 0x9e, 0xa5, 0xa6};
  return family == 6 && std::ranges::find(kAffected, model) != kAffected.end();
}

void set_gs_base(const void* base) {
  // A system call, but only once per run(): glibc does not use GS, so it stays.
  syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}
}  // namespace

Result<std::unique_ptr<TranslateEngine>> TranslateEngine::create(cpu::Cpu& cpu, const Options& options) {
  const bool anonymous = options.observer != nullptr && options.observer->wants_anonymous_code();
  auto cache = CodeCache::create(options.cache_bytes,
                                 anonymous ? CodeCache::Backing::kAnonymous : CodeCache::Backing::kFile);
  if (!cache) return std::unexpected(cache.error());
  return std::unique_ptr<TranslateEngine>(
      new TranslateEngine(std::make_unique<Impl>(cpu, std::move(*cache), options)));
}

TranslateEngine::TranslateEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TranslateEngine::~TranslateEngine() = default;
Stop TranslateEngine::run() { return impl_->run(); }
void TranslateEngine::prepare_thread() { impl_->prepare_thread(); }
Round TranslateEngine::run_round() { return impl_->run_round(); }
const Statistics& TranslateEngine::statistics() const { return impl_->statistics(); }
std::string TranslateEngine::report() const { return impl_->report(); }

TranslateEngine::Impl::Impl(cpu::Cpu& cpu, std::unique_ptr<CodeCache> cache, const Options& options)
    : cpu_(cpu),
      frame_(frame_of(cpu)),
      step_(cpu),
      cache_(std::move(cache)),
      emitter_(cache_->writable(), cache_->size(), host_decodes_by_line()),
      layout_(cpu),
      trampolines_(emit_trampolines(emitter_, layout_, frame_, {exit_handler, settled_exit_handler})),
      mappings_(cpu, frame_),
      analysis_(cpu::rules_of(cpu.model).vendor),
      builder_(emitter_, layout_, trampolines_, sites_, faults_, relocations_, pool_),
      observer_(options.observer),
      sample_time_(options.sample_time),
      supplied_cold_(cold_start()),
      xsaveopt_(host_has_xsaveopt()),
      extended_mask_(guest_components()) {
  EIDOLON_ASSERT(cache_->size() <= Relocation::kMostBytes);
  frame_.engine = this;
  frame_.extended_away = 1;
  frame_.pauses_left = Frame::kPauses;
  cpu_.extended_holder = this;
  // More than code of usual kinds fills the cache with. Not in large pages: where the host is a guest itself,
  // a large page that is new to it can cost several times what its small ones do.
  sites_.reserve(cache_->size() / 40);
  faults_.reserve(cache_->size() / 64);
  relocations_.reserve(cache_->size() / 32);
  const auto* begin = reinterpret_cast<const void*>(cache_->executable(0));
  const auto* end = reinterpret_cast<const void*>(cache_->executable(static_cast<uint32_t>(cache_->size())));
  const bool registered = register_fault_range(begin, end, host_fault, this).has_value();
  EIDOLON_ASSERT(registered);
  cpu_.memory.set_code_observer(this, cpu_.index);
  flush();
}

TranslateEngine::Impl::~Impl() {
  observer_.reset();  // what it has seen stays true after the end
  cpu_.extended_holder = nullptr;
  flush();
  cpu_.memory.set_code_observer(nullptr, cpu_.index);
  unregister_fault_range(reinterpret_cast<const void*>(cache_->executable(0)));
}

void TranslateEngine::Impl::prepare_thread() {
  prepare_thread_for_faults();
  set_gs_base(&cpu_);
}

std::string TranslateEngine::Impl::report() const {
  return translate::report(statistics_, {.cache_used = emitter_.at() + emitter_.cold_at() - cold_start(),
                                         .cache_size = cache_->size(),
                                         .mmu = cpu_.mmu.counters(),
                                         .times = sampler_.times()});
}

Stop TranslateEngine::Impl::run() {
  prepare_thread();
  follow_breakpoints();
  const PartSampler::Run run(sample_time_ ? &sampler_ : nullptr);
  for (;;) {
    recall_deferred();
    if (needs_service(cpu_)) {
      const InPart in(part_, cpu_.state.activity == cpu::Activity::kRunning ? Part::kEvents : Part::kAsleep);
      if (const auto stop = service_events(cpu_)) {
        // Whoever looks at the processor while it stands finds all that is pending in one place.
        cpu_.events.raise(std::exchange(frame_.deferred_events, 0));
        return *stop;
      }
      defer_undeliverable();
      // What has to wait for one more instruction (interrupt shadow) must not be polled into a standstill.
      if (cpu_.events.pending() != 0) {
        step_.step();
        continue;
      }
    }
    Block* block = find_block();
    if (block == nullptr) {
      ++statistics_.steps_untranslatable;
      const InPart in(part_, Part::kStepping);
      step_.step();
      continue;
    }
    enter(cache_->executable(block->entry(Entry::kBody)));
  }
}

/// The block at State::rip, translated now if need be; null if its first instruction has to be stepped.
/// `unshared`: the one whose accesses share no checks. `entry`: how a new one will be entered next time.
TranslateEngine::Impl::Block* TranslateEngine::Impl::find_block(bool unshared, Entry entry) {
  ++statistics_.dispatches;
  if (flush_wanted_) flush();
  const auto mode = modes_.of(cpu_);
  const uint64_t rip = cpu_.state.rip;
  if (!mode || (mode->long_code() ? !cpu::is_canonical(rip) : rip > 0xffffffff)) return nullptr;
  const auto physical = mappings_.fetch_address(rip, mode->user());
  if (!physical) return nullptr;
  Block* block = blocks_.find(rip, *physical, *mode, unshared);
  if (block != nullptr && block->crosses()) {
    const auto second = second_page(rip, *mode);
    if (!second) return nullptr;
    block = BlockTable::find_crossing(block, *second);
  }
  if (block == nullptr) block = copy_block(*physical, *mode, unshared);
  if (block == nullptr) block = translate_block(*physical, *mode, unshared, entry);
  if (block == nullptr) return nullptr;
  remember_pages(*block);
  return block;
}

/// The bytes of a page of code; empty if it is neither RAM nor ROM. From here on stores to the page are seen:
/// bytes that change while they are being read drop the block again.
std::span<const uint8_t> TranslateEngine::Impl::open_code_page(memory::GuestPhysical page) {
  const uint8_t* host = cpu_.memory.host(page, x86::kPageSize);
  if (host == nullptr) return {};
  if (!cpu_.memory.has_code_of(page, cpu_.index)) {
    cpu_.memory.mark_code(page, cpu_.index);
    cpu::protect_code_page(cpu_, page);
  }
  return {host, x86::kPageSize};
}

TranslateEngine::Impl::Block* TranslateEngine::Impl::translate_block(memory::GuestPhysical physical,
                                                                     Mode mode, bool unshared, Entry entry) {
  const InPart in(part_, Part::kTranslating);
  if (!has_room(kBlockReserve)) flush();
  supply_code();
  const auto page = open_code_page(physical & ~x86::kPageMask);
  if (page.empty()) return nullptr;

  const uint64_t rip = cpu_.state.rip;
  const auto start = static_cast<uint32_t>(physical & x86::kPageMask);
  analysis_.run(page, start, rip, mode, &blocks_, physical & ~x86::kPageMask);
  memory::GuestPhysical second = Block::kNoPage;
  if (analysis_.needs_next_page()) {
    const auto found = second_page(rip, mode);
    if (!found) return nullptr;
    const auto next = open_code_page(*found);
    if (next.empty()) return nullptr;
    second = *found;
    analysis_.run_crossing(next);
  }
  if (has_breakpoint(rip, analysis_.length())) return nullptr;
  Block& block = blocks_.create(rip, physical, mode, second);
  block.unshared = unshared;
  builder_.build(block, analysis_, entry);
  blocks_.publish(block);
  if (const auto& opened = builder_.opened_table())
    frame_.returns[opened->table].fill(cache_->executable(opened->unknown));
  ++statistics_.blocks;
  statistics_.instructions += block.instructions;
  statistics_.guest_bytes += block.length;
  statistics_.host_bytes += block.end - block.begin;
  statistics_.cold_host_bytes += block.cold_end - block.cold_begin;
  if (observer_ != nullptr) show(block);
  return &block;
}

bool TranslateEngine::Impl::has_room(uint32_t bytes) const {
  return cold_start() - emitter_.at() >= bytes && cache_->size() - emitter_.cold_at() >= bytes;
}

/// Memory for the code to come, a good piece at a time: faults of single pages cost more than what they
/// bring.
void TranslateEngine::Impl::supply_code() {
  static constexpr uint32_t kPiece = 256 << 10;
  const auto supply = [this](uint32_t& supplied, uint32_t needed, uint32_t end) {
    if (supplied >= needed + kBlockReserve || supplied >= end) return;
    const uint32_t size = std::min(kPiece, end - supplied);
    cache_->supply(supplied, size);
    supplied += size;
  };
  supply(supplied_, emitter_.at(), cold_start());
  supply(supplied_cold_, emitter_.cold_at(), static_cast<uint32_t>(cache_->size()));
  cache_->filled_up_to(emitter_.at());
}

void TranslateEngine::Impl::show(const Block& block) {
  // SAFETY: the writable view of the code that was just emitted.
  observer_->made({.block = block,
                   .analysis = analysis_,
                   .placed = builder_.placed(),
                   .sites = std::span(sites_).subspan(block.first_site, block.site_count),
                   .layout = layout_,
                   .cache_address = cache_->executable(0),
                   .cache = {cache_->writable(), cache_->size()}});
}

/// Takes interrupts that IF or a running NMI handler keep out from the events that generated code polls.
void TranslateEngine::Impl::defer_undeliverable() {
  uint32_t closed = 0;
  if ((cpu_.state.rflags & x86::kFlagIf) == 0) closed |= cpu::kEventInterrupt;
  if (cpu_.state.nmi_blocked) closed |= cpu::kEventNmi;
  if (closed != 0) frame_.deferred_events |= cpu_.events.take(closed);
}

/// Enters generated code; returns when the exit handler has put the whole state into cpu_.state.
void TranslateEngine::Impl::enter(uint64_t host_address) {
  load_registers();
  frame_.resume = host_address;
  const InPart in(part_, Part::kGenerated);
  in_generated_code_ = true;
  // SAFETY: `enter` is a routine of ours that keeps to the C calling convention (trampolines.h).
  reinterpret_cast<void (*)()>(cache_->executable(trampolines_.enter))();
  in_generated_code_ = false;
}

/// From here on the host's registers are C++'s. The guest's state goes back when a block needs it: what came
/// in between may not have been the last that wants them.
void TranslateEngine::Impl::save_extended_state() {
  if (frame_.extended_away != 0) return;
  frame_.extended_away = 1;
  save_extended(cpu_.state.fpu, extended_mask_, xsaveopt_);
  hide_host_pointers(cpu_.state.fpu);
}

void TranslateEngine::Impl::release_extended_state() { save_extended_state(); }

void TranslateEngine::Impl::load_extended_state() {
  sanitize_image(cpu_.state.fpu, extended_mask_);
  frame_.extended_away = 0;
  load_extended(cpu_.state.fpu, extended_mask_);
}

}  // namespace eidolon::engine
