"""sallyctl: every command of its table, right and wrong; the server's commands against a running one."""
import ftplib
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BUILD, HASHES, PATIENCE, TOP, UIDS, Process, alive, wait_for
from swapper import swapping

CTL = f"{BUILD}/sallyctl"
USAGE, NO_SERVER, CONFIG = 64, 69, 78


def ctl(*args, **options):
    return subprocess.run([CTL, *args], capture_output=True, text=True, errors="surrogateescape", timeout=PATIENCE, **options)


def commands():
    """Rows of the command table: name, least and most number of arguments, server."""
    with open(f"{TOP}/ctl/commands.def") as f:
        rows = re.findall(r'^COMMAND\("([^"]+)",\s*\w+,\s*"[^"]*",\s*(\d+),\s*(-?\d+),[^"]*?(true|false),', f.read(), re.M)
    assert len(rows) > 25
    return [(name, int(least), int(most), server == "true") for name, least, most, server in rows]


@pytest.mark.parametrize("name,least,most,server", commands())
def test_every_command(name, least, most, server, tmp_path):
    words = name.split()
    help_text = ctl(*words, "--help")
    assert help_text.returncode == 0 and help_text.stdout.startswith(f"Usage: sallyctl {name} ")
    assert ctl("help", *words).stdout == help_text.stdout
    wrong = ctl(*words, "--no-such-option")
    assert wrong.returncode == USAGE and wrong.stderr and not wrong.stdout
    if least > 0:
        few = ctl(*words, *["x"] * (least - 1))
        assert few.returncode == USAGE and "too few" in few.stderr
    if most >= 0:
        many = ctl(*words, *["x"] * (most + 1))
        assert many.returncode == USAGE and "too many" in many.stderr
    if server:
        away = ctl("-s", str(tmp_path / "none"), *words, *["x"] * least)
        assert away.returncode == NO_SERVER and "not running" in away.stderr


def test_help_names_all_and_exit_codes():
    text = ctl("--help").stdout
    for name, *_ in commands():
        assert name in text
    for code in (0, 1, 2, 64, 69, 77, 78):
        assert re.search(rf"^  {code} +\S", text, re.M)
    assert re.match(r"sallyctl \d+\.\d+", ctl("--version").stdout)


@pytest.mark.parametrize("args,word", [((), "missing"), (("whoo",), "did you mean who"), (("acl", "gett"), "did you mean acl get"),
                                       (("acl",), ""), (("--json",), "missing"), (("\x1b[2J",), r"\x1b")])
def test_unknown_commands(args, word):
    r = ctl(*args)
    assert r.returncode == USAGE and word in r.stderr and "\x1b" not in r.stderr


def test_options_stand_before_or_after():
    a = ctl("--json", "acl", "caps").stdout
    assert a == ctl("acl", "caps", "--json").stdout and json.loads(a)["HAS_ACL_CHECK"] is True


# ------------------------------------------------------------------------------------------ acl

