"""Whatever several sessions rename and link at once, no stored text leads out of the root from where its link comes to lie."""
import os
import subprocess

import pytest
from conftest import HASHES, UIDS

QUOTA = ["", "quota_bytes = 100M\n"]
ROUNDS = 200
CLOSED = 3000   # directories, so that a search takes long enough for two requests


def leads_out(home, path):
    """The text of a link that leads out, or None."""
    try:
        text = os.readlink(f"{home}/{path}")
    except OSError:
        return None
    target = os.path.realpath(os.path.join(home, os.path.dirname(path), text))
    return None if f"{target}/".startswith(f"{os.path.realpath(home)}/") else text


@pytest.fixture
def begin(serve, tmp_path):
    """begin(folders, settings, inner): alice's home with them, a session of hers, and one of hers or of bob's, whose home is `inner` in it."""
    home = f"{tmp_path}/home"

    def start(folders, settings="", inner=None):
        for folder in folders:
            os.makedirs(f"{home}/{folder}")
        subprocess.run(["chown", "-hR", f"{UIDS['alice']}:{UIDS['alice']}", home], check=True)
        accounts = [f"[account {name}]\npassword = {HASHES[name]}\nhome = {path}\nrun_as = {UIDS['alice']}:{UIDS['alice']}\n"
                    f"layer = posix1e\n{settings}" for name, path in (("alice", home), ("bob", f"{home}/{inner or ''}"))]
        server = serve(f"quota_directory = {tmp_path}/quota" if settings else "", "\n".join(accounts), accounts=[])
        return home, server.raw().login(), server.raw().login("bob" if inner else "alice")

    return start


@pytest.mark.parametrize("quota", QUOTA)
def test_a_link_and_its_new_directory_move_at_once(begin, quota):
    home, one, other = begin(["p/q/r", "p/q/s"], quota)
    for _ in range(ROUNDS):
        for path in ("p/q/s/L", "p/q/r/L", "r/L"):
            if os.path.lexists(f"{home}/{path}"):
                os.unlink(f"{home}/{path}")
        if os.path.isdir(f"{home}/r"):
            os.rename(f"{home}/r", f"{home}/p/q/r")
        assert one.cmd("SITE SYMLINK / /p/q/s/L")[0] == 200
        one.cmd("RNFR /p/q/s/L")
        other.cmd("RNFR /p/q/r")
        other.send("RNTO /r\r\n")
        one.send("RNTO /p/q/r/L\r\n")
        replies = one.reply(), other.reply()
        assert leads_out(home, "r/L") is None, replies
        assert [p for p in ("p/q/s/L", "p/q/r/L", "r/L") if os.path.islink(f"{home}/{p}")] != [], (replies, sorted(os.walk(home)))


@pytest.mark.parametrize("inner", [None, "a"])
def test_what_is_closed_during_the_search_does_not_come_up(begin, inner):
    """A link is made where the search has been, and its directory is closed before the one after the deed. With a root within the other's
    nobody waits for the other: the deed is undone."""
    home, one, other = begin([f"a/b/c/d{i:04}" for i in range(CLOSED)], inner=inner)
    top = "" if inner else "/a"
    first = os.listdir(f"{home}/a/b/c")[0]
    for attempt in range(20):
        assert one.cmd("RNFR /a/b/c")[0] == 350
        one.send("RNTO /c\r\n")
        other.send("NOOP\r\n" * attempt + f"SITE SYMLINK / {top}/b/c/{first}/L\r\nSITE CHMOD 000 {top}/b/c/{first}\r\n")
        replies = [other.reply() for _ in range(attempt + 2)][-2:] + [one.reply()]
        assert leads_out(home, f"c/{first}/L") is None, replies
        if os.path.isdir(f"{home}/c"):
            os.rename(f"{home}/c", f"{home}/a/b/c")
        os.chmod(f"{home}/a/b/c/{first}", 0o755)
        if os.path.lexists(f"{home}/a/b/c/{first}/L"):
            os.unlink(f"{home}/a/b/c/{first}/L")
    # Alone it may go up.
    assert one.cmd("RNFR /a/b/c")[0] == 350
    assert one.cmd("RNTO /c")[0] == 250
