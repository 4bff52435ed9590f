"""Configurations that are wrong in a known line: a right one, with one thing changed by chance."""

import re

KEY = re.compile(r"^(\w+) = (.+)$")
# What a line has, and what makes it wrong.
VALUES = [
    ("unknown provider", 'provider = "openai"', 'provider = "{word}"'),
    ("no address", 'base_url = "http', 'base_url = "{word}"#'),
    ("plain http elsewhere", "http://127.0.0.1", "http://{word}.example"),
    ("unknown account", 'account = "one"', 'account = "{word}"'),
    ("unknown upstream", 'upstreams = ["one"', 'upstreams = ["{word}"'),
    ("no rate", 'requests = "', 'requests = "{word} '),
    ("no such rate", '/min"', '/{word}"'),
    ("no number", "weight = ", "weight = -"),
    ("no weight", "weight = 3", "weight = 0"),
    ("no hash", "key_hash = ", 'key_hash = "{word}" # '),
    ("no size", 'body = "2', 'body = "{word} 2'),
    ("no time", 'longest_wait = "20s', 'longest_wait = "{word}'),
    ("no place", "{ file = ", "{ {word} = "),
]


def mutated(chance, text, secret):
    """What is wrong, the text, and the line's number."""
    return chance.choice(KINDS)(chance, text.splitlines(), secret)


def word(chance):
    return "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=8))


def changed(kind, lines, at, line):
    return kind, "\n".join([*lines[:at], line, *lines[at + 1 :]]) + "\n", at + 1


def pick(chance, lines, fits=lambda line: line.strip()):
    return chance.choice([at for at, line in enumerate(lines) if fits(line)])


def value(chance, lines, _):
    kind, has, instead = chance.choice([one for one in VALUES if any(one[1] in line for line in lines)])
    at = pick(chance, lines, lambda line: has in line)
    return changed(kind, lines, at, lines[at].replace(has, instead.replace("{word}", word(chance)), 1))


def unknown_key(chance, lines, _):
    at = pick(chance, lines)
    return changed("unknown key", [*lines[: at + 1], "", *lines[at + 1 :]], at + 1, f"{word(chance)} = 1")


def misspelt(chance, lines, _):
    at = pick(chance, lines, KEY.match)
    return changed("misspelt key", lines, at, chance.choice("xyz") + lines[at])


def another_type(chance, lines, _):
    at = pick(chance, lines, KEY.match)
    return changed("another type", lines, at, KEY.match(lines[at])[1] + " = { x = 1 }")


def control_character(chance, lines, _):
    at = pick(chance, lines)
    place = chance.randrange(len(lines[at]))
    return changed("control character", lines, at, lines[at][:place] + "\x01" + lines[at][place:])


def no_text(chance, lines, _):
    at = pick(chance, lines, lambda line: '"' in line)
    return changed("bytes that are no text", lines, at, lines[at].replace('"', '"\udcff', 1))


def open_text(chance, lines, _):
    at = pick(chance, lines, lambda line: line.endswith('"'))
    return changed("text without an end", lines, at, lines[at][:-1])


def open_section(chance, lines, _):
    at = pick(chance, lines, lambda line: line.startswith("[["))
    return changed("section without an end", lines, at, lines[at][:-1])


def no_equals(chance, lines, _):
    at = pick(chance, lines, KEY.match)
    return changed("no equals sign", lines, at, lines[at].replace("=", " ", 1))


def twice(chance, lines, _):
    at = pick(chance, lines, KEY.match)
    return changed("a key twice", [*lines[: at + 1], "", *lines[at + 1 :]], at + 1, lines[at])


def the_key_itself(chance, lines, secret):
    at = pick(chance, lines, lambda line: "api_key" in line)
    return changed("the secret itself", lines, at, f'api_key = "{secret}"')


def no_such_file(chance, lines, _):
    at = pick(chance, lines, lambda line: "secrets/" in line)
    return changed("no such secret", lines, at, lines[at].replace("secrets/", f"secrets/{word(chance)}"))


def name_twice(chance, lines, _):
    names = [at for at, line in enumerate(lines) if line.startswith("name = ")]
    first, second = chance.choice([(0, 1), (2, 3)])
    return changed("a name twice", lines, names[second], lines[names[first]])


KINDS = [
    *[value] * 4, unknown_key, misspelt, another_type, control_character, no_text, open_text, open_section, no_equals,
    twice, the_key_itself, no_such_file, name_twice,
]  # fmt: skip
