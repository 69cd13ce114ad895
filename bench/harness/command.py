"""What the commands of bench/ have in common: options, the turns that they take, and how they end."""
import argparse
import json
import pathlib
import subprocess
import sys

import guest
import monitors


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def count(text):
    """Of an option's value: a number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a number from 1 on, not '{text}'")
    return int(text)


def parser(name):
    """With the options that every command has; the caller adds its own."""
    options = argparse.ArgumentParser(prog=f"bench/{name}")
    options.add_argument("--runs", type=count, default=3)
    options.add_argument("--json", type=pathlib.Path)
    options.add_argument("--eidolon", default=str(guest.ROOT / "build" / "release" / "eidolon"))
    return options


def in_turn(names, turn):
    """The names in an order that changes from turn to turn, so that a drift of the machine favours nobody."""
    return list(names) if turn % 2 else list(reversed(names))


def write_json(path, found):
    """Where --json says, if it was given."""
    if path:
        path.write_text(json.dumps(found, indent=1) + "\n")


def run(name, main):
    """Ends the process with what `main` returns, or with one sentence."""
    try:
        sys.exit(main())
    except (monitors.Failed, OSError, subprocess.CalledProcessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
