// The host processor as a Runner. A signal handler loads the case's whole state by returning to it, and
// another takes the state from the signal that ends the instruction: a single-step trap, the INT3 after it,
// or its fault.
#pragma once

#include "differential/runner.h"

namespace eidolon::differential {

class NativeRunner final : public Runner {
 public:
  NativeRunner();
  ~NativeRunner() override;
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  [[nodiscard]] std::string_view name() const override { return "host"; }
  void run(const Case& test, Result& result) override;
};

}  // namespace eidolon::differential
