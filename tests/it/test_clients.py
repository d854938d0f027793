"""The clients that people use: list, fetch, send, resume, rename, delete, in both directions."""
import ftplib
import io
import os
import shutil
import subprocess

import pytest
from conftest import PATIENCE, UIDS, tree_digest

ODD_NAMES = ["plain.txt", "with space", " leading", "trailing ", "ünï-cödé", "-rf", "#hash", "[x]", "a*b", "semi;colon", "quote'",
             'double"quote', "back\\slash", "per%cent", "dollar$x", "dots..", ".hidden", "x" * 200]


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def own(server, path, user="alice"):
    os.chown(path, UIDS[user], UIDS[user])
    return path


def fill(server, folder, count=40, names=ODD_NAMES):
    top = os.path.join(server.homes["alice"], folder)
    os.makedirs(top, exist_ok=True)
    own(server, top)
    for i in range(count):
        name = names[i] if i < len(names) else f"f{i:04d}"
        path = os.path.join(top, name)
        with open(path, "wb") as f:
            f.write(os.urandom(i * 37 % 5000))
        own(server, path)
    return top


def run(*command, **options):
    options.setdefault("timeout", PATIENCE)
    return subprocess.run(command, capture_output=True, **options)


def lftp(server, script):
    need("lftp")
    return run("lftp", "-c", f"set ssl:verify-certificate no; set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes; "
               f"open -u alice,alice -p {server.port} 127.0.0.1; {script}")


def test_curl_cycle(server, tmp_path):
    need("curl")
    local = tmp_path / "up.bin"
    local.write_bytes(os.urandom(300000))
    base = server.url("/curl/")
    assert run("curl", "-sS", "--ftp-create-dirs", "-T", str(local), base + "a.bin").returncode == 0
    assert run("curl", "-sS", base + "a.bin").stdout == local.read_bytes()
    assert b"a.bin" in run("curl", "-sS", base).stdout
    assert b"a.bin" in run("curl", "-sS", "-l", base).stdout
    part = tmp_path / "part.bin"
    part.write_bytes(local.read_bytes()[:100000])
    assert run("curl", "-sS", "-C", "-", "-o", str(part), base + "a.bin").returncode == 0
    assert part.read_bytes() == local.read_bytes()
    assert run("curl", "-sS", "-Q", "RNFR curl/a.bin", "-Q", "RNTO curl/b.bin", server.url("/")).returncode == 0
    assert run("curl", "-sS", "-I", base + "b.bin").stdout.count(b"Content-Length: 300000") == 1
    assert run("curl", "-sS", "-Q", "DELE curl/b.bin", server.url("/")).returncode == 0
    assert not os.path.exists(f"{server.homes['alice']}/curl/b.bin")


def test_curl_resumes_an_upload(server, tmp_path):
    need("curl")
    local = tmp_path / "whole.bin"
    local.write_bytes(os.urandom(200000))
    target = f"{server.homes['alice']}/half.bin"
    with open(target, "wb") as f:
        f.write(local.read_bytes()[:70000])
    own(server, target)
    assert run("curl", "-sS", "-C", "-", "-T", str(local), server.url("/half.bin")).returncode == 0
    with open(target, "rb") as f:
        assert f.read() == local.read_bytes()


@pytest.mark.parametrize("option", ["--disable-epsv", "--disable-eprt", "--ftp-port=127.0.0.1"])
def test_curl_data_connection_forms(server, option):
    need("curl")
    fill(server, "forms", 2)
    options = ["--ftp-port", "127.0.0.1", "--disable-eprt"] if option == "--disable-eprt" else [option]
    if option.startswith("--ftp-port"):
        options = ["--ftp-port", "127.0.0.1"]
    r = run("curl", "-sS", *options, server.url("/forms/"))
    assert r.returncode == 0, r.stderr
    assert b"plain.txt" in r.stdout


def test_lftp_mirrors_2000_odd_names_both_ways(server, tmp_path):
    top = fill(server, "tree", 2000)
    os.makedirs(f"{top}/sub/deeper", exist_ok=True)
    for d in ("sub", "sub/deeper"):
        own(server, f"{top}/{d}")
    with open(f"{top}/sub/deeper/leaf", "wb") as f:
        f.write(b"leaf\n")
    own(server, f"{top}/sub/deeper/leaf")
    r = lftp(server, f"mirror --parallel=4 tree {tmp_path}/down")
    assert r.returncode == 0, r.stderr[-2000:]
    assert tree_digest(tmp_path / "down") == tree_digest(top)
    r = lftp(server, f"mirror -R --parallel=4 {tmp_path}/down back")
    assert r.returncode == 0, r.stderr[-2000:]
    assert tree_digest(f"{server.homes['alice']}/back") == tree_digest(top)


