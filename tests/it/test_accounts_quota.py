"""Quotas: counted in a ledger, refused before anything is written, corrected by sallyctl."""
import atexit
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

from conftest import ALL, BUILD, PATIENCE, password_hash
from swapper import swapping




def start(serve, limits):
    folder = tempfile.mkdtemp(prefix="sallyport-quota-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    s = serve(f"quota_directory = {folder}/q", f"[class limited]\nmembers = alice\n{limits}")
    return s


def ctl(server, *args):
    p = subprocess.run([f"{BUILD}/sallyctl", "--config", server.conf, "quota", *args, "--json"], capture_output=True, text=True, timeout=PATIENCE)
    return json.loads(p.stdout) if p.stdout else p.returncode


def put(f, name, n):
    return f.storbinary(f"STOR {name}", io.BytesIO(b"x" * n))


def test_bytes(serve):
    s = start(serve, "quota_bytes = 1000")
    with s.ftp("alice") as f:
        put(f, "a", 600)
        with pytest.raises(ftplib.error_perm, match="552.*"):
            put(f, "b", 500)
        assert f.nlst() == ["a"]
        put(f, "a", 900)                # what it replaces is given back
        with pytest.raises(ftplib.error_perm, match="552"):
            put(f, "a", 1001)
        assert f.size("a") == 900
        used = ctl(s, "show", "alice")
        assert (used["bytes"], used["files"], used["quota_bytes"]) == (900, 1, 1000)
        put(f, "c", 100)
        with pytest.raises(ftplib.error_perm, match=r"^552 .* \(quota_bytes\)"):
            put(f, "d", 1)
        f.delete("a")
        put(f, "d", 900)
        assert ctl(s, "show", "alice")["bytes"] == 1000
    assert "syscall-refused" not in s.log()


def test_files(serve):
    s = start(serve, "quota_files = 2")
    with s.ftp("alice") as f:
        put(f, "a", 1)
        put(f, "b", 1)
        with pytest.raises(ftplib.error_perm, match="552.*quota_files"):
            put(f, "c", 1)
        put(f, "b", 5)
        f.delete("a")
        put(f, "c", 1)
    with s.ftp("bob") as f:             # has no limits
        for i in range(5):
            put(f, f"x{i}", 1)


def test_directories_and_links_count(serve, tmp_path):
    """Each is an entry; those from before are nobody's; what is replaced or moved upward counts once."""
    home = tempfile.mkdtemp(prefix="sallyport-entries-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.mkdir(f"{home}/old")
    for where in (home, f"{home}/old"):
        os.chown(where, 64111, 64111)
    s = serve(f"quota_directory = {tmp_path}/q", f"[account one]\npassword = {password_hash('one')}\nhome = {home}\n"
              "run_as = 64111:64111\nlayer = posix1e\nquota_files = 4\n")

    def files():
        return ctl(s, "show", "one")["files"]

    x = s.raw().login("one")
    for command in ("MKD a", "XMKD a/b", "SITE SYMLINK a l", "SITE SYMLINK b a/m"):
        code, text = x.cmd(command)
        assert code in (200, 257), text
    assert files() == 4
    for command in ("MKD c", "XMKD c", "SITE SYMLINK a c", "MKD a/c"):
        code, text = x.cmd(command)
        assert code == 552 and "quota_files" in text, text
    assert sorted(os.listdir(home)) == ["a", "l", "old"]
    # What no one was charged with gives nothing back.
    assert x.cmd("RMD old")[0] == 250 and x.cmd("MKD c")[0] == 552
    # A directory over an empty one, a link over a link and out of its directory: one each.
    assert x.cmd("RNFR a/m")[0] == 350 and x.cmd("RNTO m")[0] == 250 and files() == 4
    assert x.cmd("DELE m")[0] == 250 and files() == 3
    assert x.cmd("MKD a/c")[0] == 257 and x.cmd("RNFR a/c")[0] == 350 and x.cmd("RNTO a/b")[0] == 250
    assert files() == 3
    for command in ("RMD a/b", "RMD a", "DELE l"):
        assert x.cmd(command)[0] == 250
    assert files() == 0 and ctl(s, "recount", "one")["files"] == 0
    x.close()


def test_sessions_share_it_and_a_kill_loses_nothing(serve):
    s = start(serve, "quota_bytes = 100000\nquota_files = 1000")

    def work(k):
        with s.ftp("alice") as f:
            for i in range(10):
                put(f, f"f{k}-{i}", 100)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    used = ctl(s, "show", "alice")
    assert (used["bytes"], used["files"]) == (4000, 40)
    s.process.kill()
    s.process.wait()
    s.start()
    with s.ftp("alice") as f:
        put(f, "after", 1)
    assert ctl(s, "show", "alice")["bytes"] == 4001


def test_set_and_recount(serve):
    s = start(serve, "quota_bytes = 1000")
    with s.ftp("alice") as f:
        put(f, "a", 300)
        ctl(s, "set", "alice", "1000", "1")
        with pytest.raises(ftplib.error_perm, match="552"):
            put(f, "b", 1)
        assert ctl(s, "recount", "alice")["bytes"] == 300
        put(f, "b", 1)
    assert ctl(s, "show", "nobody-here") == 1
    assert ctl(s, "set", "alice", "x", "1") == 64


def test_a_new_quota_says_that_it_starts_at_0(serve):
    """Once for each account that has one, when nobody has recounted it before, and as whose session it was."""
    s = start(serve, "quota_bytes = 1000\n[class counted]\nmembers = bob\nquota_files = 9")
    with open(os.path.join(s.homes["alice"], "old"), "w") as f:
        f.write("x" * 900)
    ctl(s, "recount", "bob")
    for _ in range(2):
        for name in ("bob", "reader", "alice"):
            with s.ftp(name) as f:
                f.pwd()
    s.wait_log("event=quota-new .*rhost=127.0.0.1 user=alice .*quota recount")
    assert s.log().count("event=quota-new") == 1 and "syscall-refused" not in s.log()
    assert ctl(s, "recount", "alice")["bytes"] == 900


def test_doctor_warns_of_files_that_no_quota_counts(tmp_path):
    def account(name, limit, fill=None):
        home = tmp_path / name
        home.mkdir()
        (home / "below").mkdir()
        (home / "link").symlink_to("/etc/passwd")
        (home / "elsewhere").symlink_to("/etc")
        if fill is not None:
            (home / "below" / "file").write_text(fill)
        return f"[account {name}]\nrun_as = 64111:64111\nhome = {home}\nlayer = pyftpdlib elr\n{limit}\n"

    conf = tmp_path / "s.conf"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:1\naccounts = config\nquota_directory = {tmp_path}/q\n" +
                    account("full", "quota_bytes = 1000", "x") + account("counted", "quota_bytes = 1000", "x") +
                    account("hollow", "quota_bytes = 1000", "") + account("many", "quota_files = 3", "") +
                    account("bare", "quota_bytes = 1000") + account("free", "", "x"))
    conf.chmod(0o600)

    def warned():
        p = subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), "doctor", "--json"], capture_output=True, text=True, timeout=PATIENCE)
        return [x["text"].split()[1].rstrip(":") for x in json.loads(p.stdout)
                if x["check"] == "homes" and x["result"] == "warning" and "quota" in x["text"] and "recount" in x["remedy"]]

    assert warned() == ["full", "counted", "many"]
    assert not (tmp_path / "q").exists()    # looking changes nothing
    subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), "quota", "recount", "counted"], check=True, capture_output=True)
    assert warned() == ["full", "many"]
    subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), "quota", "show", "full"], check=True, capture_output=True)
    assert warned() == ["full", "many"]     # a ledger that says nothing is none


