"""Whatever several sessions rename and link at once, no stored text leads out of the root from where its link comes to lie."""
import fcntl
import os
import re
import subprocess
import time

import pytest
from conftest import HASHES, UIDS, wait_for

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
        start.server = server = serve(f"quota_directory = {tmp_path}/quota" if settings else "", "\n".join(accounts), accounts=[])
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


@pytest.mark.parametrize("quota", QUOTA)
@pytest.mark.parametrize("inner, swap", [(None, False), ("a", False), ("a", True)])
def test_a_mover_and_a_maker(begin, quota, inner, swap):
    """One renames a directory upward and back, the other makes links below it that lead as far up as they may; then the first one closes the
    directory, so that nobody can tidy up behind them. Their roots are the same, or one lies in the other's."""
    home, *sessions = begin(["a/b/c/d/e"], quota, inner=inner)
    tops = ["/a", "/a" if inner is None else ""]
    (mover, up), (maker, deep) = list(zip(sessions, tops))[::-1 if swap else 1]
    made = 0
    for attempt in range(ROUNDS):
        for name in ("L", "M"):
            if os.path.lexists(f"{home}/a/b/c/d/e/{name}"):
                os.unlink(f"{home}/a/b/c/d/e/{name}")
        assert mover.cmd(f"RNFR {up}/b/c/d")[0] == 350
        orders = [(mover, f"RNTO {up}/d\r\nSITE CHMOD 555 {up}/d/e\r\n"),
                  (maker, "NOOP\r\n" * (attempt % 9) + f"SITE SYMLINK / {deep}/b/c/d/e/L\r\nSITE SYMLINK {deep}/b/.. {deep}/b/c/d/e/M\r\n")]
        for session, lines in orders[::-1 if attempt % 2 else 1]:
            session.send(lines)
        replies = [mover.reply(), mover.reply(), *[maker.reply() for _ in range(attempt % 9 + 2)][-2:]]
        for folder, _, _ in os.walk(home):
            for name in os.listdir(folder):
                assert leads_out(home, os.path.relpath(f"{folder}/{name}", home)) is None, (folder, name, replies)
                assert not name.startswith(".sallyport"), (folder, name)
        made += replies[2][0] == 200
        if os.path.isdir(f"{home}/a/d"):
            os.chmod(f"{home}/a/d/e", 0o755)
            os.rename(f"{home}/a/d", f"{home}/a/b/c/d")
        os.chmod(f"{home}/a/b/c/d/e", 0o755)
    assert made > 0


def test_what_a_killed_agent_left_of_a_link(begin):
    """The name that a moved link has for a moment: hidden, not to be named, and gone after a minute; one in use stays."""
    home, one, _ = begin(["p/q"])
    tag = None
    assert one.put("STOR p/f", b"x") == 226
    # The tag of this node and boot, as uploads have it.
    with one.passive() as data:
        assert one.cmd("STOR p/g")[0] == 150
        tag = next(name for name in os.listdir(f"{home}/p") if name.startswith(".sallyport-part-")).rsplit("-", 1)[0]
        data.close()
    assert one.reply()[0] == 226
    old, new, foreign = (f"{t}-{i:016x}" for t, i in ((tag, 1), (tag, 2), (".sallyport-part-" + "0" * 16, 3)))
    for name in (old, new, foreign):
        os.symlink("../..", f"{home}/p/{name}")
        os.chown(f"{home}/p/{name}", UIDS["alice"], UIDS["alice"], follow_symlinks=False)
    for name in (old, foreign):
        at = os.stat(f"{home}/p/f").st_mtime - 120
        os.utime(f"{home}/p/{name}", (at, at), follow_symlinks=False)
    for line in ("SITE READLINK p/{}", "RNFR p/{}", "DELE p/{}", "CWD p/{}", "MLST p/{}", "SITE SYMLINK p/q p/{}"):
        assert one.cmd(line.format(new))[0] >= 500, line
    for line in ("LIST -a p", "NLST -a p", "MLSD p"):
        text, code = one.fetch(line)
        assert code == 226 and b".sallyport" not in text, text
    assert sorted(n for n in os.listdir(f"{home}/p") if n.startswith(".")) == sorted([new, foreign])


@pytest.mark.parametrize("line", ["SITE SYMLINK / L", "RNTO c"])
def test_sessions_of_one_server_take_turns(begin, line):
    """What locks the agents' common file keeps a change waiting, for a second; the descriptor leads nowhere, and is no room for bytes."""
    home, one, _ = begin(["p"])
    port = one.sock.getsockname()[1]
    agent = next(w["pids"]["agent"] for w in begin.server.ctl("who") if w["peer"].endswith(f":{port}"))
    name = next(f"/proc/{agent}/fd/{fd}" for fd in os.listdir(f"/proc/{agent}/fd") if "memfd:holds" in os.readlink(f"/proc/{agent}/fd/{fd}"))
    with open(name, "r+b", buffering=0) as shared:
        with pytest.raises(OSError):
            shared.write(b"x")
        fcntl.lockf(shared, fcntl.LOCK_EX)
        assert one.cmd("RNFR p")[0] == 350
        began = time.monotonic()
        one.send(f"{line}\r\n")
        assert one.reply()[0] in (200, 250) and sorted(os.listdir(home)) in (["L", "p"], ["c"])
        assert time.monotonic() - began > 0.9, "nobody waited"
        wait_for(lambda: re.search(rf"event=tree-not-held .*held_by_pid={os.getpid()} ", begin.server.log()))
        # Who was waited for once is not waited for again.
        fcntl.lockf(shared, fcntl.LOCK_UN)
    one.close()


@pytest.mark.parametrize("line", ["SITE SYMLINK / L", "RNTO c"])
def test_strangers_hold_no_tree(begin, line):
    """A lock on the root's directory, which every local user who can open it can take, is nobody's business."""
    home, one, _ = begin(["p"])
    stranger = subprocess.Popen(["setpriv", "--reuid", str(UIDS["bob"]), "--clear-groups", "flock", home, "sh", "-c", "echo; exec sleep 600"],
                                stdout=subprocess.PIPE)
    try:
        assert stranger.stdout.read(1) == b"\n"
        assert one.cmd("RNFR p")[0] == 350
        assert one.cmd(line)[0] in (200, 250) and sorted(os.listdir(home)) in (["L", "p"], ["c"])
        assert "tree-not-held" not in begin.server.log()
    finally:
        stranger.kill()
        stranger.wait()
