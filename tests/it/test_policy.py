"""Policies: decisions of the vector file through a running server, and sallyctl why, lint, expect, check."""
import collections
import ctypes
import ftplib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading

import pytest

from conftest import BUILD, PATIENCE, Server, TOP, password_hash

libc = ctypes.CDLL(None, use_errno=True)
CTL = f"{BUILD}/sallyctl"
UID = 64121
OWNER = "user.sallyport.owner"
ROW = collections.namedtuple("ROW", "dialect id policy user command path expected source note")
DENIED = "Permission denied by policy"


def unescape(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), text)


def rows(dialect):
    with open(f"{TOP}/tests/authz/vectors.tsv", encoding="utf-8") as f:
        for line in f:
            if line.startswith(dialect + "\t"):
                yield ROW(*map(unescape, line.rstrip("\n").split("\t")))


# ------------------------------------------------------------ rows as accounts

def split_policy(policy):
    """The policy's own lines, and fixtures as (word, argument, lines that follow)."""
    own, fixtures, into = [], [], None
    for line in policy.split("\n"):
        if line.startswith("@"):
            word, _, rest = line.partition(" ")
            into = []
            fixtures.append((word, rest, into))
        elif fixtures and fixtures[-1][0] in ("@passwd", "@permissions"):
            into.append(line)
        elif line.strip():
            own.append(line)
    return own, fixtures


def pyftpdlib_layer(own, user):
    letters, rest = None, []
    for line in own:
        words = line.split()
        if words[0] == "user" and words[1] == user:
            letters = words[4] if len(words) > 4 else "elr"
        elif words[0] == "anonymous" and user == "anonymous":
            letters = words[2] if len(words) > 2 else "elr"
        elif words[0] == "override" and words[1] == user:
            rest.append("override " + " ".join(words[2:]))
        elif words[0] == "hook":
            rest.append(line)
    return None if letters is None else [letters, *rest]


def layer_of(row, own):
    """Lines of the account's layer; None: the row is not for a running server."""
    if row.dialect == "pyftpdlib":
        return pyftpdlib_layer(own, row.user)
    if row.dialect == "sftpplus":
        return None if own[0].startswith("account ") or "${" in row.policy else own
    if row.dialect == "ups":
        return [line[4:] if line.startswith("ups ") else line for line in own]
    return []


def number_of(row, fixtures):
    """The user's number in .passwd."""
    for word, _, lines in fixtures:
        for line in lines if word == "@passwd" else ():
            fields = line.split(":")
            if fields[0] == row.user and len(fields) == 4:
                return int(fields[2])
    return None


SKIPPED = ("PASS", "LOAD", "SITE USERADD", "SITE PASSWD", "SITE CHOWN", "STOR atomic")


class Case:
    def __init__(self, row, name):
        self.row, self.name = row, name
        self.own, self.fixtures = split_policy(row.policy)
        self.layer = None if row.command.startswith(SKIPPED) or "@uploaded" in row.policy else layer_of(row, self.own)
        self.number = number_of(row, self.fixtures)
        if row.dialect == "ftpcluster" and self.number is None or row.path.startswith("/etc/"):
            self.layer = None
        self.groups = next((rest for word, rest, _ in self.fixtures if word == "@groups"), "")

    def section(self, home, hashed):
        text = [f"[account {self.name}]", f"password = {hashed}", f"home = {home}", f"run_as = {UID}:{UID}"]
        if self.groups:
            text.append(f"groups = {self.groups}")
        if self.number is not None:
            text.append(f"cluster_uid = {self.number}")
        lines = self.layer or [""]
        return text + [f"layer = {self.row.dialect} {lines[0]}", *("    " + line for line in lines[1:])]

    def build(self, home):
        """The fixtures, below the account's home."""
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        for word, rest, lines in self.fixtures:
            path, _, owner = rest.partition(" ")
            real = home + path
            if word == "@permissions":
                os.makedirs(real, exist_ok=True)
                with open(f"{real}/.permissions", "w") as f:
                    f.write("\n".join(lines) + "\n")
            elif word == "@dir":
                os.makedirs(real, exist_ok=True)
            elif word == "@file":
                os.makedirs(os.path.dirname(real), exist_ok=True)
                open(real, "w").close()
            if word in ("@dir", "@file") and owner.isdigit():
                os.setxattr(real, OWNER, owner.encode())
        for folder, _, names in os.walk(home):
            for name in [".", *names]:
                os.lchown(os.path.join(folder, name), UID, UID)


