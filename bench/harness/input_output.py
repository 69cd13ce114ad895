"""Disk and network of a guest under Eidolon and QEMU's TCG, and of Eidolon's devices. Started by bench/io, which says
the options."""
import contextlib
import gzip
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile

import command
import guest
import monitors
import report

SOURCES = guest.SOURCES / "io"
DRIVERS = guest.ROOT / "cache" / "guest" / "initrd-drivers"
DISK_BYTES = 256 << 20
TICKS = os.sysconf("SC_CLK_TCK")
DISK_PHASES = ("seq-read", "seq-write", "rand-read-1", "rand-write-1", "rand-read-16", "rand-write-16", "sync-write")
NET_PHASES = ("tcp-send", "tcp-receive", "ping-pong")
# What is told by operations; the others by bytes.
BY_OPERATION = {phase for phase in DISK_PHASES if "-read-" in phase or "-write" in phase} - {"seq-write"} | {"ping-pong"}


class Kind:
    """A device: how the guest knows it, and how each monitor is told to have it."""

    def __init__(self, name, disk=None, eidolon=(), qemu=()):
        self.name, self.disk, self.eidolon, self.qemu = name, disk, eidolon, qemu


def qemu_disk(image, *devices):
    return ("-drive", f"file={image},format=raw,if=none,id=disk,cache=writeback", *(word for device in devices
                                                                                    for word in ("-device", device)))


def disks(image):
    """Ours and QEMU's, by name; emulated ones first."""
    def own(interface):
        return "--disk", f"{image},if={interface}"
    return {kind.name: kind for kind in (
        Kind("IDE", "sda", own("ide"), qemu_disk(image, "ide-hd,drive=disk")),
        Kind("AHCI", "sda", own("ahci"), qemu_disk(image, "ahci,id=ahci", "ide-hd,drive=disk,bus=ahci.0")),
        Kind("NVMe", "nvme0n1", own("nvme"), qemu_disk(image, "nvme,drive=disk,serial=1")),
        Kind("virtio-scsi", "sda", own("scsi"), qemu_disk(image, "virtio-scsi-pci", "scsi-hd,drive=disk")),
        Kind("virtio-blk", "vda", own("virtio"), qemu_disk(image, "virtio-blk-pci,drive=disk")))}


