"""Users of the operating system: by shadow, by PAM with real modules, anonymous; and what goes wrong in them."""
import contextlib
import ftplib
import io
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import BUILD, PATIENCE, TOP, assert_same_time, wait_for

PREFIX = f"spit{secrets.token_hex(3)}"
SERVICE = f"sallyport-it-{PREFIX}"
HASH = subprocess.run(["openssl", "passwd", "-1", "pass word"], capture_output=True, text=True, check=True).stdout.strip()


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def users():
    """name -> user that exists for this module; and a folder that everybody can enter."""
    folder = tempfile.mkdtemp(prefix="sallyport-users-")
    os.chmod(folder, 0o755)
    kinds = {"plain": [], "noshell": ["-s", "/usr/sbin/nologin"], "rooted": ["-G", "root,disk"], "system": ["-r"],
             "expired": ["-e", "2001-01-01"], "new": []}
    names = {}
    for kind, options in kinds.items():
        names[kind] = name = f"{PREFIX}{kind}"
        home = f"{folder}/{kind}"
        run("useradd", "-M", "-d", home, "-p", HASH, *(["-s", "/bin/sh"] if "-s" not in options else []), *options, name)
        if kind != "new":
            os.mkdir(home)
            shutil.chown(home, name)
    run("useradd", "-M", "-d", f"{folder}/plain", "-s", "/bin/sh", "-p", "!" + HASH, f"{PREFIX}locked")
    names["locked"] = f"{PREFIX}locked"
    names["folder"] = folder
    yield names
    for name in names.values():
        with contextlib.suppress(subprocess.CalledProcessError):
            run("userdel", name)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def service():
    """Writes the PAM service of the test."""
    path = f"/etc/pam.d/{SERVICE}"

    def write(text):
        with open(path, "w") as f:
            f.write(text)

    yield write
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


SHADOW = "accounts = shadow, config\nftpusers_file = /proc/nonexistent\nlayer = pyftpdlib elradfmwMT"
PAM = f"accounts = pam, config\nftpusers_file = /proc/nonexistent\nlayer = pyftpdlib elradfmwMT\npam_service = {SERVICE}"


def agent_of(server, user):
    """The process that serves a user."""
    uid = str(pwd.getpwnam(user).pw_uid)
    for pid, name in server.pids().items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            if name == "sallyport-agent" and status["Uid"].split()[0] == uid:
                return pid, status
    pytest.fail(f"no agent runs as {user}")


def holders(server, folder):
    """Which programs have it open; the clerk, the monitor's child, bears its name."""
    found = set()
    for pid, name in server.pids().items():
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.path.realpath(f"/proc/{pid}/fd/{fd}") == os.path.realpath(folder):
                        found.add(name)
    return found


def test_shadow(serve, users):
    server = serve(listener=SHADOW)
    f = server.ftp(users["plain"], "pass word")
    f.storbinary("STOR file", io.BytesIO(b"content"))
    assert os.stat(f"{users['folder']}/plain/file").st_uid == int(agent_of(server, users["plain"])[1]["Uid"].split()[0])
    f.quit()


@pytest.mark.parametrize("kind, reason", [("noshell", "invalid-shell"), ("system", "uid-below-minimum"), ("expired", "expired"),
                                          ("locked", "locked")])
def test_shadow_refuses(serve, users, kind, reason):
    server = serve(listener=SHADOW)
    with pytest.raises(ftplib.error_perm, match="530 Login incorrect"):
        server.ftp(users[kind], "pass word")
    server.wait_log(f"event=auth-failure .*user={users[kind]} reason={reason}")


def test_ftpusers(serve, users):
    refused = f"{users['folder']}/ftpusers"
    with open(refused, "w") as f:
        f.write(f"root\n{users['plain']}\n")
    server = serve(listener=SHADOW.replace("/proc/nonexistent", refused))
    with pytest.raises(ftplib.error_perm, match="530"):
        server.ftp(users["plain"], "pass word")
    with open(refused, "w") as f:
        f.write("root\n")
    server.ftp(users["plain"], "pass word").quit()


