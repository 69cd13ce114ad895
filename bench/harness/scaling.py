"""One guest with more and more processors, all of which have the same work to do. Started by bench/scaling, which says the options."""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

import guest
import monitors


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bench/scaling")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--percent", type=int, default=20, help="how much of each workload")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="processors to compare with one (those of the host)")
    parser.add_argument("--overcommit", type=int, default=4, help="virtual processors for each of the host's, at the end; 1: none")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--eidolon", default=str(guest.ROOT / "build" / "release" / "eidolon"))
    options = parser.parse_args()
    if min(options.runs, options.percent, options.cpus, options.overcommit) < 1:
        parser.error("--runs, --percent, --cpus and --overcommit take numbers from 1 on")
    return options


def families():
    """{workload: family}, as the sources of the guest have them."""
    found = {}
    for family in ("compute", "memory", "vector", "kernel"):
        text = (guest.SOURCES / f"{family}.c").read_text()
        table = text[text.index(f"{family}_workloads[]"):]
        for line in table.splitlines():
            if line.strip().startswith("{\""):
                found[line.split('"')[1]] = family
    return found


def times(found):
    return {name: value[0] for name, value in found.items()}


def mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else float("nan")


def main():
    options = arguments()
    initrd = guest.build()
    family_of = families()
    counts = [1, options.cpus]
    if options.overcommit > 1:
        counts.append(options.cpus * options.overcommit)
    runs = {(name, count): [] for name in ("eidolon", "tcg", "native") for count in counts}

    for turn in range(1, options.runs + 1):
        for count in counts:
            line = f"{monitors.LINE} bench_percent={options.percent} bench_copies={count}"
            pair = ("eidolon", "tcg") if turn % 2 else ("tcg", "eidolon")
            for name in pair:
                say(f"turn {turn} of {options.runs}: {name}, {count} processor(s)")
                if name == "eidolon":
                    command = monitors.eidolon(options.eidolon, initrd, line) + ["--cpus", str(count)]
                else:
                    command = monitors.tcg(initrd, line) + ["-smp", str(count)]
                found, _ = monitors.workloads(command, name)
                runs[name, count].append(times(found))
            found, _ = monitors.native(options.percent, count)
            runs["native", count].append(times(found))

    def median(name, count, workload):
        values = sorted(run[workload] for run in runs[name, count] if workload in run)
        return values[len(values) // 2] if values else None

    def gain(name, workload, few, many):
        before, after = median(name, few, workload), median(name, many, workload)
        return before / after if before and after else None

    rows = []
    for few, many in zip(counts, counts[1:]):
        for family in ("compute", "memory", "vector", "kernel"):
            names = [workload for workload, of in family_of.items() if of == family]
            row = {"from": few, "to": many, "family": family}
            for name in ("eidolon", "tcg", "native"):
                gains = {workload: gain(name, workload, few, many) for workload in names}
                row[name] = mean([value for value in gains.values() if value])
                row[f"{name} each"] = {workload: value for workload, value in gains.items() if value}
            beside = [median("eidolon", many, workload) / median("tcg", many, workload) for workload in names
                      if median("eidolon", many, workload) and median("tcg", many, workload)]
            row["of tcg"] = mean(beside)
            rows.append(row)
    print(f"medians of {options.runs}; how many times the work is done in the same time (geometric means), higher is better;")
    print("and Eidolon's part of TCG's time with the larger number")
    print(f"{'processors':>12} {'family':<10}{'eidolon':>9}{'tcg':>9}{'native':>9}{'of tcg':>9}")
    for row in rows:
        print(f"{row['from']:>5} to {row['to']:>3} {row['family']:<10}{row['eidolon']:>9.2f}{row['tcg']:>9.2f}"
              f"{row['native']:>9.2f}{row['of tcg']:>9.2f}")
    if options.json:
        options.json.write_text(json.dumps({"runs": options.runs, "percent": options.percent, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (monitors.Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"scaling: {error}", file=sys.stderr)
        sys.exit(1)
