"""What clients are told of files and directories: listings that are cut, codes of STAT, times and modes as they are on the disk, "~", the
longest names, and refusals that say why."""
import ftplib
import os
import random
import re
import shutil
import subprocess

import pytest
from conftest import UIDS
from tlsserver import TlsServer, tls


def own(path, user="alice"):
    os.lchown(path, UIDS[user], UIDS[user])
    return path


def home(server, name="", user="alice"):
    return os.path.join(server.homes[user], name)


def folder(server, name):
    path = home(server, name)
    os.makedirs(path, exist_ok=True)
    return own(path)


def write(server, name, content=b"x"):
    with open(home(server, name), "wb") as f:
        f.write(content)
    return own(home(server, name))


def text(f, command):
    """The reply, refused or not."""
    try:
        return f.sendcmd(command)
    except ftplib.Error as e:
        return str(e)


@pytest.fixture
def ftp(tls):
    f = tls.ftp()
    f.voidcmd("TYPE I")
    yield f
    f.close()


# ------------------------------------------------------------------------------------- cut listings

@pytest.fixture(scope="module")
def small():
    s = TlsServer(server="list_max_entries = 4000\nlist_max_depth = 2")
    yield s
    s.clean()


@pytest.mark.parametrize("way", ["tls", "clear"])
@pytest.mark.parametrize("command", ["LIST {}", "LIST -t {}", "NLST {}", "MLSD {}", "LIST {}/*", "LIST -R {}"])
def test_what_is_allowed_arrives_and_then_the_reason(small, way, command):
    for count in (3999, 4000, 4001, 5000):
        top = folder(small, f"many{count}")
        for i in range(count - len(os.listdir(top))):
            os.close(os.open(f"{top}/a-name-of-some-length-{i:05d}", os.O_WRONLY | os.O_CREAT, 0o644))
        lines = []
        with small.ftps() if way == "tls" else small.ftp() as f:
            if count <= 4000:
                assert f.retrlines(command.format(f"many{count}"), lines.append).startswith("226")
            else:
                with pytest.raises(ftplib.error_temp, match=r"^451 The listing is incomplete\. There are more entries .*list_max_entries"):
                    f.retrlines(command.format(f"many{count}"), lines.append)
            assert f.voidcmd("NOOP").startswith("200")
        assert sum("a-name-of-some" in line for line in lines) == min(count, 4000)


def test_stat_shows_what_is_allowed_and_the_reason(serve):
    s = serve("list_max_entries = 3")
    for i in range(5):
        write(s, f"f{i}")
    with s.ftp() as f:
        lines = text(f, "STAT /").splitlines()
        assert lines[0] == "451-Status:" and len(lines) == 5 and [line[-2:] for line in lines[1:4]] == ["f0", "f1", "f2"]
        assert lines[4].startswith("451 The listing is incomplete. There are more entries")
        got = []
        with pytest.raises(ftplib.error_temp, match="^451"):
            f.retrlines("LIST", got.append)
        assert len(got) == 3


def test_a_deep_tree_is_listed_down_to_the_depth(small):
    os.makedirs(home(small, "deep/1/2/3/4"), exist_ok=True)
    for path, _, _ in os.walk(home(small, "deep")):
        own(path)
        own(write(small, os.path.join(path, "f")))
    with small.ftp() as f:
        lines = []
        assert f.retrlines("LIST -R deep", lines.append).startswith("226")
        assert [line for line in lines if line.endswith(":")] == ["1:", "1/2:"]
        assert f.nlst("-R", "deep") == ["deep/1", "deep/f", "deep/1/2", "deep/1/f", "deep/1/2/3", "deep/1/2/f"]


# --------------------------------------------------------------------------------- what a thing is

def test_codes_of_stat(tls, ftp):
    folder(tls, "d")
    write(tls, "d/f")
    write(tls, "plain")
    os.symlink("d", home(tls, "to-d"))
    for path, code in (("/", 212), ("d", 212), ("-l d", 212), ("-a", 212), ("d/", 212), ("-d d", 212), ("to-d", 212), ("d/*", 212),
                       ("plain", 213), ("d/f", 213), ("-l plain", 213), ("missing", 550)):
        assert text(ftp, f"STAT {path}")[:3] == str(code), path
    assert " f" in text(ftp, "STAT d") and text(ftp, "STAT plain").splitlines()[1].endswith(" plain")


def test_mlsd_has_heads_and_leaves_the_type(serve):
    s = serve("ascii = on")
    folder(s, "d")
    write(s, "f", b"1\n2\n")
    with s.ftp() as f:
        f.voidcmd("TYPE A")
        for path in ("", " /", " d"):
            lines = []
            with f.transfercmd(f"MLSD{path}") as data:
                lines = data.makefile("rb").read().decode().split("\r\n")
            f.voidresp()
            assert lines[0].startswith("type=cdir;") and lines[0].endswith("; .")
            assert lines[1].startswith("type=pdir;") and lines[1].endswith("; ..")
        assert text(f, "SIZE f").startswith("550") and "TYPE A" in text(f, "STAT")
        f.voidcmd("TYPE I")
        with f.transfercmd("MLSD") as data:
            data.makefile("rb").read()
        f.voidresp()
        assert "TYPE I" in text(f, "STAT") and f.size("f") == 4


