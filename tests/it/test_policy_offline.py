"""One answer, offline and live: thousands of random questions, put to SITE WHY and to sallyctl expect."""
import ftplib
import json
import os
import random
import re
import subprocess

import pytest

from conftest import BUILD, HASHES, UIDS, Server

QUESTIONS = int(os.environ.get("QUESTIONS", "1500"))       # for each account
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
ALICE = UIDS["alice"]

LAYERS = {
    "letters": ["pyftpdlib elradfmwMT\n\toverride =/{home}/a elr recursive\n\toverride b elradf\n\thook deny-prefix /a/s"],
    "rules": ["sftpplus\n\tallow-read, allow-list, allow-write\n\t/a/*, allow-full-control\n\t*.x, deny-full-control\n\tm/b$/, allow-read"],
    "strings": ["ups -* +rCLcnm"],
    "cluster": ["ftpcluster"],
    "kernel": ["posix1e"],
    "many": ["ups -d", "sftpplus\n\tallow-full-control\n\t/b*, allow-read, allow-list", "/a pyftpdlib elrw"],
    "number": ["ftpcluster"],
    "boss": ["ftpcluster"],
}
UNIX = {"cluster": ALICE}
COMMANDS = ["RETR", "STOR", "APPE", "DELE", "RMD", "MKD", "CWD", "LIST", "MLSD", "NLST", "MLST", "SIZE", "MDTM", "STAT", "MFMT", "SITE CHMOD",
            "SITE SYMLINK", "SITE READLINK", "SITE GETFACL", "SITE SETFACL", "STOU", "XMD5", "MFF UNIX.mode", "MFF modify", "REST+STOR", "SITE UTIME", "SITE CHOWN", "SITE CHGRP",
            "SITE DELDEFACL", "HASH", "AVBL", "XCRC", "RNTO", "RNFR", "RNFR", "RNFR", "RNFR"]
NAMES = ["a", "b", "s", "f.x", "g", "ln", "out", "dangling", "none", ".permissions", "up", "closed", "..", "*.x", "~", ".", "loop", "through"]
MISSING = ["none", "none/none", "a/none", "ln/none", "dangling", "f.x", "a/g", "b/up"]   # below which nothing is


def lay_out(home, uid):
    for folder in ("a", "a/b", "a/s", "b", "b/a", "closed", "closed/a", "s"):
        os.makedirs(f"{home}/{folder}", exist_ok=True)
    for n, path in enumerate(("g", "f.x", "a/g", "a/f.x", "a/b/g", "a/s/g", "b/g", "b/a/g", "closed/g", "closed/a/g", "s/g")):
        with open(f"{home}/{path}", "w") as f:
            f.write("x")
        os.setxattr(f"{home}/{path}", "user.sallyport.owner", [b"1000", b"1001", b"rubbish", str(uid).encode()][n % 4])
    os.setxattr(f"{home}/b/a", "user.sallyport.owner", b"1000")
    for path, text in (("", "1000 lrw\n* lr\n"), ("a/", "* lrwd\n1000 lrwdmsn\n"), ("b/", "1000\n"), ("b/a/", "what?\n"), ("closed/", "* lrwdmsn\n")):
        with open(f"{home}/{path}.permissions", "w") as f:
            f.write(text)
    for path, target in (("ln", "a"), ("a/ln", "../b"), ("out", "/../../etc"), ("dangling", "none/none"), ("b/up", "../a/g"), ("a/b/up", "/b"),
                         ("s/ln", "ln"), ("loop", "a/loop"), ("a/loop", "/loop"), ("through", "closed/a"), ("b/through", "../g/x")):
        os.symlink(target, f"{home}/{path}")
    for folder, _, files in os.walk(home):
        for path in (folder, *(f"{folder}/{f}" for f in files)):
            os.chown(path, uid, uid, follow_symlinks=False)
    os.chown(f"{home}/a/b", 0, 0)
    # What the account cannot look into, though root can.
    os.chown(f"{home}/closed", 0, 0)
    os.chmod(f"{home}/closed", 0o700)
    os.chmod(f"{home}/s/g", 0o000)
    os.chown(f"{home}/s/g", 0, 0)


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    import tempfile
    directory = tempfile.mkdtemp(prefix="sallyport-it-")
    try:
        os.setxattr(directory, "user.sallyport.test", b"x")
    except OSError:
        os.rmdir(directory)
        pytest.skip("no extended attributes here")
    sections = ""
    for name, layers in LAYERS.items():
        home = f"{directory}/{name}"
        os.makedirs(home)
        lay_out(home, ALICE)
        sections += f"[account {name}]\npassword = {HASHES['alice']}\nhome = {home}\nrun_as = {ALICE}:{ALICE}\nstart = /a\n"
        sections += {"number": "cluster_uid = 1000\n", "boss": "cluster_uid = 0\n"}.get(name, "")
        sections += "".join(f"layer = {layer.format(home=home[1:])}\n" for layer in layers)
    s = Server(directory, "explain_denials = yes\nmax_sessions_per_user = 0\n", sections, accounts=())
    yield s
    s.clean()


