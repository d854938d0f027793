"""Everything at once for a while: real clients in clear and over TLS, processes of every kind that are killed, reloads,
new certificates, rotated logs.  Afterwards every upload that was acknowledged is on the disk byte for byte, no reply was
malformed, and the server looks as it did before anybody came.

    tests/run --only soak SECONDS=600 SEED=7      (SECONDS: 120 unless given; SEED: printed, so that a run can be repeated)
"""
import collections
import contextlib
import ftplib
import hashlib
import io
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import threading
import time

import pytest
from conftest import PATIENCE, UIDS, alive, wait_for
from tlsserver import Resuming, TlsServer, make_cert

SECONDS = float(os.environ.get("SECONDS") or 120)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
SPARES = 3
CONFIGURATION = f"""penalty_crash = 0
penalty_failure = 0
spare_sessions_min = {SPARES}
spare_sessions_max = {SPARES}
max_sessions = 200
connects_per_minute = 0
"""
# What a client may meet when its session is killed, or finds the server short of processes for a moment.
INTERRUPTED = (OSError, EOFError, ftplib.error_temp, ssl.SSLError, subprocess.TimeoutExpired)


class Record:
    """What happened, told by many threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.uploads = {}
        self.appended = collections.defaultdict(list)
        self.count = collections.Counter()
        self.wrong = []

    def acknowledged(self, home, name, content):
        with self.lock:
            self.uploads[os.path.join(home, name)] = hashlib.sha256(content).hexdigest()
            self.count["uploads"] += 1

    def tally(self, what):
        with self.lock:
            self.count[what] += 1

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)


class Client(threading.Thread):
    """One user of the server, who does one job again and again until the time is up."""

    def __init__(self, soak, number, job):
        super().__init__(name=f"{job.__name__}-{number}", daemon=True)
        self.soak, self.number, self.job = soak, number, job
        self.random = random.Random(SEED * 1000 + number)
        self.user = "alice" if number % 2 else "bob"
        self.home = soak.server.homes[self.user]
        self.turn = 0

    def run(self):
        while not self.soak.over.is_set():
            self.turn += 1
            try:
                self.job(self)
                self.soak.record.tally(self.job.__name__)
            except INTERRUPTED:
                self.soak.record.tally(f"{self.job.__name__} interrupted")
                self.soak.over.wait(0.05)
            except Exception as e:  # a malformed reply, a permanent refusal, a mistake of this test: all are findings
                self.soak.record.complain(f"{self.name}: {e!r}")
                self.soak.over.wait(0.5)

    def fresh(self):
        """A name that was never used, and content for it."""
        size = self.random.choice((0, 1, 100, 5000, 70000, 700000))
        return f"{self.name}-{self.turn}.dat", self.random.randbytes(size)

    def local(self, name, content):
        path = f"{self.soak.server.dir}/out-{name}"
        with open(path, "wb") as f:
            f.write(content)
        return path


def session(client, tls):
    return client.soak.server.ftps(client.user, Resuming) if tls else client.soak.server.ftp(client.user)


def store(client, tls=False):
    with session(client, tls) as f:
        for _ in range(3):
            client.turn += 1
            name, content = client.fresh()
            f.storbinary(f"STOR {name}", io.BytesIO(content))
            client.soak.record.acknowledged(client.home, name, content)
            got = []
            f.retrbinary(f"RETR {name}", got.append)
            if b"".join(got) != content:
                client.soak.record.complain(f"{client.name}: {name} read back differs")


def store_tls(client):
    store(client, True)


def append(client):
    """Pieces of a file of the client's own; an answer of 226 promises that the piece stands in it, once."""
    name = f"{client.name}.log"
    with session(client, client.turn % 2 == 0) as f:
        for _ in range(4):
            client.turn += 1
            piece = b"%s piece %d\n" % (client.name.encode(), client.turn)
            f.storbinary(f"APPE {name}", io.BytesIO(piece))
            with client.soak.record.lock:
                client.soak.record.appended[os.path.join(client.home, name)].append(piece)


def manage(client):
    """Names that change: a directory is made, filled, renamed, listed and removed."""
    with session(client, client.turn % 2 == 0) as f:
        first, second = f"{client.name}-{client.turn}", f"{client.name}-{client.turn}-renamed"
        f.mkd(first)
        f.storbinary(f"STOR {first}/a", io.BytesIO(b"a" * 3000))
        f.rename(first, second)
        if sorted(name for name, facts in f.mlsd(second) if facts["type"] == "file") != ["a"]:
            client.soak.record.complain(f"{client.name}: {second} is not listed as it is")
        f.delete(f"{second}/a")
        f.rmd(second)


