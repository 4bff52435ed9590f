"""Tables of what was measured, as Markdown."""

import statistics

BEGIN, END = "<!-- gateways: bench/run writes from here -->", "<!-- gateways: to here -->"
ROWS = (  # Label, figure, digits after the point.
    ("CPU per request, 1 KB body (µs)", "chat_cpu_micros", 1),
    ("CPU per request, 32 KB body (µs)", "large_cpu_micros", 1),
    ("CPU per stream of 50 chunks, as fast as they go (µs)", "burst_cpu_micros", 0),
    ("CPU per stream of 50 chunks, 5 ms apart (µs)", "tokens_cpu_micros", 0),
    ("requests/s, 1 KB body, 64 connections", "chat_per_second", 0),
    ("open loop: requests/s", "rate", 0),
    ("... added p50 (ms)", "added_p50_ms", 3),
    ("... added p99 (ms)", "added_p99_ms", 3),
    ("start to first answer (ms)", "start_ms", 0),
    ("memory at rest (MiB)", "idle_mib", 1),
    ("streams at 1 event/s, at once", "hold_streams", 0),
    ("... memory of each (KiB)", "hold_kib", 1),
    ("... CPU for all (cores)", "hold_cores", 2),
    ("... an event's way to its reader, p99 (ms)", "hold_late_p99_ms", 2),
    ("... memory kept afterwards (MiB)", "hold_after_mib", 1),
)
COMPARED = {  # Figures of which a ratio means something.
    "chat_cpu_micros", "large_cpu_micros", "burst_cpu_micros", "tokens_cpu_micros", "chat_per_second", "added_p50_ms",
    "added_p99_ms", "start_ms", "idle_mib", "hold_kib", "hold_cores",
}
NOTHING = "–"


def medians(results):
    """Of each party, each figure's median over the runs that have it."""
    found = {}
    for name, runs in results.items():
        figures = {figure for run in runs for figure in run}
        found[name] = {figure: statistics.median(run[figure] for run in runs if figure in run) for figure in figures}
    return found


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures_table(found):
    rows = []
    for label, figure, digits in ROWS:
        cells = [f"{each[figure]:,.{digits}f}" if figure in each else NOTHING for each in found.values()]
        if any(cell != NOTHING for cell in cells):
            rows.append([label, *cells])
    return table(["", *found], rows)


def ratio(ours, theirs):
    """Nothing where one of them lies within the noise about zero."""
    if ours is None or theirs is None or min(ours, theirs) <= 0:
        return NOTHING
    return f"{ours / theirs:.3g}"


def ratios_table(found, ours="paceline"):
    """Ours as a multiple of each other party's."""
    others = [name for name in found if name not in (ours, "direct")]
    rows = []
    for label, figure, _ in ROWS:
        cells = [ratio(found[ours].get(figure), found[other].get(figure)) for other in others]
        if figure in COMPARED and any(cell != NOTHING for cell in cells):
            rows.append([label.removeprefix("... "), *cells])
    return table([f"{ours} ÷", *others], rows)


def spread_table(results):
    """How far the runs lie apart in what is compared most."""
    rows = []
    for label, figure, digits in ROWS[:5]:
        cells = []
        for runs in results.values():
            values = [run[figure] for run in runs if figure in run]
            cells.append(f"{min(values):,.{digits}f}–{max(values):,.{digits}f}" if values else NOTHING)
        rows.append([label, *cells])
    return table(["least and most", *results], rows)


def text(results, conditions, notes, runs):
    """All tables, with what they were made under."""
    found = medians(results)
    parts = [conditions, figures_table(found)]
    if "paceline" in found and len(found) > 1:
        parts += ["Ratios, of the same medians; below 1 is less:", ratios_table(found)]
    if runs > 1:
        parts.append(spread_table(results))
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts)


def write(path, body):
    """Puts the tables between the markers, which must be there."""
    whole = path.read_text()
    if whole.count(BEGIN) != 1 or whole.count(END) != 1:
        raise SystemExit(f"error: {path} must hold each once: {BEGIN} and {END}")
    before, rest = whole.split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{rest.split(END)[1]}")
