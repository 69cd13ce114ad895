// The access rights that a walk gathers on its way down (SDM volume 3, 4.6.1).
#pragma once

#include "mmu/paging_controls.h"

namespace eidolon::mmu {

struct Rights {
  bool user = true;
  bool writable = true;
  bool execute_disable = false;

  [[nodiscard]] bool can_read(const PagingControls& controls, View view) const {
    if (view == View::kUser) return user;
    return !user || view == View::kSupervisorAc || (controls.cr4 & x86::kCr4Smap) == 0;
  }
  [[nodiscard]] bool can_write(const PagingControls& controls, View view) const {
    const bool ignores_rw = view != View::kUser && (controls.cr0 & x86::kCr0Wp) == 0;
    return can_read(controls, view) && (writable || ignores_rw);
  }
  [[nodiscard]] bool can_execute(const PagingControls& controls, View view) const {
    if (execute_disable) return false;
    if (view == View::kUser) return user;
    return !user || (controls.cr4 & x86::kCr4Smep) == 0;
  }
  [[nodiscard]] bool allow(const PagingControls& controls, Access access, View view) const {
    if (access == Access::kWrite) return can_write(controls, view);
    return access == Access::kRead ? can_read(controls, view) : can_execute(controls, view);
  }
};

}  // namespace eidolon::mmu