@pytest.fixture
def tree(tmp_path):
    for name in ("f", "g", "d/e/h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o640)
    (tmp_path / "out").write_text("x")
    (tmp_path / "out").chmod(0o600)
    (tmp_path / "d/link").symlink_to("../out")
    if ctl("acl", "set", "u::rw,u:7:r,g::r,m::r,o::-", str(tmp_path / "f")).returncode != 0:
        pytest.skip("no ACLs on this file system")
    ctl("acl", "set", "--mode", "640", str(tmp_path / "f"))
    return tmp_path


def acl(tree, *args):
    return ctl("acl", *args, cwd=tree)


def text_of(tree, path, *options):
    r = acl(tree, "get", "-n", "-S", ",", *options, path)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def test_acl_get_and_set(tree):
    assert text_of(tree, "f") == "user::rw-,group::r--,other::---"
    assert acl(tree, "set", "u::rw,u:7:rw,g::r,m::r,o::-", "f").returncode == 0
    assert text_of(tree, "f") == "user::rw-,user:7:rw-,group::r--,mask::r--,other::---"
    assert text_of(tree, "f", "-a", "-e") == "u::rw-,u:7:rw-\t#effective:r--,g::r--,m::r--,o::---"
    assert text_of(tree, "f", "-ee").count("#effective") == 2
    assert text_of(tree, "f", "-p", "> ").startswith("> user")
    shown = subprocess.run(["getfacl", "-cn", "f"], cwd=tree, capture_output=True, text=True).stdout
    assert "user:7:rw-" in shown
    found = json.loads(acl(tree, "get", "--json", "f").stdout)[0]
    assert found["path"] == "f" and found["acl"]["extended"] and found["acl"]["valid"] and found["acl"]["mode"] == "0640"
    assert {"tag": "user", "id": 7, "name": found["acl"]["entries"][1]["name"], "perms": "rw-", "effective": "r--"} == found["acl"]["entries"][1]
    assert acl(tree, "set", "--mode", "604", "f", "g").returncode == 0
    assert oct((tree / "g").stat().st_mode)[-3:] == "604"


def test_acl_set_refuses_what_is_not_valid(tree):
    before = text_of(tree, "f")
    for text, code in (("u::rw,u:7:r,g::r,o::-", 2), ("u::rw,u:7:r,u:7:rw,g::r,m::rw,o::-", 2), ("u::rw,u:99999999999:r,g::r,o::-", USAGE),
                       ("u::6", USAGE), ("", 2), ("u::rw,u:nosuchuser:r,g::r,m::r,o::-", USAGE)):
        r = acl(tree, "set", text, "f")
        assert r.returncode == code and r.stderr, text
    for mode in ("999", "1777", "-1", "rwx"):
        assert acl(tree, "set", "--mode", mode, "f").returncode == USAGE, mode
    assert acl(tree, "set", "u::rw,g::r,o::-", "none").returncode == 2
    assert text_of(tree, "f") == before


def test_acl_modify_remove_perm_clone_mask(tree):
    assert acl(tree, "modify", "u:7:rwx,g:8:x", "f").returncode == 0
    assert text_of(tree, "f") == "user::rw-,user:7:rwx,group::r--,group:8:--x,mask::rwx,other::---"
    assert acl(tree, "perm", "u:7-w", "f").returncode == 0
    assert acl(tree, "perm", "g:8=r", "f").returncode == 0
    assert text_of(tree, "f") == "user::rw-,user:7:r-x,group::r--,group:8:r--,mask::r-x,other::---"
    assert acl(tree, "perm", "--no-mask", "u:7+w", "f").returncode == 0
    assert "mask::r-x" in text_of(tree, "f")
    assert acl(tree, "mask", "f").returncode == 0
    assert "mask::rwx" in text_of(tree, "f")
    assert acl(tree, "clone", "u:7", "u:9", "f").returncode == 0
    assert "user:9:rwx" in text_of(tree, "f")
    assert acl(tree, "test", "u:9:rw", "f").returncode == 0
    assert acl(tree, "test", "g:8:w", "f").returncode == 1
    assert acl(tree, "test", "u:55:r", "f").returncode == 1
    assert acl(tree, "remove", "u:7", "f").returncode == 0
    assert "user:7:" not in text_of(tree, "f")
    assert acl(tree, "remove", "u:7", "f").returncode == 0
    assert acl(tree, "remove", "u", "f").returncode == 2
    assert acl(tree, "perm", "u:55+r", "f").returncode == 1
    assert acl(tree, "perm", "u:7", "f").returncode == USAGE
    assert acl(tree, "clone", "u:55", "u:9", "f").returncode == 1
    # A mask that is asked for is not computed: not as itself, not in a list, not as the copy of an entry.
    assert acl(tree, "perm", "m=r", "f").returncode == 0 and "mask::r--" in text_of(tree, "f")
    assert acl(tree, "modify", "u:9:rwx,m::x", "f").returncode == 0 and "mask::--x" in text_of(tree, "f")
    assert acl(tree, "clone", "g", "m", "f").returncode == 0 and "mask::r--" in text_of(tree, "f")


def test_acl_default(tree):
    assert text_of(tree, "d", "-d") == ""
    # What is taken out of nothing leaves nothing.
    assert acl(tree, "remove", "-d", "u:7", "d").returncode == 0 and text_of(tree, "d", "-d") == ""
    assert acl(tree, "modify", "-d", "u:7:rx", "d").returncode == 0
    assert "user:7:r-x" in text_of(tree, "d", "-d") and "user:7" not in text_of(tree, "d")
    (tree / "d/new").write_text("x")
    assert "user:7:r-x" in text_of(tree, "d/new")
    assert acl(tree, "set", "-d", "u::rwx,g::rx,o::-", "f").returncode == 2
    assert acl(tree, "is-extended", "d").stdout.split() == ["-", "default", "d"]
    assert acl(tree, "remove-default", "d").returncode == 0 == acl(tree, "remove-default", "d").returncode
    assert acl(tree, "is-extended", "d").returncode == 1


def test_acl_recursive_does_not_follow_links(tree):
    assert acl(tree, "modify", "-R", "u:7:rwx", "d").returncode == 0
    assert "user:7:rwx" in text_of(tree, "d/e/h")
    assert "user:7" not in text_of(tree, "out")
    paths = [x["path"] for x in json.loads(acl(tree, "get", "-R", "--json", "d").stdout)]
    assert paths == ["d", "d/e", "d/e/h"]


def test_acl_save_and_restore(tree):
    odd = tree / "d" / "odd name\n\\"
    odd.write_text("x")
    acl(tree, "modify", "-R", "u:7:r", "d")
    acl(tree, "modify", "-d", "u:9:rwx", "d")
    saved = acl(tree, "save", "-R", "d").stdout
    acl(tree, "set", "-R", "--mode", "700", "d")
    acl(tree, "remove-default", "-R", "d")
    assert acl(tree, "save", "-R", "d").stdout != saved
    (tree / "saved").write_text(saved)
    assert ctl("acl", "restore", "-", cwd=tree, input=saved).returncode == 0
    assert acl(tree, "save", "-R", "d").stdout == saved
    subprocess.run(["setfacl", "--restore=saved"], cwd=tree, check=True)
    (tree / "saved").write_text("user::rw-\n")
    assert acl(tree, "restore", "saved").returncode == 2


TENANT = 64111


@pytest.fixture
def tenant(tree):
    """A tree that belongs to somebody else than root, who runs the command, beside a file of root's."""
    if os.geteuid() != 0:
        pytest.skip("only root has tenants")
    for p in [tree / "d", *(tree / "d").rglob("*")]:
        os.chown(p, TENANT, TENANT, follow_symlinks=False)
    (tree / "etc").mkdir()
    for name in ("h", "shadow"):
        (tree / "etc" / name).write_text("root's")
        (tree / "etc" / name).chmod(0o600)
    acl(tree, "modify", "u:7:rw", "d/e/h")
    return tree, acl(tree, "save", "-R", "d").stdout


def restored(tree, saved, *options):
    acl(tree, "set", "--mode", "640", "d/e/h")
    r = ctl("acl", "restore", *options, "-", cwd=tree, input=saved)
    return r.returncode, "user:7" in text_of(tree, "d/e/h"), r.stderr


def test_acl_restore_to_what_was_saved_only(tenant):
    tree, saved = tenant
    assert restored(tree, saved) == (0, True, "")
    # The folder is a link now, and what it leads to has the same names.
    (tree / "d/e").rename(tree / "d/old")
    (tree / "d/e").symlink_to("../etc")
    os.chown(tree / "d/e", TENANT, TENANT, follow_symlinks=False)
    r = ctl("acl", "restore", "-", cwd=tree, input=saved)
    assert r.returncode == 2 and "a symbolic link on the way belongs to somebody else" in r.stderr
    assert text_of(tree, "etc/h") == "user::rw-,group::---,other::---"
    # A second name of a file of root's.
    (tree / "d/e").unlink()
    (tree / "d/old").rename(tree / "d/e")
    (tree / "d/e/h").rename(tree / "d/e/mine")
    os.link(tree / "etc/h", tree / "d/e/h")
    code, _, said = restored(tree, saved)
    assert code == 2 and "belongs to others (0:0)" in said and "user:7" not in text_of(tree, "etc/h")
    # Another file of the tenant's, which he would rather have opened: only for copies, and said so.
    (tree / "d/e/h").unlink()
    (tree / "d/e/h").write_text("other")
    os.chown(tree / "d/e/h", TENANT, TENANT)
    code, done, said = restored(tree, saved)
    assert code == 2 and not done and "another object" in said
    assert restored(tree, saved, "--copied")[:2] == (0, True)
    # getfacl knows owners and no identity; a text without either is no reason to change anything.
    bare = "".join(x for x in saved.splitlines(True) if not x.startswith("# id:"))
    assert restored(tree, bare)[:2] == (0, True)
    bare = "".join(x for x in bare.splitlines(True) if not x.startswith(("# owner:", "# group:")))
    assert restored(tree, bare)[:2] == (2, False)


def test_acl_recursive_leaves_planted_names_alone(tenant):
    tree, _ = tenant
    os.link(tree / "etc/shadow", tree / "d/e/twin")
    r = acl(tree, "modify", "-R", "u:7:rwx", "d")
    assert r.returncode == 2 and "d/e/twin: left alone" in r.stderr
    assert text_of(tree, "etc/shadow") == "user::rw-,group::---,other::---" and "user:7:rwx" in text_of(tree, "d/e/h")
    # A link of the tenant's on the command line is not the administrator's word; one of root's is.
    (tree / "d/way").symlink_to("../etc")
    assert acl(tree, "modify", "u:7:r", "d/way/h").returncode == 0
    acl(tree, "set", "--mode", "600", "etc/h")
    os.chown(tree / "d/way", TENANT, TENANT, follow_symlinks=False)
    for command in (("modify", "u:7:r"), ("copy", "f"), ("set", "--mode", "644"), ("get",)):
        assert acl(tree, *command, "d/way/h").returncode == 2, command
    assert text_of(tree, "etc/h") == "user::rw-,group::---,other::---"


def test_acl_of_a_tree_that_changes_all_the_time(tenant):
    """A tenant exchanges folders, files and links while root's commands walk over their tree: nothing outside is told or changed."""
    tree, saved = tenant
    outside = [tree / "etc", tree / "etc/h", tree / "etc/shadow", tree / "etc/sub", tree / "out"]
    for folder in ("d/p/q/r", "d/x", "etc/sub"):
        (tree / folder).mkdir(parents=True)
    (tree / "d/p/q/r/f").write_text("x")
    (tree / "d/way").symlink_to("../etc")
    (tree / "d/wayfile").symlink_to("../etc/shadow")
    (tree / "d/file").write_text("x")
    for p in (tree / "d").rglob("*"):
        os.chown(p, TENANT, TENANT, follow_symlinks=False)
    for p in outside:
        acl(tree, "modify", "u:4242:r", str(p))
    before = [text_of(tree, str(p)) for p in outside]
    saved = acl(tree, "save", "-R", "d").stdout
    commands = [("modify", "-R", "u:7:rwx", "d"), ("remove", "-R", "u:7", "d"), ("set", "-R", "u::rwx,u:8:r,g::r,m::rwx,o::-", "d"), ("get", "-R", "-n", "d"),
                ("save", "-R", "d"), ("modify", "u:9:rwx", "d/e/h", "d/way/h", "d/wayfile", "d/file", "d/p/q/r/f"),
                ("copy", "f", "d/e/h", "d/way/h", "d/file"), ("modify", "-R", "-d", "u:7:rwx", "d")]
    with swapping(tree / "d", ("e", "way"), ("file", "wayfile"), ("p/q", "x"), ("p/q/r", "e")) as swaps:
        for _ in range(15):
            for words in commands:
                r = acl(tree, *words)
                assert r.returncode in (0, 2) and "4242" not in r.stdout, (words, r.stdout, r.stderr)
            r = ctl("acl", "restore", "-", cwd=tree, input=saved)
            assert r.returncode in (0, 2), r.stderr
        assert swaps() > 5000
    assert [text_of(tree, str(p)) for p in outside] == before


def test_acl_names_longer_than_a_path(tenant):
    """A tree can be deeper than a path may be long."""
    tree, _ = tenant
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tree / "d")
        for _ in range(30):
            os.mkdir("n" * 250)
            os.chdir("n" * 250)
        Path("deep").write_text("x")
        subprocess.run(["setfacl", "-m", "u:9:r", "deep"], check=True)
        saved = acl(tree, "save", "-R", "d")
        assert saved.returncode == 0 and saved.stdout.count("# file:") == 34
        subprocess.run(["setfacl", "-b", "deep"], check=True)
        assert ctl("acl", "restore", "-", cwd=tree, input=saved.stdout).returncode == 0
        assert "user:9:r--" in subprocess.run(["getfacl", "-cn", "deep"], capture_output=True, text=True).stdout
        assert acl(tree, "modify", "-R", "u:9:rw", "d").returncode == 0
        assert "user:9:rw-" in subprocess.run(["getfacl", "-cn", "deep"], capture_output=True, text=True).stdout
    finally:
        os.fchdir(here)
        os.close(here)


