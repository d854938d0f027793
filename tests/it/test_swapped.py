"""Two sessions, one of which trades the names of an allowed and a forbidden directory all the time: whatever the other one asks, with
every command that reads or writes, nothing of the forbidden one is read or changed."""
import hashlib
import os
import re
import threading

import pytest
from conftest import PATIENCE, TOP


UID = 64131
MARK = b"FORBIDDEN-" * 7   # what stands in the forbidden directory, and in the names of what is in it
NAME = "marked-secret"
ROUNDS = int(os.environ.get("SWAPPED_ROUNDS", "80"))
DIGESTS = {"XCRC": None, "XMD5": "md5", "XSHA1": "sha1", "XSHA256": "sha256", "XSHA512": "sha512"}

# Commands about a name in either directory; {} is the directory's name, N a number that is new each time.
ASKED = ["SIZE {}/f", "MDTM {}/f", "MLST {}/f", "MLST {}/" + NAME, "STAT {}", "STAT {}/" + NAME, "XCRC {}/f", "XMD5 {}/sub/f", "XSHA1 {}/f",
         "XSHA256 {}/f", "XSHA512 {}/f", "HASH {}/f", "AVBL {}", "SITE GETFACL {}/f", "SITE READLINK {}/ln", "SITE WHY RETR {}/f"]
CHANGED = ["DELE {}/f", "DELE {}/sub/f", "RMD {}/empty", "MKD {}/made-N", "MFMT 20200101000000 {}/f", "MDTM 20200101000000 {}/f",
           "MFF Modify=20200101000000;UNIX.mode=600; {}/f", "SITE CHMOD 600 {}/f", "SITE UTIME 20200101000000 {}/f",
           "SITE SYMLINK f {}/link-N", "SITE CHGRP " + str(UID) + " {}/f", "SITE SETFACL u::rw,g::-,o::- {}/f", "SITE DELDEFACL {}/sub"]
MOVED = [("{}/f", "/out/f-N"), ("{}/sub", "/out/sub-N"), ("/in/N", "{}/in-N"), ("/in/N", "{}/f")]
DATA = ["RETR {}/f", "RETR {}/sub/f", "LIST {}", "LIST -a {}/sub", "NLST {}", "MLSD {}", "NLST {}/*", "STOR {}/f", "STOR {}/new-N",
        "APPE {}/f", "STOU {}/f"]
NAMES = ["/one", "/two", "/one/sub/..", "/one/../two", "two", "./one"]


def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content)


def lay_out(home, one, two, control):
    """The allowed directory, with something to take and remove, and the forbidden one."""
    for name, mark in ((one, b"open"), (two, MARK)):
        for path in ("f", "sub/f", NAME if mark is MARK else "plain"):
            put(f"{home}/{name}/{path}", mark)
        os.makedirs(f"{home}/{name}/empty")
        os.symlink(NAME if mark is MARK else "plain", f"{home}/{name}/ln")
    for name in ("in", "out"):
        os.makedirs(f"{home}/{name}", exist_ok=True)
    if control:
        put(f"{home}/.permissions", b"* lrwdmsn\n")
        put(f"{home}/{one}/.permissions", b"* lrwdmsna\n")
        put(f"{home}/{two}/.permissions", b"*\n")


def own(top, uid):
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files]:
            os.lchown(os.path.join(folder, name), uid, uid)


def forbidden(home):
    """Where it is: the one that holds the marked name."""
    return next(f"{home}/{name}" for name in os.listdir(home) if os.path.lexists(f"{home}/{name}/{NAME}"))


def state(top):
    """All that can be changed in a tree."""
    seen = {}
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files]:
            path = os.path.normpath(os.path.join(folder, name))
            st = os.lstat(path)
            what = os.readlink(path) if os.path.islink(path) else open(path, "rb").read() if os.path.isfile(path) else None
            lists = () if os.path.islink(path) else tuple(sorted((n, os.getxattr(path, n)) for n in os.listxattr(path)))
            seen[os.path.relpath(path, top)] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, what, lists)
    return seen


def traces():
    """What no answer may hold: contents, names and sums."""
    words = [MARK, NAME.encode(), f" {len(MARK)}\r\n".encode()]
    return words + [hashlib.new(kind, MARK).hexdigest().encode() for kind in DIGESTS.values() if kind]


def clean(answer, line):
    """The answer without the name that the client itself has said."""
    text = answer.encode("utf-8", "surrogateescape")
    return text.replace(line.split(" ", 1)[1].encode(), b"") if NAME in line else text