def questions(rng):
    for _ in range(QUESTIONS):
        path = "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4)))
        if rng.random() < 0.2:
            path = rng.choice(MISSING) + "/" + rng.choice(NAMES)
        path = rng.choice(("/", "", "", "~/")) + path + rng.choice(("", "", "", "/", "//", "/."))
        if rng.random() < 0.02:
            path = rng.choice(("~", "~/", "/", ".", "..", "~a", "./~"))
        command = rng.choice(COMMANDS)
        second = "/" + "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 3))) if command == "RNFR" else None
        yield command, path, second


def live(server, name, asked):
    """What SITE WHY says: the policy's part, and the whole."""
    answers = []
    with server.ftp(name, "alice") as f:
        for command, path, second in asked:
            try:
                text = f.sendcmd(f'SITE WHY "{command}" {path}{" " + second if second else ""}')
                deny = re.search(r"^ +layer \d+ \w+ +deny ", text, re.M)
                answers.append(("DENY" if deny else "ALLOW", re.search(r"^[ 0-9-]*(ALLOW|DENY|CANNOT TELL|No right)\b", text, re.M)[1], text))
            except ftplib.error_perm as e:
                answers.append(("refused", "refused", str(e)))
    return answers


def expected(server, name, *options):
    """What sallyctl expect says of that file."""
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, "--json", "expect", *options, f"{server.dir}/expect-{name}"],
                       capture_output=True, text=True)
    assert "expectations" in r.stdout, r.stdout + r.stderr
    return json.loads(r.stdout)["expectations"]


@pytest.mark.parametrize("name", LAYERS)
def test_offline_answers_are_the_servers(offline, name):
    rng = random.Random(f"{SEED} {name}")
    asked = list(questions(rng))
    expectations = f"{offline.dir}/expect-{name}"
    with open(expectations, "w") as f:
        for command, path, second in asked:
            f.write(f"{name} {command} {path}{' ' + second if second else ''} -> allow\n")
    rows, whole, answers = expected(offline, name), expected(offline, name, "--kernel"), live(offline, name, asked)
    assert len(rows) == len(whole) == len(asked)
    allowed = concealed = 0
    for question, row, answer in zip(asked, rows, answers):
        if "not asked" in answer[2]: # the account may not know what is there (test_dropbox.py); sallyctl does
            concealed += 1
            continue
        mine = {"met": "ALLOW", "not met": "DENY"}.get(row["state"], row["text"])
        assert mine == answer[0], f"seed {SEED}, {name}: {question}: offline {mine} ({row['text']}), live {answer}"
        allowed += mine == "ALLOW"
    assert concealed < len(asked) / 2, f"seed {SEED}: {concealed}"
    assert 0 < allowed and (allowed < len(asked) or name in ("kernel", "boss")), f"seed {SEED}: {allowed}"
    # With the kernel's part: what lies below a missing folder, or below a file, is refused on both sides.
    for question, row, answer in zip(asked, whole, answers):
        if "not asked" in answer[2]:
            continue
        mine = {"met": "ALLOW", "not met": "DENY"}.get(row["state"], row["text"])
        assert mine == answer[1], f"seed {SEED}, {name}: {question}: offline {mine} ({row['text']}), live {answer}"
    # What was not met names the path.
    assert all(row["state"] == "met" or question[1] in row["text"] for question, row in zip(asked, rows))


def test_numbers_and_homes_are_the_accounts(offline, tmp_path):
    """diff sees cluster_uid; an override of a real path is accepted by check, as the server does."""
    other = tmp_path / "other.conf"
    with open(offline.conf) as f:
        text = f.read()
    other.write_text(text.replace("cluster_uid = 1000", "cluster_uid = 0"))
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", offline.conf, "diff", str(other)], capture_output=True, text=True)
    assert r.returncode == 1 and "number" in r.stdout and "gains" in r.stdout, r.stdout + r.stderr
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", offline.conf, "check"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