# --------------------------------------------------------------- rows as commands

def pair(path):
    return path.split(" -> ")


def send(ftp, command, path):
    """Carries the row's command out."""
    sink, source = (lambda data: None), io.BytesIO(b"content")
    where = "" if path == "-" else path
    if command == "RNFR+RNTO":
        ftp.rename(*pair(path))
    elif command == "REST+STOR":
        ftp.storbinary(f"STOR {where}", source, rest=0)
    elif command in ("STOR", "APPE", "STOU"):
        ftp.storbinary(f"{command} {where}".strip(), source)
    elif command == "RETR":
        ftp.retrbinary(f"RETR {where}", sink)
    elif command in ("LIST", "NLST", "MLSD"):
        ftp.retrlines(f"{command} {where}".strip(), sink)
    elif command == "SIZE":
        ftp.size(where)
    elif command == "MFMT":
        ftp.voidcmd(f"MFMT 20200101000000 {where}")
    elif command == "SITE CHMOD":
        ftp.voidcmd(f"SITE CHMOD 640 {where}")
    elif command == "SITE UMASK":
        ftp.voidcmd("SITE UMASK 027")
    elif command == "SITE SYMLINK":
        ftp.voidcmd(f"SITE SYMLINK target {where}")
    elif command == "RNFR":
        ftp.sendcmd(f"RNFR {where}")
    else:
        ftp.voidcmd(f"{command} {where}".strip())


def ask(server, case):
    """'allow' unless the server refuses by policy; other refusals are the file system's."""
    import ftplib
    with server.ftp(case.name, "x") as ftp:
        try:
            send(ftp, case.row.command, case.row.path)
        except ftplib.Error as e:
            return "deny" if DENIED in str(e) else "allow"
    return "allow"


@pytest.fixture(scope="module", params=["pyftpdlib", "sftpplus", "ftpcluster", "ups"])
def cases(request):
    """A server with one account for each row of a language."""
    top = tempfile.mkdtemp(prefix="sallyport-policy-")
    hashed = password_hash("x")
    found = [Case(row, f"{request.param[0]}{i}") for i, row in enumerate(rows(request.param))]
    found = [case for case in found if case.layer is not None]
    sections = [line for case in found for line in case.section(f"{top}/{case.name}", hashed)]
    for group in sorted({g for case in found for g in case.groups.split(",") if g}):
        sections += [f"[group {group}]"]
    server = Server(f"{top}", sections="\n".join(sections), accounts=[])
    yield server, found, top
    server.clean()


def test_vectors_through_the_server(cases):
    server, found, top = cases
    wrong = []
    assert len(found) > 50
    for case in found:
        case.build(f"{top}/{case.name}")
        answer = ask(server, case)
        if answer != case.row.expected:
            wrong.append(f"{case.row.id} {case.row.command} {case.row.path}: {answer}, not {case.row.expected}")
    assert not wrong, "\n".join(wrong)


# ------------------------------------------------------------------ sallyctl

CONF = """[server]
accounts = config
[account partner]
home = {home}
run_as = 64122:64122
layer = ups -W +c
layer = sftpplus
        allow-list, allow-write
        /inbox/*, allow-full-control
layer = pyftpdlib elrw
"""


@pytest.fixture
def conf(tmp_path):
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)
    (home / "inbox" / "x").write_text("x")
    for path in (home, home / "inbox", home / "inbox" / "x"):
        os.chown(path, 64122, 64122)
    path = tmp_path / "c.conf"
    path.write_text(CONF.format(home=home))
    return path


def ctl(conf, *args, **options):
    return subprocess.run([CTL, "--config", str(conf), *args], capture_output=True, text=True, timeout=60, **options)


