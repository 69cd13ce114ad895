"""Runs Eidolon, QEMU's TCG and the host in turn and reports. Started by bench/compare, which says the options."""
import argparse
import json
import pathlib
import subprocess
import sys

import firmware
import guest
import monitors
import report


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bench/compare")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--percent", type=int, default=100, help="how much of each workload")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--eidolon", default=str(guest.ROOT / "build" / "release" / "eidolon"))
    parser.add_argument("--only", choices=["boot", "workloads", "firmware"])
    options = parser.parse_args()
    if options.runs < 1 or options.percent < 1:
        parser.error("--runs and --percent take numbers from 1 on")
    return options


def main():
    options = arguments()
    initrd = guest.build()
    boots = {"eidolon": [], "tcg": []}
    works = {"eidolon": [], "tcg": [], "native": []}
    waits = {"eidolon": [], "tcg": [], "native": []}

    def command(name, append, *more):
        line = f"{monitors.LINE} {append}".strip()
        if name == "eidolon":
            return monitors.eidolon(options.eidolon, initrd, line) + list(more)
        return monitors.tcg(initrd, line)

    def boot(name):
        """Ours both ways: the kernel unpacked by the monitor, and unpacking itself, as it does under TCG."""
        found, waited = monitors.boot(command(name, ""), name)
        packed = found
        if name == "eidolon":
            packed, waited_too = monitors.boot(command(name, "", "--kernel-unpack", "guest"), name)
            waited = max(waited, waited_too)
        return found | {f"{row}, unpacking itself": value for row, value in packed.items()}, waited

    for turn in range(1, options.runs + 1):
        # The pair changes places from turn to turn, so that a drift of the machine favours neither.
        pair = ("eidolon", "tcg") if turn % 2 else ("tcg", "eidolon")
        for name in pair:
            if options.only in (None, "boot"):
                say(f"turn {turn} of {options.runs}: {name}, boot")
                found, waited = boot(name)
                boots[name].append(found)
                waits[name].append(waited)
            if options.only == "firmware":
                say(f"turn {turn} of {options.runs}: {name}, from the reset vector")
                boots[name].append(firmware.starts(options.eidolon, name))
            if options.only in (None, "workloads"):
                say(f"turn {turn} of {options.runs}: {name}, workloads")
                found, waited = monitors.workloads(command(name, f"bench_percent={options.percent}"), name)
                works[name].append(found)
                waits[name].append(waited)
        if options.only in (None, "workloads"):
            found, waited = monitors.native(options.percent)
            works["native"].append(found)
            waits["native"].append(waited)

    rows = []
    if boots["eidolon"]:
        rows += report.entries(report.medians(boots["eidolon"]), report.medians(boots["tcg"]), {})
    if works["eidolon"]:
        rows += report.entries(*(report.medians(works[name]) for name in ("eidolon", "tcg", "native")))
    wrong = report.disagreements(works)
    waited = {name: max(found) for name, found in waits.items() if found}
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"medians of {options.runs}; {version}; lower is better, a ratio below 1 is faster than TCG")
    print(report.table(rows))
    if waited:
        print("longest wait for a processor, in parts of the time: " +
              ", ".join(f"{name} {share:.0%}" for name, share in waited.items()) +
              " (above a few per cent the machine was busy: only the processor column means much)")
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    if options.json:
        options.json.write_text(json.dumps({"qemu": version, "runs": options.runs, "percent": options.percent,
                                            "waited": waited, "rows": rows, "wrong": wrong}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (monitors.Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"compare: {error}", file=sys.stderr)
        sys.exit(1)