@pytest.mark.parametrize("seed", range(4))
def test_times_and_modes_are_told_as_they_are_on_the_disk(tls, ftp, seed):
    rng = random.Random(seed)
    for name in (write(tls, "timed"), folder(tls, "timed-folder")):
        base = os.path.basename(name)
        for _ in range(15):
            year = rng.choice([1600, 1901, 1969, 1970, 1999, 2000, 2024, 2038, 2106, 2446, 2500, 9999, rng.randint(1900, 2400)])
            when = f"{year:04d}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randint(0, 23):02d}{rng.randint(0, 59):02d}{rng.randint(0, 59):02d}"
            mode = f"{rng.choice([0o4755, 0o644, 0o7777, 0o600, 0o2750, 0o751]):o}"
            command = rng.choice([f"MFMT {when} {base}", f"MDTM {when} {base}", f"MFF Modify={when};UNIX.mode={mode}; {base}",
                                  f"MFF UNIX.mode={mode};modify={when}; {base}", f"MFMT {when}.5 {base}"])
            told = text(ftp, command)
            st = os.stat(name)
            disk = text(ftp, f"MDTM {base}")[4:]
            assert told.startswith("213 ") and re.search(r"Modify=(\d+);", told)[1] == disk, (command, told, disk)
            assert dict(ftp.mlsd())[base]["modify"] == disk and st.st_mtime == int(st.st_mtime)
            if "UNIX.mode" in told:
                assert int(re.search("UNIX.mode=(.*?);", told)[1], 8) == st.st_mode & 0o7777


def test_nobody_locks_themselves_out(tls, ftp):
    """Without the owner's x the start directory serves no session and no login; the mode was changed, and the answer was 550."""
    mode = os.stat(home(tls)).st_mode
    for command in ("SITE CHMOD 644 /", "SITE CHMOD 0 .", "MFF UNIX.mode=0600; /"):
        assert text(ftp, command) == "550 The topmost directory must stay open to its owner."
        assert os.stat(home(tls)).st_mode == mode
    assert text(ftp, "SITE CHMOD 500 /").startswith("200") and os.stat(home(tls)).st_mode & 0o777 == 0o500
    assert text(ftp, "SITE CHMOD 755 /").startswith("200") and text(ftp, "PWD").startswith("257")
    tls.ftp().quit()


# --------------------------------------------------------------------------------------------- "~"

def test_tilde_is_where_the_session_began(serve):
    s = serve("start = /begin\nexplain_denials = yes")
    for name in ("begin/sub", "else"):
        os.makedirs(home(s, name), exist_ok=True)
    for path, _, _ in os.walk(home(s)):
        own(path)
    write(s, "begin/sub/f", b"12345")
    with s.ftp() as f:
        f.voidcmd("TYPE I")
        assert f.pwd() == "/begin"
        for path, where in (("~", "/begin"), ("~/", "/begin"), ("~/sub", "/begin/sub"), ("~//sub/../sub", "/begin/sub")):
            f.cwd("/else")
            f.cwd(path)
            assert f.pwd() == where, path
        f.cwd("/else")
        assert f.size("~/sub/f") == 5 and f.nlst("~/sub") == ["~/sub/f"] and "sub" in dict(f.mlsd("~"))
        assert "/begin/sub/f" in text(f, "SITE WHY RETR ~/sub/f")
        assert text(f, "STOR ~").startswith("425") and text(f, "CWD ~bob").startswith("550") and text(f, "CWD ~/none").startswith("550")
        # A name is a name: one can be made, and then it is meant.
        f.mkd("~")
        assert os.path.isdir(home(s, "else/~"))
        write(s, "else/~/own", b"1")
        f.cwd("~")
        assert f.pwd() == "/else/~" and f.size("own") == 1
        f.cwd("/else")
        assert f.size("~/own") == 1 and text(f, "SIZE ~/sub/f").startswith("550")
        f.delete("~/own")
        f.rmd("~")
        f.cwd("~")
        assert f.pwd() == "/begin"


# --------------------------------------------------------------------------------------- refusals

LONG = "n" * 256
UP = "x/" * 2046 + "y"


