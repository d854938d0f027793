"""Every example of the manual, of README and other texts, and of etc/ and contrib/ is what the programs understand.

A display of a manual page follows a remark that says what it is:

    .\\" example: config          a whole configuration
    .\\" example: config+         more of the configuration that stands before it
    .\\" example: account         keys of one account
    .\\" example: commands        lines of a shell: what they call of ours has these commands, options and keys
    .\\" example: expect          lines for sallyctl expect, about the configurations of the same page
    .\\" example: permissions     a .permissions file
    .\\" example: passwd_file     a file of the source passwd_file
    .\\" example: proftpd         a file for sallyctl account import --format proftpd
    .\\" example: pyftpdlib       a file for sallyctl import pyftpdlib
    .\\" example: tested NAME     what the test of that name takes from here
    .\\" example: none, WHY       nothing that a program of ours reads

Fenced blocks of Markdown have "ini" (a configuration), "console" (commands) or "text" (neither) behind the fence.
"""
import glob
import json
import os
import re
import shlex
import subprocess

import pytest
from conftest import BUILD, HASHES, PATIENCE, TOP
from manual import displays, plain
from tlsserver import make_cert

PAGES = sorted(glob.glob(f"{BUILD}/man/*.[0-9]"))
TEXTS = sorted(p for p in glob.glob(f"{TOP}/*.md") + glob.glob(f"{TOP}/contrib/**/*.md", recursive=True)
               if os.path.basename(p) != "PROTOCOL.md")
CTL = f"{BUILD}/sallyctl"
KINDS = {"config", "config+", "account", "commands", "expect", "permissions", "passwd_file", "proftpd", "pyftpdlib",
         "tested", "none"}


def fences(path):
    """(language, line, text) of each fenced block."""
    found, body = [], None
    for number, line in enumerate(open(path), 1):
        if line.startswith("```") and body is None:
            begun, body = (line[3:].strip(), number), []
        elif line.startswith("```"):
            found.append((*begun, "".join(body)))
            body = None
        elif body is not None:
            body.append(line)
    return found


def of_page(path):
    """(page, kind, what stands behind it, line, text): what goes on with a configuration has it before it."""
    rows = []
    for kind, more, line, text in displays(path):
        if kind == "config+":
            text = [r[4] for r in rows if r[1].startswith("config")][-1] + text
        rows.append((os.path.basename(path), kind, more, line, text))
    return rows


DISPLAYS = [row for p in PAGES for row in of_page(p)]


def of_kind(*kinds):
    rows = [d for d in DISPLAYS if d[1] in kinds]
    return pytest.mark.parametrize("page,kind,more,line,text", rows, ids=[f"{d[0]}-{d[3]}" for d in rows])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    d = str(tmp_path_factory.mktemp("pair"))
    make_cert(d, "pair")
    return f"{d}/pair"


def call(*words, text=None):
    return subprocess.run(words, input=text, capture_output=True, text=True, timeout=PATIENCE)


def ctl(*args, text=None):
    p = call(CTL, *args, text=text)
    assert p.returncode == 0, (args, p.stdout, p.stderr)
    return p.stdout + p.stderr


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def check(tmp_path, pair, text):
    """Not a warning either; users of the machine are another matter. Certificates and hashes are the reader's."""
    text = text.replace("$y$j9T$...", HASHES["alice"])
    text = re.sub(r"(?m)^(\s*certificate = ).*", rf"\1{pair}.pem", text)
    text = re.sub(r"(?m)^(\s*private_key = ).*", rf"\1{pair}.key", text)
    said = ctl("check", "--elsewhere", write(tmp_path / "x.conf", text))
    assert said == "ok\n", text + said


def as_account(text):
    missing = [f"{key} = {value}\n" for key, value in (("password", "*"), ("run_as", "1001")) if f"{key} =" not in text]
    return f"[account x]\n{text}" + "".join(missing)


# ----------------------------------------------------------------- every display says what it is

def test_displays_are_marked():
    assert len(PAGES) > 10 and len(DISPLAYS) > 30
    wrong = [f"{page}:{line}" for page, kind, more, line, _ in DISPLAYS
             if kind not in KINDS or (kind in ("none", "tested")) != bool(more)]
    assert not wrong, f"displays without a remark that says what they are: {wrong}"
    # The remark keeps nobody from writing a configuration where none is looked for.
    wrong = [f"{d[0]}:{d[3]}" for d in DISPLAYS
             if d[1] in ("none", "commands") and re.search(r"(?m)^\[(server|account|listener|tls)\b", d[4])]
    assert not wrong, wrong


def test_tests_that_are_named_exist():
    sources = "".join(open(p).read() for p in glob.glob(f"{TOP}/tests/it/test_*.py"))
    for page, kind, more, line, _ in DISPLAYS:
        assert kind != "tested" or re.search(rf"(?m)^def {re.escape(more)}\(", sources), f"{page}:{line}: {more}"


