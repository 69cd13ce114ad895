/* The six ways to touch a page, and rows of expectations: what each must come to under given rights. For the
 * paging programs, 32- and 64-bit. */
#pragma once
#include "runtime.h"

enum Access { kRead, kWrite, kFetch, kUserRead, kUserWrite, kUserFetch, kAccesses };
static const char* const kAccessNames[] = {"read", "write", "fetch", "user-read", "user-write", "user-fetch"};
#define kReturns ((Word)0xC3C3C3C3C3C3C3C3ull) /* what is written is also what can be called */
enum { kGood = 0x100, kOther = 0x200 };

static volatile Word user_target USER_DATA;
USER_CODE static void user_read(void) { (void)*(volatile Word*)user_target; }
USER_CODE static void user_write(void) { *(volatile Word*)user_target = kReturns; }
USER_CODE static void user_fetch(void) { ((void (*)(void))user_target)(); }

/* What an access comes to: kGood, the error code of its page fault, or kOther + another vector. */
static u32 attempt(enum Access kind, Word va) {
  bool smap = read_cr4() & kCr4Smap;
  if (kind >= kUserRead) {
    if (smap) asm volatile("stac");
    user_target = va;
    if (smap) asm volatile("clac");
  }
  switch (kind) {
    case kRead:
      CATCH(asm volatile("mov (%0), %%al" ::"r"(va) : "eax", "memory"));
      break;
    case kWrite:
      CATCH(asm volatile("mov %1, (%0)" ::"r"(va), "r"(kReturns) : "memory"));
      break;
    case kFetch:
      CATCH(asm volatile("call *%0" ::"r"(va) : "memory"));
      break;
    case kUserRead:
      run_user(user_read);
      break;
    case kUserWrite:
      run_user(user_write);
      break;
    case kUserFetch:
      run_user(user_fetch);
      break;
    default:
      break;
  }
  if (caught.vector == (kind >= kUserRead ? 0x80 : -1)) return kGood;
  if (caught.vector == kPF && caught.cr2 == va) return (u32)caught.frame.error;
  return kOther + (u32)caught.vector;
}

static void name_of(char* out, const char* a, const char* b, const char* c) {
  for (; *a; ++a) *out++ = *a;
  *out++ = '/';
  for (; *b; ++b) *out++ = *b;
  if (c) {
    *out++ = '/';
    for (; *c; ++c) *out++ = *c;
  }
  *out = 0;
}

/* One row: the six accesses, in the order of enum Access. */
static void expect(const char* group, const char* row, Word va, const u16 want[kAccesses]) {
  char name[80];
  for (int k = 0; k < kAccesses; ++k) {
    name_of(name, group, row, kAccessNames[k]);
    check_eq(name, attempt((enum Access)k, va), want[k]);
  }
}
#define EXPECT_ROW(group, row, va, ...) expect(group, row, va, (const u16[kAccesses]){__VA_ARGS__})
