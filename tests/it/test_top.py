"""sallyctl top in a terminal: its screen at several widths, its keys, and that no name controls it."""
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte
import pytest

from conftest import BUILD, PATIENCE, wait_for

CTL = f"{BUILD}/sallyctl"


class Terminal:
    """sallyctl top in a terminal of that size, whose screen pyte draws."""

    def __init__(self, server, columns=120, lines=24, term="xterm", words=("1",)):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.master, slave = pty.openpty()
        self.size(columns, lines, slave)
        env = {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8"}
        for name in "LINES", "COLUMNS":
            env.pop(name, None)
        self.process = subprocess.Popen([CTL, "-c", server.conf, "top", *words], stdin=slave, stdout=slave,
                                        stderr=slave, env=env, start_new_session=True)
        os.close(slave)

    def size(self, columns, lines, fd):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self.size(columns, lines, self.master)
        self.process.send_signal(signal.SIGWINCH)

    def read(self):
        while select.select([self.master], [], [], 0.1)[0]:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                return
            if not part:
                return
            self.raw += part
            self.stream.feed(part)

    def see(self, test, what):
        """Reads until the screen is as wanted; its lines."""
        end = time.monotonic() + PATIENCE
        while True:
            self.read()
            lines = [line.rstrip() for line in self.screen.display]
            if test(lines):
                return lines
            assert time.monotonic() < end, what + "\n" + "\n".join(lines)

    def text(self, *words):
        return self.see(lambda lines: all(any(w in line for line in lines) for w in words), f"{words} is not shown")

    def gone(self, word):
        return self.see(lambda lines: not any(word in line for line in lines), f"{word} is still shown")

    def keys(self, text):
        os.write(self.master, text.encode())

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.master)


@pytest.fixture
def terminal(server):
    running = []

    def start(**options):
        running.append(Terminal(server, **options))
        return running[-1]

    yield start
    for t in running:
        t.end()


def sessions(server, user):
    return [w for w in server.ctl("who") if w["user"] == user]


def test_sessions_come_and_go(server, terminal):
    t = terminal()
    t.text("sessions, in", "USER", "q quit")
    with server.ftp("alice"):
        session = sessions(server, "alice")[0]
        lines = t.text(session["session"], session["peer"], "alice", "idle")
        assert any("logins" in line and "refused" in line for line in lines[:1])
    t.gone(session["session"])
    t.keys("q")
    t.see(lambda lines: t.process.poll() is not None, "q does not end it")
    assert t.process.returncode == 0


@pytest.mark.parametrize("columns", [10, 24, 40, 60, 80, 132, 250])
def test_every_width_and_a_change_of_it(server, terminal, columns):
    """No line is broken: the session has one row, at the width that it begins with and at that which it is given."""
    with server.ftp("alice"):
        t = terminal(columns=50 if columns != 50 else 80)
        t.text("alice", "USER")
        t.resize(columns, 12)
        lines = t.see(lambda lines: any("alice" in line for line in lines) and lines[11].startswith("q quit"[:columns]),
                      "the screen is not drawn anew")
        assert sum("alice" in line for line in lines) == 1
        assert any("PEER" in line for line in lines) == (columns >= 90)
        assert any("IN/s" in line for line in lines) == (columns >= 40)
        # A terminal without room for the list.
        t.resize(columns, 3)
        t.see(lambda lines: lines[2].startswith("q quit"[:columns]), "the small screen is not drawn")
        t.resize(columns, 12)
        t.text("alice")
        t.keys("q")
        assert t.process.wait(PATIENCE) == 0


def test_rates_and_bars(server, terminal):
    with open(f"{server.homes['alice']}/big", "wb") as f:
        f.truncate(1 << 30)
    with contextlib.closing(server.ftp("alice")) as f, server.ftp("bob"):
        f.voidcmd("TYPE I")
        data = f.transfercmd("RETR big")
        t = terminal(columns=140)

        def shown(lines):
            data.recv(1 << 20)
            row = next((line for line in lines if "alice" in line), "")
            return "transfer" in row and "##########" in row and "RETR big" in row
        lines = t.see(shown, "no rate is shown")
        names = [line.split()[1] for line in lines if "alice" in line or "bob" in line]
        assert names[0] == "alice", "the fastest is not the first"
        data.close()
    os.unlink(f"{server.homes['alice']}/big")


