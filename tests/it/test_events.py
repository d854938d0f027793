"""The events that the code logs and those of common/events.def, of which sallyport-log(5) is made, are the same.

The rows are compared with the source here, and with every line of every server of the black box (Server.clean() in
conftest.py).  The last test, which conftest.py puts behind all others, tells which events have not been seen.
"""
import glob
import os
import re

import events
import pytest

PRODUCT = ("account", "authz", "common", "ctl", "daemon", "privsep")
CALL = re.compile(r"\blog_(begin|begin_at|problem|problem_at|violation)\(")
HELPER = re.compile(r"^\w+\([^)]*struct log_line \*(\w+)[^)]*\)\n\{\n(.*?)\n\}", re.M | re.S)


def sources():
    for folder in PRODUCT:
        for path in glob.glob(f"{events.TOP}/{folder}/**/*.c", recursive=True):
            with open(path, encoding="utf-8") as f:
                yield os.path.relpath(path, events.TOP), f.read()


def call_at(text, start):
    """The arguments of the call whose bracket opens before start, and where it ends."""
    depth, i = 1, start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        i += 1
    return events.arguments(text[start:i - 1]), i


def fields_in(text):
    found = set(re.findall(r"\bFIELD_(\w+)", text))
    return found | {"ERROR"} if "log_code(" in text else found


def uses():
    """(path, constants of the events, fields that may be there, fields that are, level or None) of each call."""
    for path, text in sources():
        if path in ("common/log.c", "common/logrelay.c"):
            continue
        helpers = {m[0].split("(")[0]: fields_in(m[0]) for m in HELPER.finditer(text)}
        for m in CALL.finditer(text):
            words, end = call_at(text, m.end())
            named = set(re.findall(r"\bEVENT_(\w+)", " ".join(words)))
            level = re.findall(r"\bLOG_LEVEL_(\w+)", ",".join(words[:2]))
            if m[1] == "violation":
                have = {"PEER", "ERROR"} if words[2] == "NULL" else {"PEER", "ERROR", "MESSAGE"}
                yield path, {"PROTOCOL_VIOLATION"}, have, level
            elif m[1].startswith("problem"):
                about, code = words[-2:]
                have = {"ABOUT"} if about != "NULL" else set()
                yield path, named, have | ({"ERROR"} if code != "0" else set()), level
            else:
                body = text[end:text.index("log_end(", end)]
                have = fields_in(body)
                for name, more in helpers.items():
                    if re.search(rf"\b{name}\(", body):
                        have |= more
                yield path, named, have, level


def test_the_table_can_be_read():
    with open(f"{events.TOP}/common/events.def", encoding="utf-8") as f:
        text = f.read()
    assert len(events.ROWS) == len(re.findall(r"^EVENT\(", text, re.M)) > 100
    assert len(events.FIELDS) == len(re.findall(r"^FIELD\(", text, re.M)) > 60
    for row in events.ROWS.values():
        assert row.name == row.constant.lower().replace("_", "-"), row.constant
        assert (row.always | row.may) <= set(events.FIELDS), f"{row.name} has a field that is none"
    for constant, name in events.FIELDS.items():
        assert name == constant.lower()


def faults_of(path, named, have, levels):
    """What is wrong with one call.  One that names two events may have the fields of both."""
    rows = [events.ROWS[c] for c in named]
    own = {c for c in have if events.FIELDS[c] in events.EVERYWHERE}
    known = own.union(*(row.always | row.may for row in rows))
    role = re.match(r"daemon/(\w+)/", path)
    for level in levels:
        if rows and not any(row.allows(level.lower()) for row in rows):
            yield f"{path}: {named} is never {level}"
    for row in rows:
        if have - known:
            yield f"{path}: {row.name} has fields that its row lacks: {have - known}"
        if row.always - have:
            yield f"{path}: {row.name} lacks {row.always - have}"
        if role and not {role[1].upper(), "ALL"} & row.by:
            yield f"{path}: {row.name} is not its to state"


def test_the_code_logs_what_the_table_says():
    wrong, sometimes = [], {}
    for path, named, have, levels in uses():
        wrong += faults_of(path, named, have, levels)
        for constant in named:
            sometimes.setdefault(constant, set()).update(have)
    for constant, have in sometimes.items():
        row = events.ROWS[constant]
        if row.may - have:
            wrong.append(f"{row.name} never has {row.may - have}")
    # The rest is named by tables and variables.
    text = "".join(t for _, t in sources())
    wrong += [f"nothing logs {c}" for c in set(events.ROWS) - set(sometimes) if not re.search(rf"\bEVENT_{c}\b", text)]
    wrong += [f"nothing writes {c}" for c in events.FIELDS if not re.search(rf"\bFIELD_{c}\b", text)]
    assert not wrong, "\n".join(wrong)


def test_the_filter_for_fail2ban_knows_the_words():
    """What it does not count are reasons that exist, in both of its expressions."""
    with open(f"{events.TOP}/contrib/fail2ban/filter.conf", encoding="utf-8") as f:
        text = f.read()
    with open(f"{events.TOP}/account/account.h", encoding="utf-8") as f:
        words = set(re.findall(r'REASON_ROW\(REASON_\w+, "([a-z-]+)"', f.read()))
    excluded = re.findall(r"\(\?!([a-z|-]+)\)\[a-z-\]", text)
    assert len(excluded) == 2 and all(set(x.split("|")) <= words for x in excluded), excluded
    row = events.BY_NAME["auth-failure"]
    assert row.low == row.high == "notice" and {"REASON", "PASSWORD"} <= row.always | row.may


@pytest.mark.parametrize("line,wrong", [
    ("2026-01-31T12:00:00.000Z notice event=stopped", None),
    ('2026-01-31T12:00:00.000Z notice event=stopping about="a \\" b=c"', None),
    ("2026-01-31T12:00:00.000Z notice event=stopping", "missing"),
    ("2026-01-31T12:00:00.000Z notice event=stopping cut=yes", None),
    ("2026-01-31T12:00:00.000Z error event=stopping about=x", "level"),
    ("2026-01-31T12:00:00.000Z notice event=stopping about=x uid=1", "lacks"),
    ("2026-01-31T12:00:00.000Z notice event=bad-message", "no such event"),
    ('{"time":"2026-01-31T12:00:00.000Z","level":"notice","event":"stopping","about":"x"}', None),
    ('{"time":"2026-01-31T12:00:00.000Z","level":"notice","event":"stopping","uid":1}', "lacks"),
])
def test_lines_are_compared_with_the_table(line, wrong):
    """That what looks at the logs of all servers sees something."""
    why = events.fault(*events.read_line(line))
    assert why is None if wrong is None else why and wrong in why


def test_what_is_never_seen_has_its_reason(request):
    """unseen = "unit: NAME": that test speaks of the event.  Events without a reason were seen, if all tests ran."""
    for row in events.ROWS.values():
        for unit in re.findall(r"unit: (\w+)", row.unseen or ""):
            with open(f"{events.TOP}/tests/unit/{unit}.c", encoding="utf-8") as f:
                assert row.name in f.read(), f"{unit}.c does not speak of {row.name}"
    events.share()
    missing = sorted(row.name for row in events.ROWS.values() if row.unseen is None and row.name not in events.seen)
    if not missing:
        return
    # One that was skipped may be the one that brings an event about.
    if not request.config.events_complete or events.skipped:
        pytest.skip(f"not all tests ran; of {len(events.ROWS)} events these were not seen: {' '.join(missing)}")
    pytest.fail(f"never seen, and common/events.def gives no reason: {' '.join(missing)}")
