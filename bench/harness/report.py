"""The table of a comparison, and the same as JSON."""
import math
import statistics


def medians(runs):
    """[{row: (wall, processor, ...)}] -> {row: (median wall, median processor or None)}"""
    rows = {}
    for row in runs[0]:
        walls = [run[row][0] for run in runs if row in run]
        processors = [run[row][1] for run in runs if row in run and run[row][1] is not None]
        rows[row] = (statistics.median(walls), statistics.median(processors) if processors else None)
    return rows


def disagreements(by_name):
    """Sentences about workloads that did not run under both monitors, or whose checksums are not all the same."""
    sums = {}
    for name, runs in by_name.items():
        for run in runs:
            for row, (_, _, checksum) in run.items():
                sums.setdefault(row, {}).setdefault(checksum, set()).add(name)
    missing = [f"{row}: ran under {name} but not under {other}" for name, other in (("eidolon", "tcg"), ("tcg", "eidolon"))
               for row in sums if by_name[name] and row in by_name[name][0] and row not in by_name[other][0]]
    return missing + [f"{row}: checksums differ: " + ", ".join(f"{s} ({'/'.join(sorted(n))})" for s, n in found.items())
            for row, found in sums.items() if len(found) > 1]


def ratio(a, b):
    return a / b if a and b else None


def mean(values):
    """The geometric one; of nothing it is not a number."""
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def longest(waits):
    """{monitor: [part of the time spent waiting for a processor]} -> {monitor: the largest}"""
    return {name: max(found) for name, found in waits.items() if found}


def waited_line(waited):
    return "longest wait for a processor, in parts of the time: " + ", ".join(
        f"{name} {share:.0%}" for name, share in waited.items())


def entries(eidolon, tcg, native):
    result = []
    for row in eidolon:
        if row not in tcg:
            continue
        (wall, ran), (tcg_wall, tcg_ran) = eidolon[row], tcg[row]
        host = native[row][0] if row in native else None
        result.append({"name": row, "unit": "s" if row.startswith("boot ") else "ns", "eidolon": wall, "tcg": tcg_wall,
                       "native": host, "to_tcg": ratio(wall, tcg_wall), "to_tcg_processor": ratio(ran, tcg_ran),
                       "to_native": ratio(wall, host)})
    return result


def show(value, form="{:.2f}"):
    return "-" if value is None else form.format(value)


def number(value):
    return "-" if value is None else f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def table(rows):
    lines = [f"{'':20} {'unit':4} {'native':>13} {'Eidolon':>13} {'TCG':>13} {'Eidolon/TCG':>12} {'(processor)':>12} "
             f"{'Eidolon/native':>15}"]
    for row in rows:
        lines.append(f"{row['name']:20} {row['unit']:4} {number(row['native']):>13} {number(row['eidolon']):>13} "
                     f"{number(row['tcg']):>13} {show(row['to_tcg']):>12} {show(row['to_tcg_processor']):>12} "
                     f"{show(row['to_native'], '{:.1f}'):>15}")
    for key, label in (("to_tcg", "wall"), ("to_tcg_processor", "processor")):
        ratios = [row[key] for row in rows if row[key] and row["unit"] == "ns"]
        if ratios:
            lines.append(f"geometric mean of Eidolon/TCG over {len(ratios)} workloads ({label} time): {mean(ratios):.2f}")
    return "\n".join(lines)
