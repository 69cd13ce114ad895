"""Runs Eidolon, QEMU's TCG and the host in turn and reports. Started by bench/compare, which says the options."""
import subprocess

import command
import firmware
import guest
import monitors
import report


def arguments():
    parser = command.parser("compare")
    parser.add_argument("--percent", type=command.count, default=100, help="how much of each workload")
    parser.add_argument("--only", choices=["boot", "workloads", "firmware"])
    return parser.parse_args()


def start(options, initrd, name, append, *more):
    """The command line of one monitor; `more` is for ours."""
    line = f"{monitors.LINE} {append}".strip()
    if name == "eidolon":
        return monitors.eidolon(options.eidolon, initrd, line) + list(more)
    return monitors.tcg(initrd, line)


def boot(options, initrd, name):
    """Ours both ways: the kernel unpacked by the monitor, and unpacking itself, as it does under TCG."""
    found, waited = monitors.boot(start(options, initrd, name, ""), name)
    packed = found
    if name == "eidolon":
        packed, waited_too = monitors.boot(start(options, initrd, name, "", "--kernel-unpack", "guest"), name)
        waited = max(waited, waited_too)
    return found | {f"{row}, unpacking itself": value for row, value in packed.items()}, waited


def measure(options):
    """What was found by monitor, run by run: of starts, of workloads; and the parts of the time spent waiting."""
    initrd = guest.build()
    boots = {"eidolon": [], "tcg": []}
    works = {"eidolon": [], "tcg": [], "native": []}
    waits = {"eidolon": [], "tcg": [], "native": []}

    def add(to, name, measured):
        found, waited = measured
        to[name].append(found)
        waits[name].append(waited)

    for turn in range(1, options.runs + 1):
        head = f"turn {turn} of {options.runs}:"
        for name in command.in_turn(("eidolon", "tcg"), turn):
            if options.only in (None, "boot"):
                command.say(f"{head} {name}, boot")
                add(boots, name, boot(options, initrd, name))
            if options.only == "firmware":
                command.say(f"{head} {name}, from the reset vector")
                boots[name].append(firmware.starts(options.eidolon, name))
            if options.only in (None, "workloads"):
                command.say(f"{head} {name}, workloads")
                line = start(options, initrd, name, f"bench_percent={options.percent}")
                add(works, name, monitors.workloads(line, name))
        if options.only in (None, "workloads"):
            add(works, "native", monitors.native(options.percent))
    return boots, works, waits


def main():
    options = arguments()
    boots, works, waits = measure(options)
    rows = []
    if boots["eidolon"]:
        rows += report.entries(report.medians(boots["eidolon"]), report.medians(boots["tcg"]), {})
    if works["eidolon"]:
        rows += report.entries(*(report.medians(works[name]) for name in ("eidolon", "tcg", "native")))
    wrong = report.disagreements(works)
    waited = report.longest(waits)
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"medians of {options.runs}; {version}; lower is better, a ratio below 1 is faster than TCG")
    print(report.table(rows))
    if waited:
        print(report.waited_line(waited) +
              " (above a few per cent the machine was busy: only the processor column means much)")
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    command.write_json(options.json, {"qemu": version, "runs": options.runs, "percent": options.percent,
                                      "waited": waited, "rows": rows, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    command.run("compare", main)