def test_a_list_that_cannot_be_read(serve, users):
    server = serve(listener=SHADOW.replace("/proc/nonexistent", users["folder"]))
    r = server.raw()
    r.reply()
    r.cmd(f"USER {users['plain']}")
    r.cmd("PASS pass word")
    server.wait_log(f"error event=name-list-unreadable .*about={users['folder']} ")


def test_privileged_groups_are_dropped(serve, users):
    server = serve(listener=SHADOW)
    f = server.ftp(users["rooted"], "pass word")
    groups = agent_of(server, users["rooted"])[1]["Groups"].split()
    assert "0" not in groups and "6" not in groups
    f.quit()


def test_nobody_of_a_live_session_is_root(serve, users):
    server = serve(listener=SHADOW)
    f = server.ftp(users["plain"], "pass word")
    before = server.pids()
    owners = {}
    for pid, name in before.items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as status:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
            owners.setdefault(name, []).append((fields["Uid"].split()[0], fields["CapEff"]))
    assert ("64102", "0000000000000000") in owners["sallyport-monit"]
    f.quit()


def test_pam_session(serve, users, service):
    marker = f"{users['folder']}/closed"
    limits = f"{users['folder']}/limits"
    with open(limits, "w") as f:
        f.write("* hard nproc 123\n")
    service("auth required pam_unix.so\naccount required pam_unix.so\n"
            f"session required pam_limits.so conf={limits}\nsession required pam_mkhomedir.so\n"
            f"session optional pam_exec.so type=close_session /usr/bin/touch {marker}\n")
    server = serve(listener=PAM + "\npam_session = yes")
    f = server.ftp(users["new"], "pass word")      # pam_mkhomedir makes the home
    f.storbinary("STOR file", io.BytesIO(b"content"))
    pid, _ = agent_of(server, users["new"])
    with open(f"/proc/{pid}/limits") as text:
        assert [line.split()[3] for line in text if line.startswith("Max processes")] == ["123"]
    assert not os.path.exists(marker)
    # The monitor, which stays root for the end of the session, has given the home away.
    assert holders(server, f"{users['folder']}/new") == {"sallyport-agent"}
    f.quit()
    wait_for(lambda: os.path.exists(marker))
    wait_for(lambda: pid not in server.pids())


def test_pam_session_is_closed_when_the_agent_is_killed(serve, users, service):
    marker = f"{users['folder']}/closed2"
    service("auth required pam_unix.so\naccount required pam_unix.so\n"
            f"session required pam_permit.so\nsession optional pam_exec.so type=close_session /usr/bin/touch {marker}\n")
    server = serve(listener=PAM + "\npam_session = yes")
    f = server.ftp(users["plain"], "pass word")
    os.kill(agent_of(server, users["plain"])[0], signal.SIGKILL)
    wait_for(lambda: os.path.exists(marker))
    f.close()


def test_pam_account_management(serve, users, service):
    service("auth required pam_unix.so\naccount required pam_deny.so\n")
    server = serve(listener=PAM)
    with pytest.raises(ftplib.error_perm, match="530 Login incorrect"):
        server.ftp(users["plain"], "pass word")
    with pytest.raises(ftplib.error_perm, match="530 Login incorrect"):
        server.ftp(users["plain"], "wrong")


def test_the_rules_that_are_shipped_know_nologin(serve, users, service, tmp_path):
    """Only its path is another one: the machine is not ours alone."""
    with open(f"{TOP}/etc/sallyport.pam") as f:
        text = f.read()
    path = tmp_path / "nologin"
    service(text.replace("pam_nologin.so", f"pam_nologin.so file={path}"))
    server = serve(listener=PAM)
    server.ftp(users["plain"], "pass word").quit()
    path.write_text("Closed.\n")
    path.chmod(0o644)
    with pytest.raises(ftplib.error_perm, match="530"):
        server.ftp(users["plain"], "pass word")


