/* The BIOS's services to real-mode programs: INT 10h, 11h, 12h, 13h, 15h, 16h and 1Ah, as Ralf Brown's list
 * and the EDD 3 specification have them. Lines of what differs between machines begin with "INFO". */
#include "bios.h"

const char program_name[] = "services";

static struct Registers call(u32 vector, u32 ax, u32 bx, u32 cx, u32 dx) {
  struct Registers r = {.ax = ax, .bx = bx, .cx = cx, .dx = dx};
  bios(vector, &r);
  return r;
}

static void memory(void) {
  u32 base = call(0x12, 0, 0, 0, 0).ax & 0xFFFF;
  check_eq("memory/base-as-in-the-data-area", base, peek16(0x40, 0x13));
  check("memory/base-in-range", base >= 600 && base <= 640);
  check_eq("equipment/as-in-the-data-area", call(0x11, 0, 0, 0, 0).ax & 0xFFFF, peek16(0x40, 0x10));

  struct Registers r = call(0x15, 0x8800, 0, 0, 0);
  check_eq("memory/88/carry", carry(&r), 0);
  u32 extended = r.ax & 0xFFFF;
  check("memory/88/in-range", extended >= 0x3000 && extended <= 0xFFFF);
  r = call(0x15, 0xE801, 0, 0, 0);
  check_eq("memory/e801/carry", carry(&r), 0);
  u32 e801 = (r.ax & 0xFFFF) + ((r.bx & 0xFFFF) << 6);
  /* What is above 16 MiB it counts in blocks of 64 KiB, the last one not full. */
  check("memory/e801/as-88", e801 >= (extended & ~63u) || extended == 0xFFFF);

  /* The map: RAM at 0 and at 1 MiB, nothing twice, and as much above 1 MiB as E801 says. */
  struct {
    u64 base, length;
    u32 type, attributes;
  }* entry = (void*)BUFFER;
  u64 low = 0, high_memory = 0, end = 0;
  u32 next = 0, entries = 0;
  bool sorted = true, signature = true;
  do {
    struct Registers m = {.ax = 0xE820, .bx = next, .cx = 24, .dx = 0x534D4150, .di = (u32)entry};
    bios(0x15, &m);
    if (carry(&m)) break;
    signature &= m.ax == 0x534D4150 && (m.cx == 20 || m.cx == 24);
    sorted &= entry->base >= end && entry->length;
    end = entry->base + entry->length;
    if (entry->type == 1 && entry->base == 0) low = entry->length;
    if (entry->type == 1 && entry->base == 0x100000) high_memory = entry->length;
    next = m.bx;
  } while (next && ++entries < 64);
  check("memory/e820/ends", !next && entries >= 3);
  check("memory/e820/signature", signature);
  check("memory/e820/sorted-without-overlaps", sorted);
  check_eq("memory/e820/low", low >> 10, base);
  check_eq("memory/e820/high-as-e801", high_memory >> 16, e801 >> 6);
}

/* Does an address above 1 MiB wrap to 0? */
static bool wraps(void) {
  poke8(0, 0x500, 0x12);
  poke8(0xFFFF, 0x510, 0x34);
  bool same_byte = peek8(0, 0x500) == 0x34;
  poke8(0, 0x500, 0x56);
  return same_byte && peek8(0xFFFF, 0x510) == 0x56;
}

static void controller_command(u8 command, int data) {
  while (inb(0x64) & 2) {
  }
  outb(0x64, command);
  if (data < 0) return;
  while (inb(0x64) & 2) {
  }
  outb(0x60, (u8)data);
  while (inb(0x64) & 2) {
  }
}

static void a20(void) {
  struct Registers r = call(0x15, 0x2403, 0, 0, 0);
  check_eq("a20/support/carry", carry(&r), 0);
  r = call(0x15, 0x2400, 0, 0, 0);
  check_eq("a20/off/ah", high(r.ax), 0);
  check("a20/off/wraps", wraps());
  r = call(0x15, 0x2402, 0, 0, 0);
  check_eq("a20/off/status", r.ax & 0xFF, 0);
  r = call(0x15, 0x2401, 0, 0, 0);
  check_eq("a20/on/ah", high(r.ax), 0);
  check("a20/on/does-not-wrap", !wraps());
  r = call(0x15, 0x2402, 0, 0, 0);
  check_eq("a20/on/status", r.ax & 0xFF, 1);

  outb(0x92, inb(0x92) & ~3);
  check("a20/port-92/off", wraps());
  outb(0x92, (inb(0x92) & ~1) | 2);
  check("a20/port-92/on", !wraps());

  cli();
  controller_command(0xD1, 0xDD);
  check("a20/keyboard-controller/off", wraps());
  controller_command(0xD1, 0xDF);
  check("a20/keyboard-controller/on", !wraps());
  sti();
}

