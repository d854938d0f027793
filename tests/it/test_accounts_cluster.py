"""ftpcluster's .passwd as it stands, and the dialogue of its documentation."""
import contextlib
import ftplib
import os
import re
import subprocess
import threading

import pytest

from conftest import BUILD, PATIENCE, Server

SHARED = 64130
PASSWD = """admin:secret-password:0:/u/admin
root:another-secret-password:100:/u/root
nobody:not-so-secret:1001:
empty::1002:
locked:x:1003:
bad line
Upper:pw:1004:
_:-:1005
"""


@pytest.fixture
def cluster(tmp_path):
    top = "/srv" if os.access("/srv", os.W_OK) else str(tmp_path)
    import tempfile
    tree = tempfile.mkdtemp(prefix="sallyport-cluster-", dir=top)
    try:
        os.setxattr(tree, "user.sallyport.test", b"x")
    except OSError:
        os.rmdir(tree)
        pytest.skip("no extended attributes here")
    os.chmod(tree, 0o755)
    os.mkdir(f"{tree}/u")
    for name in ("u/admin", "u/root"):
        os.mkdir(f"{tree}/{name}")
        os.setxattr(f"{tree}/{name}", "user.sallyport.owner", {"u/admin": b"0", "u/root": b"100"}[name])
        os.setxattr(f"{tree}/{name}", "user.sallyport.name", name[2:].encode())
    for folder, _, _ in os.walk(tree):
        os.chown(folder, SHARED, SHARED)
    with open(f"{tree}/.passwd", "w") as f:
        f.write(PASSWD)
    os.chmod(f"{tree}/.passwd", 0o600)
    servers = []

    def start(server=""):
        s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), f"accounts = passwd_file\npasswd_file = {tree}/.passwd\n"
                   f"virtual_user = {SHARED}:{SHARED}\nlayer = ftpcluster\nlist_owner = names\npenalty_failure = 0\n{server}", accounts=())
        s.tree = tree
        servers.append(s)
        return s

    yield start
    for s in servers:
        s.clean()
    subprocess.run(["rm", "-rf", tree], check=True)


def status(pid, field):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
        return next(line.split()[1] for line in f if line.startswith(field))
    return "0"


def capabilities(pid):
    return int(status(pid, "CapPrm:"), 16)


def uid_of(pid):
    return int(status(pid, "Uid:"))


def text(server):
    with open(f"{server.tree}/.passwd") as f:
        return f.read()


def test_the_dialogue(cluster):
    s = cluster()
    with s.ftp("admin", "secret-password") as f:
        assert f.pwd() == "/u/admin"
        # SITE CHOWN changes a mark, which is the clerk's affair: the monitor keeps no capability for it.
        kept = [capabilities(pid) for pid, name in s.pids().items() if name == "sallyport-monit" and uid_of(pid) == 64102]
        assert kept and set(kept) == {0}
        assert f.sendcmd("SITE USERADD new-user secret-pw /u/new-user") == "200 user created: 1005"
        assert f.sendcmd("MKD /u/new-user").startswith("257 ")
        assert f.sendcmd("SITE CHOWN new-user /u/new-user") == "200 ok, owner changed"
        lines = []
        f.retrlines("LIST /u", lines.append)
        owners = {line.split()[-1]: line.split()[2] for line in lines if not line.endswith("..")}
        assert owners == {"admin": "admin", "root": "root", "new-user": "new-user"}
        assert f.sendcmd("SITE PASSWD new-user another-password") == "200 password changed"
    assert text(s) == PASSWD.replace("_:-:1005", "new-user:another-password:1005:/u/new-user\n_:-:1006")
    assert os.stat(f"{s.tree}/.passwd").st_mode & 0o777 == 0o600
    with pytest.raises(ftplib.error_perm):
        s.ftp("new-user", "secret-pw")
    with s.ftp("new-user", "another-password") as f:
        assert f.pwd() == "/u/new-user"
        f.mkd("mine")           # the owner of the folder may
        assert f.sendcmd("SITE PASSWD third-password") == "200 password changed"
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE PASSWD admin hijacked")
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE USERADD other pw")
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE CHOWN nobody mine")
        with pytest.raises(ftplib.error_perm):
            f.retrbinary("RETR /.passwd", lambda b: None)
    s.ftp("new-user", "third-password").quit()
    assert "syscall-refused" not in s.log()


