"""kill -9 of a gateway that records usage: what its ledger says against the mock's call log, to the token and to the micro-dollar.

What can be equal after a kill: a row that says it knows (`in_doubt = 0`) is exactly one call of the log. Of what was under
way at a kill nobody knows; where requests are on record before they go out ("ahead", as budgets need it), each call of the
log has its row all the same, so that the truth lies between what the ledger knows and what it charges. Without that
("behind") rows of the last window may be missing, and no others.
"""

import asyncio
import contextlib
import dataclasses
import json
import re
import sqlite3
import subprocess
import time

import stage

MOST_PER_KILL = 2_000  # Requests; a slice has fewer.
CALLERS = 48  # Connections, each with one request at a time.
CANCELED, STREAMED = 0.02, 0.2
WINDOW = 0.05  # Seconds, as `paceline_usage::WINDOW` says.
COMMIT = 0.25  # A commit on a busy disk takes no longer.
SPEED = 40  # The mock's clock against ours.
INPUT, CACHED, OUTPUT = 150_000, 75_000, 600_000  # gpt-4o-mini, in millionths of a micro-dollar per token.
FAULTS = "".join(
    f'[[rule]]\nfault = "{fault}"\nprobability = 0.004\n'
    for fault in ("server-error", "reset-before-headers", "reset", "cut", "truncate", "garbage", "error-in-200")
)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A ledger from its beginning to its end."""

    name: str
    kills: int
    per_kill: int
    budget: int | None  # Micro-dollars a day.

    @property
    def ahead(self):
        return self.budget is not None

    @property
    def recording(self):
        """As the configuration says it."""
        budget = f'budget = "{self.budget / 1e6:.6f} USD/day"' if self.ahead else ""
        return f'[usage]\nfile = "usage.db"\n{budget}'


def sweep(stage_):
    per_kill = min(MOST_PER_KILL, 100 * stage_.times)
    tight = max(1, stage_.times // 10)
    behind = (stage_.times - tight) // 2
    expected = (tight + 1) * per_kill * 8
    scenes = [
        Scene("behind", behind, per_kill, None),
        Scene("ahead", stage_.times - tight - behind, per_kill, 10**12),
        Scene("tight budget", tight, per_kill, expected // 3),
    ]
    figures = stage_.tally.figures
    for scene in scenes:
        folder = stage_.case(scene.name.replace(" ", "-"))
        violations = judge(scene, *play(stage_, scene, folder), figures)
        stage_.tally.judge(folder, [f"{scene.name}: {text}" for text in violations])


def play(stage_, scene, folder):
    """All sessions of a scene: the rows, the calls, when each session began, and how many requests were refused."""
    names = [f"{scene.name.replace(' ', '-')}-{number}" for number in range(scene.kills + 1)]
    caller, begun, refused = Caller(stage_.binary), [], 0
    with stage_.mock(folder.name, names, SPEED, FAULTS) as mock:
        for number, name in enumerate(names):
            chance = stage_.chance(name)
            begun.append(time.time() * 1000)
            last = number == scene.kills
            spread = 0 if last else chance.randint(-scene.per_kill // 2, scene.per_kill // 2)
            with gateway(stage_, folder, name, mock.url, caller, scene.recording) as process:
                load = Load(process, caller, name, scene.per_kill + spread, chance, not last)
                asyncio.run(load.run())
                refused += load.refused
    return rows(folder / "usage.db"), mock.calls(), dict(zip(names, begun, strict=True)), refused


@contextlib.contextmanager
def gateway(stage_, folder, name, url, caller, recording):
    """A gateway that sends with the session's own key. Ended in order, if it still lives."""
    config = folder / "paceline.toml"
    config.write_text(
        f"""
        [server]
        admin = "none"
        [[upstream]]
        name = "mock"
        provider = "openai"
        base_url = "{url}/v1"
        api_key = {{ env = "OPENAI_API_KEY" }}
        [[quota]]
        account = "mock"
        requests = "100M/min"
        [[caller]]
        name = "ci"
        key_hash = "{caller.hash}"
        {recording}
        """
    )
    command = [stage_.binary, "serve", "--config", config, "--listen", "127.0.0.1:0", "--state", folder / "state"]
    with open(folder / f"{name}.said", "w") as said:
        process = subprocess.Popen(command, env=stage.environment(name), stdout=subprocess.PIPE, stderr=said, text=True)
        process.url = process.stdout.readline().strip()
        try:
            if not process.url:
                raise stage.Trouble(f"the gateway does not start: {(folder / f'{name}.said').read_text()}")
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(stage.LIMIT_SECONDS)
            process.stdout.close()


class Caller:
    """A key of the gateway's, and its hash."""

    def __init__(self, binary):
        said = subprocess.run([binary, "keys", "new", "--name", "ci"], capture_output=True, text=True)
        self.key = re.search(r"pl-\S+", said.stdout)[0]
        self.hash = re.search(r'key_hash = "(\w+)"', said.stdout + said.stderr)[1]


