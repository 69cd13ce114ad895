/* Floating point and vectors: a matrix product with SSE2 and with AVX2, and a polynomial on the x87. A
 * processor model that computes them in software pays here. The products differ in rounding, so each has a
 * checksum of its own. */
#include <immintrin.h>
#include <string.h>

#include "workload.h"

enum { kSize = 64 };
static double a[kSize][kSize], b[kSize][kSize], c[kSize][kSize];

static void fill(void) {
  uint64_t state = 5;
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      a[i][j] = (double)(next_random(&state) % 1000) / 997;
      b[i][j] = (double)(next_random(&state) % 1000) / 991;
    }
  }
}

static uint64_t bits_of_product(void) {
  uint64_t sum = 0, bits;
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      memcpy(&bits, &c[i][j], sizeof bits);
      sum = sum * 31 + bits;
    }
  }
  return sum;
}

/* One operation: a 64 by 64 product of doubles. */
static uint64_t matrix_sse2(uint64_t count) {
  fill();
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; j += 2) {
        __m128d sum = _mm_setzero_pd();
        for (int k = 0; k < kSize; ++k)
          sum = _mm_add_pd(sum, _mm_mul_pd(_mm_set1_pd(a[i][k]), _mm_loadu_pd(&b[k][j])));
        _mm_storeu_pd(&c[i][j], sum);
      }
    }
    a[n % kSize][0] += 0.5;
  }
  end_timing();
  return bits_of_product();
}

__attribute__((target("avx2"))) static uint64_t matrix_avx2(uint64_t count) {
  fill();
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; j += 4) {
        __m256d sum = _mm256_setzero_pd();
        for (int k = 0; k < kSize; ++k)
          sum = _mm256_add_pd(sum, _mm256_mul_pd(_mm256_set1_pd(a[i][k]), _mm256_loadu_pd(&b[k][j])));
        _mm256_storeu_pd(&c[i][j], sum);
      }
    }
    a[n % kSize][0] += 0.5;
  }
  end_timing();
  return bits_of_product();
}

/* One operation: a step of a polynomial in 80-bit arithmetic, with a division. */
static uint64_t x87(uint64_t count) {
  long double x = 0.3L, y = 0;
  uint64_t bits;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    y = ((y * x + 1.25L) * x - 0.75L) / (x + 2);
    x = x + 0.001L;
    if (x > 1) x -= 0.9L;
  }
  end_timing();
  memcpy(&bits, &y, sizeof bits); /* the significand */
  return bits;
}

const struct workload vector_workloads[] = {
    {"matrix_sse2", matrix_sse2, 250},
    {"matrix_avx2", matrix_avx2, 300},
    {"x87", x87, 2000000},
    {0},
};
