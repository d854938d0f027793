"""Accounts in the database, while the server runs: logins, passwords, hashes, homes, administrators over FTP."""
import contextlib
import ftplib
import io
import os
import sqlite3
import subprocess
import threading
import time

import pytest

from conftest import BUILD, PATIENCE, UIDS

CTL = f"{BUILD}/sallyctl"
IDENTITY = 64120
HASH = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltsalt", "secret"], capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A server whose accounts stand in the database."""
    from conftest import Server
    import tempfile
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}\n"
               "default_layer = pyftpdlib elradfmwMT\npenalty_failure = 0")
    s.shared = f"{s.dir}/shared"
    os.mkdir(s.shared)
    os.chown(s.shared, IDENTITY, IDENTITY)
    yield s
    s.clean()


def ctl(server, *args, password=None, code=0):
    p = subprocess.run([CTL, "--config", server.conf, "account", *args], input=password, capture_output=True, text=True, timeout=PATIENCE)
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


NAMES = ["ünï-cödé", "two words", "with:colon", "%s%n%x", "x'; DROP TABLE sallyport_accounts; --", "DOMAIN\\user", "user@example.org",
         "-dash", "x" * 300, "ends.with.", "[section]", "# hash", "root", "日本語"]
PASSWORDS = ["pässwörd", " leading", "trailing ", "a:b", "%s%s%n", "' OR '1'='1", "x" * 300, "$1$fake$hash", "\\", "\xff\xfe", "日本語"]


@pytest.mark.parametrize("i", range(max(len(NAMES), len(PASSWORDS))))
def test_odd_names_and_passwords(base, i):
    name, password = NAMES[i % len(NAMES)], PASSWORDS[i % len(PASSWORDS)]
    ctl(base, "add", "--", name, f"home={base.shared}", password=password + "\n")
    r = base.raw()
    r.reply()
    assert r.cmd(f"USER {name}")[0] == 331
    assert r.cmd(f"PASS {password}")[0] == 230, (name, password)
    r.close()
    for wrong in (password + "x", password[:-1], ""):
        r = base.raw()
        r.reply()
        r.cmd(f"USER {name}")
        assert r.cmd(f"PASS {wrong}")[0] == 530
        r.close()
    ctl(base, "remove", "--", name)


@pytest.mark.parametrize("name", [b"a\0b", b"../../etc/passwd", b"..", b".", b"\xff\xfe", b"a\x01b", b"x" * 400, b"", b"a/b"])
def test_names_that_cannot_be(base, name):
    r = base.raw()
    r.reply()
    r.send(b"USER " + name + b"\r\n")
    code = r.reply()[0]
    if code == 331:
        code = r.cmd("PASS x")[0]
    assert code in (500, 501, 530), code
    assert r.cmd("NOOP")[0] in (200, 530)
    r.close()


def monitors_cpu(server):
    """Processor time of the server's monitors so far, in clock ticks."""
    total = 0
    for pid, name in server.pids().items():
        if name == "sallyport-monit":
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
    return total


def test_refusals_cost_the_same(serve):
    """Measured in processor time of one and the same session, which other work on the machine does not change."""
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\nlogin_attempts = 100\nlogin_grace_time = 10m\n"
              "penalty_failure = 0", accounts=())
    add_here = subprocess.run([CTL, "--config", s.conf, "account", "add", "known", "home=/"], input="pw\n", text=True, capture_output=True)
    assert add_here.returncode == 0, add_here.stderr
    s.stop()
    s.start()       # the template learns what hashes here cost
    r = s.raw(timeout=120)
    r.reply()
    cost = {"known": 0, "unknown": 0}
    for _ in range(40):
        for user in cost:
            r.cmd(f"USER {user}")
            before = monitors_cpu(s)
            assert r.cmd("PASS wrong")[0] == 530
            cost[user] += monitors_cpu(s) - before
    r.close()
    # A hash costs at least ten times what everything else of a refusal does.
    assert cost["known"] > 0 and 0.5 < cost["unknown"] / cost["known"] < 2, cost


