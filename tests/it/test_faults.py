"""What goes wrong on a real day: clients that vanish, processes that are killed, full disks, crowds, slow clients, huge
files and folders, wrong reloads.  After each test no process and no descriptor of the server may be left over."""
import contextlib
import ftplib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import PATIENCE, Server, UIDS, alive, read_all, wait_for

SPARES = 2
QUIET = f"penalty_crash = 0\npenalty_failure = 0\nspare_sessions_min = {SPARES}\nspare_sessions_max = {SPARES}\n"


def home(server, name="", user="alice"):
    return os.path.join(server.homes[user], name)


def own(path, user="alice"):
    os.chown(path, UIDS[user], UIDS[user])
    return path


def write(server, name, content, user="alice"):
    with open(home(server, name, user), "wb") as f:
        f.write(content)
    own(home(server, name, user), user)


def sparse(server, name, size):
    write(server, name, b"")
    os.truncate(home(server, name), size)


def read(server, name):
    with open(home(server, name), "rb") as f:
        return f.read()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def leftovers(server, before):
    """What the server has more than it had before: text, or nothing."""
    pids = server.pids()
    more = len(pids) - before[0]
    fds = descriptors(server.process.pid) - before[1]
    return f"{more} processes, {fds} descriptors too many: {sorted(pids.values())}" if more > 0 or fds > 0 else ""


def settled(server):
    """(processes, descriptors) of a server that nobody uses and that has its spares."""
    def counted():
        s = server.ctl("status")
        if s["sessions"] or s["ending"] or s["waiting"] or s["spares"] < SPARES:
            return None
        now = (len(server.pids()), descriptors(server.process.pid))
        time.sleep(0.1)
        return now if now == (len(server.pids()), descriptors(server.process.pid)) else None

    return wait_for(counted, "the server's processes come and go without end")


def serves(server):
    with server.ftp() as f:
        return f.pwd() == "/"


@contextlib.contextmanager
def nothing_left(server):
    before = settled(server)
    yield
    end = time.monotonic() + PATIENCE
    while (text := leftovers(server, before)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not text, text
    wait_for(lambda: serves(server), "the server serves no longer")


@pytest.fixture
def clean(server_of_faults):
    with nothing_left(server_of_faults):
        yield server_of_faults


@pytest.fixture(scope="module")
def server_of_faults():
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), QUIET)
    yield s
    s.clean()


def who(server):
    return server.ctl("who")


def session(server, user="alice"):
    """The processes of this user's only session: role -> pid."""
    found = [w["pids"] for w in who(server) if w["user"] == user]
    assert len(found) == 1, found
    return found[0]


