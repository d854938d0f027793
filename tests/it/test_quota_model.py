"""Several sessions of an account with a quota at once: whatever they do to the same few names, the ledger says what lies
on the disk, and that is never more than the quota allows.

The model is the disk.  While transfers run, each may write what was left when it began, and no more: so the disk holds at
most the quota and once as much for each upload that runs.  When none runs, ledger and disk are equal, and a recount finds the same; directories and links are entries like files.
What a killed process was writing stays beyond the quota until the next session has looked, and then only where it was written in
place.  A killed monitor leaves what its agent was doing to the next session, which settles it: nobody has to count anew."""
import contextlib
import os
import random
import signal
import socket
import stat
import time

import pytest

from conftest import wait_for
from test_accounts_quota import ctl, start

QUOTA_BYTES, QUOTA_FILES = 200_000, 9
NAMES = ["a", "b", "x/a", "x/b", "y/a", "y/b"]
DIRECTORIES = ["x", "y", "z", "x/z"]
SESSIONS = 3
ROUNDS = int(os.environ.get("SALLYPORT_QUOTA_ROUNDS", "60"))


def on_disk(home):
    """Bytes of files, and entries: files, directories and links, left-overs of dead sessions included."""
    sizes = []
    for folder, folders, names in os.walk(home):
        for name in folders + names:
            with contextlib.suppress(FileNotFoundError):
                st = os.lstat(os.path.join(folder, name))
                sizes.append(st.st_size if stat.S_ISREG(st.st_mode) else 0)
    return sum(sizes), len(sizes)


class Actor:
    """One session, with at most one upload that runs."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.data = None
        self.killed = []
        self.connect()

    def connect(self):
        self.raw = self.server.raw().login()
        assert self.raw.cmd("TYPE I")[0] == 200
        self.data = None

    def begin(self):
        name, verb = self.rng.choice(NAMES), self.rng.choice(["STOR", "STOR", "APPE", "REST", "STOU"])
        if verb == "REST":
            assert self.raw.cmd(f"REST {self.rng.choice([1, 1000, 50_000])}")[0] == 350
        data = self.raw.passive()
        code, _ = self.raw.cmd("STOU" if verb == "STOU" else f"{'STOR' if verb == 'REST' else verb} {name}")
        if code == 150:
            self.data = data
        else:
            data.close()

    def write(self):
        with contextlib.suppress(OSError):      # it was refused, and may be reset
            self.data.sendall(b"x" * self.rng.choice([1, 3000, 40_000, 120_000]))

    def finish(self):
        self.data.close()
        self.data = None
        assert self.raw.reply()[0] in (226, 450, 451, 452, 552, 553, 550, 426)

    def break_off(self):
        self.data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.finish()

    def leave(self):
        """The client goes, with whatever it was doing."""
        self.raw.close()
        if self.data is not None:
            self.data.close()
        self.connect()

    def kill(self):
        """A process of any session is killed, as the kernel does when memory is short."""
        role = self.rng.choice(["agent", "agent", "monitor", "worker"])
        for x in self.rng.sample(sessions := self.server.ctl("who"), min(1, len(sessions))):
            with contextlib.suppress(ProcessLookupError, KeyError):
                os.kill(x["pids"][role], signal.SIGKILL)
                self.killed.append(role)

    def other(self):
        names = NAMES if self.rng.random() < 0.7 else DIRECTORIES
        a, b = self.rng.choice(names), self.rng.choice(names)
        if self.rng.random() < 0.5:
            self.raw.cmd(f"DELE {a}" if names is NAMES else self.rng.choice(
                [f"MKD {a}", f"MKD {a}", f"RMD {a}", f"SITE SYMLINK {b} {a}", f"DELE {a}"]))
        elif self.raw.cmd(f"RNFR {a}")[0] == 350:
            self.raw.cmd(f"RNTO {b}")

    def step(self):
        try:
            if self.rng.random() < 0.02:
                self.kill()
            if self.data is None:
                self.rng.choice([self.begin, self.begin, self.other])()
            else:
                self.rng.choice([self.write, self.write, self.finish, self.break_off, self.leave])()
        except (OSError, AssertionError):
            # This session's process may have been the one that was killed.
            if self.raw.sock.fileno() >= 0 and self.alive():
                raise
            self.leave()

    def alive(self):
        try:
            return self.raw.cmd("NOOP")[0] == 200
        except OSError:
            return False


def used(server):
    now = ctl(server, "show", "alice")
    return now["bytes"], now["files"]


def killed(actors):
    return sum(len(a.killed) for a in actors)


def look_everywhere(s):
    """A session of the account, which removes what dead ones have left, in directories that were renamed too."""
    raw = s.raw().login()
    raw.cmd("SIZE a")
    for folder, _, _ in os.walk(s.homes["alice"]):
        raw.fetch(f"LIST {os.path.relpath(folder, s.homes['alice'])}")
    raw.close()
    s.wait_quiet()


def remove_all(s):
    raw = s.raw().login()
    for folder, folders, names in os.walk(s.homes["alice"], topdown=False):
        for verb, name in [("DELE", n) for n in names] + [("RMD", n) for n in folders]:
            if verb == "RMD" and os.path.islink(os.path.join(folder, name)):
                verb = "DELE"
            assert raw.cmd(f"{verb} /{os.path.relpath(os.path.join(folder, name), s.homes['alice'])}")[0] == 250
    raw.close()
    s.wait_quiet()


def check_settled(s, actors, where):
    """No session is left."""
    home = s.homes["alice"]
    # What dead sessions left is charged, where their monitors live; the next session of the account takes it away.
    assert any("monitor" in a.killed for a in actors) or used(s) == on_disk(home), where
    look_everywhere(s)
    assert used(s) == on_disk(home), where
    assert not [n for _, _, names in os.walk(home) for n in names if n.startswith(".sallyport-part-")], where
    bytes_, files = on_disk(home)
    assert bytes_ <= QUOTA_BYTES * (1 + killed(actors)) and files <= QUOTA_FILES + killed(actors), where
    if bytes_ > QUOTA_BYTES or files > QUOTA_FILES:
        remove_all(s)
        assert used(s) == on_disk(home) == (0, 0), where


@pytest.mark.parametrize("atomic", ["yes", "no"])
def test_the_ledger_is_the_disk(serve, atomic):
    s = start(serve, f"quota_bytes = {QUOTA_BYTES}\nquota_files = {QUOTA_FILES}\natomic_uploads = {atomic}")
    seed = int(os.environ.get("SALLYPORT_SEED", time.time_ns() % 1_000_000))
    print("SALLYPORT_SEED =", seed)
    rng = random.Random(seed)
    actors = [Actor(s, rng) for _ in range(SESSIONS)]
    for number in range(ROUNDS):
        for _ in range(12):
            rng.choice(actors).step()
            bytes_, _ = on_disk(s.homes["alice"])
            assert bytes_ <= QUOTA_BYTES * (1 + len(actors) + killed(actors)), f"seed {seed}, round {number}"
        for a in actors:
            a.raw.close()
            if a.data is not None:
                a.data.close()
        s.wait_quiet()
        check_settled(s, actors, f"seed {seed}, round {number}")
        for a in actors:
            a.killed.clear()
            a.connect()
    now = ctl(s, "recount", "alice")
    assert (now["bytes"], now["files"]) == on_disk(s.homes["alice"])
    for a in actors:
        a.raw.close()
    assert "syscall-refused" not in s.log()


def dead_upload(s, verb, size, roles):
    """An upload that has written so much when these processes of its session are killed."""
    others = {x["session"] for x in s.ctl("who")}
    raw = s.raw().login()
    assert raw.cmd("TYPE I")[0] == 200
    data = raw.passive()
    before = on_disk(s.homes["alice"])[0]
    assert raw.cmd(verb)[0] == 150
    data.sendall(b"x" * size)
    wait_for(lambda: on_disk(s.homes["alice"])[0] == before + size)
    mine = wait_for(lambda: [x for x in s.ctl("who") if x["session"] not in others])
    # Neither sees the other's end.
    for number in [signal.SIGSTOP, signal.SIGKILL]:
        for role in roles:
            os.kill(mine[0]["pids"][role], number)
    data.close()
    raw.close()
    wait_for(lambda: len(s.ctl("who")) == len(others) and not s.ctl("status")["ending"])


def come_back(s):
    """A session of the account, which looks for what dead ones have left."""
    raw = s.raw().login()
    raw.cmd("SIZE a")
    raw.close()
    s.wait_quiet()


@pytest.mark.parametrize("verb, atomic", [("STOR d/f", "yes"), ("STOR d/f", "no"), ("STOU d/f", "yes")])
def test_a_directory_made_anew_proves_nothing(serve, verb, atomic):
    """What a killed agent's upload has left stays charged, however its directory is renamed and another made in its place."""
    s = start(serve, f"quota_bytes = {QUOTA_BYTES}\natomic_uploads = {atomic}")
    raw = s.raw().login()
    assert raw.cmd("MKD d")[0] == 257
    dead_upload(s, verb, 150_000, ["agent"])
    assert raw.cmd("RNFR d")[0] == 350 and raw.cmd("RNTO e")[0] == 250 and raw.cmd("MKD d")[0] == 257
    raw.close()
    s.wait_quiet()
    come_back(s)
    assert used(s) == on_disk(s.homes["alice"]) == (150_000, 3)
    now = ctl(s, "recount", "alice")
    assert (now["bytes"], now["files"]) == (150_000, 3)
    # Who looks into the renamed directory takes the temporary file away, and its charge.
    raw = s.raw().login()
    raw.passive()
    assert raw.cmd("MLSD e")[0] == 150 and raw.reply()[0] == 226
    raw.cmd("DELE e/f")
    raw.close()
    s.wait_quiet()
    assert used(s) == on_disk(s.homes["alice"]) == (0, 2)


def test_nobody_is_given_back_what_a_dead_session_was_not_charged(serve):
    """Agent and monitor are killed, the directory renamed and made anew: what was not charged is not given back."""
    s = start(serve, f"quota_bytes = {QUOTA_BYTES}")
    raw = s.raw().login()
    assert raw.cmd("MKD d")[0] == 257
    data = raw.passive()
    assert raw.cmd("STOR kept")[0] == 150
    data.sendall(b"x" * 30_000)
    data.close()
    assert raw.reply()[0] == 226
    dead_upload(s, "STOU d/f", 150_000, ["monitor", "agent"])
    assert raw.cmd("RNFR d")[0] == 350 and raw.cmd("RNTO e")[0] == 250 and raw.cmd("MKD d")[0] == 257
    raw.close()
    s.wait_quiet()
    come_back(s)
    raw = s.raw().login()
    assert raw.cmd("DELE e/f")[0] == 250
    raw.close()
    s.wait_quiet()
    assert used(s) == on_disk(s.homes["alice"]) == (30_000, 3)


def test_an_agent_without_its_monitor_touches_nothing(serve):
    """It wakes when its monitor is dead: the file is as the ledger says."""
    s = start(serve, f"quota_bytes = {QUOTA_BYTES}\natomic_uploads = no\nkeep_partial = no")
    raw = s.raw().login()
    assert raw.cmd("TYPE I")[0] == 200
    data = raw.passive()
    assert raw.cmd("STOR f")[0] == 150
    data.sendall(b"x" * 150_000)
    wait_for(lambda: on_disk(s.homes["alice"])[0] == 150_000)
    pids = wait_for(lambda: s.ctl("who"))[0]["pids"]
    os.kill(pids["agent"], signal.SIGSTOP)
    os.kill(pids["monitor"], signal.SIGKILL)
    os.kill(pids["agent"], signal.SIGCONT)
    data.close()
    raw.close()
    s.wait_quiet()
    assert on_disk(s.homes["alice"]) == (150_000, 1)
    come_back(s)
    assert used(s) == on_disk(s.homes["alice"]) == (150_000, 1)
