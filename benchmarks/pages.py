"""A committed result as a page of Markdown, for readers of the repository."""


def page(name, result, layout=None):
    """Return the page: what was measured, on what and when, and a table (`layout(rows)`, if the benchmark has one)."""
    rows = result["rows"]
    title = f"# {name.replace('_', ' ').capitalize()}"
    return "\n\n".join([title, result["measures"], *origins(rows), (layout or plain)(rows)]) + "\n"


def origins(rows):
    """Return a line for each machine, set of versions and day that rows were measured on."""
    found = {}
    for row in rows:
        versions = ", ".join(f"{package} {version}" for package, version in row.get("versions", {}).items())
        parts = [row.get("card"), row["machine"], versions, row.get("date")]
        found.setdefault("; ".join(part for part in parts if part), []).append(row["subject"])
    alone = len(found) == 1
    return [f"Measured on: {origin}." + ("" if alone else f" So were: {', '.join(names)}.")
            for origin, names in found.items()]


def plain(rows):
    """Return one table of all numbers that stand in the rows themselves; what lies deeper is only named."""
    hidden = {"subject", "fingerprint", "machine", "date", "versions"}
    shown = {key for row in rows for key, value in row.items() if not isinstance(value, (dict, list))} - hidden
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key in shown]
    deeper = sorted({key for row in rows for key in row} - shown - hidden)
    header = [key.replace("_", " ") for key in keys]
    text = grid(["subject", *header], [[row["subject"], *(row.get(key) for key in keys)] for row in rows])
    return text + (f"\n\nOnly in the JSON file: {', '.join(deeper)}." if deeper else "")


def grid(header, rows):
    """Return a table of Markdown: the first column to the left, the others to the right; None is an empty cell."""
    text = [[cell(value) for value in row] for row in [header, *rows]]
    head, *body = ["| " + " | ".join(row) + " |" for row in text]
    return "\n".join([head, "|---|" + "---:|" * (len(header) - 1), *body])


def cell(value):
    """Write one value: with commas where an integer is long."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def spread(quartiles):
    """Write a median with its quartiles."""
    return None if quartiles is None else f"{quartiles[1]} ({quartiles[0]}–{quartiles[2]})"
