"""Those who are measured: how each is had, started and addressed. All run with as little to do as their settings allow."""

import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time
import urllib.parse

import processes
from processes import Trouble

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PEERS = TARGET / "bench-peers"
WORK = TARGET / "bench"
KEY = "sk-5bc0e7d1f24a4e0c93"  # As in src/load/request.rs.
PORTKEY = "@portkey-ai/gateway@1.15.2"
PORTKEY_SERVER = "@hono/node-server@1.14.1"  # With newer ones every stream of that gateway fails: its issue 1389.
MODEL = "bench-chat"
MODELS = (MODEL, "bench-stream-50-0", "bench-stream-50-5", "*")
START_SECONDS = 180


@dataclasses.dataclass
class Running:
    """A party that answers."""

    url: str
    headers: list
    process: subprocess.Popen | None = None
    pid: int | None = None
    started_seconds: float | None = None
    checked: bool = False

    def stop(self):
        if self.process:
            processes.stop(self.process)


def cargo(package, binary):
    """Builds a binary of this repository."""
    command = ["cargo", "build", "--release", "--quiet", "--locked", "-p", package]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Trouble(f"`{' '.join(command)}` failed")
    return TARGET / "release" / binary


def fill(template, name, **values):
    """A settings file of a peer with what is particular to this run."""
    text = (HERE / "peers" / template).read_text()
    for key, value in values.items():
        text = text.replace("{" + key + "}", str(value))
    (WORK / name).mkdir(parents=True, exist_ok=True)
    path = WORK / name / template
    path.write_text(text)
    return path


