/* A virtio disk over PCI with MSI-X (virtio 1.2, 4.1 and 5.2; PCI Local Bus 3.0, 6.8.2): requests and their
 * interrupts, a masked vector, a BAR that moves, decoding that is off, a reset. Writes to the disk. The
 * command line can say rounds=N and depth=N: so many times so many requests, each with a notification of its
 * own. */
#include "runtime.h"

const char program_name[] = "virtio_disk";

enum {
  kVector = 0x60,
  kQueue = 64,
  kDescriptors = 3,
  kMostDepth = kQueue / kDescriptors,
  kSector = 512,
  kWords = 4
};
enum { kEoi = 0xB0, kSpurious = 0xF0 };
enum {
  kCommand = 4,
  kBars = 0x10,
  kCapabilities = 0x34,
  kMemory = 2,
  kMaster = 4,
  kVendorId = 9,
  kMsiXId = 0x11
};

/* The common structure (4.1.4.3). */
struct Common {
  volatile u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
  volatile u16 config_vector, queues;
  volatile u8 status, generation;
  volatile u16 queue, size, vector, enable, notify_offset;
  volatile u32 descriptors[2], driver[2], device[2];
};
struct Descriptor {
  u64 address;
  u32 length;
  u16 flags, next;
};
static struct Descriptor descriptors[kQueue] __attribute__((aligned(4096)));
static volatile struct { u16 flags, index, ring[kQueue], event; } available __attribute__((aligned(4096)));
static volatile struct {
  u16 flags, index;
  struct {
    u32 id, length;
  } ring[kQueue];
} used __attribute__((aligned(4096)));
static struct Request {
  u32 type, reserved;
  u64 sector;
  u32 data[kSector / 4];
  volatile u8 status;
} requests[kMostDepth] __attribute__((aligned(4096)));

static u32 function; /* its address in configuration space */
static struct Common* common;
static u32 bar0;
static u64 notify_at; /* queue 0, within BAR 0 */
static volatile u32* vector_table;
static volatile u32* pending_bits;
static volatile u32 taken;

static u32 config_read(u32 at) {
  outl(0xCF8, function | (at & ~3u));
  return inl(0xCFC);
}
static void config_write(u32 at, u32 value) {
  outl(0xCF8, function | at);
  outl(0xCFC, value);
}
static u32 bar(u32 number) { return config_read(kBars + 4 * number) & ~15u; }
static void decode(bool on) { config_write(kCommand, on ? kMemory | kMaster : kMaster); }
static void notify(u32 at) { *(volatile u16*)(at + notify_at) = 0; }

static bool on_disk(struct Frame* f) {
  (void)f;
  ++taken;
  *(volatile u32*)(0xFEE00000ull + kEoi) = 0;
  return true;
}

/* Interrupts are open meanwhile. The limit is far above what a slow machine needs. */
static bool wait_until(bool (*met)(u32), u32 value, u64 cycles) {
  const u64 limit = rdtsc() + cycles;
  bool yes;
  sti();
  while (!(yes = met(value)) && rdtsc() < limit) asm volatile("pause");
  cli();
  return yes;
}
static bool answered(u32 index) { return used.index == (u16)index; }
static bool interrupted(u32 count) { return taken >= count; }
#define kLong 100000000000ull
#define kMoment 100000000ull

static bool find_disk(void) {
  for (u32 device = 0; device < 32; ++device) {
    function = 1u << 31 | device << 11;
    if (config_read(0) == 0x10421AF4) return true;
  }
  return false;
}

static void find_structures(void) {
  decode(true);
  bar0 = bar(0);
  for (u32 at = config_read(kCapabilities) & 0xFC; at != 0;) {
    const u32 head = config_read(at);
    if ((head & 0xFF) == kVendorId && head >> 24 == 1)
      common = (struct Common*)(Word)(bar0 + config_read(at + 8));
    if ((head & 0xFF) == kVendorId && head >> 24 == 2) notify_at = config_read(at + 8);
    if ((head & 0xFF) == kMsiXId) {
      const u32 table = config_read(at + 4), bits = config_read(at + 8);
      vector_table = (volatile u32*)(Word)(bar(table & 7) + (table & ~7u));
      pending_bits = (volatile u32*)(Word)(bar(bits & 7) + (bits & ~7u));
      config_write(at, 1u << 31 | (head & 0xFFFF));
    }
    at = head >> 8 & 0xFC;
  }
}

static void start_disk(void) {
  memset((void*)&available, 0, sizeof available);
  memset((void*)&used, 0, sizeof used);
  common->status = 0;
  while (common->status != 0) asm volatile("pause");
  common->status = 3;
  common->driver_feature_select = 0;
  common->driver_feature = 0;
  common->driver_feature_select = 1;
  common->driver_feature = 1; /* VERSION_1, and nothing else */
  common->status = 11;
  check_eq("start/features", common->status, 11);
  common->config_vector = 0xFFFF;
  common->queue = 0;
  common->size = kQueue;
  common->vector = 1;
  common->descriptors[0] = (u32)(Word)descriptors;
  common->driver[0] = (u32)(Word)&available;
  common->device[0] = (u32)(Word)&used;
  common->descriptors[1] = common->driver[1] = common->device[1] = 0;
  common->enable = 1;
  common->status = 15;
  vector_table[4] = 0xFEE00000; /* of vector 1: the bootstrap processor, edge, fixed */
  vector_table[5] = 0;
  vector_table[6] = kVector;
  vector_table[7] = 0;
}

