"""What hosting companies set for their tenants, seen over the wire: templates by class, groups, expiry, hours, networks, messages, limits."""
import contextlib
import datetime
import ftplib
import io
import os
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import BUILD, PATIENCE, Server, wait_for
from test_accounts import IDENTITY, ctl

SECTIONS = f"""
[class basic]
home = {{dir}}/tenants/${{USER}}
create_home = yes
umask = 027
login_message = Welcome, ${{USER}}.
    Two lines.
goodbye_message = See you.
directory_message_file = .message
quota_files = 2
layer = pyftpdlib elradfmwMT
change_password = yes
[class pair]
max_sessions_per_class = 2
home = {{dir}}/shared
[group first]
umask = 077
rate_up = 0
[group second]
umask = 002
login_message = From the second group.
[group closed]
enabled = no
"""


@pytest.fixture(scope="module")
def hosting():
    folder = tempfile.mkdtemp(prefix="sallyport-it-")
    s = Server(folder, f"accounts = database\nquota_directory = {folder}/quota\nvirtual_user = {IDENTITY}:{IDENTITY}\n"
               "default_layer = pyftpdlib elradfmwMT\npenalty_failure = 0", SECTIONS, accounts=())
    os.mkdir(f"{folder}/tenants")
    os.mkdir(f"{folder}/shared")
    os.chown(f"{folder}/shared", IDENTITY, IDENTITY)
    yield s
    s.clean()


@pytest.fixture
def tenant(hosting):
    """tenant("class=basic", ...) makes an account (password pw) and gives its name."""
    made = []

    def make(*settings, name=None):
        made.append(name or f"tenant{len(made)}-{os.urandom(3).hex()}")
        ctl(hosting, "add", "--", made[-1], *settings, password="pw\n")
        return made[-1]

    yield make
    if made:
        ctl(hosting, "remove", "--", *made)


def answer(server, user, password="pw", source=None):
    """Code and text of the answer to PASS, and the session."""
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE, (source, 0) if source else None)
    r = server.raw()
    r.close()
    r.sock, r.file = sock, sock.makefile("rb")
    r.reply()
    r.cmd(f"USER {user}")
    return (*r.cmd(f"PASS {password}"), r)


def code(server, user, **more):
    c, _, r = answer(server, user, **more)
    r.close()
    return c


def put(f, name, content=b"x"):
    return f.storbinary(f"STOR {name}", io.BytesIO(content))


def test_a_class_is_a_template(hosting, tenant):
    one, two = tenant("class=basic"), tenant("class=basic", "umask=000", "login_message=Mine.")
    c, text, r = answer(hosting, one)
    assert (c, text) == (230, f"230-Welcome, {one}.\r\n230 Two lines.\r\n")
    assert r.cmd("QUIT") == (221, "221 See you.\r\n")
    r.close()
    home = f"{hosting.dir}/tenants/{one}"
    assert os.stat(home).st_uid == IDENTITY and os.stat(home).st_mode & 0o777 == 0o750
    with hosting.ftp(one, "pw") as f:
        put(f, "a")
        assert os.stat(f"{home}/a").st_mode & 0o777 == 0o640
        put(f, "b")
        with pytest.raises(ftplib.error_perm, match="552.*quota_files"):
            put(f, "c")
    assert answer(hosting, two)[1] == "230 Mine.\r\n"       # what the account says itself comes before its class
    with hosting.ftp(two, "pw") as f:
        put(f, "a")
    assert os.stat(f"{hosting.dir}/tenants/{two}/a").st_mode & 0o777 == 0o666


def test_the_first_group_that_says_it_counts(hosting, tenant):
    name = tenant("class=basic", "groups=first, second")
    c, text, r = answer(hosting, name)
    assert text == "230 From the second group.\r\n"        # the first says nothing of it; the class comes after the groups
    r.put("STOR x", b"y")
    r.close()
    assert os.stat(f"{hosting.dir}/tenants/{name}/x").st_mode & 0o777 == 0o600


def test_a_group_that_is_closed_closes_its_accounts(hosting, tenant):
    assert code(hosting, tenant("class=basic", "groups=closed")) == 530
    assert code(hosting, tenant("class=basic", "groups=first, closed")) == 530


def day(n):
    """The n-th day from now, for expires and for login_hours."""
    return datetime.datetime.now() + datetime.timedelta(days=n)


