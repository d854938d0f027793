"""Two and three sessions at once, of accounts whose policies are written in different languages, say anything for a while:
every verb of the table, over TLS and in clear, with transfers that are aborted and connections that are reset.  What holds
however it went is looked at after each round:

    nothing outside the root has changed, and nothing that rules or the kernel keep
    the ledger of each quota is what lies on the disk
    every reply was one, and no connection ended without a word (talk.py)
    what "sallyctl why" says is what happens
    no process died by a signal, made a forbidden call or broke a protocol, and the pool is as it was

    tests/run --only model SECONDS=3600 SEED=7     (SECONDS: 60 unless given; SEED: printed, so that a run can be repeated)
"""
import collections
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time

import pytest
from conftest import BUILD, PATIENCE, wait_for
from talk import Finding, Talk
from tlsserver import TlsServer

SECONDS = float(os.environ.get("SECONDS") or 60)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
STEPS = 40			# of a session in a round
PROBES = 4			# of "sallyctl why" for each account of a round
SPARES = 4
FIRST_UID = 64211
# The language of each account, which is its name. What lies below /ruled may not be changed, by the rules of the first three.
POLICIES = {
    "pyftpdlib": "pyftpdlib elradfmwMT\n\toverride ruled elr recursive",
    "sftpplus": "sftpplus allow-full-control\n\t/ruled | /ruled/*, allow-list, allow-read",
    "ftpcluster": "ftpcluster",
    "ups": "ups +* -D",
    "posix1e": "posix1e",
}
RULED = ("pyftpdlib", "sftpplus", "ftpcluster")
CONFIGURATION = f"""penalty_crash = 0
penalty_failure = 0
spare_sessions_min = {SPARES}
spare_sessions_max = {SPARES}
login_attempts = 100
list_owner = session
quota_directory = {{quota}}
"""
# Events that no client can cause, whatever it says, and calls that a filter refused.
NEVER = re.compile(r"event=(process-killed|process-failed|protocol-violation|claimed|session-not-verified"
                   r"|agent-vanished|syscall-refused|session-timeout|quota-ledger\S*)\b[^\n]*|[^\n]*signal=\d+[^\n]*")


def write(where, content, uid=0):
    with open(where, "wb") as f:
        f.write(content)
    os.chown(where, uid, uid)


def folder(where, uid=0, mode=0o755):
    os.makedirs(where, exist_ok=True)
    os.chown(where, uid, uid)
    os.chmod(where, mode)


def picture(top):
    """All below a directory: path -> kind, mode, owner, and content or target."""
    seen = {}
    for where, folders, files in os.walk(os.fsencode(top)):
        for name in [b".", *folders, *files]:
            at = os.path.join(where, name)
            st = os.lstat(at)
            what = os.readlink(at) if stat.S_ISLNK(st.st_mode) else b""
            if stat.S_ISREG(st.st_mode):
                with open(at, "rb") as f:
                    what = hashlib.sha256(f.read()).digest()
            seen[os.path.relpath(at, os.fsencode(top))] = (st.st_mode, st.st_uid, st.st_gid, what)
    return seen