def test_recount_of_a_home_that_became_a_link(serve):
    """Deeper than a path may be long; links to elsewhere; a home that became a link."""
    s = start(serve, "quota_bytes = 1000000")
    home = s.homes["alice"]
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(home)
        os.symlink("/", "everything")
        os.symlink("/etc/passwd", "file")
        for _ in range(40):
            os.mkdir("n" * 240)
            os.chdir("n" * 240)
        with open("deep", "w") as f:
            f.write("12345")
    finally:
        os.fchdir(here)
        os.close(here)
    found = ctl(s, "recount", "alice")
    assert (found["bytes"], found["files"]) == (5, 43)     # 40 directories, two links
    if os.geteuid() == 0:
        os.rename(home, home + ".old")
        os.symlink("/etc", home)
        os.chown(home, 64111, 64111, follow_symlinks=False)
        assert ctl(s, "recount", "alice") == 2
        assert ctl(s, "show", "alice")["bytes"] == 5


def test_a_ledger_that_cannot_be_opened_is_told(serve):
    """Neither a crash, for which the client would pay, nor a session without its quota."""
    s = serve("quota_directory = /proc/nonexistent/folder/quota\npenalty_threshold = 1s", "[class limited]\nmembers = alice\nquota_bytes = 1000")
    for _ in range(3):
        with pytest.raises(ftplib.error_temp, match="421 Logging in is not possible"):
            s.ftp("alice")
    s.ftp("bob").quit()
    s.wait_log("event=quota-ledger-unusable .*about=alice path=/proc/nonexistent/folder/quota")
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", s.conf, "doctor"], capture_output=True, text=True, timeout=PATIENCE)
    assert re.search("^note +folders .*/proc/nonexistent/folder/quota", r.stdout, re.M), r.stdout
    assert "process-failed" not in s.log()


