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
