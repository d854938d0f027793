"""What a stranger learns from refused logins, from each kind of source: not which names exist; and what PAM's account phase says."""
import atexit
import contextlib
import datetime
import ftplib
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import test_accounts_external
import test_accounts_postgresql
from conftest import BUILD, PATIENCE, TOP, Raw, wait_for

IDENTITY = 64170
PREFIX = f"sprf{secrets.token_hex(3)}"
SERVICE = f"sallyport-it-{PREFIX}"
HASH = "$y$j9T$abcdefghijklmnopqrstu.$mW8yosgsynIQkjYFBtQmiqG8Hq5/A4MUXpbTIF4EjT."  # "pass word"


# Of other kinds, about as dear as that one, dearer and cheaper: each alone would tell its names.
OTHERS = {"rounds": "$6$rounds=40000$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
          "sha": "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
          "blow": "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u",
          "weak": "$y$j75$saltsaltsaltsalt$DsMjm5uqUiFBUYLB9CLnX8E/M0k0mOVJBUWdpCrUik9",
          "md": "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"}


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE, **options)


CERTIFICATE = tempfile.mkdtemp(prefix="sallyport-refusal-")
atexit.register(shutil.rmtree, CERTIFICATE, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def certificate():
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9", "-subj",
        "/CN=ftp", "-keyout", f"{CERTIFICATE}/key.pem", "-out", f"{CERTIFICATE}/cert.pem")
    os.chmod(f"{CERTIFICATE}/key.pem", 0o600)


@pytest.fixture(scope="module")
def users():
    """Users of the system in every state that keeps one out; all have the same password."""
    folder = run("mktemp", "-d", "/tmp/sallyport-refusal-XXXXXX").stdout.strip()
    os.chmod(folder, 0o755)
    kinds = {"known": [], "noshell": ["-s", "/usr/sbin/nologin"], "zero": [], "crypted": [], "lost": [], "locked": [], "hollow": [], **dict.fromkeys(OTHERS, [])}
    names = {}
    for kind, options in kinds.items():
        names[kind] = f"{PREFIX}{kind}"
        secret = {"locked": "!" + HASH, "hollow": "", **OTHERS}.get(kind, HASH)
        run("useradd", "-M", "-d", folder, "-p", secret, *([] if options else ["-s", "/bin/sh"]), *options, names[kind])
    run("chage", "-E", "0", names["zero"])
    names["nobody"] = f"{PREFIX}nobody"
    yield names
    for name in names.values():
        with contextlib.suppress(subprocess.CalledProcessError):
            run("userdel", name)
    shutil.rmtree(folder)


@pytest.fixture
def service():
    path = f"/etc/pam.d/{SERVICE}"

    def write(text):
        with open(path, "w") as f:
            f.write(text)

    yield write
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def with_certificate(serve, server, sections="", accounts=()):
    """The files stay where they are: sallyctl looks at them too."""
    return serve(f"login_attempts = 100\nlogin_grace_time = 1h\npenalty_failure = 0\nuid_min = 1000\n{server}",
                 f"[tls]\ncertificate = {CERTIFICATE}/cert.pem\nprivate_key = {CERTIFICATE}/key.pem\n{sections}", accounts=accounts)


def account(name, password, more=""):
    return f"[account {name}]\npassword = {password}\nhome = /srv\nrun_as = {IDENTITY}:{IDENTITY}\n{more}"


def by_config(serve, *_):
    names = {"known": account("known", HASH), "locked": account("locked", "!" + HASH), "star": account("star", "*"),
             "crypted": account("crypted", HASH, "tls = control\n"), "off": account("off", HASH, "enabled = no\n"),
             "hollow": account("hollow", "{CLEAR}"), "clear": account("clear", "{CLEAR}pass word"),
             "lost": f"[account lost]\npassword = {HASH}\nhome = /srv\nrun_as = {PREFIX}none\n",
             **{name: account(name, OTHERS[name]) for name in OTHERS}}
    return with_certificate(serve, "accounts = config", "".join(names.values())), [*names, "nobody"]


def system_sections(users):
    return (f"[account {users['crypted']}]\ntls = control\n[account {users['lost']}]\nrun_as = {PREFIX}none\n")


def by_shadow(serve, users, *_):
    return with_certificate(serve, "accounts = shadow, config\nftpusers_file = /proc/none", system_sections(users)), list(users.values())


def by_pam(serve, users, service, *_):
    service("auth required pam_unix.so\naccount required pam_unix.so\n")
    return with_certificate(serve, f"accounts = pam, config\nftpusers_file = /proc/none\npam_service = {SERVICE}",
                            system_sections(users)), list(users.values())


def fill_database(server, *more):
    def ctl(*words, password=None):
        run(f"{BUILD}/sallyctl", "--config", server.conf, "account", *words, *more, input=password)

    for name, settings in {"known": (), "locked": (), "crypted": ("tls=control",), "lost": (f"run_as={PREFIX}none",)}.items():
        ctl("add", name, "home=/srv", *settings, password="pass word\n")
    ctl("disable", "locked")
    return ["known", "locked", "crypted", "lost", "nobody"]


