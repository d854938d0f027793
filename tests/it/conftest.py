"""A running sallyport for black-box tests.

    def test_x(server):            a server with the accounts below, one a test module
    def test_y(serve):             serve("[server]\\n...") starts one with another configuration

Needs root: the server changes users.  Programs come from $SALLYPORT_BUILD.
Accounts (passwords are the names): alice and bob may do all below their homes,
reader may read only.
"""
import atexit
import contextlib
import ftplib
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

# The model, the soak and the roles load this file by its path.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import events  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SALLYPORT_BUILD", f"{TOP}/build")
# No system users are needed: the roles run under numbers nobody else has.
ROLE_USERS = {"worker_user": "64101:64101", "monitor_user": "64102:64102", "keeper_user": "64103:64103"}
UIDS = {"alice": 64111, "bob": 64112, "reader": 64113}
ALL = "elradfmwMT"
# Seconds that anything which must happen may take. Only what hangs is ended by it: machines are slow at times.
PATIENCE = 120

# Whatever TMPDIR is: everybody may enter /tmp, and its name is short, as those of sockets must be.
tempfile.tempdir = "/tmp"

# Nor do clients find what somebody has at home, or a locale without umlauts; and files are as open as tests make them.
os.environ.update(HOME=tempfile.mkdtemp(prefix="sallyport-home-"), LC_ALL="C.UTF-8",
                  PATH=os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin")
atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
os.umask(0o022)

if os.geteuid() != 0:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(config, items):
    """What the events of all tests are asked about comes behind them; was any left out?"""
    here = {os.path.basename(str(x.fspath)) for x in items}
    items.sort(key=lambda x: os.path.basename(str(x.fspath)) == "test_events.py")
    config.events_complete = here >= {os.path.basename(p) for p in glob.glob(f"{os.path.dirname(__file__)}/test_*.py")}


def run_and_collect(*args, **options):
    """subprocess.run(); programs that end by themselves log to what the test captures."""
    r = run_program(*args, **options)
    for out in (r.stdout, r.stderr):
        if out:
            events.collect(out if isinstance(out, str) else out.decode(errors="replace"))
    return r


run_program, subprocess.run = subprocess.run, run_and_collect


def pytest_runtest_logreport(report):
    events.skipped |= report.skipped


def pytest_sessionfinish():
    events.share()


held_ports = []


def free_port(host="127.0.0.1"):
    """A port that the server can listen on at any address of the family, not this one only: clients that came from other
    addresses of the loopback leave sockets in TIME_WAIT. It is held, so that no other test gets it; whoever asks shares it."""
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 0))
    held_ports.append(s)
    return s.getsockname()[1]


def wait_for(condition, what="it did not happen in time"):
    """Waits until the condition holds; its value. What it raises of the network counts as not yet."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError, EOFError, ftplib.Error):
            value = condition()
            if value:
                return value
        assert time.monotonic() < end, what
        time.sleep(0.02)


def password_hash(password):
    return subprocess.run(["openssl", "passwd", "-5", password], capture_output=True, text=True, check=True).stdout.strip()


HASHES = {name: password_hash(name) for name in UIDS}


def process_stat(pid):
    """The fields of /proc/PID/stat behind the name: the state, the parent ... None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()
    # One that ends while its file is read is ESRCH.
    except OSError:
        return None


def start_of(stat):
    """When it was started, in clock ticks since boot; None: it is not there."""
    return int(stat[19]) if stat else None


class Process(int):
    """The number of a process that remembers which process it means: numbers are used again, and soon where there are few."""

    def __new__(cls, pid, stat=None):
        p = super().__new__(cls, pid)
        p.started = start_of(stat or process_stat(pid))
        return p

    def stat(self):
        """Of this very process, as process_stat(). None: it has ended and was reaped."""
        stat = process_stat(self)
        return stat if self.started is not None and start_of(stat) == self.started else None


def exists(process):
    """Is it there still, be it a zombie? process: what Server.pids(), Server.ctl("who") or Process() said."""
    return process.stat() is not None


def alive(process):
    stat = process.stat()
    return stat is not None and stat[0] != "Z"


def assert_same_time(known, unknown, ratio):
    """Two ways to be refused take as long as each other.  A busy machine only ever adds to a time, so of many rounds the
    shortest are compared; and there are more rounds while those differ, because then the shortest may not have come."""
    least = [PATIENCE, PATIENCE]
    for rounds in range(1, 401):
        least = [min(t, refuse()) for t, refuse in zip(least, (known, unknown))]
        if rounds >= 10 and ratio < least[0] / least[1] < 1 / ratio:
            return
    pytest.fail(f"{least[0]:.6f} s for a known name, {least[1]:.6f} s for an unknown one")


