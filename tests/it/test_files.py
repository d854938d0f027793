"""Files over the wire: what uploads, listings and links do to a tree, and what they do not."""
import contextlib
import ftplib
import io
import os
import re
import socket
import subprocess
import threading

import pytest
from conftest import BUILD, UIDS, read_all, wait_for


def own(path, user="alice"):
    os.lchown(path, UIDS[user], UIDS[user])
    return path


def write(server, name, content, user="alice"):
    path = os.path.join(server.homes[user], name)
    with open(path, "wb") as f:
        f.write(content)
    return own(path, user)


def folder(server, name, user="alice"):
    path = os.path.join(server.homes[user], name)
    os.makedirs(path, exist_ok=True)
    return own(path, user)


def read(server, name):
    with open(os.path.join(server.homes["alice"], name), "rb") as f:
        return f.read()


def partial_size(top):
    """Bytes of what is being uploaded into an otherwise empty folder."""
    return sum(os.stat(f"{top}/{n}").st_size for n in os.listdir(top))


def test_an_upload_has_its_name_only_when_complete(server):
    top = folder(server, "atomic")
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("STOR atomic/f")[0] == 150
    data.sendall(b"half")
    wait_for(lambda: partial_size(top) == 4)
    assert "f" not in os.listdir(top)
    with server.ftp() as other:
        assert other.nlst("atomic") == []
        with pytest.raises(ftplib.error_perm):
            other.delete("atomic/" + os.listdir(top)[0])
    data.sendall(b"full")
    data.close()
    assert r.reply()[0] == 226
    assert os.listdir(top) == ["f"] and read(server, "atomic/f") == b"halffull"
    r.close()


def test_a_client_that_vanishes_leaves_the_old_file(server):
    top = folder(server, "vanish")
    write(server, "vanish/f", b"old content")
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("STOR vanish/f")[0] == 150
    data.sendall(b"new")
    wait_for(lambda: partial_size(top) == len("old content") + 3)
    data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    data.close()
    r.close()
    wait_for(lambda: os.listdir(top) == ["f"])
    assert read(server, "vanish/f") == b"old content"


def test_a_broken_off_new_file_can_be_resumed(server):
    top = folder(server, "resume")
    content = os.urandom(1 << 20)
    r = server.raw().login()
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("STOR resume/f")[0] == 150
    data.sendall(content[:500000])
    wait_for(lambda: partial_size(top) > 0)
    r.send("ABOR\r\n")
    assert r.reply()[0] == 426 and r.reply()[0] == 226
    data.close()
    code, text = r.cmd("SIZE resume/f")
    assert code == 213
    have = int(text.split()[1])
    assert 0 < have <= 500000
    assert r.cmd(f"REST {have}")[0] == 350
    assert r.put("STOR resume/f", content[have:]) == 226
    assert read(server, "resume/f") == content
    r.close()


def test_rest_beyond_the_end_is_refused(server):
    write(server, "short", b"12345")
    r = server.raw().login()
    r.cmd("TYPE I")
    for command in ("STOR short", "RETR short"):
        r.passive()
        assert r.cmd("REST 6")[0] == 350
        assert r.cmd(command)[0] == 554
    assert read(server, "short") == b"12345"
    r.close()


def test_offsets_beyond_four_gibibytes(server):
    path = write(server, "sparse", b"")
    size = 5 << 30
    with open(path, "r+b") as f:
        f.truncate(size)
        f.seek(size - 5)
        f.write(b"tail!")
    with server.ftp() as f:
        f.voidcmd("TYPE I")
        assert f.size("sparse") == size
        got = []
        f.retrbinary("RETR sparse", got.append, rest=size - 5)
        assert b"".join(got) == b"tail!"
        f.storbinary("STOR sparse", io.BytesIO(b"end"), rest=size - 3)
    assert os.stat(path).st_size == size
    os.unlink(path)


def test_links_do_not_lead_out(server):
    top = folder(server, "links")
    for name, target in (("passwd", "/etc/passwd"), ("up", "../../../../../../etc"), ("proc", "/proc/self/root"),
                         ("loop", "loop"), ("in", "../links/real")):
        os.symlink(target, f"{top}/{name}")
        own(f"{top}/{name}")
    write(server, "links/real", b"inside")
    with server.ftp() as f:
        got = []
        f.retrbinary("RETR links/in", got.append)
        assert b"".join(got) == b"inside"
        for path in ("links/passwd", "links/up/passwd", "links/proc/etc/passwd", "links/loop", "../../../etc/passwd"):
            with pytest.raises(ftplib.error_perm):
                f.retrbinary("RETR " + path, got.append)
        with pytest.raises(ftplib.error_perm):
            f.cwd("links/up")
        f.cwd("links")
        lines = []
        f.retrlines("LIST", lines.append)
        assert len(lines) == 6 and not any("->" in line for line in lines)