def test_why_names_decider_and_others(conf):
    r = ctl(conf, "why", "partner", "DELE", "/inbox/x")
    assert r.returncode == 1
    assert r.stdout.startswith("DENY  decided by layer 1 (ups)\n")
    assert f'd removed by "-W +c" (account partner, {conf}:6); state: -* +rcLCu' in r.stdout
    assert 'rule 1 "/inbox/*": allow-full-control' in r.stdout
    assert r.stdout.count("[would also deny]") == 1
    assert re.search(r"kernel +allow +.*/inbox: user::rwx", r.stdout)


@pytest.mark.parametrize("words,code", [
    (["STOR", "/inbox/new"], 0), (["STOR", "inbox/../inbox/new"], 0), (["SITE", "CHMOD", "/inbox/x"], 1), (["SITE CHMOD", "/inbox/x"], 1),
    (["RNFR+RNTO", "/inbox/x", "/inbox/y"], 1), (["NOOP"], 0), (["SITE UMASK"], 1), (["LIST", "/"], 0), (["FROB", "/"], 64),
    (["RNFR+RNTO", "/inbox/x"], 64), (["STOR", "/a", "/b"], 64),
])
def test_why_exit_codes(conf, words, code):
    assert ctl(conf, "why", "partner", *words).returncode == code


def test_why_tells_the_kernel_and_links(conf, tmp_path):
    os.chmod(tmp_path / "home" / "inbox", 0o555)
    r = ctl(conf, "why", "partner", "STOR", "/inbox/new")
    assert r.returncode == 1 and "decided by the kernel" in r.stdout
    os.symlink("inbox", tmp_path / "home" / "in")
    r = ctl(conf, "why", "partner", "MKD", "/in/new", "--json")
    step = json.loads(r.stdout)["steps"][0]
    assert (step["path"], step["resolved"]) == ("/in/new", "/inbox/new")


def test_why_cannot_tell(conf):
    conf.write_text(conf.read_text() + "layer = ups -Q\n")
    r = ctl(conf, "why", "partner", "STOR", "/inbox/new")
    assert r.returncode in (1, 2) and "-Q" in r.stdout + r.stderr or "unknown letter" in r.stdout
    assert ctl(conf, "why", "nobody-of-that-name", "STOR", "/x").returncode == 2


def test_expectations(conf, tmp_path):
    file = tmp_path / "expectations"
    file.write_text("# what must hold\npartner DELE /inbox/x -> deny\npartner STOR \"/inbox/a b\" -> allow\n"
                    "partner RNFR+RNTO /inbox/x /inbox/y -> deny\n\npartner NOOP -> allow\n")
    r = ctl(conf, "expect", str(file))
    assert r.returncode == 0 and r.stdout == "4 met, 0 not met, 0 wrong\n"
    file.write_text("partner DELE /inbox/x -> allow\n")
    r = ctl(conf, "expect", str(file))
    assert r.returncode == 1 and f"{file}:1: not met: partner DELE /inbox/x: expected allow, but ups: d removed" in r.stdout
    file.write_text("partner DELE /inbox/x allow\npartner FROB /x -> deny\n")
    r = ctl(conf, "expect", str(file), "--json")
    assert r.returncode == 2 and [e["state"] for e in json.loads(r.stdout)["expectations"]] == ["wrong", "wrong"]


def test_check_tells_all_mistakes_of_rules(conf):
    conf.write_text(conf.read_text().replace("allow-list, allow-write", "allow-lits, allow-write").replace("-W +c", "-W c"))
    r = ctl(conf, "check")
    assert r.returncode == 78
    assert f"{conf}:6:" in r.stdout and "column 16" in r.stdout
    assert f"{conf}:8:" in r.stdout and "column 9" in r.stdout


def test_lint(conf, tmp_path):
    assert ctl(conf, "lint", "partner").returncode == 0
    os.symlink("inbox", tmp_path / "home" / "up")
    conf.write_text(conf.read_text().replace("layer = pyftpdlib elrw", "\n".join([
        "        /inbox/a*, allow-read", "        /x/, allow-read", "layer = pyftpdlib elrw", "    override up elr",
        "    override gone w"])))
    r = ctl(conf, "lint", "partner", "--json")
    assert r.returncode == 1
    found = {(f["id"], f["line"]) for f in json.loads(r.stdout)["findings"]}
    assert {("shadowed", 10), ("never-matches", 11), ("through-link", 13), ("no-folder", 14)} <= found
    os.chown(conf, 64122, 64122)
    assert "writable" in {f["id"] for f in json.loads(ctl(conf, "lint", "--json").stdout)["findings"]}


