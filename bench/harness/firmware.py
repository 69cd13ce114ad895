"""Starts from the reset vector, in turn under both monitors: how long until a boot sector, a shell, a login appears."""
import os
import pathlib
import selectors
import subprocess
import tempfile
import time

import guest
import monitors

CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
DISK = guest.ROOT / "cache" / "guest" / "debian-12.raw"
SECTOR_TEXT = b"BENCH-SECTOR"

# What is waited for on the serial port, and what is started: (row, text, firmware, disk).
STARTS = [
    ("boot sector, BIOS", SECTOR_TEXT, "bios", "sector"),
    ("boot shell, UEFI", b"UEFI Interactive Shell", "uefi", None),
    ("boot login, BIOS", b"eidolon login:", "bios", "debian"),
    ("boot login, UEFI", b"eidolon login:", "uefi", "debian"),
]


def boot_sector(path):
    """A disk whose boot sector writes SECTOR_TEXT to COM1 and halts."""
    text_at = 0x7d00
    # cli; xor ax, ax; mov ds, ax; mov si, text; cld; mov dx, 0x3f8; 1: lodsb; test al, al; jz 2f; out dx, al; jmp 1b; 2: hlt; jmp 2b
    code = bytes([0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, text_at & 0xff, text_at >> 8, 0xfc, 0xba, 0xf8, 0x03,
                  0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0xf4, 0xeb, 0xfd])
    sector = (code.ljust(0x100, b"\0") + SECTOR_TEXT + b"\n").ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1 << 20, b"\0"))


def eidolon(program, firmware, disk):
    command = [program, "run", "--engine", "translate", "--memory", monitors.MEMORY, "--firmware", firmware]
    return command + (["--disk", f"{disk},format=raw,if=virtio,snapshot"] if disk else [])


def tcg(firmware, disk, variables):
    command = ["qemu-system-x86_64", "-M", "q35", "-cpu", monitors.QEMU_CPU, "-accel", "tcg", "-m", monitors.MEMORY,
               "-nodefaults", "-vga", "std", "-serial", "stdio", "-display", "none"]
    if firmware == "uefi":
        command += ["-drive", f"if=pflash,format=raw,readonly=on,file={CODE}", "-drive",
                    f"if=pflash,format=raw,snapshot=on,file={variables}"]
    return command + (["-drive", f"file={disk},format=raw,if=virtio,snapshot=on"] if disk else [])


def until(command, name, text):
    """Runs the command until its output has the text: (seconds, processor seconds)."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors, selectors.DefaultSelector() as selector:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        try:
            selector.register(process.stdout, selectors.EVENT_READ)
            seen = b""
            while text not in seen:
                left = began + monitors.LIMIT - time.monotonic()
                part = os.read(process.stdout.fileno(), 65536) if selector.select(max(left, 0)) else b""
                if not part:
                    raise monitors.Failed(f"{name} did not show '{text.decode()}'; the last of its output: {seen[-200:]!r}")
                seen += part
            return time.monotonic() - began, monitors.processor_times(process.pid)[0]
        finally:
            process.kill()
            process.wait()


def starts(program, name):
    """{row: (seconds, processor seconds)} of one monitor."""
    found = {}
    with tempfile.TemporaryDirectory(dir=guest.OUTPUT) as directory:
        sector = pathlib.Path(directory) / "sector.raw"
        boot_sector(sector)
        disks = {"sector": sector, "debian": DISK, None: None}
        for row, text, firmware, disk in STARTS:
            command = (eidolon(program, firmware, disks[disk]) if name == "eidolon" else
                       tcg(firmware, disks[disk], VARIABLES))
            found[row] = until(command, name, text)
    return found
