"""The guest that is measured: our workloads and busybox in an initramfs, beside the kernel of ./quickstart."""
import gzip
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "bench" / "guest"
OUTPUT = ROOT / "cache" / "bench"
KERNEL = ROOT / "cache" / "guest" / "vmlinuz"
# No loop may become a call of the C library behind our back: then something else would be measured.
FLAGS = ["-O2", "-static", "-Wall", "-Wextra", "-Werror", "-fno-tree-loop-distribute-patterns"]


def pack(tree):
    """The files below `tree` as an uncompressed cpio archive."""
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    return subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, check=True,
                          input="\n".join(names).encode(), stdout=subprocess.PIPE).stdout


def extract_busybox(to):
    """busybox as the guest of ./quickstart has it, so that host and guest run the same file."""
    archive = gzip.decompress((ROOT / "cache" / "guest" / "initrd").read_bytes())
    subprocess.run(["cpio", "-id", "--quiet", "--no-absolute-filenames", "bin/busybox", "./bin/busybox"], cwd=to,
                   check=True, input=archive)


def build():
    """Makes the guest and returns the path of its initramfs."""
    tree = OUTPUT / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for directory in ("bin", "dev", "proc", "tmp"):
        (tree / directory).mkdir(parents=True)
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    subprocess.run(["gcc", *FLAGS, "-o", str(tree / "bin" / "workloads"), *sources], check=True)
    extract_busybox(tree)
    (tree / "bin" / "sh").symlink_to("busybox")
    shutil.copy(SOURCES / "init", tree / "init")
    initrd = OUTPUT / "initrd"
    initrd.write_bytes(pack(tree))
    return initrd
