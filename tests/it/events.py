"""The table of events (common/events.def), and what servers of the tests have logged of it."""
import json
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEVELS = ["error", "warning", "notice", "info", "debug"]
# Where any line comes from, and that it was cut: log.c and log_relay() add them.
EVERYWHERE = {"event", "session", "rhost", "user", "role", "cut"}
PAIR = re.compile(r'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)')
LINE = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z (\w+) (event=.*)$")


class Row:
    def __init__(self, constant, name, low, high, by, fields, unseen):
        self.constant, self.name, self.low, self.high, self.unseen = constant, name, low.lower(), high.lower(), unseen
        self.by = set(re.findall(r"BY_(\w+)", by))
        self.always = set(re.findall(r"ALWAYS\((\w+)\)", fields))
        self.may = set(re.findall(r"MAY\((\w+)\)", fields))

    def allows(self, level):
        at = sorted((LEVELS.index(self.low), LEVELS.index(self.high)))
        return at[0] <= LEVELS.index(level) <= at[1]


def arguments(text):
    """The arguments of a macro or function, split at commas that are in no bracket and no string."""
    out, depth, quoted, one = [], 0, False, ""
    for i, c in enumerate(text):
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += (c in "([{") - (c in ")]}")
            if c == "," and depth == 0:
                out.append(one.strip())
                one = ""
                continue
        one += c
    return [*out, one.strip()]


def unquote(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)) if text != "NULL" else None


def read_table():
    """(constant -> Row, constant -> name of a field)."""
    with open(f"{TOP}/common/events.def", encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    fields = dict(re.findall(r'^FIELD\((\w+), "(\w+)",', text, re.M))
    rows = {}
    for inner in re.findall(r"^EVENT\((\w+, \".*?)\)\n(?=\n|EVENT|#)", text, re.M | re.S):
        constant, name, low, high, by, have, _, _, unseen = arguments(inner)
        rows[constant] = Row(constant, unquote(name), low, high, by, have, unquote(unseen))
    return rows, fields


ROWS, FIELDS = read_table()
BY_NAME = {row.name: row for row in ROWS.values()}
seen = set()
skipped = False       # was any test?


def read_line(line):
    """(level, fields) of a line as a file or stderr has it, in either form; None: it is none."""
    m = LINE.match(line)
    if m:
        return m[1], dict(PAIR.findall(m[2]))
    if line.startswith("event=log-unwritable "):    # to stderr, which need not be a log
        return "error", dict(PAIR.findall(line))
    if line.startswith('{"time":'):
        x = json.loads(line)
        x.pop("time")
        return x.pop("level"), x
    return None


def fault(level, fields):
    """What is wrong with a line; None: it is as its row says."""
    row = BY_NAME.get(fields["event"])
    if row is None:
        return "no such event"
    have = set(fields) - EVERYWHERE
    always, may = ({FIELDS[f] for f in group} - EVERYWHERE for group in (row.always, row.may))
    if not row.allows(level):
        return f"the level is neither {row.low} nor {row.high}"
    if have - always - may:
        return f"fields that its row lacks: {have - always - may}"
    if "cut" not in fields and always - have:
        return f"fields are missing: {always - have}"
    return None


def collect(text):
    """Notes the events of a log.  Returns the first line that is not as the table says."""
    wrong = None
    for line in text.splitlines():
        try:
            read = read_line(line)
        except ValueError:      # cut by a disk that was full
            continue
        if read is None or "event" not in read[1]:
            continue
        seen.add(read[1]["event"])
        why = fault(*read)
        if why and not wrong:
            wrong = f"{why}: {line}"
    return wrong


def note(text):
    """Of lines that a test has waited for, and that may be gone when its server is."""
    seen.update(set(re.findall(r"\bevent=([a-z-]+)", text)) & set(BY_NAME))


def share():
    """Adds what other runs of pytest have seen, and gives them ours, if SALLYPORT_EVENTS names a file for that."""
    path = os.environ.get("SALLYPORT_EVENTS")
    if path is None:
        return
    with open(path, "a+", encoding="utf-8") as f:
        f.seek(0)
        seen.update(f.read().split())
        f.truncate(0)
        f.write("".join(f"{name}\n" for name in sorted(seen)))


def collect_files(folder):
    """Notes the events in all files of a folder, such as what a test has kept of a server that it started itself."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 1 << 26:
            with open(path, errors="replace", encoding="utf-8") as f:
                collect(f.read())
