"""A gateway and where it lives: its secrets (all canaries), callers, configuration, state, log; and its operator."""

import contextlib
import http.client
import os
import re
import secrets as chance
import socket
import subprocess
import time

import canary
import stage

READY_WITHIN = 10
ENDS_WITHIN = 30
BEFORE = '[server]\nadmin_token = { file = "secrets/admin" }\n'  # What each configuration begins with.
LINES_BEFORE = BEFORE.count("\n")
# One upstream, at which requests for the model `held` wait for each other.
ONE_HELD = """[[upstream]]
name = "main"
provider = "openai"
base_url = "{url}/v1"
api_key = {{ file = "secrets/main" }}
[[quota]]
account = "main"
models = ["held"]
in_flight = 1
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class House:
    """The folder of one gateway. What is secret stands below `secrets`, and nowhere else."""

    def __init__(self, stage_, name):
        self.stage, self.folder = stage_, stage_.case(name)
        (self.folder / "secrets").mkdir(mode=0o700)
        self.port, self.admin_port = free_port(), free_port()
        self.secrets, self.callers, self.heard = [], {}, set()
        self.prompt = self._new("prompt")
        self.token = self.secret("admin")

    def _new(self, kind):
        self.secrets.append(f"sk-canary-{kind}-{chance.token_hex(12)}")
        return self.secrets[-1]

    def secret(self, name):
        """A new one in a file of this name."""
        text = self._new(name)
        with open(self.folder / "secrets" / name, "w", opener=lambda path, how: os.open(path, how, 0o600)) as file:
            file.write(text)
        return text

    def caller(self, name, more=""):
        """A new caller's block for the configuration; its key is in `callers`."""
        made = subprocess.run([self.stage.binary, "keys", "new", "--name", name], capture_output=True, text=True, check=True)
        self.callers[name] = made.stdout.strip()
        self.secrets.append(self.callers[name])
        return made.stderr.split("\n\n", 1)[1].strip() + f"\n{more}\n"

    def configure(self, text):
        """Replaces the configuration as careful people do: nobody reads half of it."""
        fresh = self.folder / "paceline.toml.new"
        # Bytes that are no text stand for themselves.
        fresh.write_bytes((BEFORE + text).encode(errors="surrogateescape"))
        os.replace(fresh, self.folder / "paceline.toml")

    def hear(self, answer):
        """Keeps what a caller was told, for the canaries."""
        if len(self.heard) < 10_000:
            self.heard.add(f"{answer.status} {answer.headers} {answer.body if answer.status != 200 else ''}")

    def log(self):
        return (self.folder / "said.log").read_text(errors="replace")

    def judge(self):
        """What must hold of everything that was written and told. Ends with the house."""
        (self.folder / "heard.txt").write_text("\n".join(sorted(self.heard)))
        leaks = canary.hits(self.folder, self.secrets)
        self.stage.tally.check(self.folder, not leaks, f"canaries got out: {'; '.join(leaks[:5])}")
        panics = [line for line in self.log().splitlines() if "panicked" in line]
        self.stage.tally.check(self.folder, not panics, f"panics: {'; '.join(panics[:3])}")


class Gateway:
    """`paceline serve` as a process."""

    def __init__(self, house, listener=None):
        self.house, self.begun = house, time.monotonic()
        command = [str(house.stage.binary), "serve", "--config", "paceline.toml", "--state", "state"]
        command += ["--listen", f"127.0.0.1:{house.port}", "--admin", f"127.0.0.1:{house.admin_port}"]
        command += ["--log", "json", "--log-level", "debug"]
        if listener is not None:  # As systemd hands one over.
            command = ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@" 3<&0 </dev/null', *command]
        with open(house.folder / "said.log", "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=house.folder, stdin=listener or subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )

    def wait_until_ready(self):
        """Seconds from its start to being ready."""
        while time.monotonic() - self.begun < READY_WITHIN:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.look("/readyz")[0] == 200:
                    return time.monotonic() - self.begun
            if self.process.poll() is not None:
                break
            time.sleep(0.001)
        raise stage.Trouble(f"the gateway does not get ready: {self.house.log()[-800:]}")

    def look(self, path, method="GET"):
        """What the operator sees: status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.house.admin_port, timeout=5)
        try:
            connection.request(method, path, headers={"authorization": f"Bearer {self.house.token}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Every sample by its name and labels."""
        page = self.look("/metrics")[1]
        (self.house.folder / "metrics.txt").write_text(page)
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", page, re.MULTILINE)}

    def gauges(self):
        """Requests waiting, attempts in flight."""
        seen = self.metrics()
        waiting = sum(value for name, value in seen.items() if name.startswith("paceline_waiting{"))
        return int(waiting), int(seen["paceline_in_flight"])

    def descriptors(self):
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except PermissionError:
            raise stage.Trouble("the gateway hides its descriptors from all but root: run this as root") from None

    def resident(self):
        """Its memory in MiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024

    def send_signal(self, signal):
        self.process.send_signal(signal)

    def wait(self):
        """Its exit status; a negative one names the signal that ended it."""
        try:
            return self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise stage.Trouble(f"the gateway does not end within {ENDS_WITHIN} s") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.wait()


def environment():
    """Nothing of the user's."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "NO_COLOR": "1"}


def eventually(holds, within):
    """Whether it comes to hold, and after how many seconds."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > within:
            return None
        time.sleep(0.01)
    return time.monotonic() - begun


def quantile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def millis(seconds):
    return f"{seconds * 1000:.1f} ms"
