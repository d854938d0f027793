"""Accounts in the database, managed while the server runs."""
import ftplib
import json
import os
import re
import sqlite3
import subprocess
import time

import pytest

from conftest import BUILD, UIDS

CTL = f"{BUILD}/sallyctl"
NO, FAILED, USAGE = 1, 2, 64
IDENTITY = 64120


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A server whose accounts stand in the database."""
    from conftest import Server
    import shutil
    import tempfile
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}\n"
               "default_layer = pyftpdlib elradfmwMT")
    s.shared = f"{s.dir}/shared"
    os.mkdir(s.shared)
    os.chown(s.shared, IDENTITY, IDENTITY)
    yield s
    s.clean()


def ctl(server, *args, password=None, code=0):
    p = subprocess.run([CTL, "--config", server.conf, "account", *args], input=password, capture_output=True, text=True, timeout=120)
    assert p.returncode == code, (args, p.stdout, p.stderr)
    return p


def add(server, name, password, *settings):
    return ctl(server, "add", name, f"home={server.shared}", *settings, password=password + "\n")


def test_account_lives_and_dies_while_the_server_runs(base):
    with pytest.raises(ftplib.error_perm):
        base.ftp("dora", "first")
    add(base, "dora", "first")
    with base.ftp("dora", "first") as f:
        f.mkd("made")
    assert os.stat(f"{base.shared}/made").st_uid == IDENTITY
    ctl(base, "passwd", "dora", password="second\n")
    with pytest.raises(ftplib.error_perm):
        base.ftp("dora", "first")
    base.ftp("dora", "second").quit()
    ctl(base, "disable", "dora")
    with pytest.raises(ftplib.error_perm):
        base.ftp("dora", "second")
    ctl(base, "enable", "dora")
    base.ftp("dora", "second").quit()
    ctl(base, "remove", "dora")
    with pytest.raises(ftplib.error_perm):
        base.ftp("dora", "second")
    assert "syscall-refused" not in base.log()