def test_reload_is_refused_for_wrong_rules_and_unmet_expectations(serve, tmp_path):
    import ftplib
    file = tmp_path / "expectations"
    file.write_text("alice STOR /x -> allow\nreader DELE /x -> deny\n")
    server = serve(f"expectations = {file}\nexplain_denials = yes")
    assert ctl(server.conf, "reload").returncode == 0
    with open(server.conf) as f:
        good = f.read()
    with open(server.conf, "w") as f:
        f.write(good.replace("layer = pyftpdlib elr\n", "layer = pyftpdlib elrQ\n"))
    r = ctl(server.conf, "reload")
    assert r.returncode == 2 and 'unknown permission letter "Q"' in r.stderr
    with open(server.conf, "w") as f:
        f.write(good.replace("layer = pyftpdlib elr\n", "layer = pyftpdlib elrd\n"))
    r = ctl(server.conf, "reload")
    assert r.returncode == 2 and f"{file}:2: not met: reader DELE" in r.stderr
    with server.ftp("reader") as ftp:
        with pytest.raises(ftplib.error_perm, match='letter d not in base letters "elr"'):
            ftp.delete("x")
        assert "DENY  decided by layer 1 (pyftpdlib)" in ftp.voidcmd("SITE WHY DELE /x")


def test_import_of_pyftpdlib(tmp_path):
    source = tmp_path / "authorizer"
    source.write_text("user bob secret /srv/bob elr msg_login=Hello there\noverride bob in elradfmwMT recursive\n"
                      "anonymous /srv/pub\nhook deny-prefix /restricted/\n")
    r = subprocess.run([CTL, "import", "pyftpdlib", str(source), "--json"], capture_output=True, text=True, timeout=PATIENCE)
    text = json.loads(r.stdout)["configuration"]
    assert r.returncode == 0 and "accounts = config, anonymous" in text and "login_message = Hello there" in text
    conf = tmp_path / "c.conf"
    conf.write_text(text.replace("run_as = ftp", "run_as = 64123:64123"))
    os.chmod(conf, 0o600)
    assert ctl(conf, "check").returncode == 0
    expected = tmp_path / "expected"        # the rules alone: the home is on another machine
    for command, path, code in (("STOR", "/in/x", 0), ("STOR", "/x", 1), ("RETR", "/restricted/x", 1)):
        expected.write_text(f'bob {command} "{path}" -> {"deny" if code else "allow"}\n')
        assert ctl(conf, "expect", str(expected)).returncode == 0, path
    source.write_text("user bob secret /srv/bob elx\n")
    assert subprocess.run([CTL, "import", "pyftpdlib", str(source)], capture_output=True, timeout=PATIENCE).returncode == 78


