"""The other side of every client: `paceline mock`, and `paceline serve` in front of it, on ports of their own.

Programs are started in a folder of their own with an environment that holds nothing of the user's, and are stopped by
their handle alone.
"""

import json
import os
import socket
import subprocess
import time
import urllib.request

# Keys nobody took out; the mock accepts any.
OPENAI_KEY = "sk-check-of-clients"
ANTHROPIC_KEY = "sk-ant-check-of-clients"
READY_WITHIN = 20


class Failed(Exception):
    """What the user reads when something cannot go on."""


def target():
    return os.path.abspath(os.environ.get("CARGO_TARGET_DIR", "target"))


def paceline():
    """The binary: the one that PACELINE_BIN names, or one built now."""
    named = os.environ.get("PACELINE_BIN")
    if named:
        return named
    build = ["cargo", "build", "--quiet", "--locked", "-p", "paceline-cli"]
    if subprocess.run(build).returncode:
        raise Failed(f"cannot build paceline: {' '.join(build)}")
    return os.path.join(target(), "debug", "paceline")


def clean_environment(home, **more):
    """Nothing but where programs are, a home that is empty, and what is given."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Party:
    """A server of ours that runs until `stop`."""

    def __init__(self, name, command, folder):
        self.name, self.folder = name, folder
        self.log_path = os.path.join(folder, f"{name}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=clean_environment(folder)
            )

    def wait_until_ready(self, url):
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        raise Failed(f"{self.name} does not serve at {url}:\n{self.said()}")

    def said(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Mock(Party):
    """`paceline mock` with these flags; `calls` is what it saw."""

    def __init__(self, binary, folder, *flags):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.calls_path = os.path.join(folder, "calls.jsonl")
        where = ["--listen", self.url.removeprefix("http://"), "--log", self.calls_path]
        super().__init__("mock", [binary, "mock", *where, *flags], folder)
        self.wait_until_ready(self.url)

    def calls(self):
        if not os.path.exists(self.calls_path):
            return []
        with open(self.calls_path, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]


class Gateway(Party):
    """`paceline serve` in front of one upstream that speaks both dialects; every caller brings its own key."""

    def __init__(self, binary, folder, upstream, name="gateway"):
        where = f"127.0.0.1:{free_port()}"
        self.url = f"http://{where}"
        to = ["--base-url", f"anthropic={upstream}", "--base-url", f"openai={upstream}/v1"]
        command = [binary, "serve", "--listen", where, "--admin", "none", "--state", "none", *to]
        super().__init__(name, command, folder)
        self.wait_until_ready(self.url)