def test_acl_default_begins_with_the_folders_own_entries(tree):
    """Not with its mode, whose middle digit is the mask."""
    assert acl(tree, "set", "u::rwx,u:7:rwx,g::r,m::rwx,o::-", "d").returncode == 0
    assert acl(tree, "modify", "-d", "u:8:x", "d").returncode == 0
    assert text_of(tree, "d", "-d") == "user::rwx,user:8:--x,group::r--,mask::r-x,other::---"


def test_acl_remove_computes_the_mask_also_of_what_was_not_there(tree):
    assert acl(tree, "set", "u::rw,u:7:r,g::r,m::rwx,o::-", "f").returncode == 0
    assert acl(tree, "remove", "--no-mask", "u:55", "f").returncode == 0
    assert text_of(tree, "f").endswith("mask::rwx,other::---")
    assert acl(tree, "remove", "u:55", "f").returncode == 0
    assert text_of(tree, "f") == "user::rw-,user:7:r--,group::r--,mask::r--,other::---"


def test_acl_copy_diff_equiv(tree):
    acl(tree, "modify", "u:7:r", "f")
    assert acl(tree, "diff", "f", "g").returncode == 1
    assert acl(tree, "copy", "f", "g").returncode == 0
    assert acl(tree, "diff", "f", "g").returncode == 0
    r = acl(tree, "equiv-mode", "g")
    assert r.returncode == 1 and r.stdout == "0640 extended g\n"
    r = acl(tree, "equiv-mode", "out")
    assert r.returncode == 0 and r.stdout == "0600 basic out\n"


