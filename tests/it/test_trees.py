"""Trees as real clients see them: what removes a directory with all that is in it removes links and nothing behind them; a missing
directory never looks like an empty one; listings, facts and deeds agree, whatever stands in the tree."""
import contextlib
import ftplib
import os
import random
import re
import shutil
import socket
import stat
import subprocess

import pytest
from conftest import UIDS, tree_digest
from test_clients_tls import BASIC_FTP, COMMONS_NET, HERE, need, succeeds
from tlsserver import run, tls

WAYS = ["tls", "clear"]


def own(top, user="alice"):
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files]:
            os.lchown(os.path.join(folder, name), UIDS[user], UIDS[user])


def put(path, content=b"x"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content)


@pytest.fixture
def tree(tls):
    """home/old with links of every kind, and home/keep and a directory outside, which they lead to."""
    home, outside = tls.homes["alice"], f"{tls.dir}/outside"
    for path in (f"{home}/old", f"{home}/keep", outside):
        shutil.rmtree(path, ignore_errors=True)
    put(f"{home}/keep/precious")
    put(f"{home}/keep/deep/er/f")
    put(f"{outside}/secret")
    put(f"{home}/old/file")
    put(f"{home}/old/two words/a b")
    put(f"{home}/old/sub/deep/f")
    put(f"{home}/old/.hidden")
    for name, target in [("ln", "../keep"), ("file-in", "../keep/precious"), ("gone", "nothing"), ("out", outside), ("etc", "/etc"),
                         ("out-file", f"{outside}/secret"), ("up", ".."), ("self", "."), ("loop", "loop"), ("chain", "ln"),
                         ("abs", "/keep"), ("sub/ln", "../../keep/deep"), ("sub/deep/back", "../.."), ("a link", "../keep"),
                         ("far", "../../../../../../../../..")]:
        os.symlink(target, f"{home}/old/{name}")
    own(home)
    os.chown(outside, UIDS["alice"], UIDS["alice"])
    before = tree_digest(f"{home}/keep"), tree_digest(outside), sorted(n for n in os.listdir(home) if n != "old")
    yield "old"
    assert not os.path.lexists(f"{home}/old")
    assert (tree_digest(f"{home}/keep"), tree_digest(outside), sorted(os.listdir(home))) == before


def remote(server, tmp_path, way, more=""):
    secret = succeeds("rclone", "obscure", "alice").stdout.decode().strip()
    secure = ",explicit_tls=true,no_check_certificate=true" if way == "tls" else ""
    return (["rclone", "--config", str(tmp_path / "none.conf"), "--retries", "1"],
            f":ftp,host=127.0.0.1,port={server.port},user=alice,pass={secret}{secure}{more}:")


def lftp(server, way, script, mlsd=True):
    need("lftp")
    on = "true" if way == "tls" else "false"
    return succeeds("lftp", "-c", f"set ftp:ssl-force {on}; set ftp:ssl-allow {on}; set ftp:ssl-protect-data true; "
                    f"set ssl:verify-certificate no; set net:max-retries 1; set cmd:fail-exit yes; set ftp:use-mlsd {mlsd}; "
                    f"open -u alice,alice -p {server.port} 127.0.0.1; {script}")


# ------------------------------------------------------------------------------ removing a tree

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mlsd", [True, False])
def test_lftp_removes_links_only(tls, tree, way, mlsd):
    lftp(tls, way, f"rm -r {tree}", mlsd)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("more", ["", ",disable_mlsd=true"])
def test_rclone_removes_links_only(tls, tree, way, more, tmp_path):
    need("rclone")
    command, where = remote(tls, tmp_path, way, more)
    succeeds(*command, "purge", where + tree)


def test_ncftp_removes_links_only(tls, tree, tmp_path):
    """It deletes by pattern, and what it has fetched; it enters no links."""
    need("ncftp", "ncftpget")
    login, home = ["-u", "alice", "-p", "alice", "-P", str(tls.port)], tls.homes["alice"]
    run("ncftpget", *login, "-R", "-DD", "127.0.0.1", str(tmp_path), tree)
    assert os.path.exists(tmp_path / "old" / "sub" / "deep" / "f") and not os.path.exists(f"{home}/old/sub/deep/f")
    script = "".join(f"rm {tree}{x}/*\n" for x in ("", "/sub", "/sub/deep")) + f"rm {tree}/.hidden\n"
    script += "".join(f"rmdir {tree}{x}\n" for x in ("/sub/deep", "/sub", '/two*', ""))
    r = run("ncftp", *login, "127.0.0.1", input=f"{script}quit\n".encode())
    assert not os.path.lexists(f"{home}/{tree}"), (os.listdir(f"{home}/{tree}"), r.stdout)


