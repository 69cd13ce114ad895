/* What bench/io measures: a disk and a network, each phase for some seconds. A static program for the guest, and the
 * other end of the network on the host.
 *   io disk DEVICE SECONDS          io net ADDRESS PORT SECONDS          io serve
 * A phase is "BEGIN name" and "END name bytes operations nanoseconds". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMostDepth = 32, kMostBlock = 1 << 20, kMessage = 64, kChunk = 128 << 10 };

static void fail(const char* what) {
  printf("FAIL %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void begin(const char* name) {
  printf("BEGIN %s\n", name);
  fflush(stdout);
  /* The line leaves the serial port before the work begins. */
  usleep(50000);
}

static void end(const char* name, uint64_t bytes, uint64_t operations, uint64_t time) {
  printf("END %s %llu %llu %llu\n", name, (unsigned long long)bytes, (unsigned long long)operations,
         (unsigned long long)time);
  fflush(stdout);
}

static uint64_t next_random(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

/* The disk. */

struct phase {
  const char* name;
  bool writes, random;
  unsigned block, depth;
};

static const struct phase phases[] = {
    {"seq-read", false, false, 256 << 10, 8},  {"seq-write", true, false, 256 << 10, 8},
    {"rand-read-1", false, true, 4096, 1},     {"rand-write-1", true, true, 4096, 1},
    {"rand-read-16", false, true, 4096, 16},   {"rand-write-16", true, true, 4096, 16},
};

struct disk {
  int fd;
  uint64_t bytes;
  aio_context_t context;
  uint8_t* buffers;
  struct iocb requests[kMostDepth];
};

static void submit(struct disk* disk, const struct phase* phase, unsigned slot, uint64_t* place) {
  const uint64_t blocks = disk->bytes / phase->block;
  const uint64_t block = phase->random ? next_random() % blocks : (*place)++ % blocks;
  struct iocb* request = &disk->requests[slot];
  memset(request, 0, sizeof *request);
  request->aio_data = slot;
  request->aio_lio_opcode = phase->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
  request->aio_fildes = (uint32_t)disk->fd;
  request->aio_buf = (uint64_t)(uintptr_t)(disk->buffers + (size_t)slot * kMostBlock);
  request->aio_nbytes = phase->block;
  request->aio_offset = (int64_t)(block * phase->block);
  if (syscall(SYS_io_submit, disk->context, 1, &request) != 1) fail("io_submit");
}

static void run_phase(struct disk* disk, const struct phase* phase, uint64_t limit) {
  struct io_event events[kMostDepth];
  uint64_t place = 0, operations = 0;
  begin(phase->name);
  const uint64_t start = now();
  for (unsigned slot = 0; slot < phase->depth; ++slot) submit(disk, phase, slot, &place);
  for (unsigned under_way = phase->depth; under_way > 0;) {
    const long count = syscall(SYS_io_getevents, disk->context, 1, kMostDepth, events, NULL);
    if (count < 1) fail("io_getevents");
    const bool more = now() - start < limit;
    for (long i = 0; i < count; ++i) {
      if (events[i].res != (int64_t)phase->block) fail(phase->name);
      ++operations;
      if (more) {
        submit(disk, phase, (unsigned)events[i].data, &place);
      } else {
        --under_way;
      }
    }
  }
  end(phase->name, operations * phase->block, operations, now() - start);
}

static void sync_writes(struct disk* disk, uint64_t limit) {
  const char* name = "sync-write";
  uint64_t operations = 0;
  begin(name);
  const uint64_t start = now();
  for (; now() - start < limit; ++operations) {
    const uint64_t block = next_random() % (disk->bytes / 4096);
    if (pwrite(disk->fd, disk->buffers, 4096, (off_t)(block * 4096)) != 4096 || fdatasync(disk->fd) != 0) fail(name);
  }
  end(name, operations * 4096, operations, now() - start);
}

static int measure_disk(const char* path, uint64_t limit) {
  struct disk disk = {.fd = open(path, O_RDWR | O_DIRECT)};
  if (disk.fd < 0 || ioctl(disk.fd, BLKGETSIZE64, &disk.bytes) != 0) fail(path);
  disk.buffers = mmap(NULL, (size_t)kMostDepth * kMostBlock, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (disk.buffers == MAP_FAILED || syscall(SYS_io_setup, kMostDepth, &disk.context) != 0) fail("io_setup");
  for (size_t i = 0; i < (size_t)kMostDepth * kMostBlock; ++i) disk.buffers[i] = (uint8_t)(i * 31);
  for (size_t i = 0; i < sizeof phases / sizeof phases[0]; ++i) run_phase(&disk, &phases[i], limit);
  sync_writes(&disk, limit);
  return 0;
}

/* The network. The first byte of a connection says what the server is to do. */

static void serve(int connection) {
  static uint8_t bytes[kChunk];
  uint8_t what = 0;
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (read(connection, &what, 1) != 1) return;
  if (what == 'g') {
    while (write(connection, bytes, sizeof bytes) > 0) continue;
    return;
  }
  for (ssize_t count; (count = read(connection, bytes, sizeof bytes)) > 0;)
    if (what == 'e' && write(connection, bytes, (size_t)count) != count) return;
}

static int run_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("PORT %u\n", ntohs(address.sin_port));
  fflush(stdout);
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) fail("accept");
    if (fork() == 0) {
      close(listener);
      serve(connection);
      _exit(0);
    }
    close(connection);
  }
}

static int connect_to(const char* host, const char* port, char what) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  inet_pton(AF_INET, host, &address.sin_addr);
  const int on = 1, connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr*)&address, sizeof address) != 0) fail("connect");
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (write(connection, &what, 1) != 1) fail("write");
  return connection;
}

static void stream(const char* name, int connection, bool sends, uint64_t limit) {
  static uint8_t bytes[kChunk];
  uint64_t sum = 0, operations = 0;
  begin(name);
  const uint64_t start = now();
  for (; now() - start < limit; ++operations) {
    const ssize_t count = sends ? write(connection, bytes, sizeof bytes) : read(connection, bytes, sizeof bytes);
    if (count <= 0) fail(name);
    sum += (uint64_t)count;
  }
  end(name, sum, operations, now() - start);
  close(connection);
}

static void ping_pong(const char* name, int connection, uint64_t limit) {
  uint8_t message[kMessage] = {0};
  uint64_t operations = 0;
  begin(name);
  const uint64_t start = now();
  for (; now() - start < limit; ++operations) {
    if (write(connection, message, sizeof message) != kMessage) fail(name);
    for (ssize_t got = 0, count; got < kMessage; got += count)
      if ((count = read(connection, message, (size_t)(kMessage - got))) <= 0) fail(name);
  }
  end(name, operations * kMessage, operations, now() - start);
  close(connection);
}

static int measure_network(const char* host, const char* port, uint64_t limit) {
  stream("tcp-send", connect_to(host, port, 'd'), true, limit);
  stream("tcp-receive", connect_to(host, port, 'g'), false, limit);
  ping_pong("ping-pong", connect_to(host, port, 'e'), limit);
  return 0;
}

int main(int count, char** words) {
  if (count == 4 && strcmp(words[1], "disk") == 0)
    return measure_disk(words[2], (uint64_t)(atof(words[3]) * 1e9));
  if (count == 5 && strcmp(words[1], "net") == 0)
    return measure_network(words[2], words[3], (uint64_t)(atof(words[4]) * 1e9));
  if (count == 2 && strcmp(words[1], "serve") == 0) return run_server();
  fprintf(stderr, "io disk DEVICE SECONDS | io net ADDRESS PORT SECONDS | io serve\n");
  return 2;
}
