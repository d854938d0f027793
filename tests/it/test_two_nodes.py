"""Two nodes that share a file system on which locks are each node's own: neither takes a running upload of the other's for
the rest of a dead session, and what is dead goes in the end, by the file server's clock."""
import contextlib
import os
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import UIDS, alive, wait_for
from passfs import PassFS

DAY = 86400
HALF = bytes(range(256)) * 400


class Nodes:
    """Two servers whose account alice has one home, each through a mount of its own."""

    def __init__(self, serve, top, ahead=0, more=""):
        self.disk = f"{top}/disk"
        os.mkdir(self.disk)
        os.chown(self.disk, UIDS["alice"], UIDS["alice"])
        self.mounts, self.servers = [], []
        self.stack = contextlib.ExitStack()
        for name in ("a", "b"):
            fs = PassFS(f"{top}/{name}", self.disk, ahead)
            try:
                self.stack.enter_context(fs)
            except OSError as e:
                pytest.skip(f"FUSE cannot be used here: {e}")
            self.mounts.append(fs.path)
            self.servers.append(serve(more, accounts=[], sections=f"""
[account alice]
password = {{CLEAR}}alice
home = {fs.path}
run_as = {UIDS['alice']}:{UIDS['alice']}
layer = pyftpdlib elradfmwMT
"""))

    def hidden(self):
        """Names of temporary files."""
        return [n for n in os.listdir(self.disk) if n.startswith(".")]

    def upload(self, server, name="big"):
        """One that has begun: its session, its data connection and the temporary file on the disk, which holds HALF."""
        before = set(self.hidden())
        session = server.raw().login()
        session.cmd("TYPE I")
        data = session.passive()
        assert session.cmd(f"STOR {name}")[0] == 150
        data.sendall(HALF)
        temporary, = set(self.hidden()) - before
        path = f"{self.disk}/{temporary}"
        wait_for(lambda: os.path.getsize(path) == len(HALF), "the bytes do not arrive")
        return session, data, path

    def dead_upload(self, server):
        """One whose agent was killed: the temporary file that it left."""
        session, data, path = self.upload(server)
        agents = [p for p, name in server.pids().items() if name.startswith("sallyport-agent") and holds(p, path)]
        assert agents
        for p in agents:
            os.kill(p, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, agents)), "the agent does not end")
        data.close()
        assert os.path.exists(path)
        return path


def holds(pid, path):
    with contextlib.suppress(OSError):
        return any(os.readlink(f"/proc/{pid}/fd/{n}").endswith("/" + os.path.basename(path)) for n in os.listdir(f"/proc/{pid}/fd"))
    return False


def silent_for(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def nodes(serve):
    top = tempfile.mkdtemp(prefix="sallyport-nodes-")
    os.chmod(top, 0o755)
    made = []

    def make(*args, **options):
        made.append(Nodes(serve, top, *args, **options))
        return made[0]

    yield make
    for n in made:
        for s in n.servers:
            s.clean()
        n.stack.close()
    subprocess.run(["rm", "-rf", "--one-file-system", top], check=False)


def look(server, uploads=True):
    """Everything of a session that sweeps: listings, and an upload into the directory."""
    with server.ftp() as f:
        f.retrlines("LIST", lambda line: None)
        names = [n for n, _ in f.mlsd()]
        f.retrlines("NLST", lambda line: None)
    if uploads:
        assert server.raw().login().put("STOR other", b"x") == 226
    return names


def test_locks_are_the_mounts_own(nodes):
    """What the other tests stand on."""
    n = nodes()
    for name in ("x", "y"):
        with open(f"{n.disk}/{name}", "w"):
            pass
    command = ["flock", "-n", "-E", "9"]
    with subprocess.Popen(["flock", f"{n.mounts[0]}/x", "sh", "-c", "echo; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        held.stdout.readline()
        assert subprocess.run([*command, f"{n.mounts[0]}/x", "true"], check=False).returncode == 9
        assert subprocess.run([*command, f"{n.mounts[1]}/x", "true"], check=False).returncode == 0
        held.stdin.close()


@pytest.mark.parametrize("more", ["", "stale_upload_age = 60\nstall_timeout = 120"])
def test_a_silent_upload_of_another_node(nodes, more):
    """Silent for less than its stall_timeout, however short stale_upload_age is."""
    n = nodes(more=more)
    a, b = n.servers
    session, data, path = n.upload(a)
    silent_for(path, 115)
    assert "big" not in look(b)
    assert os.path.exists(path), "the other node's listing has removed a running upload"
    look(a)
    assert os.path.exists(path)
    data.sendall(HALF)
    data.close()
    assert session.reply()[0] == 226
    with open(f"{n.disk}/big", "rb") as f:
        assert f.read() == HALF * 2
    assert not n.hidden()


def test_dead_ones_go_at_last(nodes):
    n = nodes()
    a, b = n.servers
    path = n.dead_upload(a)
    look(b)
    assert os.path.exists(path)
    silent_for(path, DAY + 60)
    look(b)
    assert not os.path.exists(path)
    path = n.dead_upload(a)
    look(a)
    assert not os.path.exists(path), "its own node knows that it is dead"


@pytest.mark.parametrize("ahead", [-2 * DAY, 2 * DAY])
def test_the_file_servers_clock_counts(nodes, ahead):
    n = nodes(ahead)
    a, b = n.servers
    session, data, path = n.upload(a)
    look(b)
    assert os.path.exists(path), "a fresh file is not old because clocks differ"
    silent_for(path, DAY / 2)
    look(b)
    assert os.path.exists(path)
    silent_for(path, DAY * 3 / 2)
    look(b)
    assert not os.path.exists(path), "an old file does not stay because clocks differ"
    data.close()
    session.reply()