def mix_hashes(query):
    """Behind the server's back, and after its start."""
    for name, password in OTHERS.items():
        query(f"INSERT INTO sallyport_accounts (name, password, changed) VALUES ('{name}', '{password}', 1)")
    return list(OTHERS)


def by_database(serve, *_):
    s = with_certificate(serve, f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}")
    names = fill_database(s)
    with contextlib.closing(sqlite3.connect(f"{s.dir}/state/accounts.db")) as db, db:
        return s, names + mix_hashes(db.execute)


def by_postgresql(serve, users, service, request, _):
    if test_accounts_postgresql.BIN is None or not os.path.exists(f"{BUILD}/sallyport-source-postgresql.so"):
        pytest.skip("no PostgreSQL here")
    db = test_accounts_postgresql.Database()
    request.addfinalizer(lambda: (db.stop(), shutil.rmtree(db.dir)))
    s = with_certificate(serve, f"accounts = postgresql\npostgresql = {db.parameters}\nvirtual_user = {IDENTITY}:{IDENTITY}")
    names = fill_database(s, "--source", "postgresql")
    names += mix_hashes(lambda sql: db.run(f"{test_accounts_postgresql.BIN}/psql", "-h", db.dir, "-U", "sallyport", "postgres", "-c", sql))
    s.ctl("reload")     # otherwise seen within a minute
    return s, names


def by_external(serve, users, service, request, tmp_path):
    def reply(f):
        if f["account"] == "nobody":
            return "auth_ok:0\nend\n"
        return f"auth_ok:1\nuid:{IDENTITY}\ngid:{IDENTITY}\ndir:/srv\nend\n" if f["password"] == "pass word" else "auth_ok:-1\nend\n"
    test_accounts_external.Handler(str(tmp_path / "authd"), reply)
    return with_certificate(serve, f"accounts = external, config\nexternal_socket = {tmp_path}/authd",
                            account("ours", HASH)), ["known", "ours", "nobody"]


def by_passwd_file(serve, users, service, request, tmp_path):
    (tmp_path / ".passwd").write_text(f"known:{HASH}:1000:/\nclear:pass word:1001:/\nlocked:x:1002:/\nhollow::1003:/\n"
                                     + "".join(f"{name}:{OTHERS[name]}:{number}:/\n" for number, name in enumerate(OTHERS, 1010)))
    s = with_certificate(serve, f"accounts = passwd_file\npasswd_file = {tmp_path}/.passwd\nvirtual_user = {IDENTITY}:{IDENTITY}")
    return s, ["known", "clear", "locked", "hollow", "nobody", *OTHERS]


def monitors_cpu(server):
    total = 0
    for pid, name in server.pids().items():
        if name == "sallyport-monit":
            with contextlib.suppress(OSError), open(f"/proc/{pid}/schedstat") as f:
                total += int(f.read().split()[0]) / 1e6
    return total


@pytest.mark.parametrize("source", [by_config, by_shadow, by_pam, by_database, by_postgresql, by_external, by_passwd_file],
                         ids=lambda f: f.__name__[3:])
@pytest.mark.parametrize("password", ["wrong", ""], ids=["wrong", "empty"])
def test_names_cannot_be_told_apart(serve, users, service, request, tmp_path, source, password):
    """By text and code, byte for byte; and by cost, in processor time of one session's monitor."""
    server, names = source(serve, users, service, request, tmp_path)
    r = server.raw()
    r.reply()
    replies, cost = {}, dict.fromkeys(names, 1e9)

    def ask(name):
        first = r.cmd(f"USER {name}")
        before = monitors_cpu(server)
        replies.setdefault(name, set()).add((first, r.cmd(f"PASS {password}" if password else "PASS")))
        cost[name] = min(cost[name], monitors_cpu(server) - before)

    for _ in range(4):
        for name in names:
            ask(name)
    r.close()
    assert set().union(*replies.values()) == {((331, "331 Password, please.\r\n"), (530, "530 Login incorrect.\r\n"))}, replies
    # The least of several: other work on the machine only ever adds.  A hash is much the larger part of each.
    assert max(cost.values()) < 2 * min(cost.values()), cost
    assert min(cost.values()) > 5, cost


def test_the_right_password_is_told_the_reason(serve, users):
    server = with_certificate(serve, "accounts = shadow, config\nftpusers_file = /proc/none", system_sections(users))
    for kind, answer in (("crypted", "530 Log in over TLS"), ("lost", "530 This account is not set up"), ("zero", "530 Login incorrect"), ("noshell", "530 Login")):
        with pytest.raises(ftplib.Error, match=answer):
            server.ftp(users[kind], "pass word")
    server.wait_log(f"user={users['zero']} reason=expired password=right")


KEPT_OUT = {"network": "allowed_networks = 192.0.2.0/24", "rejected": "rejected_networks = 127.0.0.0/8", "off": "enabled = no",
            "expired": "expires = 2020-01-31", "late": "login_hours = ", "grouped": "groups = closed",
            "low": "run_as = 2:2", "certified": "certificate_login = and_password\ncertificate_id = dns:x.example.org"}