class Trader:
    """A session that renames in a circle; or, over links, the process that exchanges two."""

    def __init__(self, session, names):
        self.session, self.names, self.rounds, self.ended = session, names, 0, threading.Event()
        self.thread = threading.Thread(target=self.trade)

    def trade(self):
        a, b = self.names
        steps = "".join(f"RNFR {x}\r\nRNTO {y}\r\n" for x, y in ((a, "/spare"), (b, a), ("/spare", b)))
        while not self.ended.is_set():
            self.session.send(steps)
            codes = [self.session.reply()[0] for _ in range(6)]
            self.rounds += codes == [350, 250] * 3
            # What another session's request had in its hands for a moment: names must come back before the next round.
            if codes != [350, 250] * 3:
                self.mend()

    def mend(self):
        a, b = self.names
        for x, y in (("/spare", a), ("/spare", b)):
            self.session.cmd(f"RNFR {x}")
            self.session.cmd(f"RNTO {y}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(PATIENCE)


def ask(r, lines):
    """Sends them at once; (line, code, text) for each."""
    r.send("".join(f"{line}\r\n" for line in lines))
    return [(line, *r.reply()) for line in lines]


def every_command():
    """That the lists above name all commands with a path."""
    with open(f"{TOP}/daemon/worker/verbs.def") as verbs, open(f"{TOP}/daemon/worker/sites.def") as sites:
        rows = re.findall(r"^(VERB|SITE)\((\w+),.*USES\((MSG_[\w, ]+)\)", verbs.read() + sites.read(), re.M)
    apart = {"PASS", "USER", "PORT", "EPRT", "PASV", "EPSV", "UMASK", "USERADD", "PASSWD", "PSWD", "REST", "CDUP", "RNFR", "RNTO", "CWD",
             # An administrator's.
             "CHOWN"}
    return {name for _, name, uses in rows if uses != "MSG_NONE"} - apart


def test_all_commands_are_asked():
    said = {word for line in ASKED + CHANGED + DATA for word in line.split()[:2]}
    assert every_command() - said == set()


def fill(line, name, n):
    return line.replace("{}", name).replace("N", str(n)) if NAME not in line else line.replace("{}", name)


def attack(r, home, n):
    """One round of everything; what came of it, as (line, bytes that arrived)."""
    name = NAMES[n % len(NAMES)]
    put(f"{home}/in/{n}", b"moved in")
    os.chown(f"{home}/in/{n}", UID, UID)
    lines = [fill(x, name, n) for x in ASKED + CHANGED]
    for a, b in MOVED:
        lines += [f"RNFR {fill(a, name, n)}", f"RNTO {fill(b, name, n)}"]
    lines += [f"CWD {name}", "PWD", "SIZE f", "MLST", "STAT .", "XMD5 f", f"DELE f-{n}", f"MKD here-{n}", "CWD /"]
    for line, code, text in ask(r, lines):
        assert code, line
        yield line, code, clean(text, line)
    line = fill(DATA[n % len(DATA)], name, n)
    if line.split()[0] in ("STOR", "APPE", "STOU"):
        yield line, r.put(line, b"put"), b""
    else:
        content, code = r.fetch(line)
        yield line, code, content


@pytest.mark.parametrize("way", ["control", "silent", "kernel"])
def test_nothing_in_the_forbidden_directory_is_read_or_changed(serve, way):
    layer = {"control": "ftpcluster", "silent": "ftpcluster", "kernel": "posix1e"}[way]
    keeper = UID if way != "kernel" else UID + 1
    s = serve("", f"[account mallory]\npassword = {{CLEAR}}m\nhome = {{dir}}/h\nrun_as = {UID}:{UID}\ncluster_uid = 7\nlayer = {layer}\n"
              f"ftpcluster_silent = {'none' if way == 'silent' else 'up'}\n"
              f"[account trader]\npassword = {{CLEAR}}t\nhome = {{dir}}/h\nrun_as = {keeper}:{keeper}\nlayer = posix1e\n", accounts=())
    home = f"{s.dir}/h"
    lay_out(home, "one", "two", way != "kernel")
    own(home, UID)
    os.chmod(home, 0o777)
    if way == "kernel":
        own(f"{home}/two", UID + 1)
        os.chmod(f"{home}/two", 0o700)
    if way == "silent":
        for name, number in (("one", "7"), ("two", "8")):
            put(f"{home}/{name}/.permissions", f"{number} lrwdmsna\n".encode())
    before, done = state(f"{home}/two"), 0
    mallory, trader = s.raw().login("mallory", "m"), s.raw().login("trader", "t")
    with Trader(trader, ("/one", "/two")) as trading:
        n = 0
        while n < ROUNDS or trading.rounds < ROUNDS // 4 or done < ROUNDS // 4:
            for line, code, text in attack(mallory, home, n):
                done += code < 300
                assert not any(trace in text for trace in traces()), (line, code, text)
            n += 1
            if n % 10 == 0:
                put(f"{home}/in/again", b"open")
    assert state(forbidden(home)) == before