def test_passwords_are_set_in_every_form(cluster):
    s = cluster()
    with s.ftp("root", "another-secret-password") as f:
        # The form that the original's documentation prints, by the account itself.
        assert f.sendcmd("SITE PASSWD root second-one") == "200 password changed"
        assert f.sendcmd("SITE PASSWORD third-one") == "200 password changed"
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE PASSWD nobody hijacked")
        # Who may not change accounts does not learn whether there is one of that name.
        assert f.sendcmd("SITE PASSWD nobody") == "200 password changed"
        assert f.sendcmd("SITE PASSWD root third-one") == "200 password changed"
    s.ftp("root", "third-one").quit()
    with s.ftp("admin", "secret-password") as f:
        for line in ("SITE PASSWD nobody", "SITE PASSWD admin", "SITE PASSWD no-account-of-this-name"):
            with pytest.raises(ftplib.error_perm, match="names the account"):
                f.sendcmd(line)
        assert f.sendcmd("SITE PASSWD admin newer") == "200 password changed"
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("SITE PASSWD admin newer trailing")
    s.ftp("admin", "newer").quit()
    s.ftp("nobody", "not-so-secret").quit()


@pytest.mark.parametrize("counter, number", [("0", 1005), ("1001", 1005), ("7", 1005), ("4294967295", None), ("99999999999", None)])
def test_new_accounts_are_nobodys_twins(cluster, counter, number):
    s = cluster()
    with open(f"{s.tree}/.passwd", "w") as f:
        f.write(PASSWD.replace("_:-:1005", f"_:-:{counter}"))
    before = text(s)
    with s.ftp("admin", "secret-password") as f:
        if number is None:
            with pytest.raises(ftplib.error_perm, match="number"):
                f.sendcmd("SITE USERADD newbie secretpw /")
            assert text(s) == before
            return
        # 1004 stands in a line that is no account; files may belong to it all the same.
        assert f.sendcmd("SITE USERADD newbie secretpw /") == f"200 user created: {number}"
        assert f.sendcmd("SITE USERADD second secretpw /") == f"200 user created: {number + 1}"
    with s.ftp("newbie", "secretpw") as f:
        for line in ("SITE USERADD evil evilpw /", "MKD /x", "CWD /u/root"):
            if line.startswith("CWD"):
                f.sendcmd(line)
            else:
                with pytest.raises(ftplib.error_perm):
                    f.sendcmd(line)


def test_passwords(cluster):
    s = cluster()
    for name, password in (("admin", "secret-password"), ("nobody", "not-so-secret")):
        s.ftp(name, password).quit()
    for name, password in (("admin", "secret-passwor"), ("admin", ""), ("locked", "x"), ("locked", ""), ("empty", "x"), ("empty", ""), ("_", "-"),
                           ("Upper", "pw"), ("bad line", ""), ("unknown", "x")):
        with pytest.raises(ftplib.error_perm):
            s.ftp(name, password)
    with cluster("allow_empty_passwords = yes").ftp("empty", "") as f:
        f.pwd()


def test_refused_changes(cluster):
    s = cluster()
    before = text(s)
    with s.ftp("admin", "secret-password") as f:
        for line in ("USERADD nobody pw", "USERADD Upper-Case pw", "USERADD a:b pw", "USERADD x p", "USERADD x pw relative", "USERADD x pw /a:b",
                     "USERADD _ pw", "PASSWD nobody-here pw", "PASSWD nobody x", "CHOWN nobody-here /u", "CHOWN ../x /u"):
            with pytest.raises(ftplib.error_perm):
                f.sendcmd(f"SITE {line}")
        assert text(s) == before
        # What cannot stand there in clear is stored as a hash.
        assert f.sendcmd('SITE PASSWD nobody with:colon') == "200 password changed"
    assert re.search(r"^nobody:\$y\$[^:]+:1001:$", text(s), re.M)
    s.ftp("nobody", "with:colon").quit()


