"""The displays of manual pages, each with what the remark before it says that it is (test_manual.py)."""
import re

from conftest import BUILD


def plain(text):
    for escape, char in ((r"\-", "-"), (r"\&", ""), (r"\(aq", "'"), (r"\(dq", '"'), (r"\e", "\\")):
        text = text.replace(escape, char)
    return text


def displays(path):
    """(kind, what stands behind it, line, text) of each display of a page."""
    found, lines, kind, body = [], open(path).read().split("\n"), None, None
    for number, line in enumerate(lines, 1):
        mark = re.fullmatch(r'\.\\" example: (\w+\+?),? ?(.*)', line)
        if mark:
            kind = mark.groups()
        elif line.startswith((".Bd", ".Dl", ".D1")):
            begun = (*(kind or ("", "")), number)
            kind, body = None, []
            if not line.startswith(".Bd"):
                found.append((*begun, plain(line.split(None, 1)[1])))
                body = None
        elif line == ".Ed":
            found.append((*begun, plain("\n".join(body)) + "\n"))
            body = None
        elif body is not None:
            body.append(line)
    return found


def display_of(page, name):
    """The displays of a page that the test of that name is to prove, in order."""
    found = [text for kind, more, _, text in displays(f"{BUILD}/man/{page}") if (kind, more) == ("tested", name)]
    assert found, (page, name)
    return found
