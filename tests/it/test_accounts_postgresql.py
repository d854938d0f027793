"""Accounts in PostgreSQL: the same tables, shared by several servers; a lost data base refuses new logins only."""
import ftplib
import glob
import os
import shutil
import subprocess
import tempfile

import pytest

from conftest import BUILD, PATIENCE

BIN = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"))), None)
IDENTITY = 64150

pytestmark = pytest.mark.skipif(BIN is None or not os.path.exists(f"{BUILD}/sallyport-source-postgresql.so"),
                                reason="no PostgreSQL here, or built without libpq")


class Database:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="sallyport-pg-")
        os.chown(self.dir, 65534, 65534)
        os.chmod(self.dir, 0o755)
        self.run(f"{BIN}/initdb", "-D", f"{self.dir}/data", "-U", "sallyport", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()
        self.parameters = f"host={self.dir} dbname=postgres user=sallyport"

    def run(self, *command):
        p = subprocess.run(command, user=65534, group=65534, extra_groups=[], cwd=self.dir, capture_output=True, text=True,
                           env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": self.dir}, timeout=PATIENCE)
        assert p.returncode == 0, p.stderr + p.stdout

    def start(self):
        self.run(f"{BIN}/pg_ctl", "-D", f"{self.dir}/data", "-w", "-l", f"{self.dir}/log", "-o",
                 f"-k {self.dir} -c listen_addresses='' -c fsync=off", "start")

    def stop(self):
        self.run(f"{BIN}/pg_ctl", "-D", f"{self.dir}/data", "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="module")
def database():
    d = Database()
    yield d
    if os.path.exists(f"{d.dir}/data/postmaster.pid"):
        d.stop()
    shutil.rmtree(d.dir)


@pytest.fixture
def pg(serve, database):
    def start():
        s = serve(f"accounts = config, postgresql\npostgresql = {database.parameters}\nvirtual_user = {IDENTITY}:{IDENTITY}\n"
                  "default_layer = pyftpdlib elradfmwMT\npenalty_failure = 0")
        s.home = f"{s.dir}/pg-home"
        os.mkdir(s.home)
        os.chown(s.home, IDENTITY, IDENTITY)
        return s
    return start


def ctl(server, *args, password=None, code=0):
    p = subprocess.run([f"{BUILD}/sallyctl", "--config", server.conf, "account", *args], input=password, capture_output=True, text=True,
                       timeout=PATIENCE)
    assert p.returncode == code, (args, p.stdout, p.stderr)
    return p.stdout


def source(*args):
    return (*args, "--source", "postgresql")


def test_account(pg):
    s, other = pg(), pg()
    ctl(s, *source("add", "pat", f"home={s.home}", "layer=pyftpdlib elradfmwMT"), password="first\n")
    ctl(s, *source("add", "pat"), password="x\n", code=1)
    for server in (s, other):
        with server.ftp("pat", "first") as f:
            f.nlst()
    ctl(other, *source("passwd", "pat"), password="it's; -- %s\n")
    with pytest.raises(ftplib.error_perm):
        s.ftp("pat", "first")
    s.ftp("pat", "it's; -- %s").quit()
    ctl(s, *source("set", "pat", "enabled=no"))
    with pytest.raises(ftplib.error_perm):
        s.ftp("pat", "it's; -- %s")
    name = "x'; DROP TABLE sallyport_accounts; --"
    with pytest.raises(ftplib.error_perm):
        s.ftp(name, "x")
    ctl(s, *source("add", name, f"home={s.home}"), password="pw\n")
    s.ftp(name, "pw").quit()
    assert "pat" in ctl(s, *source("list")) and name in ctl(s, *source("list"))
    ctl(s, *source("remove", "pat", name))
    assert ctl(s, *source("list")) == ""
    assert "syscall-refused" not in s.log()


def test_import_and_wrong_lines(pg):
    s = pg()
    rows = "".join(f"i{i}:*:{IDENTITY}:{IDENTITY}::{s.home}:/bin/sh\n" for i in range(500))
    ctl(s, *source("import", "--format", "passwd", "-"), password=rows + "bad\n", code=1)
    assert ctl(s, *source("list")) == ""
    ctl(s, *source("import", "--format", "passwd", "-"), password=rows)
    ctl(s, *source("import", "--format", "passwd", "-"), password=rows)
    assert ctl(s, *source("list")).count("\n") == 500
    ctl(s, *source("import", "--format", "passwd", "--replace", "-"), password=rows)
    ctl(s, *source("remove", *[f"i{i}" for i in range(500)]))


def test_lost_database(pg, database):
    s = pg()
    ctl(s, *source("add", "pat", f"home={s.home}"), password="pw\n")
    f = s.ftp("pat", "pw")
    database.stop()
    f.mkd("goes-on")
    with s.ftp("alice") as g:       # stands in the configuration
        g.pwd()
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("pat", "pw")
    f.rmd("goes-on")
    database.start()
    s.ftp("pat", "pw").quit()
    f.quit()
    ctl(s, *source("remove", "pat"))
