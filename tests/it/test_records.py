"""Records of transfers that fail: each has one, with what came of it and why."""
import os
import re
import signal
import subprocess

import pytest

from conftest import UIDS, wait_for
from test_faults import reset

BIG = 256 << 20


@pytest.fixture(scope="module")
def records():
    """A server with short limits."""
    import shutil
    import tempfile

    from conftest import Server
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), "stall_timeout = 2s\ndata_timeout = 1s\n")
    with open(f"{s.homes['alice']}/big", "wb") as f:
        f.truncate(BIG)
    yield s
    s.clean()
    shutil.rmtree(s.dir, ignore_errors=True)


def transferring(server, command, type_="I"):
    """A session in the middle of a transfer: control and data connection."""
    r = server.raw().login()
    r.cmd(f"TYPE {type_}")
    data = r.passive()
    assert r.cmd(command)[0] == 150
    return r, data


def test_a_full_disk(records):
    top = f"{records.homes['alice']}/small"
    os.mkdir(top)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,mode=0700,uid={UIDS['alice']},gid={UIDS['alice']}", "none", top],
                      capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        r = records.raw().login()
        r.cmd("TYPE I")
        assert r.put("STOR small/f", b"x" * 200000) == 452
        records.wait_log(r"event=transfer .*direction=upload path=/small/f bytes=\d+ .*complete=no how=unwritable errno=28 error=")
        r.close()
    finally:
        subprocess.run(["umount", "-l", top], check=True)


@pytest.mark.parametrize("command, direction", [("STOR reset", "upload"), ("RETR big", "download")])
def test_a_connection_that_is_reset(records, command, direction):
    r, data = transferring(records, command)
    if direction == "upload":
        data.sendall(b"some")
        wait_for(lambda: any(os.path.getsize(f"{records.homes['alice']}/{x}") == 4 for x in os.listdir(records.homes["alice"])))
    reset(data)
    assert r.reply()[0] == 426
    records.wait_log(f"event=transfer .*direction={direction} path=/{command.split()[1]} .*complete=no how=connection-broken errno=(104|32) ")
    r.close()


@pytest.mark.parametrize("command, direction", [("STOR stalls", "upload"), ("RETR big", "download")])
def test_one_that_stalls(records, command, direction):
    r, data = transferring(records, command)
    assert r.reply()[0] == 426
    records.wait_log(f"event=transfer .*direction={direction} path=/{command.split()[1]} .*complete=no how=stalled errno=110 ")
    data.close()
    r.close()


def test_one_that_nobody_connects_to(records):
    r = records.raw().login()
    assert r.cmd("EPSV")[0] == 229
    assert r.cmd("RETR big")[0] == 150 and r.reply()[0] == 425
    records.wait_log("event=transfer .*direction=download path=/big bytes=0 .*complete=no how=no-data-connection errno=110 ")
    r.close()


@pytest.mark.parametrize("before, line, code, reason", [
    ([], "RETR big", 425, "no-data-connection"), (["TYPE I", "REST 5"], "STOR x/y/z", 425, "no-data-connection"),
    ([], "APPE new", 425, "no-data-connection"), ([], "STOU", 425, "no-data-connection"),
    (["TYPE I", "RANG 1 2", "EPSV"], "STOR f", 503, "range-of-upload"), (["TYPE I", "REST 5", "EPSV"], "STOU f", 503, "position-of-stou")])
def test_one_that_is_refused_before_it_begins(records, before, line, code, reason):
    r = records.raw().login()
    for command in before:
        assert r.cmd(command)[0] in (200, 229, 350)
    had = len(records.log())
    assert r.cmd("LIST" if code == 425 else "NOOP")[0] in (425, 200)
    assert r.cmd(line)[0] == code
    op, typed = (line + " ").split(" ")[:2]
    wanted = rf'notice event=command-refused .*role=worker .*op={op} typed={typed or chr(34) * 2} reason={reason}\n'
    wait_for(lambda: re.search(wanted, records.log()[had:]), wanted)
    assert records.log()[had:].count("event=command-refused") == 1, "a listing is no transfer"
    if code == 503:
        # What was asked for one transfer was for that one, refused or not.
        assert r.put("STOR whole", b"all of it") == 226
    r.close()


def test_a_position_in_ascii(serve):
    s = serve("ascii = on\n")
    r = s.raw().login()
    for op in ("RETR", "STOR"):
        for command in ("TYPE I", "REST 5", "TYPE A", "EPSV"):
            assert r.cmd(command)[0] in (200, 229, 350)
        assert r.cmd(f"{op} f")[0] == 503
        s.wait_log(f"notice event=command-refused .*op={op} typed=f reason=position-in-ascii")
    r.close()


