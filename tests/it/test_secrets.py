"""A password is nowhere once it has been checked: it is looked for in the memory of every process of the server."""
import atexit
import contextlib
import ftplib
import os
import re
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile

import pytest

import test_accounts_external
import test_accounts_postgresql
from conftest import ALL, BUILD, PATIENCE, wait_for

IDENTITY = 64175
PREFIX = f"spsc{secrets.token_hex(3)}"
SERVICE = f"sallyport-it-{PREFIX}"
CERTIFICATE = tempfile.mkdtemp(prefix="sallyport-secrets-")
atexit.register(shutil.rmtree, CERTIFICATE, ignore_errors=True)


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE, **options).stdout.strip()


def marker():
    """Looks like nothing else, and the test itself keeps it out of the server's files."""
    return "Mk" + secrets.token_urlsafe(15).replace("-", "x").replace("_", "y")


def hashed(password):
    return run("openssl", "passwd", "-6", "-stdin", input=password + "\n")


@pytest.fixture(scope="module", autouse=True)
def certificate():
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9", "-subj",
        "/CN=ftp", "-keyout", f"{CERTIFICATE}/key.pem", "-out", f"{CERTIFICATE}/cert.pem")
    os.chmod(f"{CERTIFICATE}/key.pem", 0o600)


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    os.chown(path, IDENTITY, IDENTITY)
    return path


def by_config(serve, password, home, _):
    return serve(TLS, f"{CERTS}[account ann]\npassword = {hashed(password)}\nhome = {home}\nrun_as = {IDENTITY}:{IDENTITY}\n"
                 f"layer = pyftpdlib {ALL}\n", accounts=()), "ann"


def system_user(request, password):
    name = f"{PREFIX}u"
    run("useradd", "-M", "-d", "/tmp", "-s", "/bin/sh", "-p", hashed(password), name)
    request.addfinalizer(lambda: subprocess.run(["userdel", name], capture_output=True))
    return name


def by_shadow(serve, password, home, request):
    name = system_user(request, password)
    return serve(f"{TLS}accounts = shadow\nftpusers_file = /proc/none\nlayer = pyftpdlib {ALL}", CERTS, accounts=()), name


def by_pam(serve, password, home, request, session=False):
    name = system_user(request, password)
    with open(f"/etc/pam.d/{SERVICE}", "w") as f:
        f.write("auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_unix.so\n")
    request.addfinalizer(lambda: os.unlink(f"/etc/pam.d/{SERVICE}"))
    return serve(f"{TLS}accounts = pam\nftpusers_file = /proc/none\npam_service = {SERVICE}\nlayer = pyftpdlib {ALL}\n"
                 f"pam_session = {'yes' if session else 'no'}", CERTS, accounts=()), name


def by_pam_session(serve, password, home, request):
    return by_pam(serve, password, home, request, True)


def in_tables(serve, password, home, server, *more):
    s = serve(f"{TLS}{server}\nvirtual_user = {IDENTITY}:{IDENTITY}\ndefault_layer = pyftpdlib {ALL}\nchange_password = yes", CERTS, accounts=())
    run(f"{BUILD}/sallyctl", "--config", s.conf, "account", "add", "ann", f"home={home}", "change_password=yes", *more, input=password + "\n")
    return s, "ann"


def by_database(serve, password, home, _):
    return in_tables(serve, password, home, "accounts = database")


def by_database_in_clear(serve, password, home, _):
    s, name = in_tables(serve, password, home, "accounts = database\nupgrade_passwords = no")
    with sqlite3.connect(f"{s.dir}/state/accounts.db") as db:
        db.execute("UPDATE sallyport_accounts SET password = ?", ("{CLEAR}" + password,))
    db.close()
    return s, name