def test_no_penalty_that_does_not_come_confirms_a_password(serve):
    """Who is told what a wrong password is told earns its penalty as well; who is told why earns none."""
    yesterday = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).strftime("%a")
    sections = "".join(account(name, "{CLEAR}right", f"{text}\n") for name, text in KEPT_OUT.items())
    sections = sections.replace("login_hours = ", f"login_hours = {yesterday} 00:00-00:01")
    sections = sections.replace(f"run_as = {IDENTITY}:{IDENTITY}\nrun_as = 2:2", "run_as = 2:2")
    server = serve("accounts = config\nuid_min = 1000\npenalty_failure = 20m\npenalty_threshold = 10m\npenalty_max = 2h",
                   sections + account("open", "{CLEAR}right", "max_sessions_per_user = 1\n") +
                   "[group closed]\nenabled = no\n", accounts=())
    seen = {}
    for number, (name, password) in enumerate((n, p) for n in KEPT_OUT for p in ("right", "wrong")):
        source = f"127.0.7.{number + 1}"
        with contextlib.closing(Raw(server.port, source=source)) as r:
            r.reply()
            r.cmd(f"USER {name}")
            seen.setdefault(name, []).append(r.cmd(f"PASS {password}"))
        wait_for(lambda: Raw(server.port, source=source).reply()[0] == 421)
    assert all(right == wrong and wrong[0] == 530 for right, wrong in seen.values()), seen
    assert len(re.findall("event=auth-failure .*password=right", server.log())) == len(KEPT_OUT)
    closing = contextlib.closing
    with closing(Raw(server.port)) as first, closing(Raw(server.port, source="127.0.7.99")) as second:
        first.reply(), first.cmd("USER open")
        assert first.cmd("PASS right")[0] == 230
        second.reply(), second.cmd("USER open")
        assert second.cmd("PASS right") == (421, "421 There are too many sessions of this account.\r\n")
        assert Raw(server.port, source="127.0.7.99").reply()[0] == 220


NOLOGIN = "auth required pam_unix.so\naccount required pam_nologin.so file=%s\naccount required pam_unix.so\n"
ACCESS = "auth required pam_unix.so\naccount required pam_access.so accessfile=%s\n"
UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"


@pytest.mark.parametrize("name", ["sallyport.pam", "sallyport.pam-rpm"])
def test_installed_rules_know_nologin(name):
    """Before what the distribution decides, which may end the stack."""
    with open(f"{TOP}/etc/{name}") as f:
        rows = [line.split() for line in f if not line.startswith("#")]
    account = [row for row in rows if row[0] == "account" or row[-1] == "common-account"]
    assert account[0] == ["account", "required", "pam_nologin.so"], rows


@pytest.mark.parametrize("kind, stack, content, text", [
    ("known", NOLOGIN, 'Back at "noon"\x1b[31m', r'text="Back at \\"noon\\"\\'), ("known", ACCESS, "-:ALL:ALL\n", "text="),
    ("zero", UNIX, "", "text=.*expired")], ids=["nologin", "access", "expired"])
def test_account_phase(serve, users, service, tmp_path, kind, stack, content, text):
    """What PAM's account management refuses is no wrong password: it has a reason of its own, and nobody is banned for it."""
    (tmp_path / "file").write_text(content)
    service(stack % (tmp_path / "file") if "%s" in stack else stack)
    server = serve(f"accounts = pam\nftpusers_file = /proc/none\npam_service = {SERVICE}\nlogin_attempts = 1", accounts=())
    for _ in range(25):         # far beyond what wrong passwords are forgiven
        with pytest.raises(ftplib.error_perm, match="530 Login incorrect"):
            server.ftp(users[kind], "pass word")
    line = server.wait_log(rf".*event=auth-failure .*user={users[kind]} reason=account-refused password=right source=pam.*").group(0)
    assert re.search(text, line), line
    assert "\x1b" not in line
    with pytest.raises(ftplib.error_perm, match="530"):
        server.ftp(users[kind], "wrong")
    wrong = server.wait_log(rf".*event=auth-failure .*user={users[kind]} reason=wrong-password.*").group(0)
    pattern = re.search(r"^failregex = (.*)$", open(f"{TOP}/contrib/fail2ban/filter.conf").read(), re.M).group(1)
    pattern = pattern.replace("<ADDR>", r"(?P<ip>\S+)")
    assert re.search(pattern, re.sub(r"^\S+Z", "", wrong)) and not re.search(pattern, re.sub(r"^\S+Z", "", line))
    if shutil.which("fail2ban-regex"):
        for log, matched in ((line, 0), (wrong, 1)):
            (tmp_path / "log").write_text(log + "\n")
            out = run("fail2ban-regex", str(tmp_path / "log"), f"{TOP}/contrib/fail2ban/filter.conf").stdout
            assert f"1 lines, 0 ignored, {matched} matched" in out, out