@pytest.mark.parametrize("text,code,word", [("u::rx,g::-,o::-", 0, "valid"), ("u::rw,u::r,g::r,o::r", 1, "MULTI at entry 1"),
                                            ("u::rw,u:7:r,u:7:rw,g::r,m::rw,o::r", 1, "DUPLICATE at entry 2"),
                                            ("u::rw,g::r", 1, "MISS"), ("u:rw", 1, "SYNTAX at column 5")])
def test_acl_check(text, code, word):
    r = ctl("acl", "check", text)
    assert r.returncode == code and word in r.stdout
    assert json.loads(ctl("acl", "check", "--json", text).stdout)["valid"] is (code == 0)


def test_acl_text():
    assert ctl("acl", "text", "-m", "-n", "-S", ",", "u::rw,u:7:rw,g::r,o::-").stdout == "user::rw-,user:7:rw-,group::r--,mask::rw-,other::---\n"
    assert ctl("acl", "text", "-S", "ab", "u::r").returncode == USAGE
    r = ctl("acl", "text", "u::rw,u:-1:r")
    assert r.returncode == USAGE and "column 9" in r.stderr


# ------------------------------------------------------------------- configuration and machine

def test_check_and_config_show(tmp_path):
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text("[server]\nidle_timeout = 77s\n")
    bad.write_text("[server]\nidel_timeout = 5\nmax_sessions = many\n")
    assert ctl("check", str(good)).returncode == 0
    r = ctl("-c", str(bad), "check")
    assert r.returncode == CONFIG and "bad.conf:2" in r.stdout + r.stderr and "bad.conf:3" in r.stdout + r.stderr
    assert ctl("check", str(tmp_path / "none")).returncode == 2
    r = ctl("-c", str(good), "config", "show")
    assert r.returncode == 0 and re.search(r"idle_timeout.*77", r.stdout)
    assert json.loads(ctl("-c", str(good), "config", "show", "--json").stdout)
    assert ctl("-c", str(bad), "config", "show").returncode == CONFIG


def test_sandbox_agrees_with_the_tables():
    told = json.loads(ctl("sandbox", "--json").stdout)
    assert [r["role"] for r in told["roles"]] == ["listener", "monitor", "worker", "agent", "keeper", "clerk", "starter", "verifier"]
    worker = {c["call"] for c in told["syscalls"] if "worker" in c["roles"]}
    assert {"read", "accept4"} <= worker and not {"openat", "socket", "connect", "execve", "fork"} & worker
    assert all(c["reason"] for c in told["syscalls"])
    text = ctl("sandbox").stdout
    assert "worker (sallyport-worker), empty root, empty network" in text


def test_doctor(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    conf = tmp_path / "s.conf"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:1\npassive_ports = 50000-50009\npassive_address = 192.168.1.1\n"
                    f"worker_user = nosuchuser\nmonitor_user = 64103:64103\nkeeper_user = 64103:64103\naccounts = config, pam\n"
                    f"pam_service = no-such-service\n[tls]\ncertificate = {tmp_path}/none.pem\nprivate_key = {tmp_path}/none.key\n"
                    f"[account a]\nhome = {home}\nlayer = pyftpdlib elQ\n[account b]\nhome = {tmp_path}/none\n")
    conf.chmod(0o600)
    r = ctl("-c", str(conf), "doctor", "--json")
    assert r.returncode == 1
    found = json.loads(r.stdout)
    with open(f"{TOP}/ctl/doctor.def") as f:
        assert {x["check"] for x in found} == set(re.findall(r"^CHECK\((\w+),", f.read(), re.M))
    assert all(x["remedy"] for x in found if x["result"] in ("error", "warning", "note"))

    def says(check, result, word):
        assert any(x["check"] == check and x["result"] == result and word in x["text"] for x in found), (check, word, found)

    says("configuration", "error", "Q")
    says("users", "error", "nosuchuser")
    says("users", "error", "the same user")
    says("passive", "warning", "10 passive ports")
    says("address", "warning", "192.168.1.1")
    says("certificates", "error", "none.pem")
    says("sources", "error", "no-such-service")
    says("homes", "error", "account b")
    says("homes", "ok", "account a")
    text = ctl("-c", str(conf), "doctor").stdout
    assert "remedy: " in text and re.search(r"^\d+ errors, ", text, re.M)


