#include "control/explain_command.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <thread>

#include "backend/terminal.h"
#include "base/try.h"
#include "control/exit_status.h"
#include "control/symbols.h"
#include "engine/translate/explain.h"
#include "machine/machine.h"

namespace eidolon::control {

namespace {

using engine::translate::Explainer;
using machine::Ending;
using machine::Machine;
using Clock = std::chrono::steady_clock;

int complain(const Error& error, int status) {
  backend::say("eidolon: " + error.message);
  return status;
}

/// Waits for a text in a stream of bytes. An empty text has come from the beginning.
class TextWatch {
 public:
  explicit TextWatch(std::string text) : text_(std::move(text)) {}

  [[nodiscard]] bool seen(std::span<const uint8_t> bytes) {
    if (seen_ || text_.empty()) return true;
    tail_.append(bytes.begin(), bytes.end());
    seen_ = tail_.find(text_) != tail_.npos;
    if (tail_.size() >= text_.size()) tail_.erase(0, tail_.size() - text_.size() + 1);
    return seen_;
  }

 private:
  std::string text_, tail_;
  bool seen_ = false;
};

/// What the processor's thread tells the one that waits.
class Watcher {
 public:
  explicit Watcher(bool armed) : armed_(armed) {}

  void made() { change(made_); }
  void arm() { change(armed_); }
  void end() { change(ended_); }
  [[nodiscard]] bool armed() {
    std::lock_guard lock(mutex_);
    return armed_;
  }
  /// True when there is nothing more to wait for.
  bool wait(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [this] { return (made_ && armed_) || ended_; });
  }

 private:
  void change(bool& what) {
    std::lock_guard lock(mutex_);
    what = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool made_ = false, armed_, ended_ = false;  ///< under mutex_
};

std::string seconds_since(Clock::time_point start) {
  return fmt::format("{:.0f} s", std::chrono::duration<double>(Clock::now() - start).count());
}

std::string_view ending_words(const Ending& ending) {
  switch (ending.kind) {
    case Ending::Kind::kPowerOff:
      return "the guest switched itself off";
    case Ending::Kind::kReset:
      return "the guest reset the machine";
    case Ending::Kind::kTripleFault:
      return "the guest's processor triple-faulted";
    case Ending::Kind::kDebugExit:
      return "the guest ended through the debug-exit port";
    default:
      return "the time was over";
  }
}

}  // namespace

int explain_command(const ExplainRequest& request) {
  std::optional<Symbols> symbols;
  if (request.symbols) {
    auto read = Symbols::read(*request.symbols);
    if (!read) return complain(read.error(), kExitUsage);
    symbols = *std::move(read);
  }
  const Result<uint64_t> address = parse_address(request.at, symbols ? &*symbols : nullptr);
  if (!address) return complain(address.error(), kExitUsage);
  const auto symbol = [&](uint64_t at) { return symbols ? symbols->describe(at) : std::string(); };

  Watcher watcher(request.after.empty());
  const auto explainer = std::make_shared<Explainer>(*address, [&watcher] { watcher.made(); });
  machine::MachineConfig config = request.machine;
  config.engine = machine::EngineChoice::kTranslate;
  config.block_observer = explainer;
  TextWatch text(request.after);
  const auto output = [&](std::span<const uint8_t> bytes) {
    if (text.seen(bytes)) watcher.arm();
  };
  Result<std::unique_ptr<Machine>> machine = Machine::create(config, output);
  if (!machine) return complain(machine.error(), kExitUsage);

  const Clock::time_point start = Clock::now();
  const Clock::time_point limit = start + std::chrono::seconds(request.timeout_seconds);
  Ending ending{.kind = Ending::Kind::kStopped};
  std::thread processor([&] {
    ending = (*machine)->run();
    watcher.end();
  });
  const auto progress = [&] {
    const auto [blocks, rip] = explainer->progress();
    return fmt::format("{} blocks translated, the last at {:#x}{}", blocks, rip, symbol(rip));
  };
  while (!watcher.wait(std::min(limit, Clock::now() + std::chrono::seconds(2))) && Clock::now() < limit)
    backend::say(fmt::format("eidolon: {}: {}", seconds_since(start), progress()));
  (*machine)->stop();
  processor.join();

  const auto block = explainer->block();
  if (!block) {
    backend::say(
        fmt::format("eidolon: no block at {:#x}{} was translated: {} after {}, with {}; see eidolon "
                    "explain --help for what may be the reason",
                    *address, symbol(*address), ending_words(ending), seconds_since(start), progress()));
    return kExitHostError;
  }
  if (!watcher.armed())
    backend::say(
        fmt::format("eidolon: the guest did not write '{}' ({} after {}); this is the block as it was "
                    "before",
                    request.after, ending_words(ending), seconds_since(start)));
  const std::string listing = engine::translate::listing(*block, *address, symbol);
  const bool written =
      std::fwrite(listing.data(), 1, listing.size(), stdout) == listing.size() && std::fflush(stdout) == 0;
  return written ? kExitOk : kExitHostError;
}

}  // namespace eidolon::control
