#!/usr/bin/env python3
"""Snapshots: how long a machine stands, how large the file is, and how soon a restored guest answers.

A Debian guest with 1 GiB and some of it in use; each restore is a process of its own, and its answer is that of a shell
that was waiting for a line in a loop (at its prompt, busybox waits 20 ms for the terminal after each line).
Usage: bench/snapshots.py [EIDOLON] [--memory 1G] [--use MIB] [--runs N]
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/harness")
from shell import PROMPT, Guest  # noqa: E402


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser()
    parser.add_argument("eidolon", nargs="?", default=root + "/build/release/eidolon")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--use", type=int, default=40, help="MiB of random bytes in the guest's memory")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    guest_files = root + "/cache/guest"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        guest = Guest([options.eidolon, "run", "--name", "bench", "--memory", options.memory, "--kernel",
                       guest_files + "/vmlinuz", "--initrd", guest_files + "/initrd", "--append", "console=ttyS0 quiet"])
        guest.wait_for(PROMPT)
        guest.type(b"dd if=/dev/urandom of=/fill bs=1M count=%d 2>/dev/null; free -m; echo filled $((6*7))\n" % options.use)
        guest.wait_for(b"filled 42")
        guest.wait_for(PROMPT)
        guest.type(b"while echo ready $((6*7)); read line; do echo answer $((line*7)); done\n")
        guest.wait_for(b"ready 42")
        for kind in ([], ["--compress"]):
            path = f"{folder}/bench{len(kind)}.snap"
            begin = time.monotonic()
            subprocess.run([options.eidolon, "snapshot", path, "--name", "bench", *kind], check=True)
            took = time.monotonic() - begin
            size = os.stat(path).st_blocks * 512 / 2**20
            times = []
            for _ in range(options.runs):
                begin = time.monotonic()
                restored = Guest([options.eidolon, "restore", path])
                restored.type(b"6\n")
                restored.wait_for(b"answer 42")
                times.append(time.monotonic() - begin)
                restored.kill()
            print(f"{'packed' if kind else 'plain '}: written in {took * 1e3:.0f} ms, {size:.0f} MiB on disk, first answer "
                  f"after {statistics.median(times) * 1e3:.0f} ms ({min(times) * 1e3:.0f} to {max(times) * 1e3:.0f})")
        guest.kill()


if __name__ == "__main__":
    main()