def test_doctor_agrees_with_itself_about_passive_ports(tmp_path):
    """The range it recommends, set as it says, is one that it has nothing to say against; no remedy has a blank to be filled in."""
    conf = tmp_path / "s.conf"

    def passive(ports):
        conf.write_text(f"[server]\nlisten = 127.0.0.1:1\nmax_sessions = 100\npassive_ports = {ports}\n")
        return [x for x in json.loads(ctl("-c", str(conf), "doctor", "--json").stdout) if x["check"] == "passive"]

    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low, high = map(int, f.read().split())
    with open("/proc/sys/net/ipv4/ip_local_reserved_ports") as f:
        reserved = f.read().strip()
    advice = passive("0")[0]["remedy"]
    ports = re.search(r"passive_ports = (\d+-\d+)", advice)[1]
    shared = [x for x in passive(ports) if "outgoing" in x["text"]]
    assert (("ip_local_reserved_ports=" in advice) == bool(shared)) and (not shared or shared[0]["remedy"] in advice), (advice, shared)
    own = f"{low}-{min(low + 499, high)}"
    text = f"ip_local_reserved_ports={reserved}{',' if reserved else ''}{own} "
    assert [x for x in passive(own) if x["remedy"] and text in x["remedy"]] or own in reserved, passive(own)


def test_doctor_names_listeners(tmp_path):
    """What is true of some of them only is told with their names; what all have in common is said once, without."""
    conf = tmp_path / "s.conf"
    conf.write_text("[server]\npassive_ports = 50000-50009\n"
                    "[listener plain]\nlisten = 127.0.0.1:1\ntls = off\npassive_address = 192.168.1.1\n"
                    "[listener front door]\nlisten = 127.0.0.1:2\ntls = off\npassive_address = 192.168.1.1\n"
                    "[listener safe]\nlisten = 127.0.0.1:3\ntls = control\npassive_ports = 0\n")
    found = json.loads(ctl("-c", str(conf), "doctor", "--json").stdout)

    def listeners(word):
        of = [x["listeners"] for x in found if word in x["text"] and x["check"] != "configuration"]
        assert len(of) == 1, (word, found)
        return of[0]

    assert listeners("TLS is off") == "plain, front door"
    assert listeners("there is no certificate") == "safe"
    assert listeners("192.168.1.1 is private") == "plain, front door"
    assert listeners("10 passive ports") == "plain, front door"
    assert listeners("the kernel's choice") == "safe"
    assert listeners("127.0.0.1:2:") == "front door"
    # Found for the first of two, it is no less wrong for the second.
    assert not any(x["check"] == "passive" and x["result"] == "ok" for x in found)
    text = ctl("-c", str(conf), "doctor").stdout
    assert "there is no certificate (listener safe)\n" in text and "in clear (listeners plain, front door)\n" in text, text
    conf.write_text(conf.read_text().replace("tls = control", "tls = off"))
    found = json.loads(ctl("-c", str(conf), "doctor", "--json").stdout)
    assert listeners("TLS is off") is None


def test_doctor_certificates(tmp_path):
    run = lambda *a: subprocess.run(["openssl", *a], cwd=tmp_path, check=True, capture_output=True)
    for name, days in (("soon", 3), ("fine", 300)):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem")
        (tmp_path / f"{name}.key").chmod(0o600)
    run("pkey", "-in", "fine.key", "-aes128", "-passout", "pass:x", "-out", "locked.key")
    (tmp_path / "loose.key").write_bytes((tmp_path / "fine.key").read_bytes())
    (tmp_path / "loose.key").chmod(0o644)
    conf = tmp_path / "s.conf"

    def certificates(pem, key):
        conf.write_text(f"[server]\nlisten = 127.0.0.1:1\n[tls]\ncertificate = {tmp_path}/{pem}\nprivate_key = {tmp_path}/{key}\n")
        found = json.loads(ctl("-c", str(conf), "doctor", "--json").stdout)
        return [(x["result"], x["text"]) for x in found if x["check"] == "certificates"]

    assert any(r == "warning" and "expires in" in t for r, t in certificates("soon.pem", "soon.key"))
    assert not any(r == "error" for r, t in certificates("fine.pem", "fine.key"))
    assert any(r == "error" and "not the key" in t for r, t in certificates("fine.pem", "soon.key"))
    assert any(r == "error" and "passphrase" in t for r, t in certificates("fine.pem", "locked.key"))
    assert any(r == "error" and "every user may read" in t for r, t in certificates("fine.pem", "loose.key"))
    assert any(r == "error" and "no certificate" in t for r, t in certificates("fine.key", "fine.key"))


