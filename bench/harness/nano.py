"""Cycles of one privileged operation: bench/nano/ under Eidolon and QEMU's TCG in turn, and on the host what a
process can do. Started by bench/nanobench, which says the options."""
import statistics
import subprocess

import command
import guest
import monitors
import report

SOURCES = guest.ROOT / "bench" / "nano"
RUNTIME = guest.ROOT / "tests" / "guest" / "runtime"
# As tests/guest/CMakeLists.txt builds its programs: nothing of a hosted C implementation.
FLAGS = ["-m64", "-std=gnu17", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-static", "-nostdlib",
         "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-tree-loop-distribute-patterns",
         "-fno-strict-aliasing", "-fcf-protection=none", "-mgeneral-regs-only", "-mno-red-zone", "-Wall", "-Wextra",
         "-Werror", "--param=min-pagesize=0", f"-I{RUNTIME}", f"-Wl,-T,{RUNTIME / 'program.ld'}", "-Wl,--build-id=none",
         "-Wl,-z,max-page-size=4096", "-Wl,-z,noexecstack", "-Wl,--no-warn-rwx-segments"]
PARTS = ["report.c", "runtime.c", "start64.S", "trap64.S", "paging64.c"]
DEBUG_EXIT_OK = 1
# What Adams and Agesen measured, then what is of the same kind.
ROWS = ["syscall", "in_80", "in_uart", "cr8wr", "callret", "pgfault", "divzero", "ptemod", "ptemod_invlpg", "cr3wr",
        "int_iret", "cli_sti", "pushf_popf", "swapgs", "rdtsc", "cpuid"]


def build():
    """Makes the guest program and the host's; returns both paths."""
    guest.OUTPUT.mkdir(parents=True, exist_ok=True)
    linked, kernel, native = (guest.OUTPUT / name for name in ("nano.link", "nano.elf", "nano-native"))
    own = [str(SOURCES / name) for name in ("nano.c", "loops.S")]
    subprocess.run(["gcc", *FLAGS, *own, *(str(RUNTIME / part) for part in PARTS), "-o", str(linked)], check=True)
    # Multiboot wants ELF32 whatever the code inside.
    subprocess.run(["objcopy", "-O", "elf32-i386", str(linked), str(kernel)], check=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-DHOST", str(SOURCES / "native.c"), str(SOURCES / "loops.S"), "-o",
                    str(native)], check=True)
    return kernel, native


def eidolon(program, engine, kernel):
    return [program, "run", "--engine", engine, "--kernel", str(kernel), "--memory", "64M", "--no-reboot"]


def tcg(kernel):
    return ["qemu-system-x86_64", "-M", "pc", "-cpu", monitors.QEMU_CPU, "-accel", "tcg", "-m", "64", "-nodefaults",
            "-serial", "stdio", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
            "-kernel", str(kernel)]


def figures(started, status, name):
    """{operation: cycles}, and the share of the time that the process waited for a processor."""
    lines = monitors.stamped_lines(started, name, status)
    found = {}
    for line in lines:
        words = (line[3] or "").split()
        if words[:1] == ["FAIL"]:
            raise monitors.Failed(f"{name}: the guest found something wrong: {line[3]}")
        if words[:1] == ["NANO"] and len(words) == 3:
            found[words[1]] = float(words[2])
    if not found:
        raise monitors.Failed(f"{name}: the guest printed no figure")
    return found, lines[-1][2] / lines[-1][0]


def arguments():
    parser = command.parser("nanobench")
    parser.add_argument("--engine", default="translate", help="Eidolon's: translate (default) or step")
    return parser.parse_args()


def over_runs(runs, choose):
    """{monitor: {operation: what `choose` makes of the figures of all runs}}"""
    return {name: {row: choose(run[row] for run in found) for row in found[0]} for name, found in runs.items()}


def table(medians, lowest):
    """The medians, and beside each the lowest: on a busy machine the one that says more."""
    lines = [f"{'cycles':16}" + "".join(f"{name:>12}{'(lowest)':>12}" for name in medians)]
    for row in ROWS:
        cells = (figures[name].get(row) for name in medians for figures in (medians, lowest))
        lines.append(f"{row:16}" + "".join(f"{'-' if cell is None else f'{cell:.1f}':>12}" for cell in cells))
    return "\n".join(lines)


def main():
    options = arguments()
    kernel, native = build()
    commands = {"Eidolon": (eidolon(options.eidolon, options.engine, kernel), DEBUG_EXIT_OK),
                "TCG": (tcg(kernel), DEBUG_EXIT_OK), "native": ([str(native)], 0)}
    runs = {name: [] for name in commands}
    waits = {name: [] for name in commands}
    for turn in range(1, options.runs + 1):
        for name in command.in_turn(tuple(commands), turn):
            command.say(f"turn {turn} of {options.runs}: {name}")
            found, waited = figures(*commands[name], name)
            runs[name].append(found)
            waits[name].append(waited)
    medians, lowest = over_runs(runs, statistics.median), over_runs(runs, min)
    waited = report.longest(waits)
    print(f"cycles of the time-stamp counter for one operation; medians of {options.runs}, each the best of 5 in a row")
    print(table(medians, lowest))
    print(report.waited_line(waited))
    command.write_json(options.json, {"runs": options.runs, "cycles": medians, "lowest": lowest, "waited": waited})
    return 0


if __name__ == "__main__":
    command.run("nanobench", main)