def by_postgresql(serve, password, home, request):
    if test_accounts_postgresql.BIN is None or not os.path.exists(f"{BUILD}/sallyport-source-postgresql.so"):
        pytest.skip("no PostgreSQL here")
    db = test_accounts_postgresql.Database()
    request.addfinalizer(lambda: (db.stop(), shutil.rmtree(db.dir)))
    return in_tables(serve, password, home, f"accounts = postgresql\npostgresql = {db.parameters}\nupgrade_passwords = no", "--source", "postgresql")


def by_postgresql_in_clear(serve, password, home, request):
    s, name = by_postgresql(serve, password, home, request)
    with open(s.conf) as f:
        where = re.search(r"host=(\S+)", f.read())[1]
    run(f"{test_accounts_postgresql.BIN}/psql", "-h", where, "-U", "sallyport", "-d", "postgres", "-c",
        f"UPDATE sallyport_accounts SET password = '{{CLEAR}}{password}'")
    return s, name


def by_external(serve, password, home, request):
    test_accounts_external.Handler(f"{home}/authd", lambda f: f"auth_ok:1\nuid:{IDENTITY}\ngid:{IDENTITY}\ndir:{home}\nend\n")
    return serve(f"{TLS}accounts = external\nexternal_socket = {home}/authd", CERTS, accounts=()), "ann"


def by_passwd_file(serve, password, home, _):
    """In clear text, as that system has it."""
    with open(f"{home}/.passwd", "w") as f:
        f.write("".join(f"other{i}:nothing:{2000 + i}:/\n" for i in range(300)))
        f.write(f"ann:{password}:1000:/\n")
        f.write("".join(f"another{i}:nothing:{3000 + i}:/\n" for i in range(300)))
    return serve(f"{TLS}accounts = passwd_file\npasswd_file = {home}/.passwd\nvirtual_user = {IDENTITY}:{IDENTITY}", CERTS, accounts=()), "ann"


def by_anonymous(serve, password, home, _):
    return serve(f"{TLS}accounts = anonymous\nanonymous_user = nobody\nuid_min = 100", f"{CERTS}[account anonymous]\nhome = {home}\n", accounts=()), "anonymous"


TLS = "penalty_failure = 0\nlogin_attempts = 100\n"
CERTS = f"[tls]\ncertificate = {CERTIFICATE}/cert.pem\nprivate_key = {CERTIFICATE}/key.pem\n"
SOURCES = [by_config, by_shadow, by_pam, by_pam_session, by_database, by_database_in_clear, by_postgresql, by_postgresql_in_clear, by_external, by_passwd_file]


def processes(server):
    return {**server.pids(), server.process.pid: "sallyportd"}


@contextlib.contextmanager
def frozen(pids):
    """As they are now: what idles gives memory back, and would hide what should have been cleared."""
    def send(order):
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, order)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


def holders(server, *needles, pids=None):
    """(pid, program, mapping, ...) of every place in the memory of the server's processes where one of the bytes is."""
    pids = processes(server) if pids is None else pids
    with frozen(pids):
        return search(pids, [n.encode() for n in needles])


def search(pids, needles):
    found = []
    for pid, name in pids.items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            for line in maps:
                bounds, rights, *rest = line.split(None, 5)
                start, end = (int(x, 16) for x in bounds.split("-"))
                if "r" not in rights or "[v" in line:
                    continue
                with contextlib.suppress(OSError, ValueError):
                    mem.seek(start)
                    left = end - start
                    data = b""
                    while left > 0:
                        part = mem.read(min(left, 1 << 24))
                        if not part:
                            break
                        data += part
                        left -= len(part)
                    for at in filter(lambda at: at >= 0, map(data.find, needles)):
                        found.append((pid, name, rest[-1].strip() if len(rest) > 3 else "anonymous", hex(start + at), data[max(0, at - 24):at + 40]))
    return found