def test_passwd_hash():
    a, b = (ctl("passwd-hash", input="geheim\nrest\n") for _ in range(2))
    assert a.returncode == 0 and a.stdout.startswith("$") and a.stdout != b.stdout and "geheim" not in a.stdout + a.stderr
    assert json.loads(ctl("passwd-hash", "--json", input="x").stdout)["kind"]
    assert ctl("passwd-hash", input="").returncode == USAGE and ctl("passwd-hash", input="\n").returncode == USAGE
    assert ctl("passwd-hash", input="x" * 2000 + "\n").returncode == USAGE
    assert ctl("passwd-hash", "secret").returncode == USAGE


# ---------------------------------------------------------------------------- the running server

def ask(server, *args):
    return ctl("-c", server.conf, *args)


def asked(server, *args):
    r = ask(server, *args, "--json")
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


# What the commands that the running server answers are given here; the others take nothing.
SERVER_WORDS = {"kick": ["nobody"], "ban": ["192.0.2.0/24", "10m"], "unban": ["192.0.2.0/24"], "drain": ["off"]}


@pytest.mark.parametrize("command", [name for name, _, _, server in commands() if server and name != "top"])
def test_every_answer_of_the_server_has_json(serve, command):
    server = serve("spare_sessions_min = 0")
    r = ask(server, command, *SERVER_WORDS.get(command, []), "--json")
    assert r.returncode in (0, 1) and r.stderr == ""
    told = json.loads(r.stdout)
    assert isinstance(told, (dict, list))
    if command == "stop":
        # Even where nothing is left to end: the answer is the last that is heard of it.
        assert told == {"result": "stopping"} and server.process.wait(PATIENCE) == 0
    elif command == "restart":
        # The process that the test has started ends; the one that took its place is nobody's child.
        assert server.process.wait(PATIENCE) == 0
        new = Process(asked(server, "status")["pid"])
        assert str(new) in told["result"] and ask(server, "stop").returncode == 0
        wait_for(lambda: not alive(new))
    elif command == "reload":
        assert told == {"result": "The new configuration is in use."}
        with open(server.conf, "a") as f:
            f.write("no_such_key = 1\n")
        r = ask(server, command, "--json")
        assert r.returncode == 2 and "no_such_key" in json.loads(r.stdout)["error"]


def test_top_in_json(server):
    """A document a line: status and who by turns."""
    with subprocess.Popen([CTL, "-c", server.conf, "top", "1", "--json"], stdout=subprocess.PIPE) as p:
        kinds = []
        while len(kinds) < 4:
            line = p.stdout.readline().strip()
            kinds += [type(json.loads(line))] if line else []
        p.terminate()
    assert kinds == [dict, list, dict, list]


def test_status_and_who(server):
    before = asked(server, "status")
    assert before["pid"] == server.process.pid and before["draining"] is False
    with server.ftp("alice") as f:
        mine = [s for s in asked(server, "who") if s["user"] == "alice"]
        assert len(mine) == 1 and mine[0]["peer"] == "%s:%d" % f.sock.getsockname()[:2]
        assert set(mine[0]["pids"]) == {"monitor", "worker", "agent"}
        for pid in mine[0]["pids"].values():
            assert os.path.exists(f"/proc/{pid}")
        assert "alice" in ask(server, "who").stdout
        assert asked(server, "status")["sessions"] >= 1


def test_top(server):
    assert ask(server, "top", "0").returncode == USAGE == ask(server, "top", "x").returncode
    with subprocess.Popen([CTL, "-c", server.conf, "top", "1"], stdout=subprocess.PIPE) as p:
        out = b""
        while out.count(b"sessions") < 2 and (part := os.read(p.stdout.fileno(), 4096)):
            out += part
        p.terminate()
    assert out.count(b"sessions") >= 2 and b"\x1b" not in out


@pytest.mark.parametrize("by", ["user", "session", "peer"])
def test_kick(server, by):
    f = server.ftp("bob")
    session = [s for s in asked(server, "who") if s["user"] == "bob"][0]
    word = session["peer"].rsplit(":", 1)[0] if by == "peer" else str(session[by])
    assert ask(server, "kick", word).returncode == 0
    with pytest.raises((ftplib.error_temp, EOFError, OSError)) as e:
        while True:
            f.sendcmd("NOOP")
            time.sleep(0.1)
    if e.type is ftplib.error_temp:
        assert str(e.value).startswith("421")
    f.close()
    assert ask(server, "kick", "nobody-here").returncode == 1


def test_a_session_has_one_name_everywhere(server):
    """Log, who, its JSON, kick, and what the log says of a killed process."""
    with server.ftp("bob") as f:
        session = next(s for s in asked(server, "who") if s["user"] == "bob")
        name, pid = session["session"], session["pids"]["worker"]
        server.wait_log(f"event=login session={name} rhost=127.0.0.1 user=bob ")
        assert re.search(f"^{name} +bob ", ask(server, "who").stdout, re.M)
        assert ask(server, "kick", str(int(name, 16))).returncode == 1, "another way to write it names nothing"
        os.kill(pid, signal.SIGKILL)
        server.wait_log(f"event=process-killed role=worker pid={pid} session={name} ")
    f = server.ftp("bob")
    name = next(s["session"] for s in asked(server, "who") if s["user"] == "bob")
    assert ask(server, "kick", name).returncode == 0
    server.wait_log(f"event=session-end session={name} ")
    f.close()


def test_a_ban_without_an_end(server):
    assert ask(server, "ban", "192.0.2.99").returncode == 0
    assert re.search(r"^192\.0\.2\.99 +permanent ", ask(server, "bans").stdout, re.M)
    assert [b["until"] for b in asked(server, "bans") if b["net"].startswith("192.0.2.99")] == [None]
    assert ask(server, "unban", "192.0.2.99").returncode == 0


