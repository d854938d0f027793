"""sallyctl restart: a new generation of the server, of another version perhaps, takes over and cuts nobody off.

UPGRADE_BYTES is the size of the transfers that go on through an upgrade, UPGRADE_LOGINS the number of logins."""
import contextlib
import ftplib
import glob
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest
from conftest import BUILD, PATIENCE, Process, Server, alive, wait_for
from tlsserver import TlsServer

SIZE = int(os.environ.get("UPGRADE_BYTES", 64 << 20))
LOGINS = int(os.environ.get("UPGRADE_LOGINS", 60))


class Installed(TlsServer):
    """A server of programs of its own, which can be replaced as a package replaces them."""

    def __init__(self, **options):
        self.programs = tempfile.mkdtemp(prefix="sallyport-programs-")
        os.chmod(self.programs, 0o755)
        for path in (f"{BUILD}/sallyportd", f"{BUILD}/sallyctl", *glob.glob(f"{BUILD}/sallyport-*")):
            if os.path.isfile(path):
                shutil.copy(path, self.programs)
        super().__init__(kinds=("ec",), **options)

    def start(self):
        self.command[:1] = [f"{self.programs}/sallyportd"]
        self.command[self.command.index("--libexec") + 1] = self.programs
        super().start()

    def install(self):
        """Other files under the same names, as a package brings them. The old ones are gone."""
        for path in glob.glob(f"{self.programs}/sally*"):
            with open(path, "rb") as f:
                self.replace(os.path.basename(path), f.read())

    def replace(self, name, content, mode=0o755):
        with open(f"{self.programs}/new", "wb") as f:
            f.write(content)
        os.chmod(f"{self.programs}/new", mode)
        os.rename(f"{self.programs}/new", f"{self.programs}/{name}")

    def sallyctl(self, *words):
        return subprocess.run([f"{BUILD}/sallyctl", "--socket", f"{self.dir}/control", *words], capture_output=True, text=True,
                              timeout=PATIENCE)

    def restart(self):
        r = self.sallyctl("restart")
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout

    def pid(self):
        return Process(self.ctl("status")["pid"])

    def stop(self):
        with contextlib.suppress(AssertionError):
            pid = self.pid()
            self.sallyctl("stop"), self.sallyctl("stop")
            gone(pid)
        super().stop()

    def clean(self):
        super().clean()
        shutil.rmtree(self.programs, ignore_errors=True)


def readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


@pytest.fixture
def installed():
    running = []

    def start(**options):
        running.append(Installed(**options))
        return running[-1]

    yield start
    for s in running:
        s.clean()


def gone(pid):
    wait_for(lambda: not alive(pid), f"process {pid} does not end")


def logged_out(server):
    """Until none but those of the test are counted: who has asked whether the server is there is gone."""
    wait_for(lambda: "older" not in server.ctl("status"), "the older generation does not end")


def test_the_installed_program_takes_over_and_the_old_one_ends_with_its_last_session(installed):
    s = installed()
    old, f = s.pid(), s.ftps()
    s.install()
    said = s.restart()
    status = s.ctl("status")
    new = Process(status["pid"])
    assert new != old and str(old) in said and str(new) in said
    assert os.readlink(f"/proc/{old}/exe").endswith(" (deleted)")
    assert os.readlink(f"/proc/{new}/exe") == f"{s.programs}/sallyportd"
    assert status["older"]["pid"] == old and status["older"]["sessions"] == 1
    assert "older" in s.sallyctl("status").stdout
    f.storbinary("STOR there", open("/etc/passwd", "rb"))
    assert [w["user"] for w in s.ctl("who")] == ["alice"]
    with s.ftps("bob") as g:
        assert sorted(w["user"] for w in s.ctl("who")) == ["alice", "bob"]
        assert s.ctl("status")["sessions"] == 2
        assert g.pwd() == "/"
    f.quit()
    gone(old)
    assert s.process.wait(PATIENCE) == 0
    logged_out(s)
    assert alive(new)
    sound = subprocess.run([f"{BUILD}/sallyctl", "--socket", f"{s.dir}/control", "sandbox"], capture_output=True, text=True)
    assert "starter" in sound.stdout
    # And once more: whoever took over can be replaced.
    s.restart()
    gone(new)