def test_overrides_of_no_folder_are_reported(offline, tmp_path):
    """pyftpdlib refuses them."""
    other = tmp_path / "other.conf"
    with open(offline.conf) as f:
        text = f.read()
    other.write_text(text.replace("override b elradf", "override g elradf\n\toverride nowhere elr\n\toverride b elradf"))
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", str(other), "check"], capture_output=True, text=True)
    said = r.stdout + r.stderr
    assert r.returncode == 78 and re.search("letters/g, which is no folder", said) and re.search("letters/nowhere, which does not exist", said), said
    assert "letters/b," not in said and "letters/a," not in said, said
    # lint tells the one from the other too; neither expect nor a reload can be stopped by an account that removes its folder.
    said = subprocess.run([f"{BUILD}/sallyctl", "-c", str(other), "lint"], capture_output=True, text=True).stdout
    assert re.search("no-folder: .*/g, for letters: it is a file", said) and re.search("/nowhere, for letters: it does not exist", said), said
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", str(other), "expect"], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    assert r.returncode == 0, r.stdout + r.stderr


def test_wrong_questions_are_named(offline, tmp_path):
    """A line of many that cannot be asked says what about it is not known."""
    (tmp_path / "e").write_text("letters RETRR /a -> allow\nno-such-user RETR /a -> allow\nletters SITE NONE /a -> deny\n")
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", offline.conf, "expect", str(tmp_path / "e")], capture_output=True, text=True)
    lines = r.stdout.splitlines()
    assert r.returncode == 2 and "RETRR" in lines[0] and "no-such-user" in lines[1] and "SITE NONE" in lines[2], r.stdout
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", offline.conf, "why", "kernel", "RETR", "/a/g"], capture_output=True, text=True)
    assert re.search(r"^ +layer 1 posix1e +allow ", r.stdout, re.M) and re.search(r"^ +kernel +allow ", r.stdout, re.M), r.stdout


def why(server, *words):
    return subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, "why", *words], capture_output=True, text=True)


def test_a_rename_has_two_paths_by_all_its_names(offline):
    """RNFR and RNTO are half a rename with one path, and all of it with two; who gives two to another command is told which take them."""
    answers = [why(offline, "letters", command, "/g", "/b/new") for command in ("RENAME", "RNFR", "RNTO")]
    assert answers[0].stdout == answers[1].stdout == answers[2].stdout and "source /g" in answers[0].stdout, answers[2].stderr
    assert "source" not in why(offline, "letters", "RNTO", "/b/new").stdout
    r = why(offline, "letters", "DELE", "/g", "/b/new")
    assert r.returncode == 64 and "RENAME and SITE COPY take two" in r.stderr, r.stderr


def test_rules_that_no_file_has_are_cited_by_their_setting(tmp_path):
    """Whoever asks why is told what to set, not where in the program the rule stands."""
    conf = tmp_path / "c"
    conf.write_text(f"[account a]\nrun_as = {ALICE}\nhome = {tmp_path}\n")
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), "why", "a", "STOR", "/x"], capture_output=True, text=True)
    assert "(server, default_layer)" in r.stdout, r.stdout + r.stderr


def test_a_pattern_is_asked_about_as_it_is_listed(serve):
    """LIST, NLST and STAT take a pattern for its folder, MLSD for a name: both whys answer what the command does."""
    home = "{dir}/p"
    s = serve("explain_denials = yes", f"[account p]\npassword = {HASHES['alice']}\nhome = {home}\nrun_as = {ALICE}:{ALICE}\n"
              "layer = sftpplus allow-read\n\t/dark*, deny-full-control\n\t/only*, allow-traverse\n\t/open, allow-list\n", accounts=())
    for folder in ("dark", "only", "open"):
        os.makedirs(f"{s.dir}/p/{folder}")
    r = s.raw().login("p", "alice")
    for command in ("LIST", "NLST", "STAT", "MLSD"):
        for path in ("/dark/*.txt", "/open/*.txt", "/only/[ab]*", "*.txt", "/open/?"):
            if command == "STAT":
                done = r.cmd(f"STAT {path}")[0] < 300
            else:
                done = r.fetch(f"{command} {path}")[1] == 226
            offline = subprocess.run([f"{BUILD}/sallyctl", "-c", s.conf, "why", "p", command, path], capture_output=True, text=True)
            text = r.cmd(f"SITE WHY {command} {path}")[1]
            if command != "MLSD":
                assert offline.stdout.startswith("ALLOW" if done else "DENY"), (command, path, done, offline.stdout)
            assert ("folder of the pattern" in offline.stdout) == (command != "MLSD"), offline.stdout
            assert ("ALLOW" if offline.stdout.startswith("ALLOW") else "DENY") in text, (command, path, text, offline.stdout)
    r.close()
