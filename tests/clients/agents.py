"""Command-line clients: each asks once, and once more with a tool that leaves a trace on the disk."""

import os
import subprocess

from installs import node, node_modules, program, python
from parties import ANTHROPIC_KEY, OPENAI_KEY, Failed, clean_environment

PROMPT = "Say something about riding in a paceline."
GPT, CLAUDE = "gpt-5-mini", "claude-sonnet-4-6"
TRACE = "trace-of-the-tool"
ANSWERS_WITHIN = 120


class Agent:
    """One client: `command(base_url)` is how it is called; the prompt is its last argument, or its input."""

    def __init__(self, name, command, tool, environment=None, piped=False):
        self.name, self.command, self.tool, self.piped = name, command, tool, piped
        self.environment = environment or (lambda base_url: {})

    def check(self, base_url, folder):
        """What was done, one by one."""
        home = os.path.join(folder, "home")
        os.makedirs(home, exist_ok=True)
        if not self.ask(base_url, home, PROMPT).strip():
            raise Failed("it said nothing")
        yield "prompt"
        self.ask(base_url, home, f"Call {self.tool}, please.")
        if not os.path.exists(os.path.join(home, "work", TRACE)):
            raise Failed(f"its tool left no {TRACE}")
        yield "tool"

    def ask(self, base_url, home, prompt):
        work = os.path.join(home, "work")
        os.makedirs(work, exist_ok=True)
        environment = clean_environment(
            home, OPENAI_API_KEY=OPENAI_KEY, ANTHROPIC_API_KEY=ANTHROPIC_KEY, **self.environment(base_url)
        )
        command = self.command(base_url, work)
        given = {"input": prompt} if self.piped else {"stdin": subprocess.DEVNULL}
        try:
            done = subprocess.run(
                command if self.piped else [*command, prompt],
                **given, env=environment, cwd=work, capture_output=True, text=True, timeout=ANSWERS_WITHIN,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"no answer within {ANSWERS_WITHIN} s") from error
        if done.returncode:
            raise Failed(f"exit code {done.returncode}: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout


def claude():
    binary = program("@anthropic-ai/claude-code-MACHINE", "claude")
    return Agent(
        "Claude Code",
        lambda base_url, work: [binary, "-p", "--allowedTools", "Bash(touch:*)", "--"],
        f'Bash({{"command": "touch {TRACE}", "description": "leave a trace"}})',
        lambda base_url: {"ANTHROPIC_BASE_URL": base_url, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
    )


def codex():
    own_node = node()
    script = os.path.join(node_modules("agents"), "node_modules", "@openai", "codex", "bin", "codex.js")
    return Agent(
        "Codex",
        lambda base_url, work: [
            own_node, script, "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access",
            "--model", GPT, "--config", f'openai_base_url="{base_url}/v1"',
        ],
        f'exec_command({{"cmd": "touch {TRACE}"}})',
        lambda base_url: {"CODEX_API_KEY": OPENAI_KEY},
    )


def opencode(provider, model):
    binary = program("opencode-MACHINE", os.path.join("bin", "opencode"))

    def command(base_url, work):
        with open(os.path.join(work, "opencode.json"), "w", encoding="utf-8") as config:
            config.write(f'{{"provider": {{"{provider}": {{"options": {{"baseURL": "{base_url}/v1"}}}}}}}}')
        return [binary, "run", "--model", f"{provider}/{model}"]

    # Its prompt is piped: arguments with spaces reach the model in quotes.
    tool = f'bash({{"command": "touch {TRACE}", "description": "leave a trace"}})'
    return Agent(f"opencode, {provider}", command, tool, piped=True)


def llm(name, model):
    binary = os.path.join(os.path.dirname(python("llm")), "llm")
    function = f'def leave(name: str) -> str:\n    "Leaves a trace."\n    open(name, "w").close()\n    return "left"\n'
    return Agent(
        f"llm, {name}",
        lambda base_url, work: [binary, "--model", model, "--functions", function],
        f'leave({{"name": "{TRACE}"}})',
        lambda base_url: {"OPENAI_BASE_URL": f"{base_url}/v1", "ANTHROPIC_BASE_URL": base_url},
    )


def all_agents():
    """Names, and what makes each: making one installs it."""
    return [
        ("llm, openai", lambda: llm("openai", GPT)),
        ("llm, anthropic", lambda: llm("anthropic", "claude-haiku-4.5")),
        ("Claude Code", claude),
        ("Codex", codex),
        ("opencode, anthropic", lambda: opencode("anthropic", "claude-sonnet-4-5")),
        ("opencode, openai", lambda: opencode("openai", GPT)),
    ]
