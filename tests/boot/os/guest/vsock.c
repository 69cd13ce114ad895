// Runs in the guest, whose busybox knows no AF_VSOCK.
//   vsock listen PORT         echoes what each client sends, one client after the other
//   vsock connect CID PORT    from standard input to the peer, from the peer to standard output
// A failure is one line on standard output, and status 1.
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[64 * 1024];

static void die(const char* what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

// 0: the end of the input.
static ssize_t copy(int from, int to) {
  ssize_t count = read(from, buffer, sizeof buffer);
  if (count < 0) die("read");
  for (ssize_t done = 0; done < count;) {
    ssize_t part = write(to, buffer + done, count - done);
    if (part < 0) die("write");
    done += part;
  }
  return count;
}

static struct sockaddr_vm address(const char* cid, const char* port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK};
  address.svm_cid = cid ? (unsigned)strtoul(cid, NULL, 0) : VMADDR_CID_ANY;
  address.svm_port = (unsigned)strtoul(port, NULL, 0);
  return address;
}

static void serve(const char* port) {
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  struct sockaddr_vm here = address(NULL, port);
  if (fd < 0 || bind(fd, (struct sockaddr*)&here, sizeof here) < 0 || listen(fd, 4) < 0) die("listen");
  puts("listening");
  fflush(stdout);
  for (;;) {
    int client = accept(fd, NULL, NULL);
    if (client < 0) die("accept");
    for (ssize_t count; (count = read(client, buffer, sizeof buffer)) > 0;)
      for (ssize_t done = 0; done < count;) {
        ssize_t part = write(client, buffer + done, count - done);
        if (part < 0) break;
        done += part;
      }
    close(client);
  }
}

static void talk(const char* cid, const char* port) {
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  struct sockaddr_vm there = address(cid, port);
  if (fd < 0 || connect(fd, (struct sockaddr*)&there, sizeof there) < 0) die("connect");
  struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  while (poll(both, 2, -1) >= 0) {
    if (both[0].revents && copy(fd, 1) == 0) return;
    if (both[1].revents && copy(0, fd) == 0) {
      shutdown(fd, SHUT_WR);
      both[1].fd = -1;
    }
  }
}

int main(int count, char** words) {
  if (count == 3 && !strcmp(words[1], "listen")) serve(words[2]);
  if (count == 4 && !strcmp(words[1], "connect")) talk(words[2], words[3]);
  return 0;
}
