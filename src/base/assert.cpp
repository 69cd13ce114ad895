#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace eidolon::detail {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "eidolon: internal error at %s:%d: %s. This is a bug in Eidolon; please report it.\n",
               file, line, condition);
  std::abort();
}

}  // namespace eidolon::detail