def test_bans(server):
    began = time.time()
    assert ask(server, "ban", "192.0.2.0/24", "10m").returncode == 0
    assert ask(server, "ban", "2001:db8::7").returncode == 0
    bans = {b["net"]: b["until"] for b in asked(server, "bans")}
    assert began + 598 <= bans["192.0.2.0/24"] <= time.time() + 602
    assert any(n.startswith("2001:db8::7") and until is None for n, until in bans.items())
    for net in bans:
        assert ask(server, "unban", net).returncode == 0
    assert ask(server, "unban", "192.0.2.0/24").returncode == 1
    assert asked(server, "bans") == []
    assert ask(server, "ban", "nonsense").returncode == USAGE
    assert ask(server, "ban", "192.0.2.1", "soon").returncode == USAGE


NFT_BANS = {
    "192.0.2.0/24": "10m", "192.0.2.77": None, "192.0.2.78": "5m", "198.51.100.255": "1000000d", "255.255.255.255": "2h",
    "240.0.0.0/4": "1h", "0.0.0.0/8": "1h", "10.0.0.0/31": "1h", "10.0.0.1": "2h",
    "2001:db8::/32": "2h", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": None, "::/96": "1h", "::2": "2h",
    "ff00::/8": "1h", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "2h", "64:ff9b::102:304": "7",
}