class Load:
    """Callers of one session, and its end."""

    def __init__(self, process, caller, name, requests, chance, kills, canceled=CANCELED):
        self.canceled = canceled
        host, port = process.url.removeprefix("http://").split(":")
        self.address, self.process, self.key, self.kills = (host, int(port)), process, caller.key, kills
        self.name, self.requests, self.chance = name, requests, chance
        self.started = self.refused = 0

    async def run(self):
        async with asyncio.timeout(stage.LIMIT_SECONDS):
            await asyncio.gather(*(self.call() for _ in range(CALLERS)))

    async def call(self):
        """One caller: request after request, on a new connection when one has broken."""
        while self.started < self.requests:
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError:
                return  # It was killed.
            with contextlib.suppress(OSError, EOFError, ValueError):
                while self.started < self.requests and await self.one(reader, writer):
                    pass
            writer.close()

    async def one(self, reader, writer):
        """One request; false when its caller has left."""
        self.started += 1
        if self.started == self.requests and self.kills:
            self.process.kill()
        streams = self.chance.random() < STREAMED
        text = f"Question {self.started} of {self.name}"
        body = json.dumps(json.loads(stage.body(text)) | {"stream": streams})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if self.chance.random() < self.canceled:
            await asyncio.sleep(self.chance.uniform(0, 0.03))
            return False
        status = await whole(reader)
        self.refused += status == 429
        return True


async def whole(reader):
    """Reads an answer to its end: its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = head.split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
    return int(head.split()[1])


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        ledger.row_factory = sqlite3.Row
        return ledger.execute("SELECT * FROM request").fetchall()


def cost(inputs, cached, outputs):
    """In micro-dollars, rounded up."""
    return -(-(inputs * INPUT + cached * CACHED + outputs * OUTPUT) // 1_000_000)


def judge(scene, rows_, calls, begun, refused, figures):
    """What is wrong; and the figures of the scene."""
    known = [row for row in rows_ if row["finish"] == "done" and not row["in_doubt"]]
    exchanges = {row["exchange"] for row in known}
    # A fault may cut a stream off behind its last word: what it has told by then is all.
    whole_ = [call for call in calls if call["outcome"] == "completed" or (call["fault"] and call["id"] in exchanges)]
    completed = {call["id"]: call for call in whole_}
    violations = [text for row in known for text in differences(row, completed)]
    if len(exchanges) != len(known):
        violations.append(f"{len(known) - len(exchanges)} calls have two rows")
    sent = [row for row in rows_ if row["attempts"] or row["in_doubt"]]
    starts = [*begun.values(), float("inf")]
    lost = 0
    for (name, start), end in zip(begun.items(), starts[1:], strict=True):
        own = [call for call in calls if call["organization"] == name]
        recorded = sum(start <= row["begun_ms"] < end for row in sent)
        missing = len({call["marker"] for call in own}) - recorded
        lost += max(0, missing)
        if missing > last_window(scene, own, name == list(begun)[-1]):
            violations.append(f"{name}: {missing} requests have no row")
    truth = sum(cost(call["prompt_tokens"], 0, call["output_tokens"]) for call in completed.values())
    known_cost = sum(row["cost_micros"] or 0 for row in known)
    left = [call for name, call in completed.items() if name not in exchanges]
    unknown = sum(cost(call["prompt_tokens"], 0, call["output_tokens"]) for call in left)
    charged = sum(row["charged_micros"] or 0 for row in rows_)
    if known_cost + unknown != truth:
        violations.append(f"the ledger knows {known_cost} and {unknown} are in doubt or lost, which makes no {truth}")
    if scene.ahead and not known_cost <= truth <= charged:
        violations.append(f"{truth} is not between {known_cost} and {charged}")
    overshoot = truth - scene.budget if scene.ahead else 0
    if scene.ahead and overshoot > CALLERS * cost(40, 0, 12):
        violations.append(f"the budget of {scene.budget} is overshot by {overshoot}")
    figures[f"{scene.name}: kills"] = f"{scene.kills}, rows {len(rows_)}, calls {len(calls)}, completed {len(completed)}"
    figures[f"{scene.name}: equal to the token and micro-dollar"] = f"{len(known)} rows, {known_cost} micro-dollars"
    figures[f"{scene.name}: completed and in doubt"] = f"{len(left) - lost}, without a row {lost}"
    figures[f"{scene.name}: known <= truth <= charged"] = f"{known_cost} <= {truth} <= {charged}"
    if scene.name.startswith("tight"):
        figures[f"{scene.name}: budget"] = f"{scene.budget}, overshoot {max(0, overshoot)}, refused {refused}"
        if not refused:
            violations.append("the budget was never reached")
    return violations


def differences(row, completed):
    """What a row says that its call does not."""
    call = completed.get(row["exchange"])
    if call is None:
        return [f"row {row['id']} speaks of a call that was not completed"]
    seen = (row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"], row["output_tokens"])
    told = (call["prompt_tokens"], call["output_tokens"])
    money = cost(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"])
    if seen != told:
        return [f"row {row['id']} says {seen} tokens, the call log {told}"]
    return [] if row["cost_micros"] == money else [f"row {row['id']} says {row['cost_micros']}, which is {money}"]


def last_window(scene, calls, in_order):
    """How many rows may be missing: none ahead or in order; else those that ended or were under way in the last window."""
    if scene.ahead or in_order or not calls:
        return 0
    over = max(call["end"] for call in calls)
    return sum(call["end"] >= over - (WINDOW + COMMIT) * SPEED for call in calls)
