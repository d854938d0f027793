"""Sessions that are held by a file system which does not answer, or whose processes are frozen: they can be ended,
their places are free, and nobody waits for them."""
import contextlib
import os
import re
import signal
import socket
import tempfile
import time

import pytest

from conftest import PATIENCE, UIDS, alive, wait_for
from hangfs import FLUSH, LOOKUP, READ, READDIR, RENAME, RENAME2, WRITE, HangFS


@pytest.fixture
def disk():
    top = tempfile.mkdtemp(prefix="sallyport-hang-")
    os.chmod(top, 0o755)
    path = f"{top}/mnt"
    try:
        fs = HangFS(path, UIDS["alice"])
        fs.__enter__()
    except OSError as e:
        pytest.skip(f"FUSE cannot be used here: {e}")
    yield fs
    fs.__exit__()


def serve_on(serve, disk, more="", sessions=3):
    """A server on whose account alice the file system may hang."""
    return serve(f"max_sessions_per_user = 1\nmax_sessions = {sessions}\n" + more, accounts=["bob"], sections=f"""
[account alice]
password = {{CLEAR}}alice
home = {disk.path}
run_as = {UIDS['alice']}:{UIDS['alice']}
layer = pyftpdlib elradfmwMT
jail = no
""")


def list_hangs(r, disk):
    disk.hang = {READDIR}
    data = r.passive()
    r.send("LIST\r\n")
    return data


def size_hangs(r, disk):
    disk.hang = {LOOKUP}
    r.send("SIZE big\r\n")


def retr_hangs(r, disk):
    r.cmd("TYPE I")
    disk.hang = {READ}
    data = r.passive()
    r.send("RETR big\r\n")
    assert r.reply()[0] == 150
    return data


def stor_hangs(r, disk):
    r.cmd("TYPE I")
    disk.hang = {WRITE}
    data = r.passive()
    r.send("STOR new\r\n")
    assert r.reply()[0] == 150
    data.sendall(b"x" * 300000)
    return data


def finish_hangs(r, disk):
    r.cmd("TYPE I")
    disk.hang = {FLUSH}
    data = r.passive()
    r.send("STOR new\r\n")
    assert r.reply()[0] == 150
    data.sendall(b"x" * 3000)
    data.close()


HANGS = [list_hangs, size_hangs, retr_hangs, stor_hangs, finish_hangs]


def hung(server, disk, how):
    """A session that is held: its connection, and whatever must not be closed."""
    r = server.raw().login("alice")
    data = how(r, disk)
    wait_for(lambda: disk.held > 0, "the file system is not asked")
    return r, data


def gone(server):
    """The session is in no list, and its account, whose limit is one, may come again."""
    return not [w for w in server.ctl("who") if w["user"] == "alice"]


def comes_again(server, disk):
    """Although what was held still is."""
    disk.hang = set()

    def login():
        r = server.raw()
        try:
            r.reply()
            r.cmd("USER alice")
            return r.cmd("PASS alice")[0] == 230
        finally:
            r.close()

    wait_for(login, "the place of the held session is not free")


@pytest.mark.parametrize("how", HANGS)
def test_kick_ends_it(serve, disk, how):
    server = serve_on(serve, disk)
    r, data = hung(server, disk, how)
    started = time.monotonic()
    server.ctl("kick", "alice")
    wait_for(lambda: gone(server))
    # A worker that the kernel holds says nothing more; the connection ends all the same.
    if how in (list_hangs, size_hangs):
        assert r.reply()[0] == 421
    while r.reply()[0] in (421, 426):
        pass
    # How long it takes is bounded by the limits of listener/session.c, not by those of the file system.
    assert time.monotonic() - started < 30
    comes_again(server, disk)


@pytest.mark.parametrize("how", HANGS[:2])
def test_the_end_of_the_client_ends_it(serve, disk, how):
    server = serve_on(serve, disk)
    r, data = hung(server, disk, how)
    r.close()
    wait_for(lambda: gone(server))
    comes_again(server, disk)


@pytest.mark.parametrize("how", [size_hangs, stor_hangs])
def test_stall_timeout_ends_it(serve, disk, how):
    server = serve_on(serve, disk, "stall_timeout = 4s")
    r, data = hung(server, disk, how)
    wait_for(lambda: gone(server))
    comes_again(server, disk)


