"""Accounts that nobody can log in to, because of their home or their Unix user: what the client, the log and each command say of them."""
import json
import os
import re
import subprocess

import pytest

from conftest import BUILD, HASHES, UIDS

ALICE = UIDS["alice"]
NOBODY = "no-such-user-64"


def ctl(conf, *words):
    r = subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), *words], capture_output=True, text=True)
    assert "event=" not in r.stderr, r.stderr     # a line of the log is no answer
    return r


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    import tempfile
    top = tempfile.mkdtemp(prefix="sallyport-it-")
    os.chmod(top, 0o755)
    os.makedirs(f"{top}/closed")
    os.chmod(f"{top}/closed", 0o700)
    os.makedirs(f"{top}/open")
    os.symlink(f"{top}/open", f"{top}/lent")
    os.chown(f"{top}/lent", ALICE, ALICE, follow_symlinks=False)
    with open(f"{top}/file", "w"):
        pass
    conf = f"{top}/conf"
    with open(conf, "w") as f:
        for name, more in (("none", "home = /nowhere/here"), ("closed", f"home = {top}/closed"), ("file", f"home = {top}/file"),
                           ("lent", f"home = {top}/lent"), ("free", f"home = {top}/none\njail = no"), ("unset", ""),
                           ("made", f"home = {top}/none\ncreate_home = yes"), ("fine", f"home = {top}/open")):
            f.write(f"[account {name}]\nrun_as = {ALICE}:{ALICE}\nlayer = pyftpdlib elradfmwMT\n{more}\n")
    return conf


@pytest.mark.parametrize("name", ["none", "closed", "file", "lent", "free", "unset"])
def test_an_account_without_its_home_may_nothing(homes, tmp_path, name):
    """What the server answers 530 is no allow of why, nor of expect --kernel; expect alone asks the rules."""
    for command in (["LIST", "/"], ["NOOP"]):
        r = ctl(homes, "why", name, *command)
        assert r.returncode == 1 and r.stdout.startswith("DENY") and "home" in r.stdout, r.stdout + r.stderr
    e = tmp_path / "e"
    e.write_text(f"{name} LIST / -> allow\n")
    assert ctl(homes, "expect", "--kernel", str(e)).returncode == 1
    assert ctl(homes, "expect", str(e)).returncode == 0
    e.write_text(f"{name} LIST / -> deny\n")
    assert ctl(homes, "expect", "--kernel", str(e)).returncode == 0


def test_a_home_yet_to_be_made_cannot_be_told(homes, tmp_path):
    r = ctl(homes, "why", "made", "LIST", "/")
    assert r.returncode == 2 and r.stdout.startswith("CANNOT TELL") and "first login" in r.stdout, r.stdout + r.stderr
    e = tmp_path / "e"
    e.write_text("made LIST / -> allow\n")
    assert ctl(homes, "expect", "--kernel", str(e)).returncode == 2
    assert ctl(homes, "expect", str(e)).returncode == 0
    assert ctl(homes, "why", "fine", "LIST", "/").returncode == 0


SECTIONS = {
    "without": ("", "it has no run_as"),
    "unknown": (f"run_as = {NOBODY}", f"run_as = {NOBODY}: no user has that name"),
    "group": (f"run_as = daemon:{NOBODY}", f"run_as = daemon:{NOBODY}: no group has that name"),
    "extra": (f"run_as = {ALICE}\nextra_groups = {NOBODY}", f"extra_groups = {NOBODY}: no group has that name"),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_an_account_without_its_user(serve, name):
    """Each command says what is missing, check with file and line; the client learns that trying again is no use, if it knows the password."""
    more, text = SECTIONS[name]
    s = serve("", f"[account {name}]\npassword = {HASHES['alice']}\nhome = {{dir}}/home-alice\nlayer = pyftpdlib elr\n{more}\n", accounts=("alice",))
    with open(s.conf) as f:
        lines = f.read().splitlines()
    line = 1 + lines.index(more.split("\n")[-1] if more else f"[account {name}]")
    r = ctl(s.conf, "check")
    assert r.returncode == 78 and f"{s.conf}:{line}: " in r.stdout and text in r.stdout, r.stdout + r.stderr
    r = ctl(s.conf, "doctor")
    assert r.returncode == 1 and text in r.stdout and f"account {name}: home" not in r.stdout, r.stdout + r.stderr
    r = ctl(s.conf, "why", name, "LIST", "/")
    assert r.returncode == 2 and text in r.stderr, r.stderr
    r = ctl(s.conf, "lint", name)
    assert r.returncode == 1 and text in r.stdout, r.stdout + r.stderr
    raw = s.raw()
    assert raw.reply()[0] == 220
    with_right, with_wrong, stranger = ([raw.cmd(f"USER {who}"), raw.cmd(f"PASS {password}")][1] for who, password in
                                        ((name, "alice"), (name, "wrong"), ("stranger", "wrong")))
    assert with_right[0] == 530 and "administrator" in with_right[1], with_right
    assert with_wrong == stranger and with_wrong[0] == 530 and "incorrect" in with_wrong[1]
    assert s.wait_log(f"event=auth-failure .*user={name} reason=settings-unusable password=right")
    assert re.search("event=(run-as-unusable|no-such-group|account-without-run-as) ", s.log())


def test_users_that_accounts_share(tmp_path):
    """A line of the server's counts for all listeners, and is told once."""
    conf = tmp_path / "c"
    conf.write_text(f"[server]\naccounts = database\nvirtual_user = {NOBODY}\n[listener a]\nlisten = 127.0.0.1:1\n"
                    f"[listener b]\nlisten = 127.0.0.1:2\n[group g]\nrun_as = {NOBODY}2\n")
    r = ctl(conf, "check")
    assert r.returncode == 78 and r.stdout.count(f"virtual_user = {NOBODY}: ") == 1 and f"{conf}:9: " in r.stdout, r.stdout


def test_commands_know_who_is_no_account(homes):
    for words in (("lint", "nosuch"), ("why", "nosuch", "LIST", "/"), ("config", "show", "-f", "nosuch"), ("quota", "show", "nosuch"),
                  ("quota", "recount", "nosuch"), ("quota", "set", "nosuch", "1", "1"), ("account", "show", "nosuch", "--effective")):
        r = ctl(homes, *words)
        assert r.returncode in (1, 2) and "nosuch" in r.stderr, (words, r.returncode, r.stdout + r.stderr)
    assert ctl(homes, "lint", "nosuch", "fine").returncode == 2
    assert "is no account" not in ctl(homes, "lint", "fine").stderr
