#include "cpu/native_state.h"

namespace eidolon::cpu {

namespace {

/// Everything that the host's XCR0 may have of what the guest may.
constexpr uint32_t kComponents = 0xe7;

// SAFETY: the whole register state that the instruction may change is saved before and restored after, all
// inside one asm statement, so the compiler never sees it change. The headers of `own` and
// `after` must be zero before, hence "+m".
#define EIDOLON_NATIVE(text)                                                                       \
  asm volatile(                                                                                    \
      "mov %[components], %%eax\n xor %%edx, %%edx\n xsave64 %[own]\n xrstor64 %[before]\n"        \
      "mov %[low], %%eax\n mov %[high], %%edx\n" text                                              \
      "\n mov %[components], %%eax\n xor %%edx, %%edx\n xsave64 %[after]\n xrstor64 %[own]\n"      \
      : [own] "+m"(own), [after] "+m"(after)                                                       \
      : [before] "m"(before), [memory] "r"(memory), [components] "i"(kComponents), [low] "r"(low), \
        [high] "r"(high)                                                                           \
      : "eax", "edx", "memory", "cc")

}  // namespace

XsaveImage run_natively(ImageInstruction instruction, const XsaveImage& before, void* memory, uint64_t mask) {
  // Both in one object: `after` alone might be built in a caller's temporary, whose alignment g++ 12 forgets.
  struct {
    XsaveImage own, after;
  } images;
  XsaveImage& own = images.own;
  XsaveImage& after = images.after;
  const auto low = static_cast<uint32_t>(mask);
  const auto high = static_cast<uint32_t>(mask >> 32);
  switch (instruction) {
    case ImageInstruction::kFxsave:
      EIDOLON_NATIVE("fxsave64 (%[memory])");
      break;
    case ImageInstruction::kFxrstor:
      EIDOLON_NATIVE("fxrstor64 (%[memory])");
      break;
    case ImageInstruction::kFnstenv:
      EIDOLON_NATIVE("fnstenv (%[memory])");
      break;
    case ImageInstruction::kFnstenv16:
      EIDOLON_NATIVE("data16 fnstenv (%[memory])");
      break;
    case ImageInstruction::kFldenv:
      EIDOLON_NATIVE("fldenv (%[memory])");
      break;
    case ImageInstruction::kFldenv16:
      EIDOLON_NATIVE("data16 fldenv (%[memory])");
      break;
    case ImageInstruction::kFnsave:
      EIDOLON_NATIVE("fnsave (%[memory])");
      break;
    case ImageInstruction::kFnsave16:
      EIDOLON_NATIVE("data16 fnsave (%[memory])");
      break;
    case ImageInstruction::kFrstor:
      EIDOLON_NATIVE("frstor (%[memory])");
      break;
    case ImageInstruction::kFrstor16:
      EIDOLON_NATIVE("data16 frstor (%[memory])");
      break;
    case ImageInstruction::kXsave:
      EIDOLON_NATIVE("xsave64 (%[memory])");
      break;
    case ImageInstruction::kXsaveOpt:
      EIDOLON_NATIVE("xsaveopt64 (%[memory])");
      break;
    case ImageInstruction::kXsaveC:
      EIDOLON_NATIVE("xsavec64 (%[memory])");
      break;
    case ImageInstruction::kXrstor:
      EIDOLON_NATIVE("xrstor64 (%[memory])");
      break;
  }
  return after;
}

}  // namespace eidolon::cpu
