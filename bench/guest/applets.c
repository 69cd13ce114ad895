/* Programs that we did not write: applets of busybox over a text that we make. One operation is one run of
 * the command, its start included. The checksum is that of its output. */
#include "applets.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

enum { kLines = 20000 };

static const struct {
  const char* name;
  const char* arguments[4];
} applets[] = {
    {"gzip", {"gzip", "-c", "text"}},
    {"sha256sum", {"sha256sum", "text"}},
    {"sort", {"sort", "text"}},
    {"shell_loop",
     {"sh", "-c",
      "i=0; s=1; while [ $i -lt 20000 ]; do s=$(((s * 13 + i) % 65521)); i=$((i + 1)); done; echo $s"}},
    {"shell_pipes",
     {"sh", "-c",
      "for i in 1 2 3 4 5 6 7 8 9 10; do cut -c1-8 text | head -n 200 | tr a-f A-F | tail -n 1; done"}},
};

/* Words whose frequencies are uneven, so that the text compresses as texts do. */
static void make_text(void) {
  static const char* const words[] = {"page", "table", "of", "the", "guest",
                                      "and",  "host",  "a",  "in",  "processor"};
  uint64_t state = 6;
  FILE* text = fopen("text", "w");
  if (!text) give_up("the text could not be written");
  for (int i = 0; i < kLines; ++i) {
    fprintf(text, "%08x", (unsigned)next_random(&state));
    for (int j = 0; j < 5; ++j)
      fprintf(text, " %s", words[next_random(&state) % 10 * (next_random(&state) % 10) / 9]);
    fputc('\n', text);
  }
  if (fclose(text) != 0) give_up("the text could not be written");
}

/* Runs the applet with its output in a file, so that no second process reads it meanwhile. */
static void run_applet(const char* busybox, const char* const* arguments) {
  const char* vector[6] = {busybox};
  for (int i = 0; arguments[i]; ++i) vector[i + 1] = arguments[i];
  const pid_t child = vfork();
  if (child < 0) give_up("vfork");
  if (child == 0) {
    const int output = open("output", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (output >= 0 && dup2(output, 1) == 1) execv(busybox, (char* const*)vector);
    _exit(127);
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) give_up(arguments[0]);
}

static uint64_t sum_of_output(void) {
  uint64_t sum = 0xcbf29ce484222325u;
  FILE* output = fopen("output", "r");
  if (!output) give_up("the output could not be read");
  for (int byte; (byte = fgetc(output)) != EOF;) sum = (sum ^ (uint64_t)byte) * 0x100000001b3u;
  fclose(output);
  return sum;
}

void run_applets(const char* busybox, const char** measured, void (*report)(uint64_t count, uint64_t sum)) {
  make_text();
  for (size_t i = 0; i < sizeof applets / sizeof *applets; ++i) {
    *measured = applets[i].name;
    begin_timing();
    run_applet(busybox, applets[i].arguments);
    end_timing();
    report(1, sum_of_output());
  }
}