def test_lftp_cycle(server, tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 5000)
    r = lftp(server, f"mkdir l; cd l; put {tmp_path}/x; mv x y; chmod 600 y; cat y; ls; cls -l; du; rm y; cd ..; rmdir l; site help")
    assert r.returncode == 0, r.stderr
    assert b"x" * 5000 in r.stdout
    assert not os.path.exists(f"{server.homes['alice']}/l")


def test_ncftp(server, tmp_path):
    need("ncftpput")
    (tmp_path / "n.bin").write_bytes(os.urandom(9999))
    login = ["-u", "alice", "-p", "alice", "-P", str(server.port)]
    assert run("ncftpput", *login, "-m", "127.0.0.1", "/ncftp", str(tmp_path / "n.bin")).returncode == 0
    out = tmp_path / "out"
    out.mkdir()
    assert run("ncftpget", *login, "127.0.0.1", str(out), "/ncftp/n.bin").returncode == 0
    assert (out / "n.bin").read_bytes() == (tmp_path / "n.bin").read_bytes()
    assert b"n.bin" in run("ncftpls", *login, "-l", f"ftp://127.0.0.1/ncftp/").stdout


def test_tnftp(server, tmp_path):
    need("tnftp")
    (tmp_path / "t.bin").write_bytes(os.urandom(4321))
    script = (f"user alice alice\nbinary\nmkdir tn\ncd tn\nlcd {tmp_path}\nput t.bin\nget t.bin back.bin\nrename t.bin u.bin\n"
              "ls\nmls . -\ndelete u.bin\ncd ..\nrmdir tn\nquit\n")
    r = run("tnftp", "-n", "-v", "127.0.0.1", str(server.port), input=script.encode())
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "t.bin").read_bytes(), r.stdout
    assert not os.path.exists(f"{server.homes['alice']}/tn")


def test_rclone(server, tmp_path):
    need("rclone")
    src = tmp_path / "src"
    for i in range(60):
        p = src / f"d{i % 5}" / f"file {i}.bin"
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(os.urandom(i * 101))
    secret = run("rclone", "obscure", "alice").stdout.decode().strip()
    remote = f":ftp,host=127.0.0.1,port={server.port},user=alice,pass={secret}:"
    quiet = ["--config", str(tmp_path / "none.conf"), "--retries", "1"]
    r = run("rclone", *quiet, "copy", str(src), remote + "rclone")
    assert r.returncode == 0, r.stderr
    r = run("rclone", *quiet, "check", "--download", str(src), remote + "rclone")
    assert r.returncode == 0, r.stderr
    r = run("rclone", *quiet, "move", remote + "rclone/d0", remote + "moved")
    assert r.returncode == 0, r.stderr
    assert len(os.listdir(f"{server.homes['alice']}/moved")) == 12
    assert run("rclone", *quiet, "purge", remote + "rclone").returncode == 0
    assert not os.path.exists(f"{server.homes['alice']}/rclone")


def test_ftplib_cycle(server):
    f = server.ftp()
    assert f.pwd() == "/"
    assert f.mkd("lib") == "/lib"
    f.cwd("lib")
    content = os.urandom(123456)
    f.storbinary("STOR a", io.BytesIO(content))
    assert f.size("a") == len(content)
    got = []
    f.retrbinary("RETR a", got.append, rest=100000)
    assert b"".join(got) == content[100000:]
    assert [n for n, facts in f.mlsd() if facts["type"] == "file"] == ["a"]
    assert f.nlst() == ["a"]
    f.rename("a", "b")
    f.storbinary("APPE b", io.BytesIO(b"tail"))
    got = []
    f.retrbinary("RETR b", got.append)
    assert b"".join(got) == content + b"tail"
    f.storbinary("STOR b", io.BytesIO(b"ZZ"), rest=10)
    f.delete("b")
    f.cwd("..")
    f.rmd("lib")
    with pytest.raises(ftplib.error_perm):
        f.cwd("lib")
    f.quit()


def test_ftplib_active_and_ipv4(server):
    f = server.ftp()
    f.set_pasv(False)
    fill(server, "active", 3)
    assert len(f.nlst("active")) == 3
    f.quit()


def test_names_survive_every_listing(server):
    fill(server, "odd", len(ODD_NAMES))
    f = server.ftp()
    visible = sorted(n for n in ODD_NAMES)
    f.cwd("odd")
    listed = sorted(n for n, facts in f.mlsd() if facts["type"] == "file")
    assert listed == visible
    for name in ODD_NAMES:
        if name == "trailing ":
            continue
        got = []
        f.retrbinary("RETR ./" + name, got.append)
    f.quit()