def test_a_full_disk_is_told_and_costs_nothing_old(server):
    top = folder(server, "full")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0777", "none", top]).returncode != 0:
        pytest.skip("no tmpfs can be mounted")
    try:
        write(server, "full/f", b"old")
        r = server.raw().login()
        r.cmd("TYPE I")
        data = r.passive()
        assert r.cmd("STOR full/f")[0] == 150
        try:
            data.sendall(b"x" * (1 << 20))
        except OSError:
            pass
        code, text = r.reply()
        assert code in (452, 552) and "space" in text.lower(), text
        data.close()
        assert read(server, "full/f") == b"old" and os.listdir(top) == ["f"]
        assert r.cmd("NOOP")[0] == 200
        r.close()
    finally:
        subprocess.run(["umount", "-l", top], check=True)


def test_a_hundred_thousand_entries(server):
    top = folder(server, "many")
    count = 100000
    fd = os.open(top, os.O_RDONLY)
    for i in range(count):
        os.close(os.open(f"entry-{i:06d}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
    os.close(fd)
    with server.ftp() as f:
        names = [name for name, facts in f.mlsd("many") if facts["type"] == "file"]
        assert len(names) == count == len(set(names))
        lines = []
        f.retrlines("LIST many", lines.append)
        assert len(lines) == count
        assert sum(1 for _ in f.nlst("many/entry-0999*")) == 100


def test_entries_that_vanish_during_a_listing_do_no_harm(server):
    top = folder(server, "busy")
    stop = threading.Event()

    def churn():
        i = 0
        while not stop.is_set():
            path = f"{top}/t{i % 50}"
            with open(path, "w"):
                pass
            os.rename(path, path + "x")
            os.unlink(path + "x")
            i += 1

    for i in range(300):
        write(server, f"busy/stays{i:03d}", b"")
    t = threading.Thread(target=churn)
    t.start()
    try:
        with server.ftp() as f:
            for _ in range(30):
                names = f.nlst("busy")
                assert sum(n.startswith("busy/stays") for n in names) == 300
                lines = []
                f.retrlines("LIST busy", lines.append)
                assert sum("stays" in line for line in lines) == 300
    finally:
        stop.set()
        t.join()


def test_denials_name_their_rule_in_the_log(server):
    write(server, "f", b"x", "reader")
    with server.ftp("reader") as f:
        with pytest.raises(ftplib.error_perm):
            f.delete("f")
    m = server.wait_log(r"event=access .*op=DELE .*verdict=deny rule=(.*)")
    assert "pyftpdlib" in m.group(1) and "sallyport.conf" in m.group(1)


@pytest.mark.parametrize("audit,want", [
    ("no", ["STOR", "DELE"]), ("files", ["STOR", "RETR", "DELE"]), ("yes", ["CWD", "STOR", "STAT", "LIST", "RETR", "DELE"]), (None, ["STOR", "RETR", "DELE"])])
def test_allowed_requests_name_their_rules_in_the_log(serve, audit, want):
    s = serve("" if audit is None else f"audit = {audit}")
    with s.ftp("alice") as f:
        f.cwd("/")
        f.storbinary("STOR audited", io.BytesIO(b"x"))
        f.voidcmd("TYPE I")
        assert f.size("audited") == 1
        list(f.mlsd())
        f.retrbinary("RETR audited", lambda b: None)
        f.delete("audited")
    s.wait_log("event=access .*op=DELE .*verdict=allow")      # the last of them
    seen = re.findall(r"event=access .*op=(\w+) .*verdict=allow rule=.*pyftpdlib.*sallyport\.conf", s.log())
    assert seen == want


def test_a_killed_agent_ends_its_session_only(server):
    folder(server, "killed")
    write(server, "killed/f", b"old")
    other = server.ftp("bob")
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("STOR killed/f")[0] == 150
    data.sendall(b"new")
    peer = "%s:%d" % r.sock.getsockname()
    os.kill(next(w["pids"]["agent"] for w in server.ctl("who") if w["peer"] == peer), 9)
    with contextlib.suppress(ConnectionError):
        read_all(r.sock)
    assert read(server, "killed/f") == b"old"
    assert other.voidcmd("NOOP").startswith("200")
    other.quit()
    with server.ftp() as f:
        assert f.nlst("killed") == ["killed/f"]


@pytest.mark.parametrize("word,own,others", [("any", True, True), ("world_readable", False, True),
    ("not_own", False, True)])
def test_download_only(serve, word, own, others):
    """Uploads belong to the session, which could always read them: an upload area is no place to exchange files."""
    server = serve(f"download_only = {word}\numask = 077")
    ftp = server.ftp("alice")
    ftp.storbinary("STOR own", io.BytesIO(b"x"))
    with open(f"{server.homes['alice']}/theirs", "w") as f:
        f.write("x")
    for name, allowed in (("own", own), ("theirs", others)):
        with contextlib.nullcontext() if allowed else pytest.raises(ftplib.error_perm, match="550"):
            ftp.retrbinary(f"RETR {name}", lambda data: None)
        for command in (["RETR", name], ["XCRC", name], ["SIZE", name], ["SITE COPY", name, "copy"]):
            r = subprocess.run([f"{BUILD}/sallyctl", "-c", server.conf, "why", "alice", *command], capture_output=True,
                               text=True)
            withheld = not allowed and command[0] in ("RETR", "XCRC")
            assert r.returncode == (1 if withheld else 0), (command, r)
            assert (f"download_only = {word}" in r.stdout) == withheld, (command, r)
        assert ftp.sendcmd("NOOP").startswith("200")
    ftp.quit()
