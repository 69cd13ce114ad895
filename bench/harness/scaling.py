"""One guest with more and more processors, all of which have the same work to do. Started by bench/scaling, which says the options."""
import os

import command
import guest
import monitors
import report

MONITORS = ("eidolon", "tcg", "native")
FAMILIES = ("compute", "memory", "vector", "kernel")


def arguments():
    parser = command.parser("scaling")
    parser.add_argument("--percent", type=command.count, default=20, help="how much of each workload")
    parser.add_argument("--cpus", type=command.count, default=os.cpu_count(),
                        help="processors to compare with one (those of the host)")
    parser.add_argument("--overcommit", type=command.count, default=4,
                        help="virtual processors for each of the host's, at the end; 1: none")
    return parser.parse_args()


def workloads_of(family):
    """The names in the family's table, as the source of the guest has it."""
    text = (guest.SOURCES / f"{family}.c").read_text()
    table = text[text.index(f"{family}_workloads[]"):]
    return [entry.split('"')[0] for entry in table.split("{\"")[1:]]


def measure(options, counts):
    """{(monitor, processors): {workload: its median time}}"""
    initrd = guest.build()
    runs = {(name, count): [] for name in MONITORS for count in counts}
    for turn in range(1, options.runs + 1):
        for count in counts:
            line = f"{monitors.LINE} bench_percent={options.percent} bench_copies={count}"
            commands = {"eidolon": monitors.eidolon(options.eidolon, initrd, line) + ["--cpus", str(count)],
                        "tcg": monitors.tcg(initrd, line) + ["-smp", str(count)]}
            for name in command.in_turn(tuple(commands), turn):
                command.say(f"turn {turn} of {options.runs}: {name}, {count} processor(s)")
                runs[name, count].append(monitors.workloads(commands[name], name)[0])
            runs["native", count].append(monitors.native(options.percent, count)[0])
    return {of: {workload: wall for workload, (wall, _) in report.medians(found).items()} for of, found in runs.items()}


def ratios(before, after, names):
    """{workload: before / after}, of those that both have."""
    found = {name: report.ratio(before.get(name), after.get(name)) for name in names}
    return {name: value for name, value in found.items() if value}


def entry(medians, few, many, family):
    names = workloads_of(family)
    row = {"from": few, "to": many, "family": family}
    for name in MONITORS:
        gains = ratios(medians[name, few], medians[name, many], names)
        row |= {name: report.mean(gains.values()), f"{name} each": gains}
    row["of tcg"] = report.mean(ratios(medians["eidolon", many], medians["tcg", many], names).values())
    return row


def table(rows):
    columns = (*MONITORS, "of tcg")
    lines = [f"{'processors':>12} {'family':<10}" + "".join(f"{column:>9}" for column in columns)]
    for row in rows:
        lines.append(f"{row['from']:>5} to {row['to']:>3} {row['family']:<10}" +
                     "".join(f"{row[column]:>9.2f}" for column in columns))
    return "\n".join(lines)


def main():
    options = arguments()
    counts = [1, options.cpus]
    if options.overcommit > 1:
        counts.append(options.cpus * options.overcommit)
    medians = measure(options, counts)
    rows = [entry(medians, few, many, family) for few, many in zip(counts, counts[1:]) for family in FAMILIES]
    print(f"medians of {options.runs}; how many times the work is done in the same time (geometric means), higher is better;")
    print("and Eidolon's part of TCG's time with the larger number")
    print(table(rows))
    command.write_json(options.json, {"runs": options.runs, "percent": options.percent, "rows": rows})
    return 0


if __name__ == "__main__":
    command.run("scaling", main)