def test_import_of_pyftpdlib_with_blanks(tmp_path):
    source = tmp_path / "authorizer"
    source.write_text('user bob "se cret" "/srv/my home" elr\noverride bob my files elradfmwMT recursive\noverride bob in out w\n')
    r = subprocess.run([CTL, "import", "pyftpdlib", str(source)], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stderr
    assert "home = /srv/my home" in r.stdout and "override my files elradfmwMT recursive" in r.stdout
    conf = tmp_path / "c.conf"
    conf.write_text(r.stdout.replace("run_as = ftp", "run_as = 64123:64123"))
    os.chmod(conf, 0o600)
    assert ctl(conf, "check").returncode == 0
    expected = tmp_path / "expected"        # the rules alone: the home is on another machine
    for command, path, code in (("STOR", "/my files/x", 0), ("STOR", "/my files/a/x", 0), ("STOR", "/x", 1), ("STOR", "/in out/x", 0),
                                ("STOR", "/in out/a/x", 1)):
        expected.write_text(f'bob {command} "{path}" -> {"deny" if code else "allow"}\n')
        assert ctl(conf, "expect", str(expected)).returncode == 0, path


def test_import_of_pyftpdlib_has_one_authorizer(tmp_path):
    """Not: the override of bob has no value, on the line of unix."""
    source = tmp_path / "authorizer"
    source.write_text("unix global_perm=elr\nuser bob secret /srv/bob elr\n")
    r = subprocess.run([CTL, "import", "pyftpdlib", str(source)], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 78 and f"{source}:2: bob has a line of its own" in r.stderr and ":1:" not in r.stderr


MISTAKES = [    # text, the line that is blamed, what for
    ("user bob secret /srv/bob elr\nunix global_perm=elr\n", 1, "bob has a line of its own"),
    ("anonymous /srv elr\nunix anonymous_user=ftp\n", 1, "anonymous has a line of its own"),
    ("\nunix override=bob:perm:elr\noverride bob sub elrw\n", 3, "override no folders"),
    ("unix\nunix global_perm=elr\n", 2, "a second line for the users of the system"),
    ("windows\n\nunix\n", 3, "a second line for the users of the system"),
    ("# users\nunix override=bob:perm:\n", 2, "the override of bob has no value"),
    ("unix override=anonymous:perm:elr\n", 1, "the unknown user anonymous"),
]


@pytest.mark.parametrize("text, line, what", MISTAKES)
def test_import_of_pyftpdlib_blames_the_line(tmp_path, text, line, what):
    source = tmp_path / "authorizer"
    source.write_text(text)
    r = subprocess.run([CTL, "import", "pyftpdlib", str(source)], capture_output=True, text=True, timeout=PATIENCE)
    said = r.stderr.splitlines()
    assert r.returncode == 78 and r.stdout == "" and len(said) == 1 and f"{source}:{line}: " in said[0] and what in said[0], r.stderr


def test_import_of_pyftpdlib_with_system_users(tmp_path):
    """What is said on the line of unix becomes that and no more; quotes hold blanks."""
    source = tmp_path / "authorizer"
    source.write_text('unix msg_login="Hello you" msg_quit=Bye "override=bob:homedir:/srv/my home" override=eve:msg_login:"so long"\n')
    r = subprocess.run([CTL, "import", "pyftpdlib", str(source)], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stderr
    assert r.stdout.split("[account")[0].endswith("login_message = Hello you\ngoodbye_message = Bye\ndefault_layer = pyftpdlib elradfmwMT\n\n")
    assert "[account bob]\nhome = /srv/my home\n" in r.stdout and "[account eve]\nlogin_message = so long\n" in r.stdout
    assert "override" not in r.stdout and r.stdout.count("[account") == 2


def test_diff(conf, tmp_path):
    new = tmp_path / "new.conf"
    new.write_text(conf.read_text())
    r = ctl(conf, "diff", str(new))
    assert r.returncode == 0 and r.stdout == "no difference\n"
    new.write_text(conf.read_text().replace("-W +c", "-W +cd").replace("layer = pyftpdlib elrw", "layer = pyftpdlib elwd"))
    r = ctl(conf, "diff", str(new))
    assert r.returncode == 1
    assert "partner /inbox/* (files in it): gains delete-file; loses read" in r.stdout
    assert "partner / (folder)" not in r.stdout
    found = json.loads(ctl(conf, "diff", str(new), "--json").stdout)
    assert {"account": "partner", "path": "/inbox/*", "kind": "files in it", "gains": "delete-file", "loses": "read"} in found


def test_a_layer_may_be_long(serve):
    """Rules for thousands of folders, which take more than one message to the agent: the last of them counts too."""
    rules = "\n".join(f"    /folder-{i:05}/*, deny-full-control" for i in range(6000))
    s = serve("", f"[class long]\nmembers = alice\nlayer = sftpplus\n    allow-full-control\n{rules}")
    with s.ftp("alice") as f:
        f.mkd("other")
        for name in ("folder-00000", "folder-05999"):
            os.mkdir(f"{s.homes['alice']}/{name}")
            os.chown(f"{s.homes['alice']}/{name}", 64111, 64111)
            with pytest.raises(ftplib.error_perm, match="5.. Permission denied by policy"):
                f.mkd(f"{name}/x")


def exchange(a, b):
    assert libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), 2) == 0, os.strerror(ctypes.get_errno())


def test_lint_says_where_it_stopped(tmp_path):
    """One account's tree is looked at up to a limit: not in silence, and without costing another account its own."""
    conf, homes = tmp_path / "conf", [tmp_path / name for name in ("large", "small")]
    for home in homes:
        home.mkdir()
        (home / "sub").mkdir()
    (homes[0] / "n").mkdir()
    at = os.open(homes[0] / "n", os.O_PATH)
    for i in range(200000):
        os.mknod(f"{i:06}", dir_fd=at)
    os.close(at)
    for path in (homes[0] / "sub" / ".permissions", homes[1] / "sub" / ".permissions"):
        path.write_text("WRONG\n")
    conf.write_text("".join(f"[account {home.name}]\npassword = {{CLEAR}}x\nhome = {home}\nrun_as = 64122:64122\nlayer = ftpcluster\n"
                            for home in homes))
    os.chmod(conf, 0o600)
    r = ctl(conf, "lint")
    assert r.returncode == 2 and f"{homes[0]}/n/199999: 200000 objects were looked at" in r.stderr, r.stdout + r.stderr
    assert f"{homes[1]}/sub/.permissions" in r.stdout and f"{homes[0]}/sub/.permissions" not in r.stdout, r.stdout
    r = ctl(conf, "lint", "small")
    assert r.returncode == 1 and r.stderr == "", r.stderr


def test_lint_of_a_hostile_tree(tmp_path):
    """The tree is the tenant's: root reads nothing outside it for them, waits at no pipe, and no depth hides a mistake."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    conf = tmp_path / "conf"
    for d in (home, outside, home / "pipe", home / "dir", home / "way", outside / "sub"):
        d.mkdir()
    for d in (outside, outside / "sub"):
        (d / ".permissions").write_text("OUTSIDE\n")
    os.mkfifo(home / "pipe" / ".permissions")
    pipe = os.open(home / "pipe" / ".permissions", os.O_RDWR)
    os.write(pipe, b"OUTSIDE\n")
    (home / "way" / ".permissions").symlink_to(outside / ".permissions")
    (home / "out").symlink_to(outside)
    (home / "swap").symlink_to(outside)
    at = os.open(home, os.O_PATH)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=at)
        at, above = os.open("d" * 200, os.O_PATH, dir_fd=at), at
        os.close(above)
    with open(os.open(".permissions", os.O_WRONLY | os.O_CREAT, dir_fd=at), "w") as f:
        f.write("DEEP\n")
    os.close(at)
    conf.write_text(f"[account t]\npassword = {{CLEAR}}x\nhome = {home}\nrun_as = 64122:64122\nlayer = ftpcluster\n"
                    "layer = pyftpdlib elr\n    override /out/Sub elr\n")
    for path in [home, home / "out", home / "swap", home / "way", *home.glob("*")]:
        os.chown(path, 64122, 64122, follow_symlinks=False)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            exchange(home / "dir", home / "swap")

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for _ in range(8):
            r = ctl(conf, "lint", "t", "--json")
            assert r.returncode == 1, r.stderr
            found = json.loads(r.stdout)["findings"]
            assert "DEEP" in r.stdout and "OUTSIDE" not in r.stdout, found
            assert "other-case" not in {f["id"] for f in found}, found
            # No session reads it either: such a file grants nothing to anybody.
            assert any("pipe/.permissions" in str(f) and "no regular file" in str(f) for f in found), found
    finally:
        stop.set()
        attacker.join()
        os.close(pipe)
    # Where the way to the home itself is the tenant's, it leads root nowhere.
    conf.write_text(conf.read_text().replace(f"home = {home}", f"home = {home}/out"))
    if (home / "dir").is_symlink():
        exchange(home / "dir", home / "swap")
    assert "OUTSIDE" not in ctl(conf, "lint", "t", "--json").stdout


# ------------------------------------------------------------ renaming a directory into more rights

# What keeps /top/secret/f closed while /top may be renamed.
CLOSED = {
    "neg": "sftpplus\n deny-full-control\n !/top/secret*, allow-full-control",
    "enot": "sftpplus\n deny-full-control\n e/^\\/top\\/secret/, allow-full-control",
    "glob": "sftpplus\n deny-full-control\n /pub*, allow-full-control\n /top, allow-list, allow-rename",
    "list": "sftpplus\n allow-list\n /pub*, allow-full-control\n /top, allow-list, allow-rename",
    "deny": "sftpplus\n allow-full-control\n /top/secret*, deny-full-control",
    "shallow": "pyftpdlib el\n override /top elf\n override /pub elradfmwMT recursive",
}
OPEN = {
    "wide": "sftpplus\n deny-full-control\n /in*, allow-full-control\n /out*, allow-full-control",
    "letters": "pyftpdlib el\n override /in elradfmwMT recursive\n override /out elradfmwMT recursive",
}


def renamed_account(directory, name, layer, digest):
    home = f"{directory}/r-{name}"
    for folder in ("top/secret", "pub/empty", "in/d", "out"):
        os.makedirs(f"{home}/{folder}")
    for file in ("top/secret/f", "in/d/f"):
        with open(f"{home}/{file}", "w") as f:
            f.write("SECRET")
    os.symlink("..", f"{home}/pub/up")
    for folder, folders, files in os.walk(home):
        for entry in [".", *folders, *files]:
            os.lchown(os.path.join(folder, entry), UID, UID)
    return f"\n[account {name}]\npassword = {digest}\nhome = {home}\nrun_as = {UID}:{UID}\nlayer = {layer}\n"


def test_lint_names_directories_that_are_not_renamed(tmp_path):
    conf = tmp_path / "conf"
    rules = {**CLOSED, **OPEN}
    for choice, wanted in (("refuse", {"rename-into", "rename-above"}), ("original", {"rename-opens", "rename-escapes"})):
        conf.write_text(f"[server]\nrename_above_rules = {choice}\n" + "".join(
            f"[account {n}]\npassword = {{CLEAR}}x\nhome = {tmp_path}\nrun_as = {UID}:{UID}\nlayer = {r}\n" for n, r in rules.items()))
        os.chmod(conf, 0o600)
        for name in rules:
            r = ctl(conf, "lint", name, "--json")
            told = [f for f in json.loads(r.stdout)["findings"] if f["id"].startswith("rename-")]
            assert bool(told) == (name in CLOSED), (name, told)
            assert {f["id"] for f in told} <= wanted and all(f["text"].startswith("/top can" if "above" in f["id"] or "escapes" in f["id"]
                                                             else "/top could be renamed") for f in told), (name, told)


def test_nothing_forbidden_is_renamed_into_reach(serve):
    top = tempfile.mkdtemp(prefix="sallyport-it-")
    os.chmod(top, 0o755)
    digest = password_hash("x")
    s = serve(sections="".join(renamed_account(top, n, rules, digest) for n, rules in {**CLOSED, **OPEN}.items()))
    for name in CLOSED:
        one, two = s.raw().login(name, "x"), s.raw().login(name, "x")
        one.cmd("TYPE I")
        assert one.fetch("RETR /top/secret/f")[0] == b""
        for old in ("/top", "top", "/pub/../top", "/pub/up/top", "/TOP/../top", "/t?p"):
            for new in ("/pub/top", "pub/./x", "/pub/empty", "/pub/up/pub/y", "/zop"):
                # The other session takes the new name meanwhile, and lets go of it; or tries to have the old one.
                one.cmd(f"RNFR {old}")
                two.cmd(f"MKD {new}")
                two.cmd("MKD /top")
                one.cmd(f"RNTO {new}")
                two.cmd(f"RMD {new}")
                one.cmd(f"RNFR {old}")
                one.cmd(f"RNTO {new}")
                assert one.fetch(f"RETR {new}/secret/f")[0] == b"", (name, old, new)
                assert os.path.exists(f"{top}/r-{name}/top/secret/f"), (name, old, new)
    for name in OPEN:
        one = s.raw().login(name, "x")
        assert one.cmd("RNFR /in/d")[0] == 350
        assert one.cmd("RNTO /out/d")[0] == 250, name
        one.cmd("TYPE I")
        assert one.fetch("RETR /out/d/f") == (b"SECRET", 226)
    shutil.rmtree(top)