@pytest.mark.parametrize("way", WAYS)
def test_net_ftp_removes_links_only(tls, tree, way):
    need("perl")
    succeeds("perl", f"{HERE}/remove.pl", str(tls.port), way, tree)


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    need("java", "javac")
    if not os.path.exists(COMMONS_NET):
        pytest.skip("commons-net is not installed")
    out = str(tmp_path_factory.mktemp("java"))
    succeeds("javac", "-d", out, "-cp", COMMONS_NET, f"{HERE}/RemoveTree.java")
    return ["java", "-cp", f"{out}:{COMMONS_NET}", "RemoveTree"]


@pytest.mark.parametrize("way", WAYS)
def test_commons_net_removes_links_only(java, tls, tree, way):
    succeeds(*java, str(tls.port), way, "list", tree)


def test_commons_net_with_facts_stops_at_links(java, tls, tree):
    """Its parser has no word for any type of the operating system (RFC 3659, 7.5.1.5) and leaves such lines out: it says so then."""
    r = run(*java, str(tls.port), "clear", "mlsd", tree)
    assert r.returncode != 0 and b"not empty" in r.stderr
    shutil.rmtree(f"{tls.homes['alice']}/{tree}")


@pytest.mark.skipif(shutil.which("node") is None or not os.path.isdir(BASIC_FTP),
                    reason="basic-ftp for Node is not installed (set BASIC_FTP to its folder)")
@pytest.mark.parametrize("way", WAYS)
def test_basic_ftp_removes_links_only(tls, tree, way):
    succeeds("node", f"{HERE}/remove.js", BASIC_FTP, str(tls.port), way, tree)


def listed(f, command):
    lines = []
    f.retrlines(command, lines.append)
    return lines


def by_list(f):
    """(name, is it a directory, size) as clients read it from LIST -a."""
    for line in listed(f, "LIST -a"):
        m = re.fullmatch(r"([-dlpscb])\S{9} +\d+ \S+ +\S+ +(\d+) \w{3} [ \d]\d [ :\d]{5} (.*)", line)
        assert m, line
        if m[3] not in (".", ".."):
            yield m[3], m[1], int(m[2])


def by_facts(f):
    letters = {"file": "-", "dir": "d", "OS.unix=symlink": "l", "OS.unix=fifo": "p", "OS.unix=socket": "s", "OS.unix=chr": "c",
               "OS.unix=blk": "b"}
    for name, facts in f.mlsd():
        if facts["type"] not in ("cdir", "pdir"):
            yield name, letters[facts["type"]], int(facts.get("size", 0))


def remove(f, name, entries):
    """As FileZilla and ftplib's recipes: into what is a directory, DELE for all else."""
    f.cwd(name)
    for entry, letter, _ in list(entries(f)):
        if letter == "d":
            remove(f, entry, entries)
        else:
            f.delete(entry)
    f.cwd("..")
    f.rmd(name)


def session(server, way):
    return server.ftps() if way == "tls" else server.ftp()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entries", [by_list, by_facts])
def test_programs_remove_links_only(tls, tree, way, entries):
    home = tls.homes["alice"]
    os.mkfifo(f"{home}/old/fifo")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{home}/old/sub/socket")
    with session(tls, way) as f:
        remove(f, tree, entries)


# -------------------------------------------------------------------- a missing directory is missing

MISSING = ["photos [2024]", "no*", "*", "?", "[a-z]", "[abc", "missing", "photos\\*"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MISSING)
def test_no_machine_takes_a_missing_directory_for_an_empty_one(tls, way, name):
    home = tls.homes["alice"]
    put(f"{home}/there/f")
    own(home)
    with session(tls, way) as f:
        for command in ("MLSD", "MLST", "SIZE", "MDTM", "RETR", "HASH", "XMD5", "CWD", "DELE", "RMD", "RNFR"):
            with pytest.raises(ftplib.error_perm, match="^550"):
                if command in ("MLSD", "RETR"):
                    f.retrlines(f"{command} {name}", lambda line: None)
                else:
                    f.sendcmd(f"{command} {name}")
        with pytest.raises(ftplib.error_perm, match="^550"):
            f.sendcmd(f"MFMT 20200101000000 {name}")


@pytest.mark.parametrize("name", ["photos [2024]", "st*r", "wh?t", "[", "a\\*b"])
def test_names_that_look_like_patterns_are_names(tls, name):
    home = tls.homes["alice"]
    put(f"{home}/{name}/in")
    put(f"{home}/st-r/other")
    own(home)
    with tls.ftp() as f:
        f.voidcmd("TYPE I")
        assert [n for n, facts in f.mlsd(name) if facts["type"] == "file"] == ["in"]
        assert f.nlst(name) == [f"{name}/in"]
        assert [line.split()[-1] for line in listed(f, f"LIST {name}")] == ["in"]
        assert f.sendcmd(f"STAT {name}").splitlines()[1].endswith(" in")
        assert f.size(f"{name}/in") == 1
    shutil.rmtree(f"{home}/{name}")