@pytest.mark.parametrize("how", [list_hangs, retr_hangs])
def test_who_shows_it(serve, disk, how):
    server = serve_on(serve, disk)
    r, data = hung(server, disk, how)
    wait_for(lambda: [w["state"] for w in server.ctl("who") if w["user"] == "alice"] == ["blocked"])
    # Nothing is lost: when the file system answers again, the session goes on.
    disk.release()
    wait_for(lambda: [w["state"] for w in server.ctl("who") if w["user"] == "alice"] != ["blocked"])
    # The kernel asks again for what it had read ahead, so that a download may go on: to the end of what the client takes.
    data.close()
    while r.reply()[0] == 150:
        pass
    assert r.cmd("NOOP")[0] == 200


@pytest.mark.parametrize("how", [list_hangs, retr_hangs])
def test_the_end_of_the_server_does_not_wait_for_it(serve, disk, how):
    server = serve_on(serve, disk, "stop_timeout = 6s")
    r, data = hung(server, disk, how)
    other = server.raw().login("bob")
    server.process.send_signal(signal.SIGTERM)
    assert other.reply()[0] == 421
    # stop_timeout, the time for last words, and what the kernel gets to end killed processes.
    assert server.process.wait(40) == 0
    assert disk.hang, "it still hangs"


@pytest.mark.parametrize("role", ["agent", "worker", "monitor"])
def test_frozen_processes_end(serve, role):
    server = serve("max_sessions_per_user = 1")
    r = server.raw().login("alice")
    pids = next(w["pids"] for w in server.ctl("who") if w["user"] == "alice")
    os.kill(pids[role], signal.SIGSTOP)
    r.send("SIZE nothing\r\nSIZE nothing\r\n")
    server.ctl("kick", "alice")
    wait_for(lambda: gone(server))
    wait_for(lambda: server.raw().login("alice"))
    wait_for(lambda: not any(alive(p) for p in pids.values()), "a frozen process is left")
    r.close()


def test_whoever_leaves_many_behind_gets_no_more(serve, disk):
    """Processes that the kernel holds cannot be piled up by coming again and again."""
    server = serve_on(serve, disk, sessions=50)
    refused = 0
    for _ in range(40):
        r = server.raw()
        r.reply()
        r.cmd("USER alice")
        if r.cmd("PASS alice")[0] != 230:
            refused += 1
            r.close()
            if refused > 2:
                break
            continue
        held = disk.held
        data = list_hangs(r, disk)
        wait_for(lambda: disk.held > held)
        server.ctl("kick", "alice")
        wait_for(lambda: gone(server))
        data.close()
        r.close()
    assert refused > 2
    assert server.raw().login("bob")


def test_a_rename_that_hangs_keeps_nobody_from_renaming(serve, disk, tmp_path):
    """Sessions without a jail have one root, and change its tree one at a time: whoever waits for one that hangs does it for a moment, and the
    log names it."""
    os.makedirs(f"{tmp_path}/b/a")
    for path in (tmp_path, f"{tmp_path}/b", f"{tmp_path}/b/a"):
        os.chown(path, UIDS["bob"], UIDS["bob"])
    server = serve(accounts=[], sections="".join(f"""
[account {name}]
password = {{CLEAR}}{name}
home = {home}
run_as = {UIDS[name]}:{UIDS[name]}
layer = posix1e
jail = no
""" for name, home in (("alice", disk.path), ("bob", f"{tmp_path}/b"))))
    bob, again, hanging = server.raw().login("bob"), server.raw().login("bob"), server.raw().login("alice")
    assert hanging.cmd("RNFR big")[0] == 350
    disk.hang = {RENAME, RENAME2}
    hanging.send("RNTO small\r\n")
    wait_for(lambda: disk.held > 0, "the file system is not asked")
    agent = next(w["pids"]["agent"] for w in server.ctl("who") if w["user"] == "alice")
    assert bob.cmd("RNFR a")[0] == 350 and bob.cmd("RNTO b")[0] == 250
    wait_for(lambda: re.search(rf"event=tree-not-held .*user=bob .*held_by_pid={agent} ", server.log()))
    wait_for(lambda: [w["state"] for w in server.ctl("who") if w["user"] == "alice"] == ["blocked"])
    assert bob.cmd("SITE SYMLINK b c")[0] == 200
    # What outlives the session of a client that is gone keeps nobody out either.
    server.ctl("kick", "alice")
    wait_for(lambda: gone(server))
    assert again.cmd("RNFR b")[0] == 350 and again.cmd("RNTO a")[0] == 250
    assert os.path.exists(f"/proc/{agent}"), "it was still held"