def test_expiry(hosting, tenant):
    assert code(hosting, tenant("class=basic", f"expires={day(-1):%Y-%m-%d}")) == 530
    assert code(hosting, tenant("class=basic", f"expires={day(-1):%Y-%m-%d %H:%M}")) == 530
    name = tenant("class=basic", f"expires={day(2):%Y-%m-%d}")
    assert code(hosting, name) == 230
    ctl(hosting, "set", name, "expires=2001-01-31")
    assert code(hosting, name) == 530
    hosting.wait_log(f"event=auth-failure .*user={name} reason=expired")
    ctl(hosting, "set", name, "expires=")
    assert code(hosting, name) == 230


def test_hours(hosting, tenant):
    near = ", ".join(f"{day(n):%a}" for n in (-1, 0, 1))       # midnight may come while this runs
    far = ", ".join(f"{day(n):%a}" for n in (2, 3, 4, 5))
    assert code(hosting, tenant("class=basic", f"login_hours={near}")) == 230
    late = tenant("class=basic", f"login_hours={far}")
    assert code(hosting, late) == 530
    hosting.wait_log(f"event=auth-failure .*user={late} reason=time-not-allowed")


def test_networks(hosting, tenant):
    local, other = tenant("class=basic", "allowed_networks=127.0.0.1, 192.0.2.0/24"), tenant("class=basic", "rejected_networks=127.0.0.2/32")
    assert code(hosting, local) == 230 and code(hosting, local, source="127.0.0.2") == 530
    assert code(hosting, other) == 230 and code(hosting, other, source="127.0.0.2") == 530
    hosting.wait_log(f"event=auth-failure rhost=127.0.0.2 .*user={other} .*reason=address-not-allowed|"
                     f"event=auth-failure .*rhost=127.0.0.2 user={other} reason=address-not-allowed")


def test_messages_of_folders(hosting, tenant):
    name = tenant("class=basic", "quota_files=0")
    with hosting.ftp(name, "pw") as f:
        f.mkd("in")
        put(f, "in/.message", b"Drop your files here.\nNo photographs.\n")
        f.mkd("out")
        assert f.sendcmd("CWD out").count("\n") == 0
        reply = f.sendcmd("CWD /in").splitlines()
        assert reply[0].startswith("250-") and "Drop your files here." in reply[0] + reply[1] and any("No photographs." in line for line in reply)
        assert reply[-1].startswith("250 ")
        put(f, "/out/.message", b"x" * 100000 + b"\n250 forged\n")      # too long, and in the shape of a reply
        reply = f.sendcmd("CWD /out").splitlines()
        assert sum(len(line) for line in reply) < 5000 and not any(line.startswith("250 forged") for line in reply)
        assert f.pwd() == "/out"


def test_own_password(hosting, tenant):
    name = tenant("class=basic")
    with hosting.ftp(name, "pw") as f:
        with pytest.raises(ftplib.error_perm, match="550"):
            f.sendcmd("SITE PSWD wrong another")
        assert f.sendcmd('SITE PSWD pw "an other"').startswith("200 ")
    assert code(hosting, name) == 530 and code(hosting, name, password="an other") == 230
    with hosting.ftp(name, "an other") as f:
        assert f.sendcmd("SITE PASSWD pw") == "200 password changed"
    assert code(hosting, name) == 230
    locked = tenant("class=basic", "change_password=no")
    with hosting.ftp(locked, "pw") as f:
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE PASSWD other")
        with pytest.raises(ftplib.error_perm, match="^550 (?!.*wrong)"):
            f.sendcmd("SITE PSWD pw other")
    assert code(hosting, locked) == 230


def test_sessions_of_a_class_and_of_an_account(hosting, tenant):
    a, b, c = (tenant("class=pair", "max_sessions_per_user=1") for _ in range(3))
    first = hosting.ftp(a, "pw")
    assert answer(hosting, a)[:2] == (421, "421 There are too many sessions of this account.\r\n")
    second = hosting.ftp(b, "pw")
    assert answer(hosting, c)[:2] == (421, "421 There are too many sessions of this account's class.\r\n")     # it has its two
    hosting.wait_log(f"event=auth-failure .*user={a} reason=too-many-sessions limit=max_sessions_per_user value=1 .*listener=")
    hosting.wait_log(f"event=auth-failure .*user={c} reason=too-many-sessions-of-class limit=max_sessions_per_class value=2 .*listener=")
    first.quit()
    wait_for(lambda: code(hosting, c) == 230)
    second.quit()