static void video(void) {
  struct Registers r = call(0x10, 0x0003, 0, 0, 0);
  r = call(0x10, 0x0F00, 0, 0, 0);
  check_eq("video/mode-3", r.ax & 0x7F, 3);
  check_eq("video/columns", high(r.ax), 80);
  check_eq("video/page", high(r.bx), 0);
  call(0x10, 0x0200, 0, 0, 0x0A14);
  r = call(0x10, 0x0300, 0, 0, 0);
  check_eq("video/cursor", r.dx & 0xFFFF, 0x0A14);
  call(0x10, 0x0941, 0x001E, 3, 0);
  check_eq("video/character-in-memory", peek16(0xB800, (10 * 80 + 20) * 2), 0x1E41);
  check_eq("video/repeated", peek16(0xB800, (10 * 80 + 22) * 2), 0x1E41);
  r = call(0x10, 0x0800, 0, 0, 0);
  check_eq("video/character-read", r.ax & 0xFFFF, 0x1E41);
  call(0x10, 0x0E5A, 7, 0, 0);
  check_eq("video/teletype", peek8(0xB800, (10 * 80 + 20) * 2), 'Z');
  r = call(0x10, 0x0300, 0, 0, 0);
  check_eq("video/teletype-moves-the-cursor", r.dx & 0xFFFF, 0x0A15);
  outb(0x3D4, 0x0F);
  check_eq("video/cursor-in-the-controller", inb(0x3D5), (10 * 80 + 21) & 0xFF);
  call(0x10, 0x0601, 0x0700, 0, 0x184F);
  check_eq("video/scrolled", peek8(0xB800, (9 * 80 + 20) * 2), 'Z');
  static const char kText[] = "written by the BIOS";
  struct Registers s = {.ax = 0x1301, .bx = 0x0007, .cx = sizeof kText - 1, .dx = 0x0C00, .bp = (u32)kText};
  bios(0x10, &s);
  check_eq("video/string", peek8(0xB800, 12 * 80 * 2), 'w');

  /* Mode 13h: one byte a pixel. */
  call(0x10, 0x0013, 0, 0, 0);
  call(0x10, 0x0C2A, 0, 100, 50);
  check_eq("video/pixel-in-memory", peek8(0xA000, 50 * 320 + 100), 0x2A);
  r = call(0x10, 0x0D00, 0, 100, 50);
  check_eq("video/pixel-read", r.ax & 0xFF, 0x2A);
  /* Mode 12h: four planes. */
  call(0x10, 0x0012, 0, 0, 0);
  call(0x10, 0x0C0B, 0, 9, 3);
  r = call(0x10, 0x0D00, 0, 9, 3);
  check_eq("video/planar-pixel-read", r.ax & 0xFF, 0x0B);
  outb(0x3CE, 4);
  outb(0x3CF, 0);
  check_eq("video/plane-0", peek8(0xA000, 3 * 80 + 1), 0x40);
  outb(0x3CF, 2);
  check_eq("video/plane-2", peek8(0xA000, 3 * 80 + 1), 0x00);

  struct Registers v = {.ax = 0x4F00, .di = (u32)BUFFER};
  memcpy(BUFFER, "VBE2", 4);
  bios(0x10, &v);
  check_eq("video/vbe/ax", v.ax & 0xFFFF, 0x004F);
  check("video/vbe/signature", same(BUFFER, "VESA", 4));
  call(0x10, 0x0003, 0, 0, 0);
  check_eq("video/text-again", peek16(0xB800, 0), 0x0720);
}

static void keyboard(void) {
  struct Registers r;
  while (r = call(0x16, 0x0100, 0, 0, 0), !(r.flags & kZf)) call(0x16, 0, 0, 0, 0);
  check("keyboard/empty", r.flags & kZf);
  r = call(0x16, 0x0500, 0, 0x1E61, 0);
  check_eq("keyboard/stored", r.ax & 0xFF, 0);
  r = call(0x16, 0x0100, 0, 0, 0);
  check("keyboard/there", !(r.flags & kZf));
  check_eq("keyboard/seen", r.ax & 0xFFFF, 0x1E61);
  r = call(0x16, 0x0000, 0, 0, 0);
  check_eq("keyboard/read", r.ax & 0xFFFF, 0x1E61);
  r = call(0x16, 0x0200, 0, 0, 0);
  check_eq("keyboard/shift", r.ax & 0x0F, 0);
}

static void clock(void) {
  u32 start = call(0x1A, 0, 0, 0, 0).dx & 0xFFFF, now = start, turns = 0;
  while (now == start && ++turns < 100000000) now = call(0x1A, 0, 0, 0, 0).dx & 0xFFFF;
  check("clock/ticks", now != start);
  struct Registers r = call(0x1A, 0x0200, 0, 0, 0);
  check_eq("clock/time/carry", carry(&r), 0);
  check("clock/time/bcd", high(r.cx) <= 0x23 && (r.cx & 0xFF) <= 0x59 && high(r.dx) <= 0x59);
  r = call(0x1A, 0x0400, 0, 0, 0);
  check_eq("clock/date/century", high(r.cx), 0x20);
  r = call(0x15, 0x8600, 0, 0, 20000); /* 20 ms */
  check_eq("clock/wait/carry", carry(&r), 0);
  r = call(0x1A, 0xB101, 0, 0, 0);
  check_eq("pci/present", r.dx, 0x20494350);
  struct Registers host = call(0x1A, 0xB10A, 0, 0, 0); /* bus 0, device 0: vendor */
  check_eq("pci/host-bridge", host.cx & 0xFFFF, 0x8086);
}

