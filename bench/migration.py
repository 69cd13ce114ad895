#!/usr/bin/env python3
"""Migration: how long it takes, how long the guest stands, and how much is sent.

A Debian guest with 1 GiB and some of it in use moves from process to process over a Unix socket: idle, and while it writes
memory as fast as it can. With --wire, over one that carries so many MB a second, and three times when it writes: slowed down
until it fits, with --post-copy, and with --post-copy --rounds 0. What the monitor says of the down-time is from the processors' stop until it hears that they
run on the other side; beside it stands the longest gap between two lines that the guest prints every few milliseconds.
Usage: bench/migration.py [EIDOLON] [--memory 1G] [--use MIB] [--runs N] [--wire MB]
"""
import argparse
import atexit
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/harness")
from shell import PROMPT, Guest  # noqa: E402

SAID = re.compile(rb"in ([\d.]+) s: (\d+) MiB sent in (\d+) rounds, the guest stood for (\d+) ms"
                  rb"(?:, then (\d+) MiB followed, for which it waited (\d+) times)?")


class Gaps(threading.Thread):
    """Reads what the guests print, one after the other, and notes the longest time without a line."""

    def __init__(self, files):
        super().__init__(daemon=True)
        self.files, self.longest, self.over = files, 0.0, False

    def run(self):
        import select
        last = time.monotonic()
        while not self.over:
            ready, _, _ = select.select(self.files, [], [], 0.01)
            for file in ready:
                if os.read(file, 65536):
                    now = time.monotonic()
                    self.longest = max(self.longest, now - last)
                    last = now


class Wire(threading.Thread):
    """Carries one connection from a Unix socket to another, and so much a second of what the source says."""

    def __init__(self, here, there, per_second):
        super().__init__(daemon=True)
        self.there, self.per_tick = there, int(per_second / 200)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(here)
        self.listener.listen(1)
        self.start()

    def run(self):
        source, _ = self.listener.accept()
        target = socket.socket(socket.AF_UNIX)
        target.connect(self.there)
        back = threading.Thread(target=self.carry, args=(target, source, 0), daemon=True)
        back.start()
        self.carry(source, target, self.per_tick)
        back.join()
        self.listener.close()

    @staticmethod
    def carry(one, other, per_tick):
        due = time.monotonic()
        try:
            while part := one.recv(per_tick or 65536):
                other.sendall(part)
                if per_tick:
                    due = max(due + 0.005 * len(part) / per_tick, time.monotonic() - 0.02)
                    time.sleep(max(0.0, due - time.monotonic()))
            other.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser()
    parser.add_argument("eidolon", nargs="?", default=root + "/build/release/eidolon")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--use", type=int, default=100, help="MiB of random bytes in the guest's memory")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--wire", type=float, help="MB a second of the way between the two; otherwise as fast as it goes")
    options = parser.parse_args()
    files = root + "/cache/guest"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        guest = Guest([options.eidolon, "run", "--name", "m0", "--cpus", "2", "--memory", options.memory, "--kernel",
                       files + "/vmlinuz", "--initrd", files + "/initrd", "--append", "console=ttyS0 quiet"])
        guests = [guest]
        atexit.register(lambda: [one.kill() for one in guests])
        guest.wait_for(PROMPT)
        guest.type(b"dd if=/dev/urandom of=/fill bs=1M count=%d 2>/dev/null; echo filled $((6*7))\n" % options.use)
        guest.wait_for(b"filled 42")
        guest.type(b"(while :; do usleep 2000; echo .; done) &\n")
        number = 0
        busy = b"(while :; do cat /fill > /copy; done) &\n"
        cases = [("idle", None, []), ("busy", busy, [])]
        if options.wire:
            cases += [("busy, --post-copy", None, ["--post-copy"]),
                      ("busy, --post-copy --rounds 0", None, ["--post-copy", "--rounds", "0"])]
        for load, line, more in cases:
            if line:
                guest.type(line)
                time.sleep(2)
            rows = []
            for _ in range(options.runs):
                place = f"unix:{folder}/place"
                there = Guest([options.eidolon, "receive", place, "--name", f"m{number + 1}"])
                guests.append(there)
                while not os.path.exists(f"{folder}/place"):
                    time.sleep(0.01)
                way = place
                if options.wire:
                    way = f"unix:{folder}/wire{number}"
                    Wire(f"{folder}/wire{number}", f"{folder}/place", options.wire * 1e6)
                gaps = Gaps([guest.process.stdout.fileno(), there.process.stdout.fileno()])
                gaps.start()
                said = subprocess.run([options.eidolon, "migrate", way, "--name", f"m{number}", *more], check=True,
                                      capture_output=True).stdout
                time.sleep(0.3)
                gaps.over = True
                gaps.join()
                guest.process.wait()
                rows.append([float(x or 0) for x in SAID.search(said).groups()] + [gaps.longest * 1e3])
                guest, number = there, number + 1
            seconds, sent, rounds, down, followed, waits, gap = (statistics.median(column) for column in zip(*rows))
            later = f", {followed:.0f} MiB followed, waited for {waits:.0f} times" if followed else ""
            print(f"{load}: {seconds:.1f} s in all, {sent:.0f} MiB sent in {rounds:.0f} rounds, down for {down:.0f} ms "
                  f"({min(r[3] for r in rows):.0f} to {max(r[3] for r in rows):.0f}), longest gap in the guest's output {gap:.0f} ms{later}", flush=True)
        guest.kill()


if __name__ == "__main__":
    main()