def test_refusals_take_the_same_time(serve):
    """The delay is counted from the question, whatever was found out about it: nothing is answered sooner."""
    s = serve(f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}\nlogin_delay = 1s\npenalty_failure = 0\nlogin_attempts = 9")
    for user in ("alice", "nobody-here", "..", "x" * 300):
        r = s.raw()
        r.reply()
        if r.cmd(f"USER {user}")[0] == 331:
            start = time.monotonic()
            assert r.cmd("PASS wrong")[0] == 530
            assert time.monotonic() - start >= 0.99, user
        r.close()


def test_broken_database_is_not_a_wrong_password(serve):
    s = serve(f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}")
    with open(f"{s.dir}/state/accounts.db", "wb") as f:
        f.write(b"no database" * 1000)
    with s.ftp("alice") as f:       # found before it
        f.pwd()
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("other", "x")
    s.wait_log("account-source-unusable")


def test_links_on_the_way_to_a_home(serve):
    """Those of root lead on; what an account has planted does not lead another one, or a folder that is made, elsewhere."""
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\ndefault_layer = posix1e\npenalty_failure = 0", accounts=())
    top = f"{s.dir}/tree"
    for folder in ("", "/tenant", "/tenant/real", "/elsewhere", "/mine"):
        os.mkdir(top + folder)
    for folder in ("/tenant", "/tenant/real", "/mine"):
        os.chown(top + folder, IDENTITY, IDENTITY)
    os.symlink(f"{top}/elsewhere", f"{top}/tenant/planted")
    os.symlink(f"{top}/tenant", f"{top}/by-root")
    os.symlink("tenant/real", f"{top}/relative")
    os.symlink("loop", f"{top}/loop")
    os.lchown(f"{top}/tenant/planted", IDENTITY, IDENTITY)
    homes = {"plain": ("tenant/real", True), "root": ("by-root/real/", True), "relative": ("relative", True), "planted": ("tenant/planted", False),
             "below": ("tenant/planted/sub", False), "via": ("by-root/planted", False), "loop": ("loop", False), "dots": ("tenant/../tenant/real", True)}
    os.mkdir(f"{top}/elsewhere/sub")
    for name, (home, good) in homes.items():
        ctl(s, "add", name, f"home={top}/{home}", password="pw\n")
        if good:
            s.ftp(name, "pw").quit()
        else:
            with pytest.raises(ftplib.error_perm, match="530 The home directory"):
                s.ftp(name, "pw")
    s.wait_log("event=home-unusable .*planted.* hint=.*must belong to root")
    made = {"new": ("tenant/made", True), "new-root": ("made", True), "new-link": ("tenant/planted/made", False)}
    for name, (home, good) in made.items():
        ctl(s, "add", name, f"home={top}/{home}", "create_home=yes", password="pw\n")
        if good:
            s.ftp(name, "pw").quit()
            assert os.stat(f"{top}/{home}").st_uid == IDENTITY
        else:
            with pytest.raises(ftplib.error_perm, match="530 The home directory"):
                s.ftp(name, "pw")
    assert os.listdir(f"{top}/elsewhere") == ["sub"]
    os.chown(f"{top}/mine", IDENTITY + 1, IDENTITY + 1)
    ctl(s, "add", "foreign", f"home={top}/mine/made", "create_home=yes", password="pw\n")
    with pytest.raises(ftplib.error_perm, match="530 The home directory"):
        s.ftp("foreign", "pw")
    assert os.listdir(f"{top}/mine") == []
    s.wait_log("event=home-unusable .*the folder above must belong to root")
    assert "syscall-refused" not in s.log()


def test_administrator_over_ftp(base):
    add(base, "chief", "pw", "administrator=yes", "change_password=yes", "layer=posix1e")
    add(base, "plain", "pw", "change_password=yes", "layer=posix1e")
    with base.ftp("chief", "pw") as f:
        assert f.sendcmd("SITE USERADD made-here secret /sub") == "200 user created"
        os.makedirs(f"{base.shared}/sub", exist_ok=True)
        os.chown(f"{base.shared}/sub", IDENTITY, IDENTITY)
        for line in ("USERADD made-here x /", "USERADD evil x /../../etc", "USERADD evil x /sub/..", "USERADD evil x ..", "USERADD evil x /..", "USERADD a/b x /", "PASSWD nobody-here x"):
            with pytest.raises(ftplib.error_perm):
                f.sendcmd(f"SITE {line}")
        assert f.sendcmd("SITE PASSWD made-here other") == "200 password changed"
    with base.ftp("made-here", "other") as f:
        f.mkd("inside")
    assert os.path.isdir(f"{base.shared}/sub/inside")
    with base.ftp("plain", "pw") as f:
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE USERADD more x /")
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE PASSWD chief x")
    # A link in place of the folder, made by whoever may write there, leads the new account nowhere.
    os.rename(f"{base.shared}/sub", f"{base.shared}/moved")
    os.symlink("/etc", f"{base.shared}/sub")
    os.lchown(f"{base.shared}/sub", IDENTITY, IDENTITY)
    with pytest.raises(ftplib.error_perm, match="530 The home directory"):
        base.ftp("made-here", "other")
    ctl(base, "remove", "chief", "plain", "made-here")
    assert "syscall-refused" not in base.log()