/* Without a notification. */
static void offer(u32 slot, u32 type, u64 sector) {
  struct Request* r = &requests[slot];
  struct Descriptor* d = &descriptors[slot * kDescriptors];
  r->type = type;
  r->sector = sector;
  r->status = 0xFF;
  d[0] = (struct Descriptor){(Word)&r->type, 16, 1, (u16)(slot * kDescriptors + 1)};
  d[1] = (struct Descriptor){(Word)r->data, kSector, type == 0 ? 3 : 1, (u16)(slot * kDescriptors + 2)};
  d[2] = (struct Descriptor){(Word)&r->status, 1, 2, 0};
  available.ring[available.index % kQueue] = (u16)(slot * kDescriptors);
  asm volatile("" ::: "memory");
  available.index = (u16)(available.index + 1);
}

static bool carry_out(u32 depth, u32 type, u64 sector) {
  for (u32 slot = 0; slot < depth; ++slot) {
    offer(slot, type, sector + slot);
    notify(bar0);
  }
  if (!wait_until(answered, available.index, kLong)) return false;
  for (u32 slot = 0; slot < depth; ++slot)
    if (requests[slot].status != 0) return false;
  return true;
}

static u32 pattern(u32 round, u32 slot) { return round * 2654435761u + slot; }

static bool rounds_pass(u32 rounds, u32 depth) {
  for (u32 round = 0; round < rounds; ++round) {
    const u64 sector = round % 64 * kMostDepth;
    if (round % 64 == 63) print("goes on\n");
    for (u32 slot = 0; slot < depth; ++slot)
      for (u32 i = 0; i < kWords; ++i) requests[slot].data[i] = pattern(round, slot) + i;
    if (!carry_out(depth, 1, sector)) return false;
    for (u32 slot = 0; slot < depth; ++slot) memset(requests[slot].data, 0, kWords * 4);
    if (!carry_out(depth, 0, sector)) return false;
    for (u32 slot = 0; slot < depth; ++slot)
      for (u32 i = 0; i < kWords; ++i)
        if (requests[slot].data[i] != pattern(round, slot) + i) return false;
  }
  return true;
}

/* What arrives behind a mask waits in its pending bit. */
static void masked_vector(void) {
  (void)wait_until(interrupted, 0xFFFFFFFF, kMoment); /* those that are on their way */
  const u32 before = taken;
  vector_table[7] = 1;
  offer(0, 0, 0);
  notify(bar0);
  check("masked/answered", wait_until(answered, available.index, kLong));
  check("masked/no-interrupt", !wait_until(interrupted, before + 1, kMoment));
  check("masked/pending", pending_bits[0] & 2);
  vector_table[7] = 0;
  check("unmasked/interrupt", wait_until(interrupted, before + 1, kLong));
  check("unmasked/not-pending", !(pending_bits[0] & 2));
}

static void moved_bar(void) {
  const u32 first = bar0, second = first ^ 0x08000000;
  decode(false);
  config_write(kBars, second);
  offer(0, 0, 0);
  notify(first);
  notify(second);
  check("decoding-off/not-heard", !wait_until(answered, available.index, kMoment));
  decode(true);
  notify(first);
  check("moved/not-heard-where-it-was", !wait_until(answered, available.index, kMoment));
  notify(second);
  check("moved/heard-where-it-is", wait_until(answered, available.index, kLong));
  common = (struct Common*)(Word)((Word)common - first + second);
  bar0 = second;
}

static u32 number_after(const char* name, u32 otherwise) {
  const u32* info = (const u32*)(Word)boot_info;
  if (!(info[0] & 4)) return otherwise;
  u32 length = 0;
  while (name[length]) ++length;
  for (const char* at = (const char*)(Word)info[4]; *at; ++at) {
    if (memcmp(at, name, length) != 0) continue;
    u32 number = 0;
    for (at += length; *at >= '0' && *at <= '9'; ++at) number = number * 10 + (u32)(*at - '0');
    return number;
  }
  return otherwise;
}

void program(void) {
  function = 1u << 31;
  check("pci/host-bridge", config_read(0) != 0xFFFFFFFF);
  if (!find_disk()) {
    skip("disk", "there is none");
    return;
  }
  set_handler(kVector, on_disk);
  *(volatile u32*)(0xFEE00000ull + kSpurious) = 0x1FF;
  find_structures();
  if (common == 0 || vector_table == 0) {
    check("disk/structures", false);
    return;
  }
  start_disk();
  u32 depth = number_after("depth=", 4);
  if (depth > kMostDepth) depth = kMostDepth;
  print("begins\n");
  check("rounds", rounds_pass(number_after("rounds=", 20), depth));
  check("rounds/interrupts", taken != 0);
  masked_vector();
  moved_bar();
  start_disk();
  check("again/rounds", rounds_pass(5, depth));
}