def test_lists(serve):
    s = start(serve, "quota_bytes = 1000\nquota_files = 10\n[class other]\nmembers = bob\nquota_files = 4")
    with s.ftp("alice") as f:
        put(f, "a", 950)
    with s.ftp("bob") as f:
        put(f, "a", 5000)
    assert sorted(ctl(s, "list"), key=lambda a: a["name"]) == [
        {"name": "alice", "bytes": 950, "files": 1, "quota_bytes": 1000, "quota_files": 10},
        {"name": "bob", "bytes": 5000, "files": 1, "quota_bytes": 0, "quota_files": 4}]
    assert [a["name"] for a in ctl(s, "list", "--over", "90")] == ["alice"]
    assert [a["name"] for a in ctl(s, "list", "b*")] == ["bob"]
    assert ctl(s, "list", "--over", "much") == 64
    assert [a["bytes"] for a in ctl(s, "show", "alice", "bob")] == [950, 5000]
    assert [a["bytes"] for a in ctl(s, "recount", "alice", "bob")] == [950, 5000]
    text = subprocess.run([f"{BUILD}/sallyctl", "--config", s.conf, "quota", "list", "a*"], capture_output=True, text=True, check=True).stdout
    assert text.split() == ["alice", "950", "of", "1000", "bytes", "95", "%", "1", "of", "10", "entries", "10", "%"]


def test_lists_nobody_where_nobody_has_stored_anything(serve):
    s = start(serve, "quota_bytes = 1000")
    assert ctl(s, "list") == []
    assert ctl(s, "show", "alice")["bytes"] == 0


def test_recount_of_a_hostile_tree(serve):
    """Names too long for a path, links to elsewhere, files of two names: counted by descriptor, without following anything."""
    s = start(serve, "quota_bytes = 10M")
    home = s.homes["alice"]
    with s.ftp("alice") as f:
        put(f, "a", 300)
    os.link(f"{home}/a", f"{home}/b")
    os.symlink("/etc", f"{home}/etc")
    os.symlink(f"{home}/a", f"{home}/c")
    at = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(60):                     # 15,000 bytes of path
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    fd = os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(fd, b"x" * 77)
    os.close(fd)
    os.close(at)
    now = ctl(s, "recount", "alice")
    assert (now["bytes"], now["files"]) == (377, 64)      # 60 directories, two links


def test_recount_of_a_tree_that_changes_all_the_time(serve):
    """Folders, links and files change places while root counts: what lies outside never counts, and what is told was there."""
    s = start(serve, "quota_bytes = 100G")
    home, outside = s.homes["alice"], f"{s.dir}/outside"
    for folder in (f"{home}/d/e/f", f"{home}/x", f"{outside}/e"):
        os.makedirs(folder)
    for path, size in ((f"{home}/d/e/f/small", 300), (f"{outside}/large", 1 << 32), (f"{outside}/e/large", 1 << 33)):
        with open(path, "w") as f:
            f.truncate(size)
    os.symlink(outside, f"{home}/way")
    os.symlink(f"{outside}/large", f"{home}/file")
    with open(f"{home}/own", "w") as f:
        f.truncate(50)
    subprocess.run(["chown", "-hR", "64111:64111", home], check=True)
    with swapping(home, ("d", "way"), ("own", "file"), ("d/e", "x"), ("x", "way")) as swaps:
        counts = [ctl(s, "recount", "alice") for _ in range(60)]
        assert swaps() > 5000
    sizes = [c["bytes"] for c in counts if isinstance(c, dict)]     # otherwise the walk lost its way, and said so
    assert all(c == 2 or isinstance(c, dict) for c in counts) and sizes != [] and max(sizes) < 1 << 20, counts      # a directory that moves is met again


