"""kill -9 of the gateway in the middle of a job, again and again: the run through it rides all of that out."""

import socket
import subprocess
import time

import checker
import stage

JOBS = 2_000
KILLS_PER_RUN = 20
LONGEST_DOWN = 2  # Seconds until the next gateway starts.
LIMIT_SECONDS = 300  # A run waits out each kill: a dead gateway is asked for a sign of life every few seconds.


def sweep(stage_):
    source, questions = stage.jobs(stage_, JOBS)
    kills = run = failed = again = 0
    slowest = 0.0
    while kills < stage_.times:
        run += 1
        most = min(stage_.times - kills, KILLS_PER_RUN)
        ended, calls, folder = one(stage_, run, source, most)
        violations = checker.judge(questions, folder / "out.jsonl", calls).violations()
        if ended.code != 0:
            violations.append(f"the run ended with {ended.code}: {ended.said[-300:]}")
        answered = len(calls) - JOBS
        if answered > most * stage.IN_FLIGHT:
            violations.append(f"{answered} calls were made again for {most} kills of {stage.IN_FLIGHT} in flight")
        failed += len(checker.results(folder / "out.errors.jsonl"))
        kills, again, slowest = kills + most, again + answered, max(slowest, ended.seconds)
        stage_.tally.judge(folder, [f"run {run}: {text}" for text in violations])
    stage_.tally.figures = {
        "kills": kills,
        "jobs": run * JOBS,
        "failed jobs": failed,
        "calls made again per kill": f"{again / kills:.1f}",
        "the longest run": f"{slowest:.0f} s",
    }


def one(stage_, number, source, most):
    """One run from its beginning to its end, while the gateway is killed so often: evenly over the job, for sure within it."""
    folder, chance = stage_.case(f"run-{number}"), stage_.chance("run", number)
    session = f"{chance.getrandbits(96):024x}"  # A key that can be guessed lets nobody in.
    output = folder / "out.jsonl"
    with stage_.mock(f"run-{number}", [session]) as mock, Gateway(stage_, folder, mock, session) as gateway:
        begun = time.monotonic()
        process = subprocess.Popen(
            stage_.command(gateway.url, source, output), env=stage.environment(session), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            for kill in range(most):
                wait_for(process, gateway, output, int(JOBS * (kill + chance.random()) / (most + 1)), begun)
                gateway.kill()
                time.sleep(chance.uniform(0, LONGEST_DOWN))
                gateway.start()
            said = process.communicate(timeout=LIMIT_SECONDS)[1]
        finally:
            process.kill()
    (folder / "said.txt").write_text(said)
    return stage.Ended(process.returncode, said, time.monotonic() - begun, process.pid), mock.calls(), folder


def wait_for(process, gateway, output, lines, begun):
    """Until so many results are there."""
    while len(checker.results(output)) <= lines:
        gateway.still_serves()
        if process.poll() is not None:
            raise stage.Trouble(f"the run ended with {process.returncode} before its end: {process.stderr.read()[-500:]}")
        if time.monotonic() - begun > LIMIT_SECONDS:
            raise stage.Trouble(f"there were not {lines} results within {LIMIT_SECONDS} s")
        time.sleep(0.01)


class Gateway:
    """`paceline serve` on one port, again and again, with one state."""

    def __init__(self, stage_, folder, mock, session):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{taken.getsockname()[1]}"
        self.url = f"http://{where}"
        config = folder / "gateway.toml"
        config.write_text(
            f'[[upstream]]\nname = "up"\nprovider = "openai"\nbase_url = "{mock.url}/v1"\n'
            'api_key = { env = "OPENAI_API_KEY" }\n[[quota]]\naccount = "up"\nrequests = "100000000/min"\n'
        )
        state = ["--state", folder / "state", "--admin", "none"]
        self.command = [stage_.binary, "serve", "--listen", where, "--config", config, *state]
        self.environment = stage.environment(session)
        self.said = open(folder / "gateway.txt", "w")
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.said.close()

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said
        )

    def still_serves(self):
        if self.process.poll() is not None:
            raise stage.Trouble(f"the gateway ended with {self.process.returncode}; what it said is in {self.said.name}")

    def kill(self):
        self.process.kill()
        self.process.wait()
