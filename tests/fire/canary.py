"""Looks for parts of secrets in all that was written."""

import base64

LEAST = 10  # So many characters of a secret are a leak.


def hits(folder, secrets):
    """Where a part of a secret stands below the folder, but for `secrets`, where they belong."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "secrets" not in path.relative_to(folder).parts:
            text = path.read_bytes()
            found += [f"{path.relative_to(folder)} has `{part.decode()}`" for part in parts(secrets) if part in text]
    return found


def parts(secrets):
    """Everything that gives one away. Percent signs and backslashes would change nothing: no secret here needs them."""
    for secret in map(str.encode, secrets):
        yield from (secret[start : start + LEAST] for start in range(len(secret) - LEAST + 1))
        yield secret.hex().encode()
        # The same bytes in the three ways in which they can lie, without what the neighbours decide.
        yield from (base64.b64encode(b"-" * before + secret)[4:-4] for before in range(3))