def cards():
    def own(card):
        return "--net", f"user,card={card}"
    return {kind.name: kind for kind in (
        Kind("e1000", None, own("e1000"), ("-netdev", "user,id=net", "-device", "e1000,netdev=net")),
        Kind("virtio-net", None, own("virtio"), ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")))}


def build():
    """The program, and the initramfs: that of the tests with drivers, and ours behind it."""
    tree = guest.OUTPUT / "io-tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    subprocess.run(["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(tree / "io"),
                    str(SOURCES / "io.c")], check=True)
    shutil.copy(SOURCES / "init", tree / "bench-io")
    initrd = guest.OUTPUT / "io-initrd"
    initrd.write_bytes(DRIVERS.read_bytes() + gzip.compress(guest.pack(tree), mtime=0))
    return tree / "io", initrd


@contextlib.contextmanager
def server(program):
    """The other end of the network, a process of the host. Gives its port."""
    process = subprocess.Popen([program, "serve"], stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield int(process.stdout.readline().split()[1])
    finally:
        process.kill()
        process.wait()


def processor_seconds(pid):
    """Of a process with all threads that it has had."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


class Counters:
    """What a machine's engine has counted, asked by its control socket. The machine may end at any moment."""

    def __init__(self, path):
        self.path = str(path)
        self.last = 0, 0

    def text(self):
        """Nothing if it does not answer: it has not begun, or has ended."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(self.path)
                line.sendall(b'{"command": "stats"}\n')
                while not answer.endswith(b"\n"):
                    part = line.recv(65536)
                    if not part:
                        return ""
                    answer += part
        except OSError:
            return ""
        return "".join(str(value) for value in json.loads(answer).values() if isinstance(value, str))

    def read(self):
        """(exits from generated code, accesses to devices), so far"""
        if text := self.text():
            self.last = self.count(text)
        return self.last

    @staticmethod
    def count(text):
        exits = devices = 0
        inside = False
        for line in text.splitlines():
            words = line.split("  ")
            number = next((int(word) for word in line.split() if word.isdecimal()), 0)
            if line.startswith("exits"):
                inside = True
            elif not line.startswith(" "):
                inside = False
            elif inside and not line.startswith("    "):
                exits += number
            name = line.strip()
            if name.startswith("access stepped"):
                devices += number
            elif name.startswith(("across two pages", "that faults", "store to a page with code")):
                devices -= number
            elif name.startswith("stepped: ") and words and name.split()[1] in ("in", "out", "insb", "insw", "insd",
                                                                                "outsb", "outsw", "outsd"):
                devices += number
        return exits, devices


def phases(lines, name):
    """{phase: {"bytes", "operations", "seconds", "processor", "exits", "accesses"}}"""
    found, began = {}, {}
    for _, ran, counted, text in lines:
        words = (text or "").split()
        if words[:1] == ["FAIL"]:
            raise monitors.Failed(f"{name}: the guest says: {text}")
        if words[:1] == ["BEGIN"] and len(words) == 2:
            began[words[1]] = (ran, counted)
        if words[:1] != ["END"] or len(words) != 5 or words[1] not in began:
            continue
        ran_before, counted_before = began[words[1]]
        found[words[1]] = {"bytes": int(words[2]), "operations": int(words[3]), "seconds": int(words[4]) / 1e9,
                           "processor": max(ran - ran_before, 1 / TICKS), "exits": counted[0] - counted_before[0],
                           "accesses": counted[1] - counted_before[1]}
    if not any(line[3] == "BENCH-END" for line in lines):
        raise monitors.Failed(f"{name}: the guest did not come to its end; the last was {list(found)[-1:]}")
    return found


def run(options, name, initrd, line, devices, counters=None):
    if name == "tcg":
        started = monitors.tcg(initrd, line) + list(devices.qemu)
    else:
        started = monitors.eidolon(options.eidolon, initrd, line) + list(devices.eidolon)
    if counters:
        started += ["--control", counters.path]

    def look(pid):
        return processor_seconds(pid), counters.read() if counters else (0, 0)
    # A start, and phases that may well take longer than they are meant to; one that hangs is not waited for.
    limit = 60 + 5 * options.seconds * len(DISK_PHASES)
    return phases(monitors.stamped_lines(started, name, look=look, limit=limit), name)


def run_again(options, name, *how):
    """A guest that hangs now and then (a request of TCG's may be lost) does not cost the figures of the others."""
    try:
        return run(options, name, *how)
    except monitors.Failed as error:
        command.say(f"{error}; once more")
        return run(options, name, *how)


def measure(options, kinds, names, counted):
    """{(device, monitor): [the phases of a run]}"""
    program, initrd = build()
    runs = {(kind.name, name): [] for kind in kinds for name in names}
    with server(program) as port, tempfile.TemporaryDirectory() as place:
        for turn in range(1, options.runs + 1):
            for kind in kinds:
                line = f"{monitors.LINE} rdinit=/bench-io bench_seconds={options.seconds} " + (
                    f"bench_disk={kind.disk}" if kind.disk else f"bench_port={port}")
                for name in command.in_turn(names, turn):
                    command.say(f"turn {turn} of {options.runs}: {kind.name} under {name}")
                    counters = Counters(pathlib.Path(place) / "control") if counted else None
                    runs[kind.name, name].append(run_again(options, name, initrd, line, kind, counters))
    return runs


def figures(found):
    """Of the runs of one device under one monitor: {phase: the medians of what is told}"""
    result = {}
    for phase in found[0]:
        each = [one[phase] for one in found if phase in one]
        unit = "operations" if phase in BY_OPERATION else "bytes"

        def median(figure):
            return statistics.median(figure(one) for one in each)
        result[phase] = {
            "unit": unit, "rate": median(lambda one: one[unit] / one["seconds"]),
            "latency_us": median(lambda one: one["seconds"] / one["operations"] * 1e6),
            "per_processor_second": median(lambda one: one[unit] / one["processor"]),
            "processor_ms_per_mb": median(lambda one: one["processor"] * 1e3 / (one["bytes"] / 1e6)),
            "exits_per_mb": median(lambda one: one["exits"] / (one["bytes"] / 1e6)),
            "accesses_per_mb": median(lambda one: one["accesses"] / (one["bytes"] / 1e6))}
    return result


def amount(value, unit):
    return f"{value / 1e6:.0f} MB" if unit == "bytes" else f"{value:.0f}"


def beside_tcg(medians):
    lines = [f"{'':12} {'':14} {'Eidolon':>9} {'TCG':>9} {'ratio':>6}  {'for a processor second:':>9} {'TCG':>9} {'ratio':>6} "
             f"{'latency':>9} {'TCG':>9}"]
    for (device, name), own in medians.items():
        if name != "eidolon":
            continue
        for phase, ours in own.items():
            theirs = medians[device, "tcg"][phase]
            unit, key = ours["unit"], "per_processor_second"
            lines.append(
                f"{device:12} {phase:14} {amount(ours['rate'], unit):>9} {amount(theirs['rate'], unit):>9} "
                f"{ours['rate'] / theirs['rate']:>6.2f}  {amount(ours[key], unit):>23} {amount(theirs[key], unit):>9} "
                f"{ours[key] / theirs[key]:>6.2f} {ours['latency_us']:>6.0f} us {theirs['latency_us']:>6.0f} us")
    return "\n".join(lines)


def by_device(medians):
    lines = [f"{'':12} {'':14} {'a second':>9} {'processor ms/MB':>16} {'exits/MB':>9} {'accesses/MB':>12}"]
    for (device, _), found in medians.items():
        for phase, one in found.items():
            lines.append(f"{device:12} {phase:14} {amount(one['rate'], one['unit']):>9} {one['processor_ms_per_mb']:>16.2f} "
                         f"{one['exits_per_mb']:>9.0f} {one['accesses_per_mb']:>12.1f}")
    return "\n".join(lines)


def arguments():
    parser = command.parser("io")
    parser.add_argument("--seconds", type=command.count, default=2, help="of each phase")
    parser.add_argument("--devices", action="store_true", help="Eidolon's emulated devices beside its paravirtual ones")
    parser.add_argument("--only", action="append", metavar="DEVICE", help="a device, as the table names it; several times")
    return parser.parse_args()


def main():
    options = arguments()
    # In memory, so that the host's disk has no part in it.
    shared = pathlib.Path("/dev/shm")
    with tempfile.NamedTemporaryFile(dir=shared if shared.is_dir() else None) as image:
        for _ in range(DISK_BYTES >> 20):
            image.write(os.urandom(1 << 20))
        image.flush()
        everything = {**disks(image.name), **cards()}
        usual = list(everything) if options.devices else ["virtio-blk", "virtio-scsi", "virtio-net"]
        for name in options.only or ():
            if name not in everything:
                raise monitors.Failed(f"there is no device '{name}'; say one of {', '.join(everything)}")
        kinds = [everything[name] for name in options.only or usual]
        runs = measure(options, kinds, ("eidolon",) if options.devices else ("eidolon", "tcg"), options.devices)
    medians = {of: figures(found) for of, found in runs.items()}
    print(f"medians of {options.runs} run(s), phases of {options.seconds} s")
    print(by_device(medians) if options.devices else beside_tcg(medians))
    command.write_json(options.json, {"runs": options.runs, "seconds": options.seconds,
                                      "medians": {" ".join(of): found for of, found in medians.items()},
                                      "all": {" ".join(of): found for of, found in runs.items()}})
    return 0


if __name__ == "__main__":
    command.run("io", main)