def with_processes(answer):
    if "pids" in answer:
        answer["pids"] = {role: Process(pid) for role, pid in answer["pids"].items()}
    return answer


class Server:
    """One running sallyportd and its files."""

    def __init__(self, directory, server="", sections="", accounts=None, listener="", args=()):
        self.dir, self.port = directory, free_port()
        os.chmod(directory, 0o755)
        self.homes = {}
        self.log_path, self.xferlog = f"{directory}/log", f"{directory}/xferlog"
        text = ["[server]", *(f"{k} = {v}" for k, v in ROLE_USERS.items()), "passive_ports = 20000-45000",
                f"log = {self.log_path}", f"xferlog = {self.xferlog}", "log_level = info", "login_delay = 0",
                f"control_socket = {directory}/control", f"accounts_database = {directory}/state/accounts.db",
                "max_sessions_per_address = 1000",
                "accounts = config", server,
                "[listener main]", f"listen = 127.0.0.1:{self.port}", listener]
        # What a test sets itself takes the place of the default.
        set_here = set(re.findall(r"^(\w+) *=", server, re.M))
        text = [line for line in text if "\n" in line or line is server or line.split(" =")[0] not in set_here]
        for name in UIDS if accounts is None else accounts:
            text += self.account(name)
        text.append(sections.replace("{dir}", directory))
        os.makedirs(f"{directory}/state", exist_ok=True)
        self.conf = f"{directory}/sallyport.conf"
        with open(self.conf, "w") as f:
            f.write("\n".join(text) + "\n")
        self.command = [f"{BUILD}/sallyportd", "-f", self.conf, "--libexec", BUILD, "-d", *args]
        self.start()

    def account(self, name):
        home = self.homes[name] = f"{self.dir}/home-{name}"
        os.makedirs(home, exist_ok=True)
        os.chown(home, UIDS[name], UIDS[name])
        letters = "elr" if name == "reader" else ALL
        return [f"[account {name}]", f"password = {HASHES[name]}", f"home = {home}",
                f"run_as = {UIDS[name]}:{UIDS[name]}", f"layer = pyftpdlib {letters}"]

    def start(self):
        self.stderr_path = f"{self.dir}/stderr"
        self.stderr = open(self.stderr_path, "a")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.stderr, stderr=self.stderr)
        self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                pytest.fail(f"sallyportd ended with {self.process.returncode}:\n{self.errors()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE) as s:
                if s.recv(4).startswith(b"220"):
                    break
            time.sleep(0.05)
        else:
            pytest.fail(f"sallyportd does not answer:\n{self.errors()}")
        self.wait_quiet()

    def ctl(self, *words):
        """What sallyctl says, in JSON."""
        with open(self.conf) as f:
            control = re.search(r"^control_socket = (.*)$", f.read(), re.M)[1]
        r = subprocess.run([f"{BUILD}/sallyctl", "--socket", control, "--json", *words], capture_output=True, text=True,
                           timeout=PATIENCE)
        assert r.returncode == 0, r.stdout + r.stderr
        return json.loads(r.stdout, object_hook=with_processes)

    def wait_quiet(self):
        """Until no session is left, neither the one before the test nor that which asked whether the server is there."""
        wait_for(lambda: self.idle(), "the sessions do not end")

    def idle(self):
        """Is there no session, not even one that is ending and still counts for its address and its user?"""
        status = self.ctl("status")
        return not status["sessions"] + status["ending"] + status["waiting"]

    def errors(self):
        with open(self.stderr_path, errors="replace") as f:
            return f.read()[-4000:]

    def log(self):
        """What was logged: into the file, or with -d to standard error."""
        text = ""
        for path in (self.log_path, self.stderr_path):
            with contextlib.suppress(OSError), open(path, errors="replace") as f:
                text += f.read()
        return text

    def wait_log(self, pattern, seconds=PATIENCE):
        """The first match of a pattern in the log, waiting for it; seconds: where PATIENCE is too short."""
        end = time.monotonic() + max(seconds, PATIENCE)
        while time.monotonic() < end:
            m = re.search(pattern, self.log())
            if m:
                events.note(m[0])
                return m
            time.sleep(0.05)
        pytest.fail(f"no log line matches {pattern}:\n{self.log()[-3000:]}")

    def ftp(self, user="alice", password=None, timeout=PATIENCE):
        f = ftplib.FTP(timeout=timeout)
        f.connect("127.0.0.1", self.port)
        if user is not None:
            f.login(user, user if password is None else password)
        return f

    def raw(self, timeout=PATIENCE):
        return Raw(self.port, timeout)

    def url(self, path="/", user="alice"):
        return f"ftp://{user}:{user}@127.0.0.1:{self.port}{path}"

    def pids(self):
        """All processes of this server: Process -> program name."""
        found, todo = {}, [self.process.pid]
        children = {}
        for p in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{p}/stat") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
                stat = rest.split()
                children.setdefault(int(stat[1]), []).append((Process(int(p), stat), name))
        while todo:
            for pid, name in children.get(todo.pop(), []):
                found[pid] = name
                todo.append(pid)
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(4)
            # What is still being transferred belongs to a test that failed: the second signal ends it.
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail("sallyportd did not stop on SIGTERM")
        self.stderr.close()

    def clean(self):
        self.stop()
        events.collect_files(self.dir)
        wrong = events.collect(self.log())
        shutil.rmtree(self.dir, ignore_errors=True)
        assert wrong is None, f"not as common/events.def has it: {wrong}"


class Raw:
    """A control connection that speaks bytes."""

    def __init__(self, port, timeout=PATIENCE, source=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout, source and (source, 0))
        self.file = self.sock.makefile("rb")

    def reply(self):
        """(code, whole text) of the next reply; (0, "") at the end."""
        text = line = self.file.readline().decode("utf-8", "surrogateescape")
        if line[3:4] == "-":
            code = line[:3]
            while not line.startswith(code + " "):
                line = self.file.readline().decode("utf-8", "surrogateescape")
                if not line:
                    return 0, text
                text += line
        return (int(line[:3]), text) if line else (0, "")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape"))

    def cmd(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def login(self, user="alice", password=None):
        assert self.reply()[0] == 220
        return self.login_again(user, password)

    def login_again(self, user="alice", password=None):
        assert self.cmd(f"USER {user}")[0] == 331
        code, text = self.cmd(f"PASS {user if password is None else password}")
        assert code == 230, text
        return self

    def passive(self):
        """EPSV and a connection to it."""
        code, text = self.cmd("EPSV")
        assert code == 229, text
        port = int(re.search(r"\|\|\|(\d+)\|", text).group(1))
        return socket.create_connection(("127.0.0.1", port), self.sock.gettimeout())

    def fetch(self, command):
        """All bytes of a passive transfer to us, and the final code."""
        data = self.passive()
        code, text = self.cmd(command)
        if code != 150:
            data.close()
            return b"", code
        content = read_all(data)
        return content, self.reply()[0]

    def put(self, command, content):
        data = self.passive()
        code, text = self.cmd(command)
        if code != 150:
            data.close()
            return code
        data.sendall(content)
        data.close()
        return self.reply()[0]

    def close(self):
        self.file.close()
        self.sock.close()


def read_all(sock):
    parts = []
    while True:
        b = sock.recv(1 << 16)
        if not b:
            sock.close()
            return b"".join(parts)
        parts.append(b)


def tree_digest(top):
    """relative path -> content hash, for all files below top."""
    out = {}
    for folder, _, files in os.walk(os.fsencode(top)):
        for name in files:
            p = os.path.join(folder, name)
            with open(p, "rb") as f:
                out[os.path.relpath(p, os.fsencode(top))] = hashlib.sha256(f.read()).hexdigest()
    return out


@pytest.fixture
def tmp_path():
    """Instead of pytest's own, which is below a folder that each run of pytest closes to others."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-it-"))
    path.chmod(0o755)
    yield path
    events.collect_files(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def open_build(tmp_path):
    """A copy of the programs that every user can reach: the build may stand below a folder that only root may enter."""
    for path in (f"{BUILD}/sallyportd", f"{BUILD}/sallyctl", *glob.glob(f"{BUILD}/sallyport-*")):
        if os.path.isfile(path):
            os.chmod(shutil.copy(path, tmp_path), 0o755)
    return str(tmp_path)


@pytest.fixture(scope="module")
def server():
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"))
    yield s
    s.clean()


@pytest.fixture
def serve():
    """A function that starts servers with other configurations; they end with the test."""
    running = []

    def start(server="", sections="", **options):
        s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), server, sections, **options)
        running.append(s)
        return s

    yield start
    for s in running:
        s.clean()
