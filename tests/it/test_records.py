"""Records of transfers that fail: each has one, with what came of it and why."""
import os
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


def transferring(server, command):
    """A session in the middle of a transfer: control and data connection."""
    r = server.raw().login()
    r.cmd("TYPE I")
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


def test_a_file_that_is_cut_meanwhile(records):
    path = f"{records.homes['alice']}/cut"
    with open(path, "wb") as f:
        f.truncate(BIG)
    r, data = transferring(records, "RETR cut")
    data.recv(1000)
    os.truncate(path, 1 << 20)
    while data.recv(1 << 20):
        pass
    assert r.reply()[0] == 451
    records.wait_log(r"event=transfer .*direction=download path=/cut bytes=\d+ .*complete=no how=unreadable errno=5 ")
    data.close()
    r.close()
