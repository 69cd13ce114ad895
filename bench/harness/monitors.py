"""The command lines of what is compared, and one run of them, stamped with the host's clock."""
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import guest

MEMORY = "512M"
# The fastest model of TCG that keeps AVX2: it is slow at what the four features make kernels do.
QEMU_CPU = "max,-erms,-fsrm,-la57,-pku,-pcid"
LINE = "console=ttyS0 quiet panic=-1 mitigations=off"
FIRST_LINE = "BENCH-INIT"
LIMIT = 900


class Failed(Exception):
    """A run that did not end as it should. Its text is a sentence for the user."""


def eidolon(program, initrd, append):
    return [program, "run", "--engine", "translate", "--kernel", str(guest.KERNEL), "--initrd", str(initrd), "--append",
            append, "--memory", MEMORY, "--no-reboot"]


def tcg(initrd, append):
    return ["qemu-system-x86_64", "-M", "pc", "-cpu", QEMU_CPU, "-accel", "tcg", "-m", MEMORY, "-nodefaults", "-serial",
            "stdio", "-display", "none", "-no-reboot", "-kernel", str(guest.KERNEL), "-initrd", str(initrd), "-append",
            append]


def processor_times(pid):
    """Seconds on a processor, and seconds ready but waiting for one, of all threads of a process."""
    ran = waited = 0
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            first, second = task.read_text().split()[:2]
        except (OSError, ValueError):
            continue  # the thread has ended
        ran += int(first)
        waited += int(second)
    return ran / 1e9, waited / 1e9


def stamped_lines(command, name, expected=0, look=processor_times, limit=LIMIT):
    """Runs the command and returns its lines as (wall, processor, waited, text), the end as a line None.

    `expected` is the exit status of a run that ended well; `look` is asked for the two in the middle. After
    `limit` seconds the run is ended, as one that hangs.
    """
    lines = []
    start = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                       start_new_session=True)
        except OSError as error:
            raise Failed(f"{name} cannot be started: {command[0]}: {error.strerror}") from error
        late = threading.Event()

        def end():
            late.set()
            process.kill()
        timer = threading.Timer(limit, end)
        timer.start()
        for raw in process.stdout:
            now = time.monotonic() - start
            lines.append((now, *look(process.pid), raw.decode(errors="replace").strip()))
        status = process.wait()
        timer.cancel()
        if status != expected:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            how = (f"did not end in {limit} s" if late.is_set() else
                   f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}")
            raise Failed(f"{name} {how} after {lines[-1][0] if lines else 0:.0f} s and {len(lines)} lines of the guest's"
                         + (f", the last '{lines[-1][3]}'" if lines else "")
                         + (f"; it said: {said[-1]}" if said else "; it said nothing"))
    lines.append((time.monotonic() - start, *(lines[-1][1:3] if lines else (0, 0)), None))
    return lines


def boot(command, name):
    """Launch to the first line of /init, and to the end: {row: (seconds, processor seconds)}."""
    lines = stamped_lines(command, name)
    first = next((line for line in lines if line[3] and FIRST_LINE in line[3]), None)
    if first is None:
        raise Failed(f"{name}: the guest did not reach /init")
    end = lines[-1]
    return {"boot to /init": first[:2], "boot to power-off": end[:2]}, end[2] / end[0]


def parse(lines, name):
    """{workload: (ns by the guest's clock, processor ns or None, checksum)}, and the share of time spent waiting.

    Processor time is that between the BEGIN and BENCH lines, spread over as many operations as the guest's own
    figure says; it hardly depends on what else the host does.
    """
    results = {}
    began = None
    for line in lines:
        words = (line[3] or "").split()
        if words[:1] == ["BEGIN"] and len(words) == 2:
            began = (words[1], line)
        if words[:1] != ["BENCH"] or len(words) != 4:
            continue
        if words[2] == "failed":
            raise Failed(f"{name}: the workload {words[1]} failed ({words[3]})")
        ns = float(words[2])
        processor = None
        if began and began[0] == words[1]:
            wall, ran = line[0] - began[1][0], line[1] - began[1][1]
            processor = ns * ran / wall if wall > 0.005 and ran > 0 else None
        results[words[1]] = (ns, processor, words[3])
    if not any(line[3] == "BENCH-END" for line in lines):
        raise Failed(f"{name}: the workloads did not come to their end; the last was {list(results)[-1:]}")
    end = lines[-1]
    return results, end[2] / end[0]


def workloads(command, name):
    return parse(stamped_lines(command, name), name)


def native(percent, copies=1):
    directory = tempfile.mkdtemp(dir=guest.OUTPUT)
    try:
        tree = guest.OUTPUT / "tree" / "bin"
        return workloads([str(tree / "workloads"), directory, str(tree / "busybox"), str(percent),
                          str(copies)], "native")
    finally:
        shutil.rmtree(directory)