class World:
    """The server, its accounts, and what must stay as it is."""

    def __init__(self):
        self.quota = tempfile.mkdtemp(prefix="sallyport-model-")
        uids = {name: FIRST_UID + i for i, name in enumerate(POLICIES)}
        sections = "".join(
            f"[account {name}]\npassword = {{CLEAR}}{name}\nhome = {{dir}}/home-{name}\nrun_as = {uids[name]}:{uids[name]}\n"
            f"quota_bytes = 3M\nquota_files = 300\nlayer = {policy}\n" for name, policy in POLICIES.items())
        self.uids = uids
        self.server = TlsServer(server=CONFIGURATION.format(quota=f"{self.quota}/q"), sections=sections, kinds=("ec",), accounts=(),
                                prepare=self.prepare)

    def prepare(self, directory):
        self.dir = directory
        folder(f"{directory}/outside", mode=0o777)
        write(f"{directory}/outside/secret", b"SECRET")
        for name in POLICIES:
            self.furnish(name)

    def home(self, name):
        return f"{self.dir}/home-{name}"

    def furnish(self, name):
        """A home as it is before each round."""
        home, uid = self.home(name), self.uids[name]
        shutil.rmtree(home, ignore_errors=True)
        for where in ("", "/d", "/d/e"):
            folder(home + where, uid)
        # The kernel lets everybody change what is in the one, and nobody what is in the other.
        folder(f"{home}/ruled", mode=0o777)
        folder(f"{home}/closed")
        for where, n in (("/a", 5), ("/b", 100000), ("/d/x", 1000), ("/d/e/y", 0)):
            write(home + where, b"0123456789" * (n // 10 + 1), uid)
        write(f"{home}/ruled/keep", b"RULED")
        os.chmod(f"{home}/ruled/keep", 0o666)
        write(f"{home}/closed/keep", b"CLOSED")
        if name == "ftpcluster":
            write(f"{home}/.permissions", b"%d lrwdmsn\n" % uid)
            write(f"{home}/ruled/.permissions", b"%d lr\n" % uid)
        for link, target in (("ln", "d"), ("away", "../outside"), ("loop", "loop")):
            os.symlink(target, f"{home}/{link}")

    def ctl(self, *words):
        r = subprocess.run([f"{BUILD}/sallyctl", "--config", self.server.conf, *words], capture_output=True, text=True,
                           errors="surrogateescape", timeout=PATIENCE, check=False)
        return r.returncode, r.stdout

    def ledger(self, name):
        n = json.loads(self.ctl("--json", "quota", "show", name)[1])
        return n["bytes"], n["files"]

    def recount(self, name):
        assert self.ctl("quota", "recount", name)[0] == 0
        return self.ledger(name)

    def kept(self, name):
        """What no client may change, by inode: content of the files that rules or the kernel keep. None: it is gone."""
        content = {}
        for where, _, files in os.walk(self.home(name)):
            for f in files:
                st = os.lstat(os.path.join(where, f))
                if stat.S_ISREG(st.st_mode):
                    with open(os.path.join(where, f), "rb") as opened:
                        content[st.st_ino] = opened.read(1000)
        return content


@pytest.fixture
def world():
    w = World()
    yield w
    w.server.clean()
    shutil.rmtree(w.quota, ignore_errors=True)


# ----------------------------------------------------------------------------------------------------- a round

def talk_at_once(world, r, names, deadline):
    """One session for each name, at the same time; what they found."""
    findings = []
    talks = [Talk(world.server, name, world.home(name), random.Random(r.random())) for name in names]

    def one(talk):
        try:
            talk.run(STEPS, lambda: time.monotonic() > deadline or findings)
        except Exception as e:
            findings.append(f"{talk.user}: {e!r}; said {talk.said}")
        finally:
            with contextlib.suppress(Exception):
                talk.leave("reset")

    threads = [threading.Thread(target=one, args=(t,), daemon=True) for t in talks]
    for t in threads:
        t.start()
    for t in threads:
        t.join(3 * PATIENCE)
        if t.is_alive():
            findings.append("a session hangs")
    return findings, sum(t.steps for t in talks)


PROBE_VERBS = ["RETR", "STOR", "APPE", "DELE", "MKD", "RMD", "CWD", "MLST", "SIZE", "MDTM", "LIST", "NLST", "MLSD", "RNTO"]
PROBE_NAMES = ["a", "b", "new", "d", "d/x", "d/new", "d/e/y", "ruled", "ruled/keep", "ruled/new", "closed/keep", "closed/new", "none/x", "/"]


def act(raw, verb, one, two):
    """Carries it out: the code and text of the reply that decides."""
    if verb == "RNTO":
        code, text = raw.cmd(f"RNFR {one}")
        return (code, text) if code != 350 else raw.cmd(f"RNTO {two}")
    if verb in ("RETR", "STOR", "APPE", "LIST", "NLST", "MLSD"):
        data = raw.passive()
        code, text = raw.cmd(f"{verb} {one}")
        if code == 150:
            if verb in ("STOR", "APPE"):
                data.sendall(b"probe")
                data.close()
            else:
                while data.recv(1 << 16):
                    pass
            code, text = raw.reply()
        data.close()
        return code, text
    return raw.cmd(f"{verb} {one}")


def effect_is_right(home, verb, one, two):
    """After success: is it so on the disk?  Only names without links on their way."""
    at = os.path.normpath(f"{home}/{one}")
    if verb in ("DELE", "RMD"):
        return not os.path.lexists(at)
    if verb == "MKD":
        return os.path.isdir(at)
    if verb in ("STOR", "APPE"):
        with open(at, "rb") as f:
            content = f.read()
        return content == b"probe" if verb == "STOR" else content.endswith(b"probe")
    if verb == "RNTO":
        to = os.path.normpath(f"{home}/{two}")
        return os.path.lexists(to) and (at == to or not os.path.lexists(at))
    return True


def probe(world, r, name):
    """What "sallyctl why" says of a command, and what the command then does, while nobody else is there."""
    home, verb = world.home(name), r.choice(PROBE_VERBS)
    one, two = f"/{r.choice(PROBE_NAMES)}".replace("//", "/"), f"/{r.choice(PROBE_NAMES)}".replace("//", "/")
    words = [verb, one] if verb != "RNTO" else [verb, one, two]
    before = picture(home)
    verdict, told = world.ctl("why", name, *words)
    raw = world.server.raw().login(name)
    try:
        code, text = act(raw, verb, one, two)
        raw.cmd("QUIT")
    finally:
        raw.close()
    world.server.wait_quiet()
    what = f"{name}: {words}: {text!r}, and why says {verdict}: {told}"
    if verdict == 1:
        assert code >= 400, what
        assert picture(home) == before, f"{what}; and something has changed"
    if verdict == 0:
        assert "by policy" not in text, what
    if code < 300 and not any(os.path.islink(f"{home}/{p}") for x in (one, two) for p in (x, os.path.dirname(x))):
        assert effect_is_right(home, verb, one, two), what


def sweep(world, name):
    """What an upload could not remove, its directory having been closed by SITE CHMOD meanwhile, goes when that is listed."""
    folders = []
    for where, _, _ in os.walk(world.home(name)):
        if os.stat(where).st_uid == world.uids[name]:
            os.chmod(where, 0o755)
            folders.append(os.path.relpath(where, world.home(name)))
    with contextlib.closing(world.server.raw().login(name)) as raw:
        for where in folders:
            # Not LIST of the name, which may be a pattern.
            raw.send(b"CWD /" + os.fsencode(where).replace(b"\xff", b"\xff\xff") + b"\r\n")
            if raw.reply()[0] == 250:
                raw.fetch("LIST")
    world.server.wait_quiet()


def temporary(world, name):
    return [os.path.join(where, n) for where, _, files in os.walk(world.home(name)) for n in files if re.match(r"\.sallyport-(?!0-0)", n)]


def check(world, names, before, kept):
    """What must hold however it went."""
    server = world.server
    assert server.process.poll() is None, server.errors()
    bad = NEVER.search(server.log())
    assert bad is None, bad[0]
    assert picture(f"{world.dir}/outside") == before["outside"], "something outside the roots has changed"
    for name in POLICIES:
        if name not in names:
            assert picture(world.home(name)) == before[name], f"the home of {name}, who was not there, has changed"
    for name in set(names):
        now = world.kept(name)
        for inode, content in kept[name].items():
            assert now.get(inode) == content, f"{name}: a file that was to stay is {now.get(inode)!r}"
        if temporary(world, name):
            sweep(world, name)
        assert not temporary(world, name), f"{name}: {temporary(world, name)} stays"
        ledger = world.ledger(name)
        assert ledger == world.recount(name), f"{name}: the ledger said {ledger}, on the disk are {world.ledger(name)}"


def precious(world, name):
    """Inodes and content of what stays."""
    files = ["closed/keep"] + (["ruled/keep"] if name in RULED else [])
    result = {}
    for f in files:
        with open(f"{world.home(name)}/{f}", "rb") as opened:
            result[os.stat(opened.fileno()).st_ino] = opened.read(1000)
    return result


def idle_processes(world):
    """The processes of the idle server by name; None: it is not idle."""
    s = world.server.ctl("status")
    if s["sessions"] or s["ending"] or s["waiting"] or s["spares"] < SPARES:
        return None
    return collections.Counter(world.server.pids().values())


def test_anything_said_by_two_and_three_at_once(world):
    print(f"SEED={SEED} SECONDS={SECONDS:.0f}")
    started, rounds, steps = time.monotonic(), 0, 0
    deadline = started + SECONDS
    processes = wait_for(lambda: idle_processes(world), "the server does not come to rest")
    while time.monotonic() < deadline or rounds == 0:
        r = random.Random(f"{SEED} {rounds}")
        names = r.choices(sorted(POLICIES), k=r.choice((2, 3)))
        for name in set(names):
            world.furnish(name)
            world.recount(name)
        before = {name: picture(world.home(name)) for name in POLICIES} | {"outside": picture(f"{world.dir}/outside")}
        kept = {name: precious(world, name) for name in set(names)}
        where = f"SEED={SEED}, round {rounds}, {names}: "
        findings, n = talk_at_once(world, r, names, max(deadline, time.monotonic() + 5))
        assert not findings, where + "\n".join(findings) + "\n" + world.server.log()[-3000:]
        try:
            world.server.wait_quiet()
            check(world, names, before, kept)
            for name in sorted(set(names)):
                world.furnish(name)
                world.recount(name)
                for _ in range(PROBES):
                    probe(world, r, name)
        except Finding:
            raise
        except AssertionError as e:
            raise AssertionError(where + str(e)) from e
        rounds, steps = rounds + 1, steps + n
    assert wait_for(lambda: idle_processes(world), "the pool does not recover") == processes
    print(f"{rounds} rounds, {steps} steps")
