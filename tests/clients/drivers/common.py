"""What all drivers ask for and expect."""

import json
import os
import sys

PROMPT = "Write a short blog post about riding in a paceline."
MESSAGES = [{"role": "user", "content": PROMPT}]
CITY = "Zürich"
# The mock calls a tool that the prompt spells out, and answers by text once the tool has answered.
TOOL_PROMPT = f'Call weather({{"city": "{CITY}"}}), please.'
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
GPT, CLAUDE, EMBEDDING = "gpt-5-mini", "claude-sonnet-4-6", "text-embedding-3-small"
OPENAI_KEY, ANTHROPIC_KEY = os.environ["OPENAI_API_KEY"], os.environ["ANTHROPIC_API_KEY"]


def main(*checks):
    """Runs checks, each a generator of what is done, against the base URL in the arguments."""
    base_url = sys.argv[1].rstrip("/")
    for check in checks:
        for done in check(base_url):
            print(f"ok  {done}", flush=True)


def city_of(arguments):
    assert json.loads(arguments) == {"city": CITY}, arguments