def test_transfers_go_on_and_every_login_is_answered(installed):
    s = installed()
    content = os.urandom(1 << 20) * (SIZE >> 20)
    digest = hashlib.sha256(content).hexdigest()
    with open(f"{s.homes['bob']}/big", "wb") as file:
        file.write(content)
    up, down = s.ftps("alice"), s.ftps("bob")
    up.voidcmd("TYPE I"), down.voidcmd("TYPE I")
    sending, receiving = up.transfercmd("STOR big"), down.transfercmd("RETR big")
    half, got = len(content) // 2, hashlib.sha256()
    sending.sendall(content[:half])
    got.update(receiving.recv(1 << 16))
    answered, wrong, turn = [], [], threading.Lock()

    def log_in():
        while True:
            with turn:
                if len(answered) + len(wrong) >= LOGINS:
                    return
            try:
                with s.ftps("reader") as f:
                    answered.append(f.pwd())
            except (OSError, EOFError, ftplib.Error) as e:
                wrong.append(e)

    threads = [threading.Thread(target=log_in) for _ in range(4)]
    for t in threads:
        t.start()
    wait_for(lambda: len(answered) > LOGINS // 5, "nobody logs in")
    s.install()
    s.restart()
    old = Process(s.ctl("status")["older"]["pid"])
    for t in threads:
        t.join()
    assert not wrong and len(answered) >= LOGINS
    sending.sendall(content[half:])
    sending.unwrap()
    sending.close()
    assert up.voidresp().startswith("226")
    while data := receiving.recv(1 << 20):
        got.update(data)
    receiving.unwrap()
    receiving.close()
    assert down.voidresp().startswith("226")
    with open(f"{s.homes['alice']}/big", "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert got.hexdigest() == digest
    assert alive(old)
    up.quit(), down.quit()
    gone(old)
    assert 'how="broken' not in s.log() and s.ctl("metrics")["transfers_total"] >= 2


def implicit(server):
    """bob, by the other listener: what each counts alone is not enough."""
    s = server.context().wrap_socket(socket.create_connection(("127.0.0.1", server.implicit), PATIENCE))
    lines = s.makefile("rb")
    for command, code in ((b"", b"220"), (b"USER bob\r\n", b"331"), (b"PASS bob\r\n", b"230")):
        s.sendall(command)
        line = lines.readline()
        while line[3:4] == b"-":
            line = lines.readline()
        assert line.startswith(code), line
    lines.close()
    return s


@pytest.mark.parametrize("setting", ["max_sessions = 2", "max_sessions_per_address = 2"])
def test_limits_of_clients_count_both_generations(installed, setting):
    s = installed(server=setting + "\nmax_sessions_before_login = 2")
    f, g = s.ftps(), implicit(s)
    s.restart()
    wait_for(lambda: s.ctl("status")["ending"] == 0, "the test of the start does not end")
    r = s.raw()
    assert r.reply()[0] == 421
    r.close()
    g.close()
    wait_for(lambda: s.ctl("status")["sessions"] == 1, "it is still counted")
    h = s.ftps("bob")
    r = s.raw()
    assert r.reply()[0] == 421
    for c in (f, h):
        c.quit()


def test_a_silent_crowd_of_the_old_generation_keeps_nobody_out(installed):
    """It gives way as it would in one generation; whoever has logged in there stays."""
    s = installed(server="max_sessions = 16\nmax_sessions_before_login = 12")
    keep = [s.ftps() for _ in range(4)]
    crowd = [socket.create_connection(("127.0.0.1", s.port), PATIENCE, (f"127.0.5.{1 + i % 3}", 0)) for i in range(12)]
    for c in crowd:
        assert c.recv(3) == b"220"
    s.restart()
    wait_for(lambda: s.ctl("status")["ending"] == 0, "the test of the start does not end")
    for i in range(4):
        with socket.create_connection(("127.0.0.1", s.port), PATIENCE, (f"127.0.6.{1 + i}", 0)) as c, c.makefile("rwb") as f:
            assert f.readline().startswith(b"220")
            f.write(b"USER bob\r\nPASS bob\r\nQUIT\r\n")
            f.flush()
            assert [f.readline()[:3] for _ in range(3)] == [b"331", b"230", b"221"]
    gone = []
    for c in crowd:
        c.setblocking(False)
    wait_for(lambda: gone.extend(c for c in crowd if c not in gone and readable(c) and b"421 Others wait" in c.recv(4096)) or gone)
    for f in keep:
        assert f.pwd() == "/"
        f.quit()
    for c in crowd:
        c.close()


def test_a_login_that_has_given_way_is_refused(installed):
    """The whole crowd of the old generation tries to log in while newcomers take its places: nobody is counted twice."""
    s = installed(server="max_sessions = 8\nmax_sessions_before_login = 8")
    crowd = [s.raw() for _ in range(8)]
    for c in crowd:
        assert c.reply()[0] == 220
    s.restart()
    wait_for(lambda: s.ctl("status")["ending"] == 0, "the test of the start does not end")
    for c in crowd:
        c.send("USER alice\r\nPASS alice\r\n")
    new = [socket.create_connection(("127.0.0.1", s.port), PATIENCE, (f"127.0.6.{1 + i}", 0)) for i in range(8)]
    assert {c.recv(3) for c in new} <= {b"220", b"421"}
    assert s.ctl("status")["sessions"] <= 8
    for c in crowd:
        with contextlib.suppress(OSError):
            codes = [c.reply()[0]]
            if codes == [331]:
                codes.append(c.reply()[0])
            assert codes in ([331, 230], [331, 421], [421]), codes
    for c in (*crowd, *new):
        c.close()
    wait_for(lambda: s.ctl("status")["sessions"] == 0, "somebody is still counted")


def test_limits_of_accounts_count_both_generations(installed):
    s = installed(server="max_sessions_per_user = 1")
    f, waiting = s.ftps(), s.raw()
    assert waiting.reply()[0] == 220
    s.restart()
    # In the new one, and in a session of the old one that has yet to log in.
    with pytest.raises(ftplib.Error):
        s.ftps()
    assert waiting.cmd("USER alice")[0] == 331
    code, text = waiting.cmd("PASS alice")
    assert code in (421, 530), text
    f.quit()
    wait_for(lambda: not [w for w in s.ctl("who") if w["user"] == "alice"], "it is still counted")
    g = wait_for(s.ftps)
    assert g.pwd() == "/"
    g.quit()


def test_an_old_session_that_logs_in_late_is_counted_by_the_new_one(installed):
    s = installed(server="max_sessions_per_user = 1")
    waiting, other = s.raw(), s.raw()
    assert waiting.reply()[0] == other.reply()[0] == 220
    s.restart()
    assert waiting.cmd("USER alice")[0] == 331 and waiting.cmd("PASS alice")[0] == 230
    with pytest.raises(ftplib.Error):
        s.ftps()
    with s.ftps("bob"):
        assert other.cmd("USER bob")[0] == 331
        assert other.cmd("PASS bob")[0] in (421, 530)
    assert waiting.cmd("NOOP")[0] == 200
    waiting.cmd("QUIT")


def test_a_client_that_wants_another_session_gets_one_of_the_new_generation(installed):
    s = installed()
    old, r = s.pid(), s.raw().login()
    s.restart()
    assert r.cmd("REIN")[0] in (120, 220)
    wait_for(lambda: not alive(old), "the old one keeps it")
    code = r.cmd("USER alice")[0]
    assert (code if code != 220 else r.reply()[0]) == 331 and r.cmd("PASS alice")[0] == 230
    assert "older" not in s.ctl("status") and s.ctl("status")["sessions"] == 1


BROKEN = {"it ends at once": (b"#!/bin/sh\nexit 3\n", 0o755), "it is no program": (b"\x7fELF nonsense", 0o755),
          "nobody may execute it": (b"#!/bin/sh\nexit 3\n", 0o644),
          "it says nothing and lives": (b"#!/bin/sh\nexec 3<&-; kill -9 $$\n", 0o755)}


@pytest.mark.parametrize("what", BROKEN)
def test_a_program_that_does_not_start_leaves_everything_as_it_was(installed, what):
    s = installed()
    old, f = s.pid(), s.ftps()
    s.replace("sallyportd", *BROKEN[what])
    r = s.sallyctl("restart")
    assert r.returncode == 2 and "goes on as it was" in r.stderr
    assert s.pid() == old and f.pwd() == "/"
    with s.ftps("bob") as g:
        assert g.pwd() == "/"
    assert "older" not in s.ctl("status")
    with open(f"{BUILD}/sallyportd", "rb") as program:
        s.replace("sallyportd", program.read())
    s.restart()
    assert s.pid() != old and f.pwd() == "/"


def test_a_configuration_that_is_refused_leaves_everything_as_it_was_and_is_told(installed):
    s = installed()
    old, f = s.pid(), s.ftps()
    with open(s.conf) as file:
        text = file.read()
    with open(s.conf, "w") as file:
        file.write(text + "\n[server]\nno_such_key = 1\n")
    r = s.sallyctl("restart")
    assert r.returncode == 2 and "no_such_key" in r.stderr
    # One of the session's programs is missing: that is found when the new one starts it.
    with open(s.conf, "w") as file:
        file.write(text)
    os.rename(f"{s.programs}/sallyport-agent", f"{s.programs}/away")
    r = s.sallyctl("restart")
    assert r.returncode == 2 and "sallyport-agent" in r.stderr
    assert s.pid() == old and f.pwd() == "/"
    os.rename(f"{s.programs}/away", f"{s.programs}/sallyport-agent")
    s.restart()
    assert f.pwd() == "/"


def test_addresses_of_the_new_configuration(installed):
    s = installed()
    old = s.pid()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(s.conf) as file:
        text = file.read()
    with open(s.conf, "w") as file:
        file.write(text.replace(f"[listener implicit]\nlisten = 127.0.0.1:{s.implicit}", f"[listener implicit]\nlisten = 127.0.0.1:{port}"))
    s.restart()
    assert sorted(s.ctl("status")["listeners"]) == sorted([f"127.0.0.1:{s.port}", f"127.0.0.1:{port}"])
    socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    gone(old)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", s.implicit), PATIENCE)


def test_an_address_beside_a_star_of_the_old_generation(installed):
    s = installed()
    with open(s.conf) as file:
        text = file.read()
    with open(s.conf, "w") as file:
        file.write(text.replace(f"listen = 127.0.0.1:{s.port}", f"listen = *:{s.port}"))
    s.restart()
    with wait_for(s.ftps) as f:
        wait_for(lambda: f"[::]:{s.port}" in s.ctl("status")["listeners"] or f"0.0.0.0:{s.port}" in s.ctl("status")["listeners"],
                 "the star is not listened on")
        assert f.pwd() == "/"


def test_kick_drain_and_stop_reach_the_old_generation(installed):
    s = installed()
    old = s.pid()
    clients = [s.ftps(name) for name in ("alice", "bob", "reader")]
    s.restart()
    new = s.pid()
    assert s.ctl("kick", "alice") == {"kicked": 1}
    wait_for(lambda: sorted(w["user"] for w in s.ctl("who")) == ["bob", "reader"], "kick does nothing")
    r = s.sallyctl("restart")
    assert r.returncode == 2 and "drain old" in r.stderr
    assert s.sallyctl("drain", "old").returncode == 0
    gone(old)
    logged_out(s)
    with s.ftps() as f:
        assert f.pwd() == "/"
        s.restart()
        third = s.pid()
        os.kill(third, signal.SIGTERM)
        gone(new), gone(third)
        with pytest.raises((OSError, EOFError, ftplib.Error)):
            f.pwd()
    for c in clients:
        c.close()


def test_bans_and_totals_are_taken_along(installed):
    s = installed()
    with s.ftps():
        assert s.sallyctl("ban", "192.0.2.0/24", "1h").returncode == 0
        assert s.sallyctl("ban", "2001:db8::/32").returncode == 0
        before = s.ctl("metrics")
        s.restart()
        bans = {b["net"]: b["until"] for b in s.ctl("bans")}
        assert set(bans) == {"192.0.2.0/24", "2001:db8::/32"} and bans["2001:db8::/32"] is None
        assert s.ctl("metrics")["logins_total"] == before["logins_total"] >= 1


def test_the_death_of_a_generation_is_not_that_of_the_other(installed):
    s = installed()
    old, f = s.pid(), s.ftps()
    s.restart()
    new, g = s.pid(), s.ftps("bob")
    os.kill(new, signal.SIGKILL)
    gone(new)
    # Nobody is accepted, but whoever was served before goes on; and a start by hand is not in the way of that.
    assert f.pwd() == "/"
    with pytest.raises((OSError, EOFError, ftplib.Error)):
        g.pwd()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", s.port), PATIENCE)
    again = subprocess.Popen(s.command, stdin=subprocess.DEVNULL, stdout=s.stderr, stderr=s.stderr)
    wait_for(lambda: s.ftps("bob"), "a fresh start does not serve")
    assert f.pwd() == "/"
    f.quit()
    gone(old)
    again.terminate()
    assert again.wait(PATIENCE) == 0


def test_the_death_of_the_old_generation_frees_what_it_counted(installed):
    s = installed(server="max_sessions_per_user = 1")
    old, f = s.pid(), s.ftps()
    s.restart()
    os.kill(old, signal.SIGKILL)
    s.process.wait(PATIENCE)
    with pytest.raises((OSError, EOFError, ftplib.Error)):
        f.pwd()
    logged_out(s)
    with s.ftps() as g:
        assert g.pwd() == "/" and s.ctl("status")["sessions"] == 1


def test_the_control_socket_is_the_new_one_s(installed):
    s = installed()
    f = s.ftps()
    s.restart()
    # The old one has nothing to say any more, and what it is told by a signal does nothing.
    old = s.ctl("status")["older"]["pid"]
    os.kill(old, signal.SIGHUP)
    assert f.pwd() == "/"
    f.quit()
    gone(Process(old))
    assert os.path.exists(f"{s.dir}/control") and not os.path.exists(f"{s.dir}/control.new")
    assert s.sallyctl("reload").returncode == 0


def test_a_server_without_starter_says_so(installed):
    s = installed()
    starter = next(pid for pid, name in s.pids().items() if name == "sallyport-start")
    os.kill(starter, signal.SIGKILL)
    r = s.sallyctl("restart")
    assert r.returncode == 2 and "goes on as it was" in r.stderr
    with s.ftps() as f:
        assert f.pwd() == "/"


def test_the_starter_has_nothing_but_its_channel(installed):
    s = installed()
    starter = next(pid for pid, name in s.pids().items() if name == "sallyport-start")
    assert set(os.listdir(f"/proc/{starter}/fd")) == {"0", "1", "2", "3"}
    with open(f"/proc/{starter}/status") as f:
        assert re.search(r"^CapEff:\t0+$", f.read(), re.M)