def test_bandwidth_is_shared_by_the_sessions_of_an_account(hosting, tenant):
    """Two sessions together get what one would: the time has a lower bound, whatever the machine does."""
    name, free = tenant(f"home={hosting.dir}/shared", "account_rate_down=100K"), tenant(f"home={hosting.dir}/shared")
    size = 200 * 1024
    with hosting.ftp(free, "pw") as f:
        put(f, "big", b"x" * size)

    def fetch(got):
        with hosting.ftp(name, "pw", timeout=PATIENCE) as f:
            f.retrbinary("RETR big", lambda b: got.append(len(b)))

    got = []
    threads = [threading.Thread(target=fetch, args=(got,)) for _ in range(2)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    # 400 kB at 100 kB/s, of which the first second's worth goes at once; each for itself would take one second.
    assert sum(got) == 2 * size and time.monotonic() - start > 2.5


def test_many_on_one_identity_do_not_see_each_other(hosting, tenant):
    """Two accounts of one Unix user: the processes of one cannot look into those of the other, and a program of that user cannot either."""
    names = tenant("class=basic"), tenant("class=basic")
    sessions = [hosting.ftp(name, "pw") for name in names]
    agents = []
    for pid, program in hosting.pids().items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
            if program == "sallyport-agent" and f"Uid:\t{IDENTITY}\t" in f.read():
                agents.append(pid)
    assert len(agents) == 2
    for pid in agents:
        with open(f"/proc/{pid}/status") as f:
            status = f.read()
        # No system call that traces or signals is in the filter (tests/roles); nobody else of that user may trace either.
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and f"Groups:\t\n" in status.replace("Groups:\t \n", "Groups:\t\n")
        look = subprocess.run(["cat", f"/proc/{pid}/environ", f"/proc/{pid}/maps"], user=IDENTITY, group=IDENTITY, extra_groups=[],
                              capture_output=True, text=True)
        assert look.returncode != 0 and look.stdout == "" and look.stderr.count("Permission denied") == 2
    for f in sessions:
        f.quit()


def greeting(server, source):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE, (source, 0)) as c:
        return c.recv(100)


def guess(server, source):
    r = answer(server, "alice", "wrong", source)[2]
    for user in ("alice", "nobody-here", "alice", "root"):
        r.cmd(f"USER {user}")
        r.cmd("PASS wrong")
    r.close()
    server.wait_log(f"event=auth-failure .*rhost={source} user=root")


def test_brute_force_is_banned(serve):
    """The address pays, nobody else, and some networks never do."""
    s = serve("penalty_failure = 20m\npenalty_threshold = 30m\npenalty_max = 2h\nlogin_attempts = 9\nnever_ban = 127.0.0.3")
    for source in ("127.0.0.2", "127.0.0.3"):
        guess(s, source)
    wait_for(lambda: greeting(s, "127.0.0.2").startswith(b"421"))
    assert greeting(s, "127.0.0.3").startswith(b"220") and greeting(s, "127.0.0.1").startswith(b"220")


def test_brute_force_is_forgiven_in_time(serve):
    s = serve("penalty_failure = 2s\npenalty_threshold = 3s\npenalty_max = 4s\nlogin_attempts = 9")
    guess(s, "127.0.0.2")
    wait_for(lambda: greeting(s, "127.0.0.2").startswith(b"220"))
    assert code(s, "alice", password="alice", source="127.0.0.2") == 230


def test_rate_of_connections(serve):
    s = serve(listener="connects_per_minute = 4")
    seen = []
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", s.port), PATIENCE, ("127.0.0.2", 0)) as c:
            seen.append(c.recv(3))
    assert seen[0] == b"220" and b"421" in seen
    with socket.create_connection(("127.0.0.1", s.port), PATIENCE, ("127.0.0.4", 0)) as c:
        assert c.recv(3) == b"220"


def test_disabled_while_logged_in(hosting, tenant):
    """Running sessions go on, new ones are refused: who must go at once is kicked."""
    name = tenant("class=basic")
    f = hosting.ftp(name, "pw")
    ctl(hosting, "disable", name)
    put(f, "still")
    assert code(hosting, name) == 530
    subprocess.run([f"{BUILD}/sallyctl", "--config", hosting.conf, "kick", name], check=True, capture_output=True)
    wait_for(lambda: name not in subprocess.run([f"{BUILD}/sallyctl", "--config", hosting.conf, "who"], capture_output=True, text=True).stdout)
    f.close()