def test_refusals_say_why(tls, ftp):
    folder(tls, "why")
    folder(tls, "why/sub")
    folder(tls, "why/full")
    write(tls, "why/full/f")
    write(tls, "why/f")
    write(tls, "why/g")
    os.symlink("loop", own(home(tls, "why/")) + "loop")
    os.mkfifo(home(tls, "why/fifo"))
    own(home(tls, "why/fifo"))
    ftp.cwd("/why")
    rows = [
        ("MKD " + LONG, 550, "The name is too long."), ("DELE " + LONG, 550, "The name is too long."), ("SIZE " + LONG, 550, "The name is too long."),
        ("CWD " + LONG, 550, "The name is too long."), ("MLST " + LONG, 550, "The name is too long."), ("STAT " + LONG, 550, "The name is too long."),
        ("STAT " + UP, 550, "The name is too long."), ("DELE " + UP, 550, "The name is too long."), ("RMD " + "./" * 2200, 550, "The name is too long."),
        ("DELE " + "./" * 2048 + "f", 550, "The name is too long."), ("MFMT 20200101000000 " + "./" * 2100 + "f", 550, "The name is too long."),
        ("CWD loop", 550, "Too many symbolic links."), ("SIZE loop/x", 550, "Too many symbolic links."), ("MKD loop/x", 550, "Too many symbolic links."),
        ("RNFR /", 550, "The topmost directory cannot be renamed or removed."), ("RMD /", 550, "The topmost directory cannot be renamed or removed."),
        ("RMD full", 550, "not empty"), ("RMD f", 550, "Not a directory."), ("DELE sub", 550, "Not a plain file."), ("SIZE fifo", 550, "Not a plain file."),
        ("SIZE sub", 550, "Not a plain file."), ("MKD sub", 550, "It exists already."), ("CWD f", 550, "Not a directory."), ("CWD f/x", 550, "Not a directory."),
        ("XMD5 fifo", 550, "Not a plain file."),
    ]
    for command, code, reason in rows:
        got = text(ftp, command)
        assert got.startswith(str(code)) and reason in got, (command[:40], got)
    for source, target, code, reason in [
            ("sub", "sub/in", 553, "A directory cannot be moved into itself."), ("sub", "sub/in/deep", 553, ""), ("sub", "full", 553, "not empty"),
            ("f", "sub", 553, "That is a directory."), ("sub", "f", 553, "Not a directory."), ("f", LONG, 553, "The name is too long."),
            ("f", "loop/x", 553, "Too many symbolic links."), ("f", "none/x", 553, "No such file"), ("sub", "/", 553, "topmost")]:
        assert text(ftp, f"RNFR {source}").startswith("350")
        got = text(ftp, f"RNTO {target}")
        assert got.startswith(str(code)) and reason in got, (source, target, got)
    assert sorted(os.listdir(home(tls, "why"))) == ["f", "fifo", "full", "g", "loop", "sub"]
    for command in ("STOR", "APPE"):
        for name, reason in ((LONG, "too long"), ("fifo", "plain file"), ("sub", "."), ("loop", "Too many")):
            ftp.makepasv()
            got = text(ftp, f"{command} {name}")
            assert got[:3] in ("550", "553") and reason in got, (command, name, got)


def test_other_file_systems_and_mount_points_are_named(tls, ftp):
    top = folder(tls, "mounted")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "none", top]).returncode != 0:
        pytest.skip("no tmpfs can be mounted")
    try:
        write(tls, "here")
        folder(tls, "here-too")
        for source, target, reason in (("here", "mounted/there", "different file systems"), ("here-too", "mounted/there", "different file systems"),
                                       ("mounted", "elsewhere", "mount point")):
            code = text(ftp, f"RNFR {source}")[:3]
            got = text(ftp, f"RNTO {target}") if code == "350" else ""
            assert got.startswith("553") and reason in got, got
        assert text(ftp, "RMD mounted").startswith("550 It is a mount point")
    finally:
        subprocess.run(["umount", "-l", top], check=True)


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127 + "x", "€" * 85, "😀" * 63 + "abc"])
def test_names_of_255_bytes(tls, name):
    """Each command takes the longest name, and STOU shortens it when it is taken."""
    top = folder(tls, "longest")
    r = tls.raw().login()
    r.cmd("TYPE I")
    r.cmd("CWD longest")
    assert len(name.encode()) == 255
    assert r.put(f"STOR {name}", b"1") == 226 and r.put(f"STOR {name}", b"22") == 226 and r.put(f"APPE {name}", b"3") == 226
    assert r.fetch(f"RETR {name}") == (b"223", 226) and r.fetch("NLST")[0].decode() == name + "\r\n"
    assert name in r.fetch("MLSD")[0].decode() and name in r.fetch("LIST")[0].decode() and name in r.cmd(f"MLST {name}")[1]
    for _ in range(12):
        data = r.passive()
        code, said = r.cmd(f"STOU {name}")
        assert code == 150 and said.startswith("150 FILE: ")
        data.sendall(b"1234")
        data.close()
        assert r.reply()[0] == 226
        assert r.cmd("SIZE " + said[10:].rstrip("\r\n"))[1] == "213 4\r\n"
        said[10:].encode().decode("utf-8")
    assert len(os.listdir(top)) == 13
    assert r.cmd(f"RNFR {name}")[0] == 350 and r.cmd("RNTO y")[0] == 250 and r.cmd("RNFR y")[0] == 350 and r.cmd(f"RNTO {name}")[0] == 250
    assert r.cmd(f"DELE {name}")[0] == 250 and r.cmd(f"MKD {name}")[0] == 257 and r.cmd(f"RMD {name}")[0] == 250
    shutil.rmtree(top)
    r.close()