@pytest.mark.parametrize("more", ["", ",disable_mlsd=true"])
@pytest.mark.parametrize("way", WAYS)
def test_rclone_sync_of_a_missing_directory_keeps_the_copy(tls, way, more, tmp_path):
    need("rclone")
    put(str(tmp_path / "copy" / "only-copy"))
    command, where = remote(tls, tmp_path, way, more)
    r = run(*command, "sync", f"{where}photos [2024]", str(tmp_path / "copy"))
    assert r.returncode != 0 and os.path.exists(tmp_path / "copy" / "only-copy"), r.stderr


# --------------------------------------------------------------- what is told is what is, and what happens

def random_tree(rng, top):
    """Names of objects of every kind."""
    names = []
    os.makedirs(top)
    for i in range(rng.randint(8, 16)):
        name = rng.choice(["n", "with blank ", " lead", "umläut", "q\"uote", "semi;colon", "[x]"]) + str(i)
        path = f"{top}/{name}"
        kind = rng.choice(["file", "empty", "dir", "fifo", "socket", "device", "link", "link", "link"])
        if kind in ("file", "empty"):
            put(path, b"x" * (rng.randint(1, 5000) if kind == "file" else 0))
        elif kind == "dir":
            os.makedirs(path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            folder = os.open(top, os.O_PATH)
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(f"/proc/self/fd/{folder}/{name}")
            os.close(folder)
        elif kind == "device":
            os.mknod(path, 0o600 | rng.choice([stat.S_IFCHR, stat.S_IFBLK]), os.makedev(1, 3))
        else:
            os.symlink(rng.choice([*names, "nothing", ".", "..", "/", "/etc/passwd", "/etc", name]), path)
        names.append(name)
    own(top)
    return names


def what_it_is(top, name):
    """The letter that a listing has to show: what the kernel says, links followed inside the root as files only."""
    mode = os.lstat(f"{top}/{name}").st_mode
    if not stat.S_ISLNK(mode):
        return stat.filemode(mode)[0]
    seen = 0
    while stat.S_ISLNK(os.lstat(f"{top}/{name}").st_mode):
        name, seen = os.readlink(f"{top}/{name}"), seen + 1
        if name.startswith("/") or name in (".", "..") or seen > 40 or not os.path.lexists(f"{top}/{name}"):
            return "l"
    letter = stat.filemode(os.lstat(f"{top}/{name}").st_mode)[0]
    return "l" if letter == "d" else letter


@pytest.mark.parametrize("seed", range(12))
def test_listings_facts_and_deeds_agree(tls, seed):
    """LIST, MLSD, NLST, STAT, MLST and SIZE tell the same of an object; perm says whether DELE or RMD will remove it."""
    rng = random.Random(seed)
    top = f"{tls.homes['alice']}/random"
    shutil.rmtree(top, ignore_errors=True)
    names = random_tree(rng, top)
    with session(tls, rng.choice(WAYS)) as f:
        f.voidcmd("TYPE I")
        f.cwd("random")
        lines = {name: (letter, size) for name, letter, size in by_list(f)}
        facts = dict(f.mlsd())
        assert {name: letter for name, (letter, _) in lines.items()} == {name: what_it_is(top, name) for name in names}, f"seed {seed}"
        assert lines == {name: (letter, size if letter != "d" else lines[name][1]) for name, letter, size in by_facts(f)}
        assert sorted(f.nlst()) == sorted(names)
        assert {line[0] + line.split(":", 1)[1][3:] for line in f.sendcmd("STAT -a").splitlines()[1:-1]} == \
            {line[0] + line.split(":", 1)[1][3:] for line in listed(f, "LIST -a")}
        rng.shuffle(names)
        for name in names:
            letter, size = lines[name]
            if letter == "-":
                assert f.size(f"./{name}") == size and "r" in facts[name]["perm"]
            else:
                with pytest.raises(ftplib.error_perm, match="^550"):
                    f.size(f"./{name}")
                assert "r" not in facts[name]["perm"]
            assert "d" in facts[name]["perm"]
            right, wrong = ("RMD", "DELE") if letter == "d" else ("DELE", "RMD")
            with pytest.raises(ftplib.error_perm, match="^550"):
                f.sendcmd(f"{wrong} ./{name}")
            told = None
            with contextlib.suppress(ftplib.error_perm):
                told = f.sendcmd(f"MLST ./{name}").splitlines()[1].split(" ", 2)[1]
            if told is not None and "type=dir" in told and letter == "l":
                assert "d" not in re.search("perm=(.*?);", told)[1]
            assert f.sendcmd(f"{right} ./{name}").startswith("250")
            lines = {n: v for n, v in ((n, (x, s)) for n, x, s in by_list(f))}
            assert name not in lines
            facts = dict(f.mlsd())
    assert os.listdir(top) == []
