"""Accounts in PostgreSQL: the same tables, shared by several servers; a lost data base refuses new logins only."""
import ftplib
import glob
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from conftest import BUILD, PATIENCE
from manual import display_of

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
        return p.stdout

    def sql(self, text, name="postgres", user="sallyport"):
        return self.run(f"{BIN}/psql", "-XqAtv", "ON_ERROR_STOP=1", "-h", self.dir, "-U", user, "-d", name, "-c", text)

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


def run_ctl(conf, *args, password=None, code=0):
    p = subprocess.run([f"{BUILD}/sallyctl", "--config", conf, "account", *args], input=password, capture_output=True,
                       text=True, timeout=PATIENCE)
    assert p.returncode == code, (args, p.stdout, p.stderr)
    return p


def ctl(server, *args, password=None, code=0):
    return run_ctl(server.conf, *args, password=password, code=code).stdout


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


# --------------------------------------------------------------------- what sallyport-accounts(5) says

PAGE = "sallyport-accounts.5"


def configuration(path, source, parameters):
    key = "accounts_database" if source == "database" else "postgresql"
    path.write_text(f"[server]\naccounts = {source}\n{key} = {parameters}\n")
    path.chmod(0o600)
    return str(path)


def hash_of(password, kind):
    p = subprocess.run(["openssl", "passwd", kind, password], capture_output=True, text=True, check=True)
    return p.stdout.strip()


def statements(text, **names):
    """The statements of a display, with other names of roles and databases: a cluster has each once."""
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return [s.strip() for s in text.split(";") if s.strip()]


def test_tables_of_the_manual(database, tmp_path):
    """They are those that sallyctl makes: nothing is left to do for it, and the columns are the same."""
    text, = display_of(PAGE, "test_tables_of_the_manual")
    columns = "SELECT table_name, column_name, data_type, is_nullable, column_default " \
              "FROM information_schema.columns WHERE table_name LIKE 'sallyport%' ORDER BY 1, 2"
    made = []
    for name in ("by_hand", "by_ctl"):
        database.sql(f"CREATE DATABASE {name}")
        conf = configuration(tmp_path / "pg.conf", "postgresql", f"host={database.dir} dbname={name} user=sallyport")
        if name == "by_hand":
            database.sql(text, name)
        run_ctl(conf, *source("add", "pat", "home=/x"), password="pw\n")
        made.append(database.sql(columns, name))
        assert database.sql("SELECT version FROM sallyport_schema", name) == "2\n"
    assert made[0] == made[1] != ""
    made = []
    for name in ("by_hand", "by_ctl"):
        conf = configuration(tmp_path / "lite.conf", "database", tmp_path / name)
        with sqlite3.connect(tmp_path / name) as db:
            if name == "by_hand":
                db.executescript(text)
            run_ctl(conf, "add", "pat", "home=/x", password="pw\n")
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
            made.append([db.execute(f"PRAGMA table_info({t})").fetchall() for t in tables])
    assert made[0] == made[1]


def mistakes(conf, said, *args, code=77):
    p = run_ctl(conf, *args, password="pw\n", code=code)
    assert said in p.stderr and "Input/output" not in p.stderr and "event=" not in p.stderr, p.stderr
    return p.stderr