def test_hanging_pam_module(serve, users, service):
    service(f"auth required pam_exec.so quiet /bin/sleep {PATIENCE}\naccount required pam_permit.so\n")
    server = serve(listener=PAM + "\nlogin_grace_time = 2")
    raw = server.raw()
    raw.reply()
    raw.cmd(f"USER {users['plain']}")
    raw.send("PASS x\r\n")
    wait_for(lambda: server.ftp("alice").quit())   # others go on
    code, _ = raw.reply()
    assert code == 421
    server.wait_log("event=login-grace-exceeded")


def test_crashing_pam_module(serve, users, service):
    script = f"{users['folder']}/crash"
    with open(script, "w") as f:
        f.write("#!/bin/sh\nkill -SEGV $PPID\n")
    os.chmod(script, 0o755)
    service(f"auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n")
    server = serve("never_ban = 127.0.0.0/8", listener=PAM)
    raw = server.raw()
    raw.reply()
    raw.cmd(f"USER {users['plain']}")
    assert raw.cmd("PASS x")[0] in (0, 421)
    server.ftp("alice").quit()


def test_missing_home(serve, users):
    server = serve(listener=SHADOW)
    shutil.rmtree(f"{users['folder']}/new", ignore_errors=True)
    with pytest.raises(ftplib.error_perm, match="530 The home directory"):
        server.ftp(users["new"], "pass word")
    server.wait_log("event=home-unusable")


def test_home_that_may_not_be_entered(serve):
    """Said for what it is, and no crash: neither the address nor the template is to blame."""
    server = serve("penalty_crash = 1h")
    os.chown(server.homes["alice"], 0, 0)
    os.chmod(server.homes["alice"], 0o700)
    with pytest.raises(ftplib.error_perm, match="530 The home directory"):
        server.ftp("alice")
    server.wait_log(f'event=home-unusable .*path={server.homes["alice"]} uid=64111 error="Permission denied"')
    server.ftp("bob").quit()
    assert "process-failed" not in server.log()


def test_anonymous(serve, users):
    server = serve(listener=f"accounts = anonymous\nanonymous_user = {users['plain']}\nanonymous_email = yes\n"
                            "layer = pyftpdlib elradfmwMT")
    f = server.ftp("anonymous", "guest@example.org")
    assert "file" in f.nlst() or f.nlst() == []
    with pytest.raises(ftplib.error_perm):         # reading only, whatever the server's layer says
        f.storbinary("STOR x", io.BytesIO(b""))
    f.quit()
    with pytest.raises(ftplib.error_perm, match="530"):
        server.ftp("ftp", "no address")


ODD = ["alice\\", "..", "../alice", "al/ice", "alice ", "%s%s%n", "a" * 300, "a" * 4000, "'; DROP TABLE accounts; --", "a:b:c",
       "J\u00f6rg", "\x7f", "DOMAIN\\alice", "alice@example.org", "root", "-rf"]


@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name[:20]))
def test_odd_names(serve, name):
    server = serve("login_attempts = 2")
    raw = server.raw()
    raw.reply()
    code, _ = raw.cmd(f"USER {name}")
    assert code in (331, 500, 501, 530)
    if code == 331:
        assert raw.cmd("PASS alice")[0] == 530
    raw.close()
    server.ftp("alice").quit()


@pytest.mark.parametrize("password", ["", " ", "alice ", "a" * 512, "a" * 1024, "\u00e4", "%n%n", "alice\\0"], ids=lambda p: ascii(p[:10]))
def test_odd_passwords(serve, password):
    server = serve("login_attempts = 2")
    raw = server.raw()
    raw.reply()
    raw.cmd("USER alice")
    assert raw.cmd(f"PASS {password}")[0] in (500, 501, 530)
    raw.close()
    server.ftp("alice").quit()


def test_refusals_take_the_same_time(serve):
    server = serve("login_attempts = 100\nlogin_grace_time = 1h\nnever_ban = 127.0.0.0/8")
    raws = []

    def refusal(name):
        if not raws or raws[-1].asked >= 90:
            raws.append(server.raw())
            raws[-1].asked = 0
            raws[-1].reply()
        raw = raws[-1]
        raw.asked += 1
        raw.cmd(f"USER {name}")
        began = time.monotonic()
        assert raw.cmd("PASS wrong")[0] == 530
        return time.monotonic() - began

    # The hash of the tests takes some milliseconds; without the dummy work an unknown name would be refused at once.
    assert_same_time(lambda: refusal("alice"), lambda: refusal("nobody-of-that-name"), 0.5)


