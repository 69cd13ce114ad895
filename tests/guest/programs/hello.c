/* What the boot loader handed over: Multiboot magic, memory sizes, command line, memory map, modules
 * (Multiboot Specification 0.6.96, 3.3). The text depends on how the machine was started; the checks do not.
 */
#include "runtime.h"

const char program_name[] = "hello";

struct Multiboot {
  u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
      mmap_addr;
  u32 drives_length, drives_addr, config_table, boot_loader_name;
};
struct Module {
  u32 start, end, string, reserved;
};
struct __attribute__((packed)) Range {
  u32 size;
  u64 base, length;
  u32 type;
};

static void show_range(const struct Range* r) {
  print("memory ");
  print_hex(r->base);
  print(" ");
  print_hex(r->length);
  print(" type ");
  print_dec(r->type);
  print("\n");
}

static void show_modules(const struct Multiboot* info) {
  const struct Module* m = (const struct Module*)(Word)info->mods_addr;
  for (u32 i = 0; i < info->mods_count; ++i, ++m) {
    u32 sum = 0;
    for (u32 a = m->start; a < m->end; ++a) sum = (sum << 1 | sum >> 31) + *(const u8*)(Word)a;
    print("module ");
    print(m->string ? (const char*)(Word)m->string : "");
    print(" size ");
    print_dec(m->end - m->start);
    print(" sum ");
    print_hex(sum);
    print("\n");
    check("module/above-kernel", m->start >= 0x100000 && m->end >= m->start);
  }
}

void program(void) {
  print("hello from the guest\n");
  check_eq("multiboot/magic", boot_magic, 0x2BADB002);
  const struct Multiboot* info = (const struct Multiboot*)(Word)boot_info;
  check("multiboot/memory-sizes", info->flags & 1);
  check("multiboot/lower-memory", info->mem_lower >= 512 && info->mem_lower <= 640);
  check("multiboot/upper-memory", info->mem_upper >= 8 * 1024);
  if (info->flags & 4) {
    print("command line: ");
    print((const char*)(Word)info->cmdline);
    print("\n");
  }
  if (info->flags & 8) show_modules(info);
  check("multiboot/memory-map", info->flags & 0x40);
  bool covers_us = false;
  for (u32 at = info->mmap_addr; at < info->mmap_addr + info->mmap_length;) {
    const struct Range* r = (const struct Range*)(Word)at;
    show_range(r);
    if (r->type == 1 && r->base <= 0x100000 && r->base + r->length >= 0x600000) covers_us = true;
    at += r->size + 4;
  }
  check("multiboot/map-covers-the-program", covers_us);
}
