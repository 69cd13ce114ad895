#!/usr/bin/env python3
"""A machine that is moved all the time while it works: between engines, through snapshots, and between processes.

Its guest compiles, writes to a disk and reads that back, is pinged, and sends numbered lines over one TCP connection to a
second guest on the same switch, all without an end. Afterwards: was any result wrong, was a line lost, how late is its clock
(a snapshot's guest is late by as long as it was away), and did its kernel complain? Status 1 if anything was wrong.
Needs scripts/fetch_drivers.sh and scripts/fetch_stress.sh.
Usage: bench/moves.py [EIDOLON] [--switches N] [--snapshots N] [--migrations N]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

WORK = r"""
export PATH=/bin:/stress LD_LIBRARY_PATH=/stress/lib; mkdir -p /lib64 /tmp /work; ln -sf /stress/lib/ld-linux-x86-64.so.2 /lib64/; cd /work
for i in $(seq 40); do echo "int f$i(int a, int *b) { int s = $i; for (int i = 0; i < a; ++i) { s += b[i] * $i; if (s % 7 == a) s ^= b[i] << 3; } return s; }"; done > source.c
cc1 -quiet -fpreprocessed -O2 source.c -o reference.s && echo reference$((1))
head -c 1000000 /dev/urandom > part
(n=0; while cc1 -quiet -fpreprocessed -O2 source.c -o out.s && cmp -s out.s reference.s; do n=$((n+1)); echo $n > compiled; done; echo WRONG$((1)) compiler) &
(n=0; while dd if=part of=/dev/vda bs=1000000 seek=$((n%14)) conv=fsync 2>/dev/null; echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=1000000 skip=$((n%14)) count=1 2>/dev/null | cmp -s - part; do n=$((n+1)); echo $n > written; done; echo WRONG$((1)) disk) &
(n=0; while sleep 0.02; do n=$((n+1)); echo line $n; done | nc 10.1.0.2 5000; echo WRONG$((1)) connection) &
ping 10.1.0.2 > pinged &
echo working$((1))
"""
PEER = r"""
ifconfig eth0 10.1.0.2 up
nc -l -p 5000 | awk '{ if ($2 != ++n) { print "WRO" "NG1 line", $2; n = $2 } if (n % 50 == 0) print "got", n }' &
echo listening$((1))
"""


ALL = []


class Monitor:
    """One process; what it prints goes to the end of a log that all share."""

    def __init__(self, program, arguments, log):
        self.log = log
        ALL.append(self)
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=open(log, "ab"),
                                        stderr=open(log + ".errors", "ab"))

    def type(self, text):
        for line in text.strip().splitlines():
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            time.sleep(0.3)

    def text(self):
        with open(self.log, "rb") as file:
            return file.read().decode(errors="replace")

    def wait_for(self, pattern, seconds=300):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, self.text()):
                return found
            time.sleep(0.1)
        raise SystemExit(f"'{pattern}' does not come: {self.text()[-600:]}")


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser()
    parser.add_argument("eidolon", nargs="?", default=root + "/build/release/eidolon")
    parser.add_argument("--switches", type=int, default=100)
    parser.add_argument("--snapshots", type=int, default=100)
    parser.add_argument("--migrations", type=int, default=20)
    options = parser.parse_args()
    files = root + "/cache/guest"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        with open(folder + "/initrd", "wb") as both:
            for name in ("initrd-stress", "initrd-drivers"):
                with open(f"{files}/{name}", "rb") as part:
                    both.write(part.read())
        with open(folder + "/disk", "wb") as disk:
            disk.truncate(16 << 20)
        Monitor(options.eidolon, ["switch", folder + "/lan"], folder + "/switch.log")
        while not os.path.exists(folder + "/lan"):
            time.sleep(0.05)

        def start(name, initrd, *more):
            return Monitor(options.eidolon, ["run", "--name", name, "--kernel", files + "/vmlinuz", "--initrd", initrd, "--net",
                                             f"switch={folder}/lan", "--append", "console=ttyS0 quiet rdinit=/drivers/init",
                                             *more], f"{folder}/{name}.log")
        peer = start("peer", files + "/initrd-drivers")
        peer.wait_for("eidolon:/root# ")
        peer.type(PEER)
        peer.wait_for("listening1")
        guest = start("moved", folder + "/initrd", "--cpus", "2", "--memory", "512M", "--disk", folder + "/disk")
        log = guest.log
        guest.wait_for("eidolon:/root# ")
        guest.type("ifconfig eth0 10.1.0.1 up" + WORK)
        guest.wait_for("working1")
        time.sleep(5)

        name, moves, began = "moved", 0, time.monotonic()

        def ask(*arguments):
            done = subprocess.run([options.eidolon, *arguments, "--name", name], capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{arguments}: {done.stderr}{guest.text()[-400:]}")

        def check():
            for monitor in (guest, peer):
                if found := re.search("WRONG1.*", monitor.text()):
                    raise SystemExit(f"{found.group()} after {moves} moves")

        def next_name():
            nonlocal moves
            moves += 1
            return f"moved{moves}"

        down = []
        most = max(options.switches, options.snapshots, options.migrations, 1)
        for turn in range(most):
            if turn * options.switches // most != (turn + 1) * options.switches // most:
                ask("engine", "translate" if turn % 2 else "step")
                moves += 1
            if turn * options.snapshots // most != (turn + 1) * options.snapshots // most:
                file, successor = f"{folder}/{turn % 2}.snap", next_name()
                ask("snapshot", file, "--stop")
                guest.process.wait()
                guest = Monitor(options.eidolon, ["restore", file, "--name", successor], log)
                name = successor
                guest_answers(options.eidolon, name)
            if turn * options.migrations // most != (turn + 1) * options.migrations // most:
                place, successor = f"unix:{folder}/place", next_name()
                there = Monitor(options.eidolon, ["receive", place, "--name", successor], log)
                while not os.path.exists(folder + "/place"):
                    time.sleep(0.01)
                ask("migrate", place)
                guest.process.wait()
                guest, name = there, successor
            time.sleep(0.5)
            check()
            if turn % 10 == 9:
                print(f"{turn + 1} of {most} turns, {time.monotonic() - began:.0f} s", flush=True)
        time.sleep(3)
        ask("engine", "translate")
        guest.type("kill -INT $(pidof ping); sleep 1; tail -2 pinged; echo compiled $(cat compiled) written $(cat written) "
                   "complaints $(dmesg | grep -ci 'unstable\\|lockup\\|stall\\|BUG:') time $(date +%s) end$((1))")
        found = guest.wait_for(r"compiled (\d+) written (\d+) complaints (\d+) time (\d+) end1")
        late = time.time() - int(found.group(4))
        check()
        pings = re.findall(r"\d+ packets transmitted, .*", guest.text())
        lines = re.findall(r"got (\d+)", peer.text())
        print(f"{moves} moves in {time.monotonic() - began:.0f} s; compiled {found.group(1)} times, wrote {found.group(2)} times, "
              f"complaints {found.group(3)}; {pings[-1] if pings else 'no pings'}; {lines[-1] if lines else 0} lines over one "
              f"connection, none lost; the guest's clock is {late:.0f} s late")
        if int(found.group(3)):
            raise SystemExit("the guest's kernel complained")


def guest_answers(program, name):
    for _ in range(600):
        if subprocess.run([program, "status", "--name", name], capture_output=True).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit("the restored machine does not answer")


if __name__ == "__main__":
    try:
        main()
    finally:
        for monitor in ALL:
            monitor.process.kill()