def test_rights_of_the_manual(serve, database, tmp_path):
    own, schema, reader, upgrades, changes = display_of(PAGE, "test_rights_of_the_manual")
    where = f"host={database.dir} dbname="
    # A role in a database of others may make nothing there, and hears so.
    database.sql("CREATE ROLE guest LOGIN")
    database.sql("CREATE DATABASE others")
    conf = configuration(tmp_path / "x.conf", "postgresql", f"{where}others user=guest")
    for args in (("add", "pat"), ("passwd", "pat"), ("set", "pat", "home=/x"), ("remove", "pat")):
        assert "sallyport-accounts(5)" in mistakes(conf, "permission denied for schema public", *source(*args))
    mistakes(conf, "does not exist", *source("list"), code=1)
    p = subprocess.run([f"{BUILD}/sallyctl", "check", conf], capture_output=True, text=True, timeout=PATIENCE)
    assert "there is no account" in p.stdout and "does not exist" in p.stdout and p.returncode == 0, p.stdout
    # The database's owner, and the owner of a schema in another.
    for text, name, user, more in ((own, "ftp", "owner1", ""),
                                   (schema, "others", "owner2", " options=-csearch_path=ftp")):
        for statement in statements(text, sallyport=user):
            database.sql(statement, name if "SCHEMA" in statement else "postgres")
        made = configuration(tmp_path / f"{user}.conf", "postgresql", f"{where}{name} user={user}{more}")
        run_ctl(made, *source("add", "pat", f"run_as={IDENTITY}:{IDENTITY}", f"home={tmp_path}/home"), password="pw\n")
        assert "pat" in run_ctl(made, *source("list")).stdout
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", IDENTITY, IDENTITY)
    # A role that only reads lets accounts log in, those with old hashes as well.
    old = hash_of("pw", "-1")
    database.sql(f"UPDATE sallyport_accounts SET password = '{old}'", "ftp")
    database.sql(reader, "ftp")
    s = serve(f"accounts = postgresql\npostgresql = {where}ftp user=ftp_server\npenalty_failure = 0")
    s.ftp("pat", "pw").quit()
    assert database.sql("SELECT password FROM sallyport_accounts", "ftp").strip() == old
    mistakes(s.conf, "permission denied for table sallyport_schema", *source("passwd", "pat"))
    database.sql(upgrades, "ftp")
    s.ftp("pat", "pw").quit()
    assert not database.sql("SELECT password FROM sallyport_accounts", "ftp").startswith("$1$")
    run_ctl(s.conf, *source("passwd", "pat"), password="other\n")
    s.ftp("pat", "other").quit()
    mistakes(s.conf, "permission denied for table sallyport_accounts", *source("add", "eve"))
    mistakes(s.conf, "permission denied for table sallyport_settings", *source("set", "pat", "enabled=no"))
    database.sql(changes, "ftp")
    run_ctl(s.conf, *source("add", "eve", "enabled=no"), password="pw\n")
    run_ctl(s.conf, *source("remove", "eve"))


@pytest.mark.parametrize("kind", ["postgresql", "database"])
def test_views_of_the_manual(serve, database, tmp_path, kind):
    text, = display_of(PAGE, "test_views_of_the_manual")
    made = hash_of("pw", "-6")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, IDENTITY, IDENTITY)
    panel = ("CREATE TABLE ftp_users (login VARCHAR(32) PRIMARY KEY, crypted VARCHAR(128), homedir VARCHAR(200), "
             "uid INTEGER, gid INTEGER, active SMALLINT);"
             f"INSERT INTO ftp_users VALUES ('pat', '{made}', '{home}', {IDENTITY}, {IDENTITY}, 1), "
             f"('eve', '{made}', '{home}', {IDENTITY}, {IDENTITY}, 0);")
    if kind == "postgresql":
        database.sql("CREATE DATABASE panel")
        database.sql(panel + text, "panel")
        s = serve(f"accounts = postgresql\npostgresql = host={database.dir} dbname=panel user=sallyport\n"
                  "upgrade_passwords = no")
    else:
        with sqlite3.connect(tmp_path / "panel.db") as db:
            db.executescript(panel + text)
        s = serve(f"accounts = database\naccounts_database = {tmp_path}/panel.db\nupgrade_passwords = no")
    s.ftp("pat", "pw").quit()
    with pytest.raises(ftplib.error_perm):
        s.ftp("eve", "pw")
    assert "pat" in run_ctl(s.conf, "list", "--source", kind).stdout
    # Changes are not for us, and that is said.
    code = 77 if kind == "postgresql" else 2
    said = run_ctl(s.conf, "add", "new", "--source", kind, password="pw\n", code=code).stderr
    assert "view" in said and "Input/output" not in said, said
    assert "syscall-refused" not in s.log()
