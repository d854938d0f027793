"""An upload that is refused: its client reads why, and its data connection ends in order, whatever it sends meanwhile."""
import socket

import pytest

from test_accounts_quota import start

M = 1 << 20
FULL = "quota_bytes = 1000"


def refused(s, command="STOR f"):
    """A session whose upload is refused while its client has connected already: control and data connection."""
    raw = s.raw().login()
    assert raw.put("STOR full", b"x" * 1000) == 226
    data = raw.passive()
    assert raw.cmd(command)[0] in (501, 552, 553)
    return raw, data


@pytest.mark.parametrize("command", ["STOR f", "STOU", "APPE f", "APPE full", "STOR no/such/directory", "STOR"])
def test_what_is_sent_after_the_refusal_resets_nothing(serve, command):
    s = start(serve, FULL)
    raw, data = refused(s, command)
    for _ in range(16):
        data.sendall(b"y" * M)
    data.shutdown(socket.SHUT_WR)
    assert data.recv(1) == b""          # the end, not a reset
    data.close()
    assert raw.cmd("NOOP")[0] == 200
    assert raw.cmd("DELE full")[0] == 250 and raw.put("STOR f", b"z") == 226
    raw.close()


def test_a_client_that_keeps_the_connection_is_served(serve):
    """It sees the end, and its next command, ABOR and QUIT as well, is carried out at once."""
    s = start(serve, FULL)
    for command, code in [("NOOP", 200), ("ABOR", 226), ("STAT", 211), ("EPSV", 229), ("QUIT", 221)]:
        raw, data = refused(s)
        assert data.recv(1) == b""
        assert raw.cmd(command)[0] == code
        if command != "QUIT":
            assert raw.cmd("DELE full")[0] == 250
        else:
            assert raw.reply()[0] == 0
        data.close()
        raw.close()


def test_commands_that_wait_behind_the_refused_one(serve):
    s = start(serve, FULL)
    raw = s.raw().login()
    raw.put("STOR full", b"x" * 1000)
    data = raw.passive()
    raw.send("STOR f\r\nNOOP\r\nSIZE full\r\n")
    assert [raw.reply()[0] for _ in range(3)] == [552, 200, 213]
    data.close()
    raw.close()


def test_a_refused_download_ends_in_order(serve):
    s = start(serve, FULL)
    raw = s.raw().login()
    for command in ("RETR missing", "MLSD missing", "LIST -R missing/x"):
        data = raw.passive()
        raw.cmd(command)
        assert data.recv(1) == b""
        data.close()
    raw.close()