@pytest.mark.parametrize("type_", ["I", "A"])
def test_a_file_that_is_cut_meanwhile(records, type_):
    """Nothing failed to be read: the record has no error of the system."""
    path = f"{records.homes['alice']}/cut"
    with open(path, "wb") as f:
        f.truncate(BIG)
    r, data = transferring(records, "RETR cut", type_)
    data.recv(1000)
    os.truncate(path, 1 << 20)
    while data.recv(1 << 20):
        pass
    code, text = r.reply()
    assert code == 451 and "shorter" in text
    ended = {"I": "binary", "A": "ascii"}[type_]
    records.wait_log(rf"event=transfer .*direction=download path=/cut bytes=\d+ .*type={ended} complete=no how=file-shortened(?! errno)")
    data.close()
    r.close()


# ------------------------------------------------------------------------------- processes that are killed

def processes(server, user="alice"):
    return next(w["pids"] for w in server.ctl("who") if w["user"] == user)


def the_record(server, direction, path):
    """Of a transfer that was killed: its bytes, once there is a record, and one only."""
    wanted = f"event=transfer .*direction={direction} path={path} bytes=(\\d+) .*complete=no how=killed"
    m = server.wait_log(wanted)
    server.wait_log("event=session-end .*transfers=1 incomplete=1 ")
    assert len(re.findall(f"event=transfer .*path={path} ", server.log())) == 1
    with open(server.xferlog) as f:
        assert re.search(f"{path} b _ {'i' if direction == 'upload' else 'o'} .* i\n", f.read())
    return int(m[1])


@pytest.mark.parametrize("roles", [["agent"], ["worker"], ["agent", "worker"], ["worker", "agent"]])
@pytest.mark.parametrize("verb", ["STOR", "RETR"])
def test_killed_in_a_transfer(serve, verb, roles):
    server = serve()
    with open(f"{server.homes['alice']}/big", "wb") as f:
        f.truncate(BIG)
    r, data = transferring(server, f"{verb} big" if verb == "RETR" else f"{verb} new")
    if verb == "STOR":
        data.sendall(b"x" * 1000)
        wait_for(lambda: any(os.path.getsize(f"{server.homes['alice']}/{x}") == 1000 for x in os.listdir(server.homes["alice"])))
    else:
        got = 0
        while got < 8 << 20:
            got += len(data.recv(1 << 20))
    pids = processes(server)
    for role in roles:
        os.kill(pids[role], signal.SIGSTOP)
    for role in roles:
        os.kill(pids[role], signal.SIGKILL)
    if verb == "STOR":
        # Where both are gone nobody knows more than what was told last.
        assert the_record(server, "upload", "/new") in ([1000] if len(roles) == 1 else [0, 1000])
    else:
        sent = the_record(server, "download", "/big")
        assert sent <= BIG and (sent >= 8 << 20 or len(roles) == 2)
    data.close()
    r.close()


def test_killed_at_once(serve):
    """There is no moment between the 150 and the first bytes in which a transfer has no record."""
    server = serve()
    r, data = transferring(server, "STOR first")
    os.kill(processes(server)["agent"], signal.SIGKILL)
    assert the_record(server, "upload", "/first") == 0
    data.close()
    r.close()


def test_a_transfer_that_ended_has_no_second_record(serve):
    server = serve()
    r = server.raw().login()
    r.cmd("TYPE I")
    for name in "ab":
        assert r.put(f"STOR {name}", b"some") == 226
    assert r.cmd("DELE a")[0] == 250
    assert r.fetch("RETR b") == (b"some", 226)
    assert r.cmd("NOOP")[0] == 200
    server.wait_log("event=transfer .*direction=download path=/b ")
    os.kill(processes(server)["agent"], signal.SIGKILL)
    server.wait_log(r"event=session-end .*transfers=\d+ bytes_in=8 bytes_out=4 ")
    assert "how=killed" not in server.log()
    r.close()


def test_kicked_in_a_transfer(serve):
    server = serve("keep_partial = no")
    r, data = transferring(server, "STOR new")
    data.sendall(b"x" * 10)
    wait_for(lambda: any(os.path.getsize(f"{server.homes['alice']}/{x}") == 10 for x in os.listdir(server.homes["alice"])))
    for _ in range(2):
        server.ctl("kick", "alice")
    assert r.reply()[0] == 426 and r.reply()[0] == 421
    server.wait_log("event=transfer .*direction=upload path=/new bytes=10 .*complete=no how=session-ended")
    server.wait_log("event=session-end .*transfers=1 incomplete=1 ")
    assert "agent-blocked" not in server.log() and os.listdir(server.homes["alice"]) == []
    data.close()
    r.close()