def test_sort_and_filter(server, terminal):
    def order(lines):
        return [w for line in lines[3:-2] for w in line.split() if w in ("alice", "bob")]
    with server.ftp("alice"), server.ftp("bob"):
        t = terminal()
        t.text("by rate", "alice", "bob")
        t.keys("sss")
        t.text("by user")
        t.see(lambda lines: order(lines) == ["alice", "bob"], "not sorted by user")
        t.keys("r")
        t.see(lambda lines: order(lines) == ["bob", "alice"], "not reversed")
        t.keys("/ALI")
        t.see(lambda lines: order(lines) == ["alice"], "not filtered")
        t.keys("\r")
        t.text("only ALI")
        t.keys("/\x1b")
        t.see(lambda lines: order(lines) == ["bob", "alice"], "the filter stays")


def test_kick(server, terminal):
    """Only the one that was selected, and only after y."""
    with server.ftp("alice") as alice, contextlib.closing(server.ftp("bob")) as bob:
        t = terminal()
        t.text("alice", "bob")
        t.keys("/bob\r")
        t.gone("alice")
        session = sessions(server, "bob")[0]["session"]
        t.keys("k")
        t.text(f"kick {session} (bob)? y or n")
        t.keys("n")
        t.gone("y or n")
        bob.voidcmd("NOOP")
        t.keys("ky")
        t.text("kicked: 1")
        wait_for(lambda: not sessions(server, "bob"))
        alice.voidcmd("NOOP")
        t.gone(session)


def test_ban(server, terminal):
    with server.ftp("alice"):
        t = terminal()
        t.text("alice")
        t.keys("b")
        t.text("ban 127.0.0.1:")
        t.keys("5m\x1b")
        t.gone("ban 127.0.0.1:")
        assert server.ctl("bans") == []
        t.keys("b1x\x7f0m\r")
        try:
            t.text("banned")
            bans = server.ctl("bans")
            assert [b["net"] for b in bans] == ["127.0.0.1"] and bans[0]["until"] is not None
        finally:
            server.ctl("unban", "127.0.0.1")


@pytest.mark.parametrize("name", ["\x1b[2Jx", "\x1b]0;title\x07", "\u009b2J", "\u202egnp", "\u6f22\u5b57"])
def test_names_do_not_control_the_terminal(server, terminal, name):
    """A path is the client's choice; so is a name that nobody has logged in with."""
    path = f"{server.homes['alice']}/{name}"
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    try:
        with contextlib.closing(server.ftp("alice")) as f:
            f.encoding = "utf-8"
            f.voidcmd("TYPE I")
            data = f.transfercmd(f"RETR {name}")
            t = terminal(columns=140)
            t.text("transfer")
            t.keys("/RETR\r")
            row = next(line for line in t.text("only RETR", "RETR ") if "alice" in line)
            if name.isprintable():
                assert name in row.replace(" ", "")
            else:
                assert name.encode() not in t.raw
                # The worker writes controls of ASCII as question marks; the rest is escaped here.
                assert ("RETR ?" if name[0] < " " else f"\\x{name.encode()[0]:02x}") in row, row
            data.close()
    finally:
        os.unlink(path)


def test_server_that_goes_away(serve):
    """It is said, and the table is there again when the server is."""
    s = serve()
    t = Terminal(s)
    try:
        t.text("sessions, in")
        s.ctl("stop")
        s.process.wait(PATIENCE)
        t.text("no answer: ")
        t.keys("q")
        assert t.process.wait(PATIENCE) == 0
    finally:
        t.end()
    r = subprocess.run([CTL, "-c", s.conf, "top", "--once", "1"], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 69 and "the server is not running" in r.stderr


@pytest.mark.parametrize("term", ["dumb", "", "no-such-terminal"])
def test_a_terminal_that_cannot_be_drawn_on(server, terminal, term):
    t = terminal(term=term, columns=200)
    t.text("sessions, in", "USER")
    assert b"\x1b" not in t.raw


def test_once(server):
    def once(*words):
        return subprocess.run([CTL, "-c", server.conf, "top", "--once", *words], capture_output=True, text=True,
                              timeout=PATIENCE)
    with server.ftp("alice"):
        r = once("1")
        assert r.returncode == 0 and r.stdout.count("sessions, in") == 1 and r.stdout.count("alice") == 1
        r = once("--json")
        assert r.returncode == 0 and len(r.stdout.splitlines()) == 2