def leave(client):
    """A client that breaks off in the middle of everything."""
    f = session(client, client.turn % 2 == 0)
    name, content = client.fresh()
    data = f.transfercmd(f"STOR {name}")
    data.sendall(content[:1000])
    client.random.choice((f.sock, data)).close()
    data.close()
    f.close()


def program(client, *command):
    """Did this client program succeed? What it says is of interest when it is a mistake of ours."""
    server = client.soak.server
    environment = dict(os.environ, HOME=f"{server.dir}/{client.name}")
    os.makedirs(environment["HOME"], exist_ok=True)
    r = subprocess.run(command, capture_output=True, timeout=PATIENCE, env=environment, cwd=server.dir, check=False)
    if r.returncode != 0:
        raise ConnectionError(r.stderr[-300:])


def curl(client):
    name, content = client.fresh()
    tls = ["--ssl-reqd", "-k"] if client.turn % 2 else []
    path = client.local(name, content)
    try:
        program(client, "curl", "-sS", "--max-time", "60", *tls, "-T", path, client.soak.server.url(f"/{name}", client.user))
    finally:
        os.unlink(path)
    client.soak.record.acknowledged(client.home, name, content)


def lftp(client):
    name, content = client.fresh()
    path = client.local(name, content)
    tls = "yes" if client.turn % 2 else "no"
    script = (f"set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no;"
              f"set ftp:ssl-allow {tls}; open -u {client.user},{client.user} -p {client.soak.server.port} 127.0.0.1;"
              f"put {path} -o {name}; bye")
    try:
        program(client, "lftp", "-c", script)
    finally:
        os.unlink(path)
    client.soak.record.acknowledged(client.home, name, content)


def rclone(client):
    """A directory of files, four at a time, by the program's own default of parallel transfers."""
    files = {}
    top = f"{client.soak.server.dir}/out-{client.name}-{client.turn}"
    os.mkdir(top)
    for i in range(6):
        files[f"f{i}"] = client.random.randbytes(client.random.choice((10, 4000, 200000)))
        with open(f"{top}/f{i}", "wb") as f:
            f.write(files[f"f{i}"])
    secret = subprocess.run(["rclone", "obscure", client.user], capture_output=True, text=True, check=True).stdout.strip()
    target = f":ftp,host=127.0.0.1,port={client.soak.server.port},user={client.user},pass={secret},explicit_tls=true," \
             f"no_check_certificate=true:{client.name}-{client.turn}"
    try:
        program(client, "rclone", "copy", "--retries", "1", "--low-level-retries", "1", top, target)
    finally:
        shutil.rmtree(top)
    for name, content in files.items():
        client.soak.record.acknowledged(client.home, f"{client.name}-{client.turn}/{name}", content)


JOBS = [store, store, store_tls, store_tls, append, append, manage, manage, leave, curl, curl, lftp, rclone]


class Disturbance(threading.Thread):
    """Something that happens to the server again and again."""

    def __init__(self, soak, every, deed):
        super().__init__(name=deed.__name__, daemon=True)
        self.soak, self.every, self.deed = soak, every, deed
        self.random = random.Random(f"{SEED} {deed.__name__}")

    def run(self):
        while not self.soak.over.wait(self.every * (0.5 + self.random.random())):
            try:
                self.deed(self)
                self.soak.record.tally(self.deed.__name__)
            except Exception as e:
                self.soak.record.complain(f"{self.name}: {e!r}")


def kill(disturbance):
    """One process of the server, each kind of them as often as the others: a session's, a template, the keeper."""
    kinds = collections.defaultdict(list)
    for pid, name in disturbance.soak.server.pids().items():
        kinds[name].append(pid)
    kinds.pop("sallyportd", None)
    if kinds:
        victim = disturbance.random.choice(kinds[disturbance.random.choice(sorted(kinds))])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def reload(disturbance):
    disturbance.soak.server.process.send_signal(signal.SIGHUP)


