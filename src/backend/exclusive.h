// What only one process may have of the host, for a machine that moves to another one.
#pragma once

namespace eidolon::backend {

class Exclusive {
 public:
  virtual ~Exclusive() = default;
  /// Others may have it when this returns. The machine stands.
  virtual void let_go() = 0;
  /// False: others do have some of it, which is not there any more.
  [[nodiscard]] virtual bool take_back() = 0;
};

}  // namespace eidolon::backend
