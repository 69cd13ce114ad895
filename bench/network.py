#!/usr/bin/env python3
"""What a megabyte over TCP costs: processor time of the monitor and throughput, of one or several programs in turn.

The guest is Debian's kernel with its own drivers (scripts/fetch_drivers.sh), one processor under `translate`. `in`: from a
server on the host's loopback into the guest through --net user; `out`: a file from the guest's memory by its HTTP server and a
published port; `switch`: the same from one machine to another on `eidolon switch`, with the processor time of both and of the
switch. Each number is the median of the runs, with the least and the most; runs of the programs alternate.
Usage: bench/network.py [--megabytes N] [--runs N] [--cards virtio,e1000] [--only in,out,switch] [EIDOLON...]
"""
import argparse
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")
RUNNING = []
RECEIVED = "[ $(cat /sys/class/net/eth0/statistics/rx_bytes) -ge {} ]"


class Process:
    def __init__(self, arguments, errors):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(errors, "ab"))
        RUNNING.append(self.process)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def processor_seconds(self):
        """User and system, of all its threads."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def wait_for(self, pattern, seconds=300):
        """What comes is thrown away up to the end of the match."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.text += (self.process.stdout.read() or b"").decode(errors="replace")
            if found := re.search(pattern, self.text):
                self.text = self.text[found.end():]
                return found
            time.sleep(0.01)
        raise SystemExit(f"'{pattern}' does not come: {self.text[-600:]}")

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line):
        """Waits until the command has ended; it must not fail."""
        self.type(line + "; echo ended $((1 + $?))")
        status = self.wait_for(r"ended (\d+)\r?\n").group(1)
        if status != "1":
            raise SystemExit(f"'{line}' failed: {self.text[-600:]}")

    def end(self):
        self.process.kill()
        self.process.wait()
        RUNNING.remove(self.process)


def boot(program, network, errors, more=()):
    files = ROOT + "/cache/guest/"
    guest = Process([program, "run", "--kernel", files + "vmlinuz", "--initrd", files + "initrd-drivers", "--append",
                     "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate", "--net",
                     network, *more], errors)
    guest.wait_for(r"# ")
    return guest


class Server:
    """On the host's loopback: sends `length` bytes to the next connection."""

    def __init__(self, length):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.length = length
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        connection, _ = self.listener.accept()
        block = bytes(1 << 20)
        for _ in range(self.length >> 20):
            connection.sendall(block)
        connection.close()


def download(port):
    """All that a server answers, in bytes."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET /body HTTP/1.0\r\n\r\n")
    count = 0
    while part := connection.recv(1 << 20):
        count += len(part)
    return count


def into_guest(program, card, megabytes, errors):
    guest = boot(program, f"user,card={card}", errors)
    guest.ask("udhcpc -i eth0 -n -q -s /drivers/dhcp >/dev/null 2>&1")
    server = Server(megabytes << 20)
    before, begun = guest.processor_seconds(), time.monotonic()
    guest.ask(f"nc 10.0.2.2 {server.port} </dev/null >/dev/null")
    result = guest.processor_seconds() - before, time.monotonic() - begun
    guest.ask(RECEIVED.format(megabytes << 20))
    guest.end()
    return result


def out_of_guest(program, card, megabytes, errors):
    """A file from the guest's memory, by its HTTP server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    guest = boot(program, f"user,card={card}", errors, ["--publish", f"{port}:80"])
    guest.ask("udhcpc -i eth0 -n -q -s /drivers/dhcp >/dev/null 2>&1")
    guest.ask(f"mkdir -p /tmp/www && dd if=/dev/zero of=/tmp/www/body bs=1M count={megabytes} 2>/dev/null")
    guest.ask("httpd -p 80 -h /tmp/www")
    before, begun = guest.processor_seconds(), time.monotonic()
    count = download(port)
    result = guest.processor_seconds() - before, time.monotonic() - begun
    if count < megabytes << 20:
        raise SystemExit(f"{count} bytes came")
    guest.end()
    return result


def through_switch(program, card, megabytes, folder, errors):
    path = folder + "/lan"
    switch = Process([program, "switch", path], errors)
    machines = [boot(program, f"switch={path},card={card}", errors) for _ in range(2)]
    for number, machine in enumerate(machines):
        machine.ask(f"ip address add 10.9.0.{number + 1}/24 dev eth0 && ip link set eth0 up")
    machines[1].ask("for i in $(seq 60); do ping -c 1 -W 1 10.9.0.1 >/dev/null && break; done")
    machines[0].ask(f"mkdir -p /tmp/www && dd if=/dev/zero of=/tmp/www/body bs=1M count={megabytes} 2>/dev/null")
    machines[0].ask("httpd -p 80 -h /tmp/www")
    all_of_them = [switch, *machines]
    before, begun = sum(one.processor_seconds() for one in all_of_them), time.monotonic()
    machines[1].ask("wget -q -O /dev/null http://10.9.0.1/body")
    result = sum(one.processor_seconds() for one in all_of_them) - before, time.monotonic() - begun
    machines[1].ask(RECEIVED.format(megabytes << 20))
    for one in all_of_them:
        one.end()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=[ROOT + "/build/release/eidolon"])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cards", default="virtio")
    parser.add_argument("--only", default="in,out,switch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        errors = folder + "/errors"
        for card in options.cards.split(","):
            for what in options.only.split(","):
                results = {program: [] for program in options.programs}
                for _ in range(options.runs):
                    for program in options.programs:
                        if what == "switch":
                            run = through_switch(program, card, options.megabytes, folder, errors)
                        else:
                            run = (into_guest if what == "in" else out_of_guest)(program, card, options.megabytes, errors)
                        results[program].append(run)
                for program, runs in results.items():
                    for name, values, digits in (
                            ("ms of processor/MB", [1000 * cpu / options.megabytes for cpu, _ in runs], 2),
                            ("MB/s", [options.megabytes / wall for _, wall in runs], 1)):
                        print(f"{card} {what} {program}: {statistics.median(values):.{digits}f} {name} "
                              f"({min(values):.{digits}f} to {max(values):.{digits}f})", flush=True)


if __name__ == "__main__":
    try:
        main()
    finally:
        for process in RUNNING:
            process.kill()
