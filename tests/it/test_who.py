"""What sallyctl who and metrics tell of sessions while something happens in them."""
import contextlib
import os

import pytest

from conftest import wait_for
from tlsserver import TlsServer

BIG = 64 << 20


@pytest.fixture(scope="module")
def busy():
    s = TlsServer(kinds=("ec",))
    with open(f"{s.homes['alice']}/big", "wb") as f:
        f.truncate(BIG)
    with open(f"{s.homes['alice']}/small", "wb") as f:
        f.write(b"x" * 1000)
    yield s
    s.clean()


def facts(server, user="alice"):
    """The session of that user; None: there is none."""
    return next((w for w in server.ctl("who") if w["user"] == user), None)


@contextlib.contextmanager
def session(server, way):
    f = server.ftps() if way == "tls" else server.ftp()
    yield f
    f.close()
    wait_for(lambda: facts(server) is None)


def begin(f, command, way):
    """A transfer whose client has seen 150 and takes nothing more than its socket does."""
    f.voidcmd("TYPE A" if way == "ascii" else "TYPE I")
    return f.transfercmd(command)


@pytest.mark.parametrize("way", ["clear", "tls", "ascii"])
def test_downloads_are_seen_from_their_beginning(busy, way):
    """State, command and bytes, and in the metrics too, while the client takes nothing more."""
    with session(busy, way) as f:
        for _ in range(5):
            data = begin(f, "RETR big", way)
            w = wait_for(lambda: (w := facts(busy))["state"] == "transfer" and w)
            assert w["activity"] == "RETR big"
            wait_for(lambda: facts(busy)["bytes_out"] > 0)
            assert busy.ctl("metrics")["sessions_transferring"] == 1
            data.close()
            with contextlib.suppress(Exception):
                f.voidresp()
            wait_for(lambda: facts(busy)["state"] == "idle")


@pytest.mark.parametrize("way", ["clear", "tls"])
def test_bytes_grow_while_it_runs(busy, way):
    """While the client takes what comes, the number is another one again and again before the end."""
    with session(busy, way) as f:
        f.sock.settimeout(60)
        data = begin(f, "RETR big", way)
        data.settimeout(60)
        seen, taken = 0, 0
        for _ in range(6):
            while facts(busy)["bytes_out"] <= seen:
                taken += len(data.recv(65536))
                assert taken < BIG
            seen = facts(busy)["bytes_out"]
            before = busy.ctl("metrics")["sent_bytes_total"]
            assert seen <= before
        data.close()


@pytest.mark.parametrize("way", ["clear", "tls"])
def test_uploads(busy, way):
    with session(busy, way) as f:
        data = begin(f, "STOR up", way)
        data.sendall(b"x" * 100000)
        w = wait_for(lambda: (w := facts(busy))["bytes_in"] == 100000 and w)
        assert (w["state"], w["activity"]) == ("transfer", "STOR up")
        if way == "tls":
            data = data.unwrap()
        data.close()
        f.voidresp()
        w = wait_for(lambda: (w := facts(busy))["state"] == "idle" and w)
        assert (w["activity"], w["bytes_in"], w["bytes_out"]) == ("", 100000, 0)


def test_short_transfers_are_counted_while_their_session_lasts(busy):
    """Too short to be seen, and more than the listener is told of one by one; a long one behind them is seen."""
    before = busy.ctl("metrics")["sent_bytes_total"]
    with session(busy, "clear") as f:
        for _ in range(60):
            f.retrbinary("RETR small", lambda b: None)
            f.nlst()
        wait_for(lambda: facts(busy)["bytes_out"] == 60000)
        assert busy.ctl("metrics")["sent_bytes_total"] - before == 60000
        data = begin(f, "RETR big", "clear")
        wait_for(lambda: facts(busy)["state"] == "transfer")
        data.close()


def test_two_sessions_and_a_kick(busy):
    """The one that is told to end may finish its transfer, and is shown as ending; the other stays as it was."""
    with session(busy, "clear") as f, contextlib.closing(busy.ftp("bob")):
        data = begin(f, "RETR big", "clear")
        w = wait_for(lambda: (w := facts(busy))["state"] == "transfer" and w)
        assert facts(busy, "bob")["state"] == "idle"
        assert busy.ctl("kick", w["session"])["kicked"] == 1
        assert facts(busy)["state"] == "ending"
        assert facts(busy, "bob")["state"] == "idle"
        size = 0
        while (b := data.recv(1 << 20)):
            size += len(b)
        data.close()
        assert size == BIG
        assert f.getresp().startswith("226")
        wait_for(lambda: facts(busy) is None)


def test_a_name_that_is_no_text(busy):
    """What a client calls its file is shown, and cannot end the line or speak to the terminal."""
    name = b"odd\x1b[2J\xffname"
    os.link(f"{busy.homes['alice']}/big", os.fsencode(busy.homes["alice"]) + b"/" + name)
    with session(busy, "clear"):
        r = busy.raw()
        r.login()
        data = r.passive()
        r.send(b"RETR " + name.replace(b"\xff", b"\xff\xff") + b"\r\n")
        assert r.reply()[0] == 150
        w = wait_for(lambda: next((w for w in busy.ctl("who") if w["state"] == "transfer"), None))
        assert "\x1b" not in w["activity"] and "name" in w["activity"]
        data.close()
        r.close()