def test_fences_are_marked():
    assert any(t.endswith("/README.md") for t in TEXTS)
    wrong = [f"{os.path.relpath(t, TOP)}:{line}" for t in TEXTS for kind, line, _ in fences(t) if kind == ""]
    assert not wrong, f"fences without a language: {wrong}"


# --------------------------------------------------------------------------------- configurations

@of_kind("config", "config+", "account")
def test_configuration(tmp_path, pair, page, kind, more, line, text):
    check(tmp_path, pair, as_account(text) if kind == "account" else text)


def test_texts(tmp_path, pair):
    blocks = [text for t in TEXTS for kind, _, text in fences(t) if kind == "ini"]
    assert blocks
    for text in blocks:
        check(tmp_path, pair, text)


def test_sample(tmp_path, pair):
    """As it is shipped, and with everything in it that is commented out."""
    text = open(f"{BUILD}/etc/sallyport.conf").read()
    check(tmp_path, pair, text)
    whole = re.sub(r"(?m)^#(?=\[|[a-z_]+ = |    [a-z/])", "", text)
    assert whole.count("\n[") > text.count("\n[") + 2
    check(tmp_path, pair, whole)


def test_files_of_contrib(tmp_path, pair):
    for path in glob.glob(f"{TOP}/contrib/**/*", recursive=True) + glob.glob(f"{TOP}/etc/*"):
        if path.endswith((".conf", ".ini")) and re.search(r"(?m)^\[(server|listener \w+)\]", text := open(path).read()):
            check(tmp_path, pair, text)


# Settings within running text: wherever one may stand, with what it needs to be of use.
SCOPES = ("[server]\n{}\n", "[tls]\n{}\n", "[listener x]\nlisten = *:21\n{}\n", "[listener x]\n{}\n",
          "[class x]\nmembers = all\n{}\n", "[class x]\n{}\n", "[group x]\n{}\n",
          "[account x]\npassword = *\nrun_as = 1001\n{}\n", "[account x]\nrun_as = 1001\n{}\n",
          "[account x]\npassword = *\n{}\n")
# Of another machine, or another part of that configuration.
ELSEWHERE = re.compile("No such file or directory|there is no section|there must be as many private keys|set again|"
                       "cannot stand in|without client_ca|needs a certificate")


def fault_of(tmp_path, setting):
    """What check has against it; None when there is a section where it has nothing."""
    said = []
    for scope in SCOPES:
        text = scope.format(setting)
        answer = call(CTL, "-j", "check", "--elsewhere", write(tmp_path / "x.conf", text)).stdout
        problems = [x["problem"] for x in json.loads(answer)["problems"]]
        if not [x for x in problems if not ELSEWHERE.search(x) or x.startswith("cannot stand in")]:
            return None
        said += [x for x in problems if not ELSEWHERE.search(x)]
    return f"{setting}: {said}"


def settings_in_prose():
    found = set()
    for p in PAGES:
        for m in re.finditer(r"(?m)^\.(?:Ql|Li) \"?([a-z_]+ = [^\n]*?)\"?(?: [.,;:)])?$", open(p).read()):
            found.add((plain(m[1]), os.path.basename(p)))
    for p in TEXTS + [f"{TOP}/contrib/debian/README.Debian"]:
        for m in re.finditer(r"[`\"]([a-z_]+ = [^`\"\n]+)[`\"]", open(p).read()):
            found.add((m[1], os.path.basename(p)))
    return sorted(f for f in found if f[0] != "key = value")       # the form itself


def test_settings_in_prose(tmp_path):
    found = settings_in_prose()
    assert len(found) > 10
    wrong = [f"{where}: {fault}" for setting, where in found for fault in [fault_of(tmp_path, setting)] if fault]
    assert not wrong, "\n".join(wrong)


def test_examples_of_settings(tmp_path):
    page = open(f"{BUILD}/man/sallyport.conf.5").read()
    found = re.findall(r"(?ms)^\.It Ic (\S+) No = .*?^\.No Example: Ql \"(.*?)\" \.$", page)
    assert len(found) == len(re.findall(r"(?m)^\.No Example:", page)) > 100
    wrong = [w for key, value in found for w in [fault_of(tmp_path, f"{key} = {plain(value)}")] if w]
    assert not wrong, "\n".join(wrong)


# --------------------------------------------------------------------------------------- commands

OURS = ("sallyctl", "sallyportd")


def calls(text):
    """The calls of our programs in lines of a shell, as lists of words."""
    for line in text.split("\n"):
        line = re.sub(r"\s#\s.*", "", re.sub(r"^\s*[#$] ", "", line))
        for part in re.split(r"\|\|?|&&|;", line):
            try:
                words = shlex.split(re.sub(r"[<>].*", "", part))
            except ValueError:
                words = part.split()
            while words and words[0] in ("sudo", "if", "!"):
                words = words[1:]
            if words and os.path.basename(words[0]) in OURS:
                yield [os.path.basename(words[0]), *words[1:]]