def test_only_what_a_source_can_change_is_offered(serve):
    """Accounts of the configuration have no passwords that FTP could change; check says so, and SITE HELP offers none."""
    s = serve(f"accounts = config, database\nvirtual_user = {IDENTITY}:{IDENTITY}\nchange_password = yes\npenalty_failure = 0",
              f"[account boss]\npassword = {HASH}\nhome = {{dir}}/shared\nrun_as = {IDENTITY}:{IDENTITY}\nlayer = posix1e\n"
              "administrator = yes\nchange_password = yes", accounts=())
    os.mkdir(f"{s.dir}/shared")
    os.chown(f"{s.dir}/shared", IDENTITY, IDENTITY)
    for name, more in (("stored", ["administrator=yes"]), ("plain", [])):
        ctl(s, "add", name, f"home={s.dir}/shared", "layer=posix1e", *more, password="pw\n")

    def offered(user, password):
        with s.ftp(user, password) as f:
            return set(f.sendcmd("SITE HELP").split()) & {"PASSWD", "PSWD", "USERADD"}

    assert offered("boss", "secret") == set()
    assert offered("stored", "pw") == {"PASSWD", "PSWD", "USERADD"}
    assert offered("plain", "pw") == {"PASSWD", "PSWD"}
    with s.ftp("boss", "secret") as f:
        for line in ("PASSWD new", "PSWD secret new", "PASSWD stored new", "USERADD more x /"):
            with pytest.raises(ftplib.error_perm, match="^5"):
                f.sendcmd(f"SITE {line}")
    r = subprocess.run([CTL, "check", s.conf], capture_output=True, text=True)
    lines = [x for x in r.stdout.splitlines() if "change_password" in x]
    assert len(lines) == 1 and "warning" in lines[0], r.stdout
    with open(s.conf) as f:
        text = f.read()
    with open(s.conf, "w") as f:
        f.write(text.replace("accounts = config, database", "accounts = config, shadow"))
    r = subprocess.run([CTL, "check", s.conf], capture_output=True, text=True)
    assert len([x for x in r.stdout.splitlines() if "change_password" in x and "warning" in x]) == 2, r.stdout


ARGON2_CHEAP = "$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94"
ARGON2 = "$argon2id$v=19$m=65536,t=2,p=1$/luBvS0/34ZD8R17gXMU5g$hDfyolBiCLAV6KIX0KEh990+lPAC+8rs61JgjRTQg6M"
PBKDF2 = "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE"
HAS_SODIUM = subprocess.run(["grep", "-q", "^#define HAVE_SODIUM 1", f"{BUILD}/config.h"], stderr=subprocess.DEVNULL).returncode == 0


def stored(server, name):
    with sqlite3.connect(f"{server.dir}/state/accounts.db") as db:
        return db.execute("SELECT password FROM sallyport_accounts WHERE name = ?", (name,)).fetchone()[0]


def import_hash(server, name, hash_):
    ctl(server, "import", "--format", "passwd", "-", password=f"{name}:{hash_}:{IDENTITY}:{IDENTITY}::/:/bin/sh\n")


