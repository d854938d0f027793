"""A disk without room below the account database and the quota ledgers: nothing is lost, nothing hangs."""
import contextlib
import ftplib
import io
import json
import os
import sqlite3
import subprocess
import tempfile

import pytest

from conftest import BUILD, PATIENCE

IDENTITY = 64120


@pytest.fixture
def disk():
    """A folder on a file system of its own, of one megabyte."""
    top = tempfile.mkdtemp(prefix="sallyport-disk-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "none", top], capture_output=True).returncode != 0:
        os.rmdir(top)
        pytest.skip("no tmpfs can be mounted here")
    yield top
    subprocess.run(["umount", "-l", top], check=True)
    os.rmdir(top)


@pytest.fixture
def full(disk, serve):
    """A server with accounts.db and quota_directory on that disk, and the accounts dbuser, dbquota and dblater."""
    os.mkdir(f"{disk}/state")
    s = serve(f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}\ndefault_layer = pyftpdlib elradfmwMT\n"
              f"accounts_database = {disk}/state/accounts.db\nquota_directory = {disk}/quota\npenalty_failure = 0")
    s.disk, s.database, s.shared = disk, f"{disk}/state/accounts.db", f"{s.dir}/shared"
    os.mkdir(s.shared)
    os.chown(s.shared, IDENTITY, IDENTITY)
    for name, settings in (("dbuser", ()), ("dbquota", ("quota_bytes=1000",)), ("dblater", ("quota_bytes=1000",))):
        os.mkdir(f"{s.shared}/{name}")
        os.chown(f"{s.shared}/{name}", IDENTITY, IDENTITY)
        p = ctl(s, "account", "add", name, f"home={s.shared}/{name}", *settings, password=f"{name}\n")
        assert p.returncode == 0, p.stderr
    return s


def ctl(server, *args, password=None):
    return subprocess.run([f"{BUILD}/sallyctl", "--config", server.conf, *args], input=password, capture_output=True, text=True, timeout=PATIENCE)


def fill(server):
    """Takes every page that is left."""
    with open(f"{server.disk}/filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * 4096)
    assert os.statvfs(server.disk).f_bfree == 0


def accounts(server):
    p = ctl(server, "account", "list", "--json")
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


def put(f, name, n):
    return f.storbinary(f"STOR {name}", io.BytesIO(b"x" * n))


def used(server, name):
    p = ctl(server, "quota", "show", name, "--json")
    assert p.returncode == 0, p.stderr
    u = json.loads(p.stdout)
    return u["bytes"], u["files"]


def works(server):
    """A session of an account in the configuration, as ever."""
    with server.ftp("alice") as f:
        put(f, "as-ever", 100)
        assert f.size("as-ever") == 100
        f.delete("as-ever")


def no_room(server, *args, password=None):
    p = ctl(server, "account", *args, password=password)
    assert p.returncode not in (0, 64) and p.returncode > 0, p
    assert f"{server.database}: database or disk is full; make room" in p.stderr, p.stderr


def test_accounts(full):
    import_text = "".join(f"m{i}:$6$saltsalt$x:{IDENTITY}:{IDENTITY}::{full.shared}:/bin/sh\n" for i in range(3000))
    with full.ftp("alice") as other:
        before = accounts(full)
        fill(full)
        for _ in range(3):
            with full.ftp("dbuser") as f:
                put(f, "f", 100)
            with pytest.raises(ftplib.error_perm, match="530"):
                full.ftp("dbuser", "wrong")
            put(other, "on", 100)
        no_room(full, "add", "more", f"home={full.shared}", password="pw\n")
        no_room(full, "import", "--format", "passwd", "-", password=import_text)
        no_room(full, "passwd", "dbuser", password="changed\n")
        no_room(full, "set", "dbuser", "comment=x")
        no_room(full, "remove", "dbuser")
        assert accounts(full) == before
        full.ftp("dbuser").quit()
        put(other, "on", 100)
        works(full)
        os.unlink(f"{full.disk}/filler")
        p = ctl(full, "account", "add", "more", f"home={full.shared}", password="pw\n")
        assert p.returncode == 0, p.stderr
        full.ftp("more", "pw").quit()
        assert len(accounts(full)) == len(before) + 1
        put(other, "on", 100)
    with sqlite3.connect(full.database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "syscall-refused" not in full.log()


def test_a_start_on_a_full_disk(full):
    full.stop()
    fill(full)
    full.start()
    try:
        full.ftp("dbuser").quit()
    except ftplib.Error as e:
        assert str(e)[:3] == "421", e
    works(full)
    os.unlink(f"{full.disk}/filler")
    full.ftp("dbuser").quit()


def test_quota(full):
    with full.ftp("alice") as other:
        with full.ftp("dbquota") as f:
            put(f, "a", 300)
        fill(full)
        with full.ftp("dbquota") as f:      # its ledger has its room already
            put(f, "b", 200)
            assert used(full, "dbquota") == (500, 2)
            f.delete("a")
            assert used(full, "dbquota") == (200, 1)
        for _ in range(3):
            with full.ftp("dblater") as f:   # has none, and there is no room for one
                with pytest.raises(ftplib.error_temp, match="452"):
                    put(f, "b", 200)
                assert f.nlst() == []
            put(other, "on", 100)
        full.wait_log("event=quota-ledger-unusable .*No space left on device")
        assert used(full, "dblater") == (0, 0)
        works(full)
        os.unlink(f"{full.disk}/filler")
        for user, want in (("dbquota", (400, 2)), ("dblater", (200, 1))):
            with full.ftp(user) as f:
                put(f, "c", 200)
                assert used(full, user) == want
                with pytest.raises(ftplib.error_perm, match="552"):
                    put(f, "d", 900)
        put(other, "on", 100)
    assert "syscall-refused" not in full.log()
