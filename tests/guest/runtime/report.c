/* Text on the first serial port, and the PASS and FAIL lines that a test reads. */
#include "runtime.h"

static u32 checks, failures;

static void put(char c) {
  while (!(inb(0x3FD) & 0x20)) {
  }
  outb(0x3F8, (u8)c);
}

void print(const char* text) {
  for (; *text; ++text) put(*text);
}

void print_hex(u64 v) {
  char buffer[19] = "0x";
  char* p = buffer + 2;
  int shift = 60;
  while (shift > 0 && !(v >> shift & 15)) shift -= 4;
  for (; shift >= 0; shift -= 4) *p++ = "0123456789abcdef"[v >> shift & 15];
  *p = 0;
  print(buffer);
}

void print_dec(u32 v) {
  char buffer[11];
  char* p = buffer + 10;
  *p = 0;
  do {
    *--p = (char)('0' + v % 10);
    v /= 10;
  } while (v);
  print(p);
}

static void open_line(const char* verdict, const char* name) {
  print(verdict);
  print(program_name);
  print("/");
  print(name);
}

void check(const char* name, bool ok) {
  ++checks;
  if (!ok) ++failures;
  open_line(ok ? "PASS " : "FAIL ", name);
  print("\n");
}

void check_eq(const char* name, u64 got, u64 want) {
  ++checks;
  if (got == want) {
    open_line("PASS ", name);
  } else {
    ++failures;
    open_line("FAIL ", name);
    print(" got=");
    print_hex(got);
    print(" want=");
    print_hex(want);
  }
  print("\n");
}

void skip(const char* name, const char* why) {
  open_line("SKIP ", name);
  print(" (");
  print(why);
  print(")\n");
}

bool oracle_fails(const char* name) {
  if (!cpuid_bit(1, 0, 'c', 31) || cpuid(0x40000000, 0).b != 0x54474354) return false;
  skip(name, "QEMU departs from the manual here");
  return true;
}

static void print_trap(int vector, Word error, Word ip) {
  if (vector < 0) {
    print("none");
    return;
  }
  print_dec((u32)vector);
  print(",");
  print_hex(error);
  print(",");
  print_hex(ip);
}

void check_caught(const char* name, int vector, Word error) {
  volatile struct Caught* c = &caught;
  bool ok = c->vector == vector;
  if (ok && vector >= 0) ok = c->frame.error == error && (!probe_ip || probe_ip == c->frame.ip);
  ++checks;
  if (ok) {
    open_line("PASS ", name);
  } else {
    ++failures;
    open_line("FAIL ", name);
    print(" got=");
    print_trap(c->vector, c->frame.error, c->frame.ip);
    print(" want=");
    print_trap(vector, error, probe_ip);
  }
  print("\n");
}

void finish(void) {
  print("DONE ");
  print(program_name);
  print(" checks=");
  print_dec(checks);
  print(" failures=");
  print_dec(failures);
  print("\n");
  outb(0xF4, failures ? 1 : 0);
  for (;;) asm volatile("cli\n\thlt");
}

void* memset(void* p, int c, __SIZE_TYPE__ n) {
  for (u8* q = p; n; --n) *q++ = (u8)c;
  return p;
}
void* memcpy(void* d, const void* s, __SIZE_TYPE__ n) {
  u8* to = d;
  for (const u8* from = s; n; --n) *to++ = *from++;
  return d;
}
int memcmp(const void* a, const void* b, __SIZE_TYPE__ n) {
  const u8 *p = a, *q = b;
  for (; n; --n, ++p, ++q) {
    if (*p != *q) return *p - *q;
  }
  return 0;
}
bool same(const void* a, const void* b, __SIZE_TYPE__ n) { return memcmp(a, b, n) == 0; }