@pytest.mark.skipif(not shutil.which("nft"), reason="nft (nftables) is not installed")
def test_bans_as_nftables_sets(server):
    """nft itself judges the text, after an earlier one and twice; networks within others keep the longer time."""
    assert ask(server, "bans", "--nft", "--json").returncode == USAGE
    plain = ask(server, "bans", "--nft")
    assert plain.returncode == 0 and "element" not in plain.stdout
    try:
        for net, length in NFT_BANS.items():
            assert ask(server, "ban", net, *([length] if length else [])).returncode == 0
        text = ask(server, "bans", "--nft").stdout
        asked_nft = subprocess.run(["nft", "-c", "-f", "-"], input=plain.stdout + text + text, capture_output=True, text=True,
                                   timeout=PATIENCE)
        assert asked_nft.returncode == 0, asked_nft.stderr + text
        times = dict(re.findall(r"^\t(\S+?)(?: timeout (\d+)s)?,?$", text, re.M))
        assert times["192.0.2.77"] == times["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] == ""
        assert 500 < int(times["192.0.2.0-192.0.2.76"]) <= 600 >= int(times["192.0.2.78-192.0.2.255"]) > 500
        assert 7000 < int(times["255.255.255.255"]) <= 7200 and int(times["240.0.0.0-255.255.255.254"]) <= 3600
        assert int(times["10.0.0.0"]) <= 3600 < int(times["10.0.0.1"]) and "10.0.0.0-10.0.0.1" not in times
        assert {"::-::1", "::2", "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"} <= set(times)
        assert ask(server, "ban", "*", "3h").returncode == 0
        text = ask(server, "bans", "--nft").stdout
        asked_nft = subprocess.run(["nft", "-c", "-f", "-"], input=text, capture_output=True, text=True, timeout=PATIENCE)
        assert asked_nft.returncode == 0, asked_nft.stderr + text
        assert "\t0.0.0.0-192.0.2.76 timeout" in text and "\t2001:db9::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff timeout" in text
    finally:
        for net in (*NFT_BANS, "*"):
            ask(server, "unban", net)


def test_a_ban_acts(server):
    assert ask(server, "ban", "127.0.0.1", "1m").returncode == 0
    try:
        with pytest.raises((ftplib.Error, EOFError, OSError)):
            server.ftp("alice")
    finally:
        assert ask(server, "unban", "127.0.0.1").returncode == 0
    server.ftp("alice").quit()


def test_reload_is_all_or_nothing(server):
    with open(server.conf) as f:
        text = f.read()
    try:
        with open(server.conf, "a") as f:
            f.write("no_such_key = 1\n")
        r = ask(server, "reload")
        assert r.returncode != 0 and "no_such_key" in r.stdout + r.stderr
        server.ftp("alice").quit()
    finally:
        with open(server.conf, "w") as f:
            f.write(text)
    assert ask(server, "reload").returncode == 0
    server.ftp("alice").quit()


def test_others_may_not_ask(server, open_build):
    r = subprocess.run([f"{open_build}/sallyctl", "-c", server.conf, "who"], capture_output=True, text=True, user=UIDS["bob"],
                       group=UIDS["bob"], extra_groups=[], env={"PATH": os.environ["PATH"]}, cwd="/", timeout=PATIENCE)
    assert r.returncode in (77, NO_SERVER) and not r.stdout


def test_stop(serve):
    server = serve()
    assert ask(server, "stop").returncode == 0
    assert server.process.wait(PATIENCE) == 0
    assert ask(server, "status").returncode == NO_SERVER


# ------------------------------------------------------------------------------------ replay

def test_replay_of_a_real_log(server, tmp_path):
    with server.ftp("alice") as f:
        f.storbinary("STOR replayed", io.BytesIO(b"x"))
        for _ in range(3):
            f.retrbinary("RETR replayed", lambda b: None)
        f.delete("replayed")
        f.mkd("replayed folder")
        f.rmd("replayed folder")
    with server.ftp("reader") as f:
        with pytest.raises(ftplib.error_perm):
            f.storbinary("STOR refused", io.BytesIO(b"x"))
    server.wait_log(r"event=session-end .*user=reader|user=reader .*event=session-end|op=STOR .*verdict=deny")
    log = tmp_path / "log"
    log.write_text(server.log() + "\nnoise\nevent=access cut=\"\n")
    same = ctl("replay", str(log), server.conf, "--json")
    told = json.loads(same.stdout)
    assert same.returncode == 0 and told["changed"] == 0 and told["records"] >= 8, same.stdout
    with open(server.conf) as f:
        text = f.read()
    candidate = tmp_path / "candidate.conf"
    alice, rest = text.split("[account alice]")[1].split("[", 1)
    candidate.write_text(text.replace(alice, re.sub(r"layer = .*", "layer = pyftpdlib elrm", alice)))
    r = ctl("replay", str(log), str(candidate), "--json")
    told = json.loads(r.stdout)
    assert r.returncode == 1
    assert {(c["user"], c["op"], c["was"], c["now"]) for c in told["changes"]} == {
        ("alice", "STOR", "allow", "deny"), ("alice", "DELE", "allow", "deny"), ("alice", "RMD", "allow", "deny")}
    assert all("candidate.conf" in c["reason"] for c in told["changes"])
    plain = ctl("replay", str(log), str(candidate))
    assert "alice DELE /replayed: allow -> deny (1 time, line " in plain.stdout and "3 would change" in plain.stdout
    candidate.write_text(text.replace("[account alice]", "[account alicia]"))
    r = ctl("replay", str(log), str(candidate), "--json")
    assert r.returncode == 2 and all(c["now"] == "unknown" for c in json.loads(r.stdout)["changes"])


def test_replay_of_what_was_uploaded_last(serve, tmp_path):
    """ups lets the file be stamped that the session has uploaded last: the record says whether it was that one."""
    home = "{dir}/u"
    s = serve("", f"[account u]\npassword = {HASHES['alice']}\nhome = {home}\nrun_as = {UIDS['alice']}:{UIDS['alice']}\ncreate_home = yes\n"
              "layer = ups -t\n", accounts=())
    os.makedirs(f"{s.dir}/u")
    os.chown(f"{s.dir}/u", UIDS["alice"], UIDS["alice"])
    with s.ftp("u", "alice") as f:
        f.storbinary("STOR new", io.BytesIO(b"x"))
        assert f.sendcmd("MFMT 20200101000000 new").startswith("213")
        f.storbinary("STOR other", io.BytesIO(b"x"))
        with pytest.raises(ftplib.error_perm):
            f.sendcmd("MFMT 20200101000000 new")
    s.wait_log("op=MTIME .*verdict=deny")
    log = tmp_path / "log"
    log.write_text(s.log())
    told = json.loads(ctl("replay", str(log), s.conf, "--json").stdout)
    assert told["changed"] == told["unknown"] == 0 and told["records"] >= 4, told
    # The log of a sallyport that did not write it: that cannot be told, and is no change.
    log.write_text(re.sub(" last_upload=[a-z]+", "", s.log()))
    r = ctl("replay", str(log), s.conf, "--json")
    told = json.loads(r.stdout)
    assert r.returncode == 2 and told["changed"] == 0 and told["unknown"] == 2, told
    assert {(c["op"], c["was"], c["now"]) for c in told["changes"]} == {("MTIME", "allow", "unknown"), ("MTIME", "deny", "unknown")}


def test_replay_errors(tmp_path):
    conf, log = tmp_path / "c.conf", tmp_path / "log"
    conf.write_text("[server]\naccounts = config\n")
    log.write_text("")
    assert ctl("replay", str(tmp_path / "none"), str(conf)).returncode == 2
    assert ctl("replay", str(log), str(tmp_path / "none")).returncode == 2
    assert ctl("replay", "-", str(conf), input="").returncode == 0
    conf.write_text("[server]\nnonsense\n")
    assert ctl("replay", str(log), str(conf)).returncode == CONFIG


# ---------------------------------------------------------------------------------- a terminal

def on_terminal(args, answers=(), cwd=None):
    """Runs sallyctl on a terminal of its own and types each answer after its prompt; everything that it showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd or "/")
        os.execv(CTL, [CTL, *args])
    shown, answers = b"", list(answers)
    while True:
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if answers and shown.endswith(answers[0][0]):
            os.write(fd, answers.pop(0)[1])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return code, shown


def test_password_is_asked_twice_and_not_shown():
    code, shown = on_terminal(["passwd-hash"], [(b"Password: ", b"geheim\n"), (b"Once more: ", b"geheim\n")])
    assert code == 0 and b"geheim" not in shown and b"$" in shown
    code, shown = on_terminal(["passwd-hash"], [(b"Password: ", b"geheim\n"), (b"Once more: ", b"anders\n")])
    assert code == USAGE and b"differ" in shown and b"$y$" not in shown


def test_progress_is_for_terminals_only(tmp_path):
    for i in range(3000):
        (tmp_path / str(i)).touch()
    code, shown = on_terminal(["acl", "mask", "-R", str(tmp_path)])
    assert code == 0 and re.search(rb"\r\d+ objects ", shown)
    code, shown = on_terminal(["--quiet", "acl", "mask", "-R", str(tmp_path)])
    assert code == 0 and shown == b""
    r = ctl("acl", "mask", "-R", str(tmp_path))
    assert r.returncode == 0 and r.stdout == r.stderr == ""


def test_control_bytes_do_not_reach_the_terminal(tmp_path):
    odd = tmp_path / "odd\x1b[2J\nname"
    odd.touch()
    r = ctl("acl", "get", str(odd), str(odd))
    assert r.returncode == 0 and r.stdout.splitlines()[0].endswith(r"/odd\x1b[2J\x0aname")
    r = ctl("acl", "get", str(odd) + "none")
    assert r.returncode == 2 and "\x1b" not in r.stderr
    assert json.loads(ctl("acl", "get", "--json", str(odd)).stdout)[0]["path"] == str(odd)