def test_upgrade(cluster):
    s = cluster("upgrade_passwords = yes\nallow_empty_passwords = yes")
    s.ftp("admin", "secret-password").quit()
    assert re.search(r"^admin:\$y\$[^:]+:0:/u/admin$", text(s), re.M)
    assert "nobody:not-so-secret:1001:" in text(s)
    s.ftp("admin", "secret-password").quit()
    s.ftp("empty", "").quit()
    assert "empty::1002:" in text(s)


def test_concurrent_changes_lose_nothing(cluster):
    s = cluster()

    def work(k):
        with s.ftp("admin", "secret-password") as f:
            for i in range(8):
                assert f.sendcmd(f"SITE USERADD w{k}-{i} pw{k}{i} /u").startswith("200 user created: ")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    rows = re.findall(r"^w(\d)-(\d):pw\1\2:(\d+):/u$", text(s), re.M)
    assert len(rows) == 32 and sorted(int(r[2]) for r in rows) == list(range(1005, 1037))
    assert text(s).endswith("_:-:1037\n")


def test_management(cluster):
    s = cluster()

    def ctl(*args, password=None):
        p = subprocess.run([f"{BUILD}/sallyctl", "--config", s.conf, "account", *args, "--source", "passwd_file"], input=password,
                           capture_output=True, text=True, timeout=PATIENCE)
        return p.returncode, p.stdout

    assert ctl("add", "made", password="by-ctl\n")[0] == 0
    s.ftp("made", "by-ctl").quit()
    code, out = ctl("list")
    assert code == 0 and re.search(r"^admin +clear ", out, re.M) and re.search(r"^made +yescrypt ", out, re.M)
    assert ctl("remove", "made")[0] == 0
    assert "made" not in text(s)
    assert ctl("set", "admin", "umask=022")[0] == 64


def test_missing_file_is_not_a_wrong_password(cluster):
    s = cluster()
    os.rename(f"{s.tree}/.passwd", f"{s.tree}/.passwd-away")
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("admin", "secret-password")
    os.symlink(f"{s.tree}/.passwd-away", f"{s.tree}/.passwd")
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("admin", "secret-password")


def test_a_directory_is_not_moved_to_where_more_may_be_done_in_it(cluster):
    """Its owner may rename it, and would be let into what others have in it by the control file above its new place."""
    s = cluster()
    for path, letters in (("", "* lr"), ("closed", "* lwm"), ("open", "* lrwdmsn"), ("same", "* lwm")):
        os.makedirs(f"{s.tree}/{path}", exist_ok=True)
        with open(f"{s.tree}/{path}/.permissions", "w") as f:
            f.write(f"{letters}\n")
    for name, inner in (("shared", 1001), ("mine", 100)):
        for path, owner in ((name, 100), (f"{name}/theirs", inner)):
            os.mkdir(f"{s.tree}/closed/{path}")
            os.setxattr(f"{s.tree}/closed/{path}", "user.sallyport.owner", str(owner).encode())
        with open(f"{s.tree}/closed/{name}/theirs/f", "w") as f:
            f.write("secret")
    for folder, _, files in os.walk(s.tree):
        for name in [".", *(x for x in files if x != ".passwd")]:
            os.chown(os.path.join(folder, name), SHARED, SHARED)
    r = s.raw().login("root", "another-secret-password")
    assert r.fetch("RETR /closed/shared/theirs/f")[1] == 550
    assert r.cmd("RNFR /closed/shared")[0] == 350
    code, text = r.cmd("RNTO /open/shared")
    assert code in (550, 553), text
    assert r.fetch("RETR /open/shared/theirs/f")[1] == 550
    s.wait_log(r"event=access .*op=RNFR path=/closed/shared .*verdict=deny rule=\"ftpcluster: /open/.permissions:1: \* lrwdmsn speaks of ")
    # Where nothing is opened, or nothing in it belongs to others, it goes.
    for source, target in (("/closed/shared", "/same/shared"), ("/closed/mine", "/open/mine")):
        assert r.cmd(f"RNFR {source}")[0] == 350 and r.cmd(f"RNTO {target}")[0] == 250, target
    r.close()
    assert os.listdir(f"{s.tree}/open/mine/theirs") == ["f"] and "syscall-refused" not in s.log()