def test_attempts_are_bounded(serve):
    server = serve("login_attempts = 3\nnever_ban = 127.0.0.0/8")
    raw = server.raw()
    raw.reply()
    for attempt in range(3):
        raw.cmd("USER alice")
        assert raw.cmd("PASS wrong")[0] in ((530,) if attempt < 2 else (530, 421))
    assert raw.file.read() == b""                  # and the connection is closed
    server.wait_log("event=session-end .*how=auth-failed")


def test_why_knows_who_cannot_log_in(serve, users):
    """What a login of a system user fails by is said before any rule is asked, offline as well."""
    server = serve("accounts = shadow\nrejected_users = " + users["plain"])
    for kind, reason in (("noshell", "invalid-shell"), ("system", "uid-below-minimum"), ("plain", "rejected")):
        r = subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, "why", users[kind], "LIST", "/"], capture_output=True, text=True)
        assert r.returncode != 0 and reason in r.stdout + r.stderr, (kind, r.stdout, r.stderr)
    assert subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, "why", "root", "LIST", "/"], capture_output=True).returncode != 0


def ask_why(server, user, *options):
    return subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, *options, "why", user, "LIST", "/"], capture_output=True,
                          text=True)


@pytest.mark.parametrize("source", ["shadow", "pam"])
def test_why_knows_of_locked_and_expired_users(serve, users, service, source):
    """passwd -l and chage -E 0, as the monitor judges them at a login; the remedy is named, and works."""
    service("auth required pam_unix.so\naccount required pam_unix.so\n")
    server = serve({"shadow": SHADOW, "pam": PAM}[source])
    user = users["plain"]
    assert ask_why(server, user).returncode == 0
    assert ask_why(server, users["expired"]).returncode == 1
    expired = "expired" if source == "shadow" else "account-refused .*expired"
    for close, opens, reason, remedy in ((["passwd", "-l"], ["passwd", "-u"], "locked", "passwd -u"),
                                         (["chage", "-E", "0"], ["chage", "-E", "-1"], expired, "")):
        run(*close, user)
        try:
            with pytest.raises(ftplib.error_perm, match="530"):
                server.ftp(user, "pass word")
            r = ask_why(server, user)
            assert r.returncode == 1 and re.match(f"DENY  the account cannot log in now: {reason}", r.stdout), r
            assert len(r.stdout.splitlines()) == 2 and remedy in r.stdout.splitlines()[1], r
            answer = json.loads(ask_why(server, user, "--json").stdout)
            assert answer["outcome"] == "DENY" and answer["remedy"] == r.stdout.splitlines()[1].strip()
        finally:
            run(*opens, user)
        assert ask_why(server, user).returncode == 0
        server.ftp(user, "pass word").quit()


def test_why_asks_account_management(serve, users, service):
    """What PAM's account phase refuses is told with the words of the module."""
    service("auth required pam_unix.so\naccount required pam_echo.so Closed today.\naccount required pam_deny.so\n")
    r = ask_why(serve(PAM), users["plain"])
    assert r.returncode == 1 and "account-refused (Closed today." in r.stdout, r


def test_why_of_a_stored_password_that_nothing_fits(serve, users):
    """Accounts of sections as well; one that has no password yet is only unfinished."""
    run_as = f"run_as = {users['plain']}\nhome = /\nlayer = pyftpdlib elr"
    server = serve("accounts = config", sections=f"[account banged]\npassword = !{HASH}\n{run_as}\n"
                   f"[account starred]\npassword = *\n{run_as}\n[account unfinished]\n{run_as}")
    for name, code in (("banged", 1), ("starred", 1), ("unfinished", 0)):
        r = ask_why(server, name)
        assert r.returncode == code and ("locked" in r.stdout) == (code == 1), (name, r)