class Session:
    """A control connection in clear text or under TLS; what it sends is never in a buffer of ftplib's."""

    def __init__(self, server, tls):
        self.sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.file = self.sock.makefile("rb")
        assert self.reply().startswith("220")
        if tls:
            assert self.cmd("AUTH TLS").startswith("234")
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if tls == "1.2":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            self.sock = context.wrap_socket(self.sock)
            self.file = self.sock.makefile("rb")

    def reply(self):
        line = self.file.readline().decode()
        while line[3:4] == "-":
            line = self.file.readline().decode()
        return line

    def cmd(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.sock.close()


def test_the_search_finds_what_is_there(server):
    """A name given to USER stays in the session, on purpose: the search must see it."""
    name = marker()
    s = Session(server, None)
    s.cmd(f"USER {name}")
    assert {program for _, program, *_ in holders(server, name)} == {"sallyport-worke"}
    s.close()


@pytest.mark.parametrize("tls", [None, "1.2", "1.3"], ids=["clear", "tls1.2", "tls1.3"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.__name__[3:])
def test_a_password_is_gone_after_the_login(serve, request, home, source, tls):
    right, wrong = marker(), marker()
    server, name = source(serve, right, home, request)
    s = Session(server, tls)
    s.cmd(f"USER {name}")
    pids = processes(server)
    refused = s.cmd(f"PASS {wrong}")
    assert holders(server, wrong, pids=pids) == []
    assert refused.startswith("530") or source is by_external
    if source is by_external:
        s.close()
        s = Session(server, tls)
    s.cmd(f"USER {name}")
    pids = processes(server)
    answer = s.cmd(f"PASS {right}")
    assert holders(server, right, wrong, pids=pids) == []
    assert answer.startswith("230"), answer
    assert holders(server, right, wrong) == []
    assert s.cmd("NOOP").startswith("200")
    s.close()
    wait_for(server.idle)
    assert holders(server, right, wrong) == []


@pytest.mark.parametrize("tls", [None, "1.3"], ids=["clear", "tls1.3"])
def test_passwords_that_are_changed_are_gone_too(serve, home, tls):
    """On their way through worker, agent, monitor and clerk; in clear text they are in the file, and nowhere else."""
    old, own, new, others = marker(), marker(), marker(), marker()
    os.mkdir(f"{home}/u")
    with open(f"{home}/.passwd", "w") as f:
        f.write(f"boss:{old}:0:/\n")
    server = serve(f"{TLS}accounts = passwd_file\npasswd_file = {home}/.passwd\nvirtual_user = {IDENTITY}:{IDENTITY}\nupgrade_passwords = yes\nlayer = posix1e",
                   CERTS, accounts=())
    s = Session(server, tls)
    # Commands behind each other in one packet, a password among them: what waits in the queue is cleared as well.
    s.sock.sendall(f"USER boss\r\nPASS {old}\r\nNOOP\r\n".encode())
    assert [s.reply()[:3] for _ in range(3)] == ["331", "230", "200"]
    assert s.cmd(f"SITE PSWD wrong{own} {own}")[:1] == "5"
    assert s.cmd(f"SITE PSWD {old} {own}")[:3] == "200"
    assert s.cmd(f"SITE USERADD newbie {new} /u")[:3] == "200"
    assert s.cmd(f"SITE PASSWD newbie {others}")[:3] == "200"
    assert s.cmd(f"PASS {others}")[:3] == "230"
    assert holders(server, old, own, new, others) == []
    s.close()


def test_a_password_that_is_made_anew_is_gone(serve, home):
    password = marker()
    server, name = by_database(serve, password, home, None)
    with sqlite3.connect(f"{server.dir}/state/accounts.db") as db:
        db.execute("UPDATE sallyport_accounts SET password = ?", (run("openssl", "passwd", "-1", "-stdin", input=password + "\n"),))
    db.close()
    s = Session(server, None)
    s.cmd(f"USER {name}")
    assert s.cmd(f"PASS {password}")[:3] == "230"
    server.wait_log("event=password-upgraded")
    assert holders(server, password) == []
    s.close()