def test_old_hashes_are_made_anew(serve):
    """Of an old kind, of a good kind with too little work, and not those that are as good as new ones."""
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\npenalty_failure = 0", accounts=())
    old = {"sha": HASH, "pbkdf": PBKDF2, **({"argon": ARGON2_CHEAP} if HAS_SODIUM else {})}
    good = {"argon-good": ARGON2} if HAS_SODIUM else {}
    for name, hash_ in {**old, **good, "odd": "$99$no$such"}.items():
        import_hash(s, name, hash_)
    for name, hash_ in old.items():
        with pytest.raises(ftplib.error_perm):
            s.ftp(name, "wrong")
        assert stored(s, name) == hash_
        s.ftp(name, "secret").quit()
        assert "password: yescrypt" in ctl(s, "show", name).stdout
        s.ftp(name, "secret").quit()
    for name, hash_ in good.items():
        s.ftp(name, "secret").quit()
        assert stored(s, name) == hash_
    with pytest.raises(ftplib.error_perm):
        s.ftp("odd", "x")
    s.wait_log(r"hash-unsupported.*\$99\$")
    assert "syscall-refused" not in s.log()


def test_hashes_follow_a_higher_cost(serve):
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\npenalty_failure = 0\npassword_cost = 1", accounts=())
    ctl(s, "add", "rise", "home=/", password="secret\n")
    first = stored(s, "rise")
    s.ftp("rise", "secret").quit()
    assert stored(s, "rise") == first
    s.stop()
    with open(s.conf) as f:
        text = f.read()
    with open(s.conf, "w") as f:
        f.write(text.replace("password_cost = 1", "password_cost = 3"))
    s.start()
    s.ftp("rise", "secret").quit()
    second = stored(s, "rise")
    assert second.split("$")[:2] == first.split("$")[:2] and second.split("$")[2] != first.split("$")[2]
    s.ftp("rise", "secret").quit()
    assert stored(s, "rise") == second


def test_old_hashes_stay_where_that_is_wanted(serve):
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\nupgrade_passwords = no", accounts=())
    import_hash(s, "old", HASH)
    s.ftp("old", "secret").quit()
    assert stored(s, "old") == HASH


def test_hashing_has_a_budget(serve):
    """Sixteen megabytes for all sessions: they take turns, and a hash that wants more than that is named in the log."""
    s = serve(f"accounts = database\nvirtual_user = {IDENTITY}:{IDENTITY}\npassword_memory = 16M\nlogin_grace_time = 50s\n"
              "penalty_failure = 0", accounts=())
    ctl(s, "add", "many", "home=/", password="secret\n")
    done = []

    def log_in():
        s.ftp("many", "secret", timeout=PATIENCE).quit()
        done.append(1)

    threads = [threading.Thread(target=log_in) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 12
    if HAS_SODIUM:
        import_hash(s, "greedy", ARGON2)
        with pytest.raises(ftplib.error_perm, match="530"):
            s.ftp("greedy", "secret")
        s.wait_log("event=password-memory-too-small .*argon2id")
    s.ftp("many", "secret").quit()
    assert "syscall-refused" not in s.log()


def test_eight_writers_while_clients_log_in(base):
    add(base, "steady", "pw")
    failed = []

    def write(k):
        for i in range(6):
            p = subprocess.run([CTL, "--config", base.conf, "account", "add", f"w{k}-{i}", "--no-password"], capture_output=True, text=True)
            if p.returncode != 0:
                failed.append(p.stderr)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for _ in range(10):
        base.ftp("steady", "pw").quit()
    for t in threads:
        t.join()
    assert failed == []
    ctl(base, "remove", "steady", *[f"w{k}-{i}" for k in range(8) for i in range(6)])


def test_a_file_is_given_to_another_account(serve):
    """By a monitor that is not root any more; to accounts only, of one's own files only."""
    s = serve("chown = yes")
    home = s.homes["alice"]
    with s.ftp("alice") as f:
        for name in ("given", "locked", "kept"):
            f.storbinary(f"STOR {name}", io.BytesIO(b"x"))
        os.chmod(f"{home}/locked", 0)
        for name in ("given", "locked"):
            assert f.sendcmd(f"SITE CHOWN bob {name}").startswith("200")
            assert os.stat(f"{home}/{name}").st_uid == UIDS["bob"]
        # Not one's own any more; nobody's account; the system's; not a name.
        for line in ("alice given", "nobody-here kept", "root kept", "0 kept", "../x kept"):
            with pytest.raises(ftplib.error_perm):
                f.sendcmd(f"SITE CHOWN {line}")
        assert os.stat(f"{home}/kept").st_uid == UIDS["alice"]
    assert "syscall-refused" not in s.log()
