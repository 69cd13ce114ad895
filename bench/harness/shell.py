"""A guest with a shell on its serial port, as a process whose text can be waited for."""
import os
import subprocess

PROMPT = b"eidolon:/root# "


class Guest:
    def __init__(self, arguments):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.seen = b""

    def wait_for(self, text):
        while text not in self.seen:
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                raise SystemExit(f"the guest ended: {self.seen[-400:]!r}")
            self.seen += part
        self.seen = self.seen.split(text, 1)[1]

    def type(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()