def certificate(disturbance):
    """A new pair takes the place of the old one, as tools that renew certificates do it."""
    directory = disturbance.soak.server.dir
    make_cert(directory, "next", "ec")
    os.rename(f"{directory}/next.key", f"{directory}/ec.key")
    os.rename(f"{directory}/next.pem", f"{directory}/ec.pem")
    disturbance.soak.server.process.send_signal(signal.SIGHUP)


def rotation(disturbance):
    server = disturbance.soak.server
    for path in (server.log_path, server.xferlog):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, f"{path}.{time.monotonic_ns()}")
    server.process.send_signal(signal.SIGHUP)


DISTURBANCES = [(0.7, kill), (2.5, reload), (8, certificate), (5, rotation)]


def descriptors(pid):
    """Kind of a descriptor -> how many of it a process has; memory files by name."""
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            kinds[re.sub(r"(\[|\d+\]?| \(deleted\))", "", os.readlink(f"/proc/{pid}/fd/{fd}").split("/")[-1])] += 1
    return kinds


class Soak:
    def __init__(self):
        self.server = TlsServer(server=CONFIGURATION, kinds=("ec",))
        self.record, self.over = Record(), threading.Event()

    def picture(self):
        """The idle server: its processes by name, and the listener's descriptors by kind; None while it is not idle."""
        s = self.server.ctl("status")
        if s["sessions"] or s["ending"] or s["waiting"] or s["spares"] < SPARES:
            return None
        now = collections.Counter(self.server.pids().values()), sum(descriptors(self.server.process.pid).values())
        time.sleep(0.3)
        return now if collections.Counter(self.server.pids().values()) == now[0] else None

    def run(self, seconds):
        threads = [Client(self, n, job) for n, job in enumerate(JOBS)] + [Disturbance(self, *d) for d in DISTURBANCES]
        for t in threads:
            t.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.server.process.poll() is None:
            time.sleep(1)
        self.over.set()
        for t in threads:
            t.join(2 * PATIENCE)
            assert not t.is_alive(), f"{t.name} hangs"
        assert self.server.process.poll() is None, f"the listener has ended:\n{self.server.errors()}"

    def lost(self):
        """The uploads that were acknowledged and are not on the disk."""
        for path, digest in self.record.uploads.items():
            try:
                with open(path, "rb") as f:
                    if hashlib.sha256(f.read()).hexdigest() != digest:
                        yield f"{path} differs"
            except OSError as e:
                yield str(e)
        for path, pieces in self.record.appended.items():
            with open(path, "rb") as f:
                lines = collections.Counter(f.read().splitlines(True))
            yield from (f"{path}: {piece} stands {lines[piece]} times" for piece in pieces if lines[piece] != 1)

    def temporary_files(self):
        """Names that no client gave, after each directory has been listed by its owner, which sweeps what is dead."""
        for user in UIDS:
            with contextlib.suppress(ftplib.error_perm), self.server.ftp(user) as f:
                for folder, _, _ in os.walk(self.server.homes[user]):
                    f.retrlines(f"LIST /{os.path.relpath(folder, self.server.homes[user])}", lambda line: None)
        return [os.path.join(folder, name) for home in self.server.homes.values() for folder, _, names in os.walk(home)
                for name in names if not re.fullmatch(r"(\w+-\d+(-\d+)?\.(dat|log)|f\d|a)", name)]


@pytest.fixture
def soak():
    s = Soak()
    yield s
    s.over.set()
    s.server.clean()


def test_everything_at_once(soak):
    print(f"SEED={SEED} SECONDS={SECONDS:.0f}")
    before = wait_for(soak.picture, "the server does not come to rest before the soak")
    soak.run(SECONDS)
    after = wait_for(soak.picture, "the server does not come to rest after the soak")
    print(dict(soak.record.count))
    assert not soak.record.wrong, soak.record.wrong[:20]
    for job in {j.__name__ for j in JOBS} | {d.__name__ for _, d in DISTURBANCES}:
        assert soak.record.count[job] > 0, f"{job} never succeeded: {dict(soak.record.count)}"
    assert soak.record.count["uploads"] > 0 and not list(soak.lost()), list(soak.lost())[:20]
    assert after[0] == before[0], "other processes than before"
    assert after[1] <= before[1], "more descriptors than before"
    assert not soak.temporary_files(), soak.temporary_files()[:20]
    pids = soak.server.pids()
    soak.server.stop()
    wait_for(lambda: not any(alive(p) for p in pids), "processes outlive the server")