def install(folder, wanted, *commands):
    """Runs `commands` unless exactly `wanted` is installed in `folder` already."""
    stamp, wanted = folder / ".installed", hashlib.sha256(wanted.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in commands:
        command = [str(word) for word in command]
        print(f"installing: {' '.join(command)}", file=sys.stderr)
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            raise Trouble(f"`{' '.join(command)}` failed; leave the peer out with --only, or install it yourself")
    stamp.write_text(wanted)


def answers(url, headers):
    """Whether one request gets a right answer; what is said instead, if not."""
    parts = urllib.parse.urlsplit(url)
    body = json.dumps({"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
    sent = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    sent.update(header.split(": ", 1) for header in headers)
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=20)
    try:
        connection.request("POST", f"{parts.path.rstrip('/')}/v1/chat/completions", body, sent)
        response = connection.getresponse()
        said = response.read().decode(errors="replace")
    except OSError as error:
        return False, str(error)
    except http.client.HTTPException as error:
        return False, repr(error)
    finally:
        connection.close()
    return response.status == 200 and "tok-0@" in said, f"status {response.status}: {said[:300]}"


class Party:
    """Somebody who is measured. Those that we start say by which command."""

    name = ""
    headers = ()
    environment = {}
    checked = False  # Whether its sockets are looked at: ours must not hold small writes back.

    def prepare(self):
        """Makes sure that it can be started; returns its version."""
        return ""

    def command(self, upstream, port):
        raise NotImplementedError

    def request_headers(self, upstream):
        return list(self.headers)

    def start(self, upstream):
        """Starts it in front of `upstream` (`host:port`) and waits for its first answer."""
        port = processes.free_port()
        log = WORK / f"{self.name}.log"
        command = [str(word) for word in self.command(upstream, port)]
        began = time.monotonic()
        process = processes.start(command, log, env={**os.environ, **self.environment}, cwd=WORK)
        running = Running(f"http://127.0.0.1:{port}", self.request_headers(upstream), process, process.pid, checked=self.checked)
        while True:
            right, said = answers(running.url, running.headers)
            running.started_seconds = time.monotonic() - began
            if right:
                return running
            if process.poll() is not None or running.started_seconds > START_SECONDS:
                running.stop()
                raise Trouble(f"{self.name} does not answer ({said}); see {log}")
            time.sleep(0.002)


class Direct(Party):
    name = "direct"

    def start(self, upstream):
        return Running(f"http://{upstream}", [])


class Nginx(Party):
    name = "nginx"

    def prepare(self):
        if not shutil.which("nginx"):
            install_command = ["apt-get", "install", "-y", "--no-install-recommends", "nginx-light"]
            if os.geteuid() or subprocess.run(install_command, stdout=subprocess.DEVNULL, check=False).returncode:
                raise Trouble(f"nginx is missing; install it with: {' '.join(install_command)}")
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
        return said.rpartition("/")[2].strip()

    def command(self, upstream, port):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if most == resource.RLIM_INFINITY:
            most = 1 << 20
        values = {"port": port, "upstream": upstream, "descriptors": most, "connections": 16384}
        config = fill("nginx.conf", self.name, folder=WORK / self.name, **values)
        return ["nginx", "-p", WORK / self.name, "-c", config, "-e", "stderr"]


class Floor(Party):
    name = "floor"
    checked = True

    def prepare(self):
        self.binary = cargo("paceline-bench", "paceline-bench")
        return ""

    def command(self, upstream, port):
        return [self.binary, "floor", "--listen", f"127.0.0.1:{port}", "--upstream", upstream]


class Paceline(Party):
    name = "paceline"
    checked = True
    environment = {"BENCH_KEY": KEY}

    def prepare(self):
        named = os.environ.get("PACELINE_BIN")
        self.binary = pathlib.Path(named).resolve() if named else cargo("paceline-cli", "paceline")
        said = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout
        return said.split()[-1]

    def command(self, upstream, port):
        values = {"port": port, "admin": processes.free_port(), "upstream": upstream}
        config = fill("paceline.toml", self.name, **values)
        state = config.parent / "state"
        shutil.rmtree(state, ignore_errors=True)  # Each start knows as little as the others do.
        return [self.binary, "serve", "--config", config, "--state", state]


class LiteLlm(Party):
    name = "litellm"
    # Without the last one it fetches a list of prices at every start.
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

    def prepare(self):
        folder, wanted = PEERS / "litellm", HERE / "peers" / "litellm.txt"
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", wanted]
        install(folder, wanted.read_text(), [sys.executable, "-m", "venv", folder], pip)
        return next(line.partition("==")[2] for line in wanted.read_text().splitlines() if line.startswith("litellm["))

    def command(self, upstream, port):
        lines = [
            f"  - {{model_name: '{model}', litellm_params: {{model: 'openai/{model}', "
            f"api_base: 'http://{upstream}/v1', api_key: {KEY}}}}}"
            for model in MODELS
        ]
        config = fill("litellm.yaml", self.name, models="\n".join(lines))
        command = [PEERS / "litellm/bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", port]
        return [*command, "--log_config", HERE / "peers" / "litellm-log.json"]


class Portkey(Party):
    name = "portkey"

    def prepare(self):
        if not shutil.which("npm"):
            raise Trouble("npm is missing; install it with: apt-get install npm")
        folder = PEERS / "portkey"
        npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--legacy-peer-deps"]
        install(folder, PORTKEY + PORTKEY_SERVER, [*npm, "--prefix", folder, PORTKEY, PORTKEY_SERVER])
        return PORTKEY.rpartition("@")[2]

    def command(self, upstream, port):
        script = PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
        return ["node", script, "--headless", f"--port={port}"]

    def request_headers(self, upstream):
        return ["x-portkey-provider: openai", f"x-portkey-custom-host: http://{upstream}/v1"]


class Given(Party):
    """A gateway that somebody else started in front of our upstream."""

    def __init__(self, name, url, headers):
        self.name, self.url, self.headers = name, url, headers

    def start(self, upstream):
        right, said = answers(self.url, self.headers)
        if not right:
            raise Trouble(f"{self.name} at {self.url} does not pass our upstream's answer on ({said})")
        parts = urllib.parse.urlsplit(self.url)
        here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        return Running(self.url, list(self.headers), pid=processes.listener(parts.port or 80) if here else None)


OURS = (Direct, Nginx, Floor, Paceline, LiteLlm, Portkey)
