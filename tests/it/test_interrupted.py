"""Transfers that their clients break off: curl by an interrupt, lftp by killing the job, in clear and under TLS, both ways."""
import contextlib
import os
import re
import shutil
import signal
import subprocess

import pytest
from conftest import PATIENCE, UIDS, wait_for
from test_clients_tls import need
from tlsserver import TlsServer, read, write

BIG = 64 << 20
RATE = 4 << 20          # bytes a second at which clients go, so that a transfer lasts


@pytest.fixture(scope="module")
def tls():
    s = TlsServer()
    yield s
    s.clean()


@pytest.fixture
def place(tls, tmp_path):
    """A directory of the account with a large file, the same file here, and no session."""
    top = f"{tls.homes['alice']}/place"
    shutil.rmtree(top, ignore_errors=True)
    os.mkdir(top)
    for path in (f"{top}/big", f"{tmp_path}/big"):
        with open(path, "wb") as f:
            f.truncate(BIG)
    write(f"{tmp_path}/small", b"small")
    os.chown(top, UIDS["alice"], UIDS["alice"])
    tls.wait_quiet()
    tls.mark = len(tls.log())
    return top


def arrived(top):
    """Bytes of an upload that are on the disk, under whatever name."""
    return sum(os.path.getsize(f"{top}/{name}") for name in os.listdir(top) if name != "big")


def since(tls, pattern):
    """All matches in what was logged since the test began, once there is one."""
    return wait_for(lambda: re.findall(pattern, tls.log()[tls.mark:]), f"nothing logged matches {pattern}")


def broken_off(tls, place, direction, path, hows):
    """Exactly one record of it, which says so; and nothing under a temporary name."""
    records = since(tls, rf"event=transfer .*direction={direction} path={path} bytes=(\d+) .*complete=(yes|no)(?: how=(\S+))?")
    assert len(records) == 1 and records[0][1] == "no" and re.fullmatch(hows, records[0][2]), records
    assert 0 < int(records[0][0]) < BIG
    assert not [name for name in os.listdir(place) if name not in ("big", "up", "after")]
    assert read(f"{place}/big") == bytes(BIG)
    return int(records[0][0])


def in_the_middle(tls, place, upload, local):
    """Half a second at least after its beginning: in clear text a server has nothing but time to tell two ends that belong together."""
    if upload:
        return arrived(place) > RATE
    with contextlib.suppress(OSError):
        return os.path.getsize(local) > RATE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.parametrize("way", ["tls", "clear"])
def test_curl(tls, place, tmp_path, way, direction, number):
    need("curl")
    upload = direction == "upload"
    what = ["-T", f"{tmp_path}/big"] if upload else ["-o", f"{tmp_path}/got"]
    # A shell's background jobs ignore SIGINT, and so would what this test starts.
    with subprocess.Popen(["env", "--default-signal=INT", "curl", "-sS", "-k", *(["--ssl-reqd"] if way == "tls" else []),
                           "--limit-rate", str(RATE), *what, tls.url(f"/place/{'up' if upload else 'big'}")], stderr=subprocess.PIPE) as p:
        wait_for(lambda: in_the_middle(tls, place, upload, f"{tmp_path}/got"))
        p.send_signal(number)
        p.wait(PATIENCE)
    n = broken_off(tls, place, direction, "/place/up" if upload else "/place/big",
                   "connection-broken|session-ended|tls-not-closed" if upload else "connection-broken|session-ended")
    # What came stays, for whoever resumes.
    assert not upload or os.path.getsize(f"{place}/up") == n
    since(tls, r"event=session-end .*transfers=1 incomplete=1 ")
    tls.wait_quiet()


@pytest.mark.parametrize("way, direction", [("tls", "upload"), ("tls", "download"), ("clear", "upload")])
def test_lftp(tls, place, tmp_path, way, direction):
    """The job ends, and the session goes on with the next."""
    need("lftp")
    upload = direction == "upload"
    with subprocess.Popen(["lftp"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        def say(line):
            p.stdin.write(line + "\n")
            p.stdin.flush()

        say(f"set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no; set net:limit-rate {RATE}; set net:connection-limit 1; "
            f"set ftp:ssl-{'force yes' if way == 'tls' else 'allow no'}; debug 5")
        say(f"open -u alice,alice ftp://127.0.0.1:{tls.port}/place")
        say(("put big -o up" if upload else "get big -o got") + " &")
        wait_for(lambda: in_the_middle(tls, place, upload, f"{tmp_path}/got"))
        say("kill all")
        n = broken_off(tls, place, direction, "/place/up" if upload else "/place/big", "aborted-by-client|connection-broken|tls-not-closed")
        say("put small -o after")
        wait_for(lambda: os.path.exists(f"{place}/after") and read(f"{place}/after") == b"small")
        said = p.communicate("cls\nbye\n", timeout=PATIENCE)[0]
    print(said)
    assert "ABOR" in said
    assert not upload or os.path.getsize(f"{place}/up") == n
    # One session for all of it.
    ends = since(tls, r"event=session-end .*transfers=(\d+) incomplete=1 ")
    assert len(ends) == 1, tls.log()[tls.mark:]
    tls.wait_quiet()