def understood(tmp_path, pair, words):
    program, *args = words
    p = call(f"{BUILD}/{program}", *args, "--help")
    assert p.returncode == 0, (words, p.stderr)
    if args[:1] == ["acl"] and args[1] in ("set", "modify"):
        entries = [re.sub(r":\w+:", ":1001:", w) for w in args[2:] if ":" in w][0]
        ctl("acl", "check", f"u::rwx,g::r,o::-,m::rwx,{entries}")
    if args[:1] == ["account"] and args[1] in ("add", "set"):
        for pair_text in args[3:]:
            key, _, value = pair_text.partition("=")
            if key.startswith("-") or value == "":
                continue
            sections = "".join(f"[{kind} {value}]\nmembers = all\n" if kind == "class" else f"[{kind} {value}]\n"
                               for kind in ("class", "group") if key in (kind, kind + "s"))
            check(tmp_path, pair, sections + as_account(f"{key.rstrip('+')} = {value}\n"))


@of_kind("commands")
def test_commands(tmp_path, pair, page, kind, more, line, text):
    for words in calls(text):
        understood(tmp_path, pair, words)


def test_commands_of_texts(tmp_path, pair):
    found = [words for t in TEXTS for kind, _, text in fences(t) if kind == "console" for words in calls(text)]
    found += [words for t in TEXTS for text in re.findall(r"(?m)`(sallyctl [a-z][^`]*)`|^    (.*)", open(t).read())
              for words in calls("".join(text))]
    assert len(found) > 5
    for words in found:
        p = call(f"{BUILD}/{words[0]}", *[w for w in words[1:] if not w.isupper()], "--help")
        assert p.returncode == 0, (words, p.stderr)


def test_commands_in_prose():
    """What the pages call sallyctl something is a command of it."""
    rows = re.findall(r'(?m)^COMMAND\("([a-z-]+)(?: [a-z-]+)?",', open(f"{TOP}/ctl/commands.def").read())
    wrong = [f"{os.path.basename(p)}: sallyctl {m[1]}" for p in PAGES
             for m in re.finditer(r"(?m)^\.(?:Ql|Nm|Dl [#$]) \"?sallyctl ([a-z-]+)", open(p).read())
             if m[1] not in rows]
    assert rows and not wrong, wrong


# ----------------------------------------------------------------------------------- other files

@of_kind("expect")
def test_expectations(tmp_path, page, kind, more, line, text):
    """They are not only lines that expect reads: they are true of the configuration on the same page."""
    home = tmp_path / "home"
    home.mkdir()
    keys = f"home = {home}\nrun_as = 64111\npassword = {HASHES['alice']}\n"
    conf = re.sub(r"(?m)^(\[account \w+\]\n)", lambda m: m[1] + keys,
                  "".join(d[4] for d in DISPLAYS if d[0] == page and d[1] == "config"))
    said = ctl("-c", write(tmp_path / "x.conf", conf), "expect", "-", text=text)
    assert said.startswith(f"{len(text.splitlines())} met"), said


@of_kind("permissions")
def test_permissions_files(tmp_path, page, kind, more, line, text):
    home = tmp_path / "home"
    home.mkdir()
    write(home / ".permissions", text, 0o644)
    conf = write(tmp_path / "x.conf", as_account(f"home = {home}\nlayer = ftpcluster\ncluster_uid = 1001\n"))
    assert "control-file" not in ctl("-c", conf, "lint", "x")


@of_kind("passwd_file")
def test_passwd_files(tmp_path, page, kind, more, line, text):
    path = write(tmp_path / ".passwd", text)
    conf = write(tmp_path / "x.conf", f"[server]\naccounts = passwd_file\npasswd_file = {path}\n")
    listed = ctl("-c", conf, "account", "list", "--source", "passwd_file")
    assert len(listed.split("\n")) - 1 == len([row for row in text.split("\n") if row and not row.startswith("_:")])


@of_kind("proftpd")
def test_proftpd_files(tmp_path, page, kind, more, line, text):
    conf = write(tmp_path / "x.conf", f"[server]\naccounts = database\naccounts_database = {tmp_path}/x.db\n")
    path = write(tmp_path / "passwd", text.replace("$6$...", HASHES["alice"]))
    assert ctl("-c", conf, "account", "import", "--format", "proftpd", path) == f"{text.count(chr(10))} imported\n"


@of_kind("pyftpdlib")
def test_pyftpdlib_files(tmp_path, pair, page, kind, more, line, text):
    p = call(CTL, "import", "pyftpdlib", write(tmp_path / "calls", text))
    assert p.returncode == 0, p.stderr
    check(tmp_path, pair, p.stdout)