@pytest.mark.parametrize("verb", ["STOR new", "STOU", "APPE new", "APPE old"])
def test_a_full_disk_is_told_and_left_as_it_was(serve, verb):
    """The client sends everything before it looks at the control connection, and reads 452; keep_partial gives way."""
    s = start(serve, "quota_bytes = 1G")
    top = f"{s.homes['alice']}/full"
    os.mkdir(top)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0777", "none", top]).returncode != 0:
        pytest.skip("no tmpfs can be mounted")
    try:
        x = s.raw().login()
        x.cmd("CWD full")
        x.cmd("TYPE I")
        assert x.put("STOR old", b"o" * 5000) == 226
        data = x.passive()
        assert x.cmd(verb)[0] == 150
        data.sendall(b"x" * (30 << 20))
        data.close()
        code, text = x.reply()
        assert code == 452, text
        assert os.listdir(top) == ["old"] and os.path.getsize(f"{top}/old") == 5000
        assert ctl(s, "show", "alice")["bytes"] == 5000
        x.close()
    finally:
        subprocess.run(["umount", "-l", top], check=True)


@pytest.mark.parametrize("uids", [(64111, 64111), (64111, 64112)], ids=["one uid", "two uids"])
def test_two_accounts_share_a_tree(serve, tmp_path, uids):
    """Nothing is given back that an account was not charged with; a recount charges each with all that lies there."""
    shared = tempfile.mkdtemp(prefix="sallyport-shared-")
    atexit.register(shutil.rmtree, shared, ignore_errors=True)
    os.chmod(shared, 0o777)
    accounts = "".join(f"[account {n}]\npassword = {password_hash(n)}\nhome = {shared}\nrun_as = {uid}:{uid}\nquota_bytes = 1000\n"
                       f"file_mode = 0666\numask = 000\nlayer = pyftpdlib {ALL}\n" for n, uid in zip(("one", "two"), uids))
    s = serve(f"quota_directory = {tmp_path}/q", accounts)

    def used(name):
        now = ctl(s, "show", name)
        return now["bytes"], now["files"]

    with s.ftp("one") as one, s.ftp("two") as two:
        put(one, "a", 600)
        put(two, "b", 600)
        one.delete("b")
        assert used("one") == (600, 1) and used("two") == (600, 1)
        with pytest.raises(ftplib.error_perm, match="552"):
            put(one, "c", 401)
        # What is added to the other's file is one's own, and no more than that comes back.
        two.storbinary("APPE a", io.BytesIO(b"x" * 100))
        assert used("one") == (600, 1) and used("two") == (700, 1)
        two.delete("a")
        assert used("one") == (600, 1) and used("two") == (600, 1)
        # Replaced, and renamed over. Of different users the file stays one's, and only its content is replaced.
        put(one, "mine", 100)
        put(two, "mine", 50)
        same = uids[0] == uids[1]
        assert used("one") == (700, 2) and used("two") == ((650, 2) if same else (600, 1))
        put(one, "new", 10)
        one.rename("new", "mine")
        left = (710, 3) if same else (610, 2)
        assert used("one") == left and used("two") == ((650, 2) if same else (600, 1))
        with open(f"{shared}/shell", "wb") as f:
            f.write(b"x" * 300)
        os.chmod(shared, 0o777)
        os.chown(f"{shared}/shell", uids[0], uids[0])
        one.delete("shell")
        assert used("one") == left
        for name in ("one", "two"):
            now = ctl(s, "recount", name)
            assert (now["bytes"], now["files"]) == used(name) == (10, 1)
        # From the recount on it is charged to both.
        one.delete("mine")
        assert used("one") == (0, 0) and used("two") == (10, 1)