static void disk_errors(void) {
  struct Registers r = call(0x13, 0x0201, (u32)BUFFER, 0x0001, boot_drive | 0xFF00);
  check("disk/no-such-head/carry", carry(&r));
  r = call(0x13, 0x0201, (u32)BUFFER, 0x0001, 0x9F);
  check("disk/no-such-disk/carry", carry(&r));
  r = call(0x13, 0x7700, 0, 0, boot_drive);
  check("disk/no-such-function/carry", carry(&r));
  check_eq("disk/no-such-function/ah", high(r.ax), 1);
}

static void fill(u8 seed) {
  for (u32 i = 0; i < 512; ++i) BUFFER[i] = (u8)(i * 7 + seed);
}
static bool filled(u8 seed) {
  for (u32 i = 0; i < 512; ++i)
    if (BUFFER[i] != (u8)(i * 7 + seed)) return false;
  return true;
}

/* By cylinder, head and sector: the boot sector, and a sector written and read on the second cylinder. */
static void disk_chs(void) {
  call(0x13, 0x0000, 0, 0, boot_drive);
  struct Registers r = call(0x13, 0x0800, 0, 0, boot_drive);
  check_eq("disk/geometry/carry", carry(&r), 0);
  check("disk/geometry/sectors", (r.cx & 0x3F) >= 1);
  if (!(boot_drive & 0x80)) {
    check_eq("disk/floppy/sectors", r.cx & 0x3F, 18);
    check_eq("disk/floppy/heads", high(r.dx), 1);
    check_eq("disk/floppy/cylinders", high(r.cx), 79);
  }
  r = call(0x13, 0x0201, (u32)BUFFER, 0x0001, boot_drive);
  check_eq("disk/chs/read/carry", carry(&r), 0);
  check("disk/chs/boot-sector", same(BUFFER, (void*)0x7C00, 16) && BUFFER[510] == 0x55);
  fill(1);
  r = call(0x13, 0x0301, (u32)BUFFER, 0x0103, boot_drive | 0x100);
  check_eq("disk/chs/write/ah", high(r.ax), 0);
  memset(BUFFER, 0, 512);
  r = call(0x13, 0x0201, (u32)BUFFER, 0x0103, boot_drive | 0x100);
  check_eq("disk/chs/read-back/ah", high(r.ax), 0);
  check("disk/chs/as-written", filled(1));
}

/* By block number. */
static void disk_edd(void) {
  struct Registers r = call(0x13, 0x4100, 0x55AA, 0, boot_drive);
  check_eq("disk/edd/present", carry(&r) ? 0 : r.bx & 0xFFFF, 0xAA55);
  struct {
    u16 size, flags;
    u32 cylinders, heads, sectors;
    u64 total;
    u16 bytes;
  } __attribute__((packed))* parameters = (void*)BUFFER;
  parameters->size = 30;
  struct Registers p = {.ax = 0x4800, .dx = boot_drive, .si = (u32)parameters};
  bios(0x13, &p);
  check_eq("disk/edd/parameters/carry", carry(&p), 0);
  check_eq("disk/edd/bytes", parameters->bytes, 512);
  u64 total = parameters->total;
  check_eq("disk/edd/total", total, 8192);

  struct __attribute__((packed)) {
    u8 size, zero;
    u16 count, offset, segment;
    u64 block;
  } packet = {16, 0, 1, (u16)(u32)BUFFER, 0, 5000};
  struct Registers t = {.ax = 0x4300, .dx = boot_drive, .si = (u32)&packet};
  fill(2);
  bios(0x13, &t);
  check_eq("disk/edd/write/ah", high(t.ax), 0);
  memset(BUFFER, 0, 512);
  t = (struct Registers){.ax = 0x4200, .dx = boot_drive, .si = (u32)&packet};
  bios(0x13, &t);
  check_eq("disk/edd/read/ah", high(t.ax), 0);
  check("disk/edd/as-written", filled(2));
  packet.block = total;
  t = (struct Registers){.ax = 0x4200, .dx = boot_drive, .si = (u32)&packet};
  bios(0x13, &t);
  check("disk/edd/behind-the-end/carry", carry(&t));
}

void program(void) {
  memory();
  a20();
  video();
  keyboard();
  clock();
  disk_chs();
  if (boot_drive & 0x80) disk_edd();
  disk_errors();
}
