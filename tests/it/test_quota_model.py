"""Several sessions of an account with a quota at once: whatever they do to the same few names, the ledger says what lies
on the disk, and that is never more than the quota allows.

The model is the disk.  While transfers run, each may write what was left when it began, and no more: so the disk holds at
most the quota and once as much for each upload that runs.  When none runs, ledger and disk are equal, and a recount finds the same."""
import contextlib
import os
import random
import signal
import socket
import time

import pytest

from conftest import wait_for
from test_accounts_quota import ctl, start

QUOTA_BYTES, QUOTA_FILES = 200_000, 6
NAMES = ["a", "b", "c", "d"]
SESSIONS = 3
ROUNDS = int(os.environ.get("SALLYPORT_QUOTA_ROUNDS", "60"))


def on_disk(home):
    """Bytes and files, left-overs of dead sessions included."""
    sizes = []
    for folder, _, names in os.walk(home):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes.append(os.lstat(os.path.join(folder, name)).st_size)
    return sum(sizes), len(sizes)


class Actor:
    """One session, with at most one upload that runs."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.data = None
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
        """The agent is killed, as the kernel does when memory is short."""
        agents = [p for p, name in self.server.pids().items() if name.startswith("sallyport-agent") and is_alices(p)]
        if agents:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(agents), signal.SIGKILL)

    def other(self):
        a, b = self.rng.choice(NAMES), self.rng.choice(NAMES)
        if self.rng.random() < 0.5:
            self.raw.cmd(f"DELE {a}")
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
            # This session's agent may have been the one that was killed.
            if self.raw.sock.fileno() >= 0 and self.alive():
                raise
            self.leave()

    def alive(self):
        try:
            return self.raw.cmd("NOOP")[0] == 200
        except OSError:
            return False


def is_alices(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
        return "\nUid:\t64111\t" in f.read()
    return False


def used(server):
    now = ctl(server, "show", "alice")
    return now["bytes"], now["files"]


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
            assert bytes_ <= QUOTA_BYTES * (1 + len(actors)), f"seed {seed}"
        for a in actors:
            a.raw.close()
            if a.data is not None:
                a.data.close()
        s.wait_quiet()
        # What dead sessions left is charged; the next session of the account takes it away.
        assert used(s) == on_disk(s.homes["alice"]), f"seed {seed}, round {number}"
        x = s.raw().login()
        x.cmd("SIZE a")
        x.close()
        s.wait_quiet()
        disk = on_disk(s.homes["alice"])
        assert used(s) == disk, f"seed {seed}, round {number}"
        assert disk[0] <= QUOTA_BYTES and disk[1] <= QUOTA_FILES, f"seed {seed}, round {number}"
        assert not [n for n in os.listdir(s.homes["alice"]) if n.startswith(".sallyport-part-")]
        for a in actors:
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
    assert used(s) == on_disk(s.homes["alice"]) == (150_000, 1)
    now = ctl(s, "recount", "alice")
    assert (now["bytes"], now["files"]) == (150_000, 1)
    # Who looks into the renamed directory takes the temporary file away, and its charge.
    raw = s.raw().login()
    raw.passive()
    assert raw.cmd("MLSD e")[0] == 150 and raw.reply()[0] == 226
    raw.cmd("DELE e/f")
    raw.close()
    s.wait_quiet()
    assert used(s) == on_disk(s.homes["alice"]) == (0, 0)


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
    assert used(s) == on_disk(s.homes["alice"]) == (30_000, 1)


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