def reset(sock):
    """Closes with RST, as a machine does that lost its memory of the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


# ------------------------------------------------------------------------------ clients that vanish

def in_login(r, server):
    r.reply()


def after_user(r, server):
    r.reply()
    r.cmd("USER alice")


def logged_in(r, server):
    r.login()


def passive_open(r, server):
    r.login()
    return r.passive()


def in_retr(r, server):
    sparse(server, "big", 1 << 30)
    r.login()
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    data.recv(100)
    return data


def in_stor(r, server):
    write(server, "old", b"old content")
    r.login()
    data = r.passive()
    assert r.cmd("STOR old")[0] == 150
    data.sendall(b"new")
    return data


def in_list(r, server):
    os.makedirs(home(server, "wide"), exist_ok=True)
    for i in range(len(os.listdir(home(server, "wide"))), 20000):
        os.close(os.open(home(server, f"wide/{i:06d}-{'n' * 100}"), os.O_CREAT | os.O_WRONLY))
    r.login()
    data = r.passive()
    assert r.cmd("LIST wide")[0] == 150
    data.recv(100)
    return data


def in_rename(r, server):
    write(server, "source", b"x")
    r.login()
    assert r.cmd("RNFR source")[0] == 350


@pytest.mark.parametrize("end", ["close", "reset", "control-first"])
@pytest.mark.parametrize("state", [in_login, after_user, logged_in, passive_open, in_retr, in_stor, in_list, in_rename])
def test_a_client_that_vanishes(clean, state, end):
    r = clean.raw()
    data = state(r, clean)
    r.file.close()
    if end == "control-first":
        reset(r.sock)
        time.sleep(0.1)
    if data is not None:
        reset(data) if end == "reset" else data.close()
    if end != "control-first":
        reset(r.sock) if end == "reset" else r.sock.close()
    wait_for(lambda: not who(clean), "the session is still there")
    if state is in_stor:
        # The end of the data connection is the end of the file (RFC 959, 3.4.1), if the server sees it before that of
        # the session; a reset is not.
        assert read(clean, "old") in ((b"new", b"old content") if end == "close" else (b"old content",))
        assert not [n for n in os.listdir(home(clean)) if n.startswith(".") or "old" in n and n != "old"]


def test_a_client_that_never_says_anything_more(serve):
    """The machine of the client is switched off: no packet tells; idle_timeout does."""
    server = serve(QUIET + "idle_timeout = 1s")
    with nothing_left(server):
        r = server.raw().login()
        code, text = r.reply()
        assert code == 421 and "too long" in text, text
        assert r.reply()[0] == 0


# ----------------------------------------------------------------------------- processes that are killed

@pytest.mark.parametrize("role", ["worker", "monitor", "agent"])
@pytest.mark.parametrize("command", ["STOR", "RETR", "NOOP"])
def test_a_killed_process_takes_its_session_along_and_nothing_else(clean, role, command):
    write(clean, "old", b"old content")
    sparse(clean, "big", 1 << 30)
    other = clean.ftp("bob")
    r = clean.raw().login()
    data = None
    if command != "NOOP":
        data = r.passive()
        assert r.cmd(f"{command} {'old' if command == 'STOR' else 'big'}")[0] == 150
        data.sendall(b"new") if command == "STOR" else data.recv(100)
    pids = session(clean)
    os.kill(pids[role], signal.SIGKILL)
    wait_for(lambda: not any(alive(p) for p in pids.values()), f"processes outlive the {role}")
    with contextlib.suppress(ConnectionError):
        read_all(r.sock)
    if data is not None:
        data.close()
    assert read(clean, "old") == b"old content"
    assert other.voidcmd("NOOP").startswith("200")
    other.quit()
    with clean.ftp() as f:
        assert f.nlst("old") == ["old"], "the tester was locked out"


def test_killed_templates_are_started_again(clean):
    for name in ("sallyport-worker", "sallyport-monitor", "sallyport-agent"):
        held = clean.ftp("bob")
        template = min((p for p, n in clean.pids().items() if n == name[:15]), key=lambda p: p.started)
        # Not while it forks: of a child that it dies before telling of, nobody can know.
        wait_for(lambda: clean.ctl("status")["spares"] >= SPARES)
        os.kill(template, signal.SIGKILL)
        assert held.voidcmd("NOOP").startswith("200"), "a session ended with its template"
        held.quit()
        for _ in range(6):
            with clean.ftp() as f:
                f.voidcmd("NOOP")


# ------------------------------------------------------------------------------------------ full disks

@pytest.fixture
def small_disk(clean):
    top = own(os.makedirs(home(clean, "small"), exist_ok=True) or home(clean, "small"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,mode=0700,uid={UIDS['alice']},gid={UIDS['alice']}", "none", top],
                      capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield clean
    subprocess.run(["umount", "-l", top], check=True)


@pytest.mark.parametrize("command", ["STOR", "APPE", "STOU"])
def test_a_full_disk(small_disk, command):
    write(small_disk, "small/f", b"old")
    r = small_disk.raw().login()
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("STOU" if command == "STOU" else f"{command} small/f")[0] == 150 if command != "STOU" else \
        r.cmd("CWD small")[0] == 250 and r.cmd("STOU")[0] == 150
    with contextlib.suppress(OSError):
        for _ in range(64):
            data.sendall(b"x" * (1 << 16))
    code, text = r.reply()
    data.close()
    assert code in (452, 552) and "space" in text.lower(), text
    if command != "APPE":
        assert read(small_disk, "small/f") == b"old"
    else:
        assert read(small_disk, "small/f").startswith(b"old")
    assert r.cmd("NOOP")[0] == 200
    r.cmd("CWD /")
    code, text = r.cmd("ALLO 100000000")
    assert code == 200
    r.close()


def test_no_room_for_a_folder_or_a_name(small_disk):
    with open(home(small_disk, "small/filler"), "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * 4096)
    r = small_disk.raw().login()
    code, text = r.cmd("MKD small/new")
    assert code in (257, 452, 550, 552), text
    code = r.put("STOR small/new-file", b"content")
    assert code in (452, 552)
    assert "new-file" not in os.listdir(home(small_disk, "small"))
    r.close()


# ----------------------------------------------------------------------------------- crowds and slow ones

def test_200_sessions_at_once(serve):
    server = serve(QUIET + "max_sessions = 300")
    with nothing_left(server):
        sparse(server, "f", 1 << 20)
        held = [server.raw() for _ in range(200)]
        for r in held:
            assert r.reply()[0] == 220
        for r in held:
            r.send("USER alice\r\nPASS alice\r\nTYPE I\r\nPWD\r\n")
        for r in held:
            assert [r.reply()[0] for _ in range(4)] == [331, 230, 200, 257]
        assert len(who(server)) == 200
        for r in held[::10]:
            content, code = r.fetch("RETR f")
            assert len(content) == 1 << 20 and code == 226
        for r in held:
            r.close()
        wait_for(lambda: not who(server))


def test_limits_say_what_is_reached(serve):
    server = serve(QUIET + "max_sessions = 4", listener="max_sessions_per_address = 2")
    with nothing_left(server):
        first, second = server.raw().login(), server.raw().login()
        for _ in range(3):
            r = server.raw()
            code, text = r.reply()
            assert code == 421 and "your address" in text, text
            assert r.reply()[0] == 0
            r.close()
        others = [socket.create_connection(("127.0.0.1", server.port), PATIENCE, (f"127.0.0.{n}", 0)) for n in (2, 3)]
        for s in others:
            s.sendall(b"USER alice\r\nPASS alice\r\n")
            received = b""
            while b"230 " not in received:
                received += s.recv(1000)
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE, ("127.0.0.4", 0)) as s:
            text = read_all(s).decode()
            assert text.startswith("421 ") and "address" not in text, text
        for s in (first, second, *others):
            s.close()


def test_slow_clients_before_login(serve):
    """login_grace_time ends whoever does not log in, however busy he looks, and holds nobody else up."""
    server = serve(QUIET + "login_grace_time = 2s")
    with nothing_left(server):
        started = time.monotonic()
        silent, slow = server.raw(), server.raw()
        assert silent.reply()[0] == 220 and slow.reply()[0] == 220
        code = None
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < PATIENCE:
                slow.send("N")
                slow.sock.settimeout(0.2)
                try:
                    code = slow.sock.recv(3)
                    break
                except TimeoutError:
                    pass
        assert code in (b"421", b"", None) and 1 < time.monotonic() - started < PATIENCE
        code, text = silent.reply()
        assert code in (0, 421), text
        wait_for(lambda: serves(server))
        silent.close()
        slow.close()


@pytest.mark.parametrize("command", ["STOR f", "RETR big"])
def test_stalled_transfers_end(serve, command):
    server = serve(QUIET + "stall_timeout = 1s")
    with nothing_left(server):
        write(server, "f", b"old")
        sparse(server, "big", 1 << 30)
        r = server.raw().login()
        data = r.passive()
        assert r.cmd(command)[0] == 150
        if command.startswith("STOR"):
            data.sendall(b"a few bytes, and then silence")
        code, text = r.reply()
        assert code in (421, 426) and len(text) > 10, text
        data.close()
        assert read(server, "f") == b"old"
        r.close()


def test_session_timeout(serve):
    server = serve(QUIET + "session_timeout = 2s")
    with nothing_left(server):
        r = server.raw().login()
        started = time.monotonic()
        code = 200
        while code == 200 and time.monotonic() - started < PATIENCE:
            try:
                code, text = r.cmd("NOOP")
            except OSError:
                code = 0
            time.sleep(0.2)
        assert code in (0, 421)
        r.close()


def two_ports():
    """Two free ports beside each other, of those that the system gives to nobody by itself."""
    for port in range(10000 + os.getpid() % 9000, 20000, 2):
        with contextlib.suppress(OSError), socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", port))
            b.bind(("127.0.0.1", port + 1))
            return port
    pytest.fail("no two free ports")


def test_passive_ports_run_out(serve):
    first = two_ports()
    server = serve(QUIET + f"passive_ports = {first}-{first + 1}")
    with nothing_left(server):
        held = [server.raw().login() for _ in range(3)]
        codes = [r.cmd("EPSV") for r in held]
        assert [c for c, _ in codes] == [229, 229, 425], codes
        assert "port" in codes[2][1]
        server.wait_log("passive-ports-exhausted")
        held[0].cmd("QUIT")
        held[0].close()
        wait_for(lambda: held[2].cmd("PASV")[0] == 227)
        write(server, "f", b"content")
        for r in held[1:]:
            r.close()


# ---------------------------------------------------------------------------------------- huge things

@pytest.fixture(scope="module")
def many(server_of_faults):
    top = home(server_of_faults, "many")
    os.makedirs(top, exist_ok=True)
    fd = os.open(top, os.O_RDONLY)
    for i in range(100000):
        os.close(os.open(f"entry-{i:06d}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
    os.close(fd)


@pytest.mark.parametrize("command, extra", [("LIST", 0), ("NLST", 0), ("MLSD", 2), ("LIST -a", 2), ("NLST -a", 2)])
def test_a_folder_of_100000(clean, many, command, extra):
    r = clean.raw().login()
    assert r.cmd("CWD many")[0] == 250
    content, code = r.fetch(command)
    names = {line.rsplit(b" ", 1)[-1] for line in content.split(b"\r\n") if line}
    assert code == 226 and len({n for n in names if n.startswith(b"entry-")}) == 100000
    assert content.count(b"\r\n") in (100000, 100000 + extra), content.count(b"\r\n")
    r.close()


def test_beyond_four_gibibytes(clean):
    size = 5 << 30
    sparse(clean, "huge", size)
    with open(home(clean, "huge"), "r+b") as f:
        f.seek(size - 6)
        f.write(b"thelet")
    r = clean.raw().login()
    r.cmd("TYPE I")
    assert r.cmd("SIZE huge")[1] == f"213 {size}\r\n"
    assert r.cmd(f"REST {size - 6}")[0] == 350
    assert r.fetch("RETR huge") == (b"thelet", 226)
    assert r.cmd(f"REST {size - 3}")[0] == 350
    assert r.put("STOR huge", b"new end") == 226
    assert os.path.getsize(home(clean, "huge")) == size + 4
    assert r.cmd(f"REST {size - 6}")[0] == 350
    assert r.fetch("RETR huge") == (b"thenew end", 226)
    assert f"size={size + 4};" in r.cmd("MLST huge")[1].lower()
    assert str(size + 4).encode() in r.fetch("LIST huge")[0]
    r.close()
    os.unlink(home(clean, "huge"))


def test_more_than_four_gibibytes_in_one_transfer(clean):
    """A whole sparse file out, counted, not kept."""
    size = (4 << 30) + (1 << 20)
    sparse(clean, "huge", size)
    r = clean.raw().login()
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("RETR huge")[0] == 150
    buffer, got = bytearray(1 << 20), 0
    while n := data.recv_into(buffer):
        got += n
    assert got == size and r.reply()[0] == 226
    data.close()
    r.close()
    os.unlink(home(clean, "huge"))


# ------------------------------------------------------------------------------------ reload and stop

def rewrite(server, old, new):
    with open(server.conf) as f:
        text = f.read()
    assert old in text
    with open(server.conf, "w") as f:
        f.write(text.replace(old, new))


def banner(server):
    r = server.raw()
    text = r.reply()[1]
    r.close()
    return text


def test_reload_in_a_session(serve):
    server = serve(QUIET + "banner = words one")
    with nothing_left(server):
        sparse(server, "big", 1 << 28)
        r = server.raw().login()
        data = r.passive()
        assert r.cmd("RETR big")[0] == 150
        got = len(data.recv(1000))
        rewrite(server, "words one", "words two\nno_such_key = 1")
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("no_such_key")
        assert "words one" in banner(server), "a broken configuration took effect"
        rewrite(server, "\nno_such_key = 1", "")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "words two" in banner(server))
        got += len(read_all(data))
        assert got == 1 << 28 and r.reply()[0] == 226
        assert r.cmd("PWD")[0] == 257
        r.close()


def test_reloads_do_not_pile_up(serve):
    server = serve(QUIET)
    with nothing_left(server):
        for _ in range(20):
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        with server.ftp() as f:
            assert f.pwd() == "/"


def refuses(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_stop_lets_transfers_finish_both_ways(serve):
    server = serve(QUIET + "stop_timeout = 10m")
    sparse(server, "big", 64 << 20)
    down, up = server.raw().login(), server.raw().login()
    from_server, to_server = down.passive(), up.passive()
    assert down.cmd("RETR big")[0] == 150 and up.cmd("STOR up")[0] == 150
    to_server.sendall(b"first half, ")
    pids = set(server.pids())
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: refuses(server), "new clients are let in")
    to_server.sendall(b"second half")
    to_server.close()
    assert up.reply()[0] == 226
    assert len(read_all(from_server)) == 64 << 20
    assert down.reply()[0] == 226
    assert server.process.wait(PATIENCE) == 0
    assert read(server, "up") == b"first half, second half"
    wait_for(lambda: not any(alive(p) for p in pids), "processes outlive the server")


def test_a_killed_listener_leaves_nobody_behind(serve):
    server = serve(QUIET)
    write(server, "old", b"old")
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("STOR old")[0] == 150
    data.sendall(b"new")
    pids = set(server.pids())
    server.process.kill()
    server.process.wait()
    wait_for(lambda: not any(alive(p) for p in pids), "processes outlive the listener")
    assert read(server, "old") == b"old"
    r.close()
    data.close()
    server.start()
    with server.ftp() as f:
        assert f.nlst() == ["old"]


def test_a_crowd_that_comes_and_goes(serve):
    """Many short sessions at once, some of them rude: nothing is left, nobody is refused."""
    server = serve(QUIET)
    failures = []

    def visit(n):
        try:
            for i in range(15):
                if (n + i) % 3 == 0:
                    s = server.raw()
                    s.reply()
                    reset(s.sock)
                else:
                    with server.ftp() as f:
                        f.nlst()
        except (OSError, AssertionError, ftplib.Error, EOFError) as e:
            failures.append(repr(e))

    with nothing_left(server):
        threads = [threading.Thread(target=visit, args=(n,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures
