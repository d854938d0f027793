"""The listener: limits before a session is spent, reload, stop, control, socket activation, inetd."""
import contextlib
import ftplib
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import BUILD, PATIENCE, Raw, TOP, UIDS, alive, exists, free_port, wait_for


def ctl(server, *words, check=True):
    r = subprocess.run([f"{BUILD}/sallyctl", "--socket", control(server), *words], capture_output=True, text=True)
    if check:
        assert r.returncode == 0, r.stdout + r.stderr
    return r


def control(server):
    with open(server.conf) as f:
        return re.search(r"^control_socket = (.*)$", f.read(), re.M)[1]


def rewrite(server, old, new):
    with open(server.conf) as f:
        text = f.read()
    assert old in text
    with open(server.conf, "w") as f:
        f.write(text.replace(old, new))


def greeting(server, source=None):
    s = socket.create_connection(("127.0.0.1", server.port), PATIENCE, source and (source, 0))
    with s, s.makefile("rb") as f:
        return f.readline().decode()


# ------------------------------------------------------------------------------ limits

def test_sessions_of_one_address(serve):
    server = serve(listener="max_sessions_per_address = 2")
    held = [server.raw() for _ in range(2)]
    assert all(r.reply()[0] == 220 for r in held)
    assert greeting(server).startswith("421 Too many connections from your address")
    assert greeting(server, "127.0.0.2").startswith("220")
    held[0].cmd("QUIT")
    held[0].sock.close()
    wait_for(lambda: greeting(server).startswith("220"))


def test_sessions_in_all(serve):
    server = serve("max_sessions = 3")
    held = [server.raw().login() for _ in range(3)]
    assert greeting(server, "127.0.0.9").startswith("421 Too many sessions")


def test_a_silent_crowd_keeps_nobody_out(serve):
    """50 addresses hold as many connections as they can get, and come back; a stranger gets in, and who is logged in stays."""
    server = serve("max_sessions = 60\nlogin_grace_time = 1h\npenalty_failure = 0", listener="max_sessions_per_address = 20")
    inside = [server.raw().login(name) for name in ("alice", "bob")]
    held = {}

    def besiege():
        for n in range(50):
            mine = held.setdefault(f"127.0.2.{n + 1}", [])
            for s in list(mine):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    while s.recv(1000):
                        pass
                    mine.remove(s)
                    s.close()
            while len(mine) < 20:
                s = socket.create_connection(("127.0.0.1", server.port), PATIENCE, (f"127.0.2.{n + 1}", 0))
                if not s.recv(3).startswith(b"220"):
                    s.close()
                    break
                s.setblocking(False)
                mine.append(s)

    refused = 0
    for n in range(20):
        besiege()
        refused += not greeting(server, f"127.0.9.{n + 1}").startswith("220")
    assert refused == 0
    assert len([s for mine in held.values() for s in mine]) >= 20
    for r in inside:
        assert r.cmd("NOOP")[0] == 200
    stranger = socket.create_connection(("127.0.0.1", server.port), PATIENCE, ("127.0.9.100", 0))
    with stranger, stranger.makefile("rwb") as f:
        assert f.readline().startswith(b"220")
        f.write(b"USER reader\r\nPASS reader\r\n")
        f.flush()
        assert [f.readline()[:3] for _ in range(2)] == [b"331", b"230"]
        besiege()
        f.write(b"NOOP\r\n")
        f.flush()
        assert f.readline().startswith(b"200")
    for mine in held.values():
        for s in mine:
            s.close()
    server.wait_log(r"event=refused rhost=127\.0\.2\.\d+ reason=gave_way listener=main count=1")


def test_a_crowd_that_guesses_keeps_nobody_out(serve):
    """20 addresses guess with one connection each, for 6 places and one hash at a time: strangers get in at their first try,
    and no connection ends without a reply. Who is refused a place asks again in a moment, so that it is the places that
    are contended for and not the processor."""
    made = subprocess.run([f"{BUILD}/sallyctl", "passwd-hash"], input="right\n", capture_output=True, text=True, check=True).stdout.strip()
    server = serve("max_sessions = 12\nmax_sessions_before_login = 6\npassword_memory = 16M\nlogin_delay = 1s\nlogin_grace_time = 1h\n"
                   "penalty_threshold = 9m",
                   f"\n[account dear]\npassword = {made}\nhome = {{dir}}/home-alice\nrun_as = 64111:64111\n")
    over, failed, mute = threading.Event(), set(), []

    def guess(address):
        while not over.is_set():
            with contextlib.suppress(ConnectionResetError), \
                    socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)) as s, s.makefile("rb") as f:
                reply = f.readline()
                for line in (b"USER dear\r\n", b"PASS wrong\r\n") if reply.startswith(b"220") else ():
                    s.sendall(line)
                    reply = f.readline()
                    if not reply.startswith(b"331"):
                        break
                if reply.startswith(b"530"):
                    failed.add(address)
                elif reply.startswith(b"421"):
                    over.wait(0.2)
                else:
                    mute.append(reply)

    threads = [threading.Thread(target=guess, args=(f"127.0.3.{n + 1}",)) for n in range(20)]
    for t in threads:
        t.start()
    try:
        wait_for(lambda: len(failed) >= 3)
        for n in range(10):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE, (f"127.0.4.{n + 1}", 0)) as s, s.makefile("rb") as f:
                assert f.readline().startswith(b"220"), n
                s.sendall(b"USER dear\r\n")
                assert f.readline().startswith(b"331"), n
                s.sendall(b"PASS right\r\n")
                assert f.readline().startswith(b"230"), n
    finally:
        over.set()
        for t in threads:
            t.join()
    assert not mute


def test_a_full_server_drops_only_the_silent(serve):
    """The share of those who have not logged in has a setting; their places are not those of logged-in sessions."""
    server = serve("max_sessions = 40\nmax_sessions_before_login = 3\nlogin_grace_time = 1h")
    silent = [server.raw() for _ in range(3)]
    assert all(r.reply()[0] == 220 for r in silent)
    # A burst is no silent crowd: it is let in while there is room. Then the share holds.
    time.sleep(3.1)
    assert greeting(server).startswith("421 Too many sessions")
    server.wait_log(r"event=refused rhost=127\.0\.0\.1 reason=max_sessions_before_login value=3 listener=main count=1\b")
    stranger = socket.create_connection(("127.0.0.1", server.port), PATIENCE, ("127.0.0.9", 0))
    assert stranger.recv(3) == b"220"
    code, text = silent[0].reply()
    assert code == 421 and "not logged in" in text, text
    stranger.close()
    for r in silent:
        r.close()


def test_refusals_are_counted_in_the_log(serve):
    """However often a source is refused, it gets one line a minute, for each kind of refusal."""
    server = serve("connects_per_minute = 1000", listener="max_sessions_per_address = 1")
    ctl(server, "ban", "127.0.0.77", "1h")
    held = server.raw()
    assert held.reply()[0] == 220
    for _ in range(200):
        assert greeting(server).startswith("421 Too many connections")
        assert greeting(server, "127.0.0.77").startswith("421 Your address may not")
    ctl(server, "drain", "1h", "Later.")
    for _ in range(50):
        assert greeting(server, "127.0.0.78").startswith("421 Later.")
    assert server.ctl("status")["refused"] == 450
    held.close()
    server.stop()
    lines = re.findall(r"event=refused rhost=(\S+) reason=(\S+)(?: value=(\d+))? listener=main count=(\d+)", server.log())
    for peer, reason, limit, count in (("127.0.0.1", "max_sessions_per_address", "1", 200), ("127.0.0.77", "ban", "", 200),
                                       ("127.0.0.78", "drain", "", 50)):
        counts = [int(c) for p, r, l, c in lines if (p, r, l) == (peer, reason, limit)]
        assert sum(counts) == count and len(counts) <= 4, lines


def test_strangers_are_counted_in_the_log(serve):
    """Anybody can connect and leave: the first of a source in a minute have their lines, the rest is counted together.
    Who logs in is on record however many left before."""
    server = serve("connects_per_minute = 1000")
    before = server.log().count("event=connect ")
    for n in range(200):
        assert greeting(server).startswith("220")
        if n == 100:
            server.ftp("alice").quit()
    alice = server.ftp("alice")
    with pytest.raises(ftplib.error_perm):
        server.ftp("bob", "wrong")
    server.wait_log(r"event=auth-failure session=\S+ rhost=127\.0\.0\.1 user=bob ")
    wait_for(lambda: len(json.loads(ctl(server, "--json", "who").stdout)) == 1, "the end of the others")
    alice.quit()
    server.stop()
    log = server.log()
    logins = re.findall(r"event=login session=(\S+) ", log)
    connects = re.findall(r"event=connect session=(\S+) rhost=127\.0\.0\.1 .*rport=\d+ listener=main", log)
    ends = re.findall(r"event=session-end session=(\S+) rhost=127\.0\.0\.1 ", log)
    counts = [int(c) for c in re.findall(r"event=no-login rhost=127\.0\.0\.1 listener=main count=(\d+)", log)]
    assert len(logins) == 2 and set(logins) <= set(connects) & set(ends)
    # Those of whom the log speaks late say when they came, and where.
    for late in (c for c in log.splitlines() if "event=connect " in c and "connected=" in c):
        came = re.search(r" listener=main connected=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$", late)
        assert came and came[1] <= late.split()[0] and "user=alice" in late, late
    assert re.search(r"event=connect session=\S+ rhost=127\.0\.0\.1 user=alice .*connected=", log)
    # 200 and bob; slow machines may take some minutes.
    assert len(connects) - 2 + sum(counts) == before + 201
    assert 1 <= len(counts) <= 5 and len(connects) <= 2 + 10 * len(counts) and len(ends) <= len(connects), counts


def test_sessions_of_one_user(serve):
    server = serve("max_sessions_per_user = 1")
    first = server.raw().login("alice")
    second = server.raw()
    second.reply()
    second.cmd("USER alice")
    assert second.cmd("PASS alice")[0] in (421, 530)
    server.raw().login("bob").close()
    first.cmd("QUIT")
    for r in (first, second):
        r.close()
    server.wait_quiet()
    assert server.raw().login("alice")


def test_failures_are_penalised(serve):
    server = serve("penalty_failure = 20m\npenalty_threshold = 30m\npenalty_max = 2h\nlogin_attempts = 10")
    for _ in range(2):
        r = server.raw()
        r.reply()
        r.cmd("USER alice")
        r.cmd("PASS wrong")
        r.sock.close()
    wait_for(lambda: greeting(server).startswith("421 Too many failures from your address"))
    assert greeting(server, "127.0.0.5").startswith("220")
    assert "failed logins" in ctl(server, "bans").stdout
    ctl(server, "unban", "127.0.0.1")
    assert greeting(server).startswith("220")


def test_a_burst_is_served(server):
    """Many more clients at once than there are spares: all are served, none is refused."""
    socks = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(60)]
    for s in socks:
        assert s.recv(3) == b"220"
        s.close()


# ----------------------------------------------------------------------------- control

def test_status_and_who(server):
    ftp = server.ftp("alice")
    status = json.loads(ctl(server, "--json", "status").stdout)
    assert status["pid"] == server.process.pid and status["sessions"] >= 1
    who = json.loads(ctl(server, "--json", "who").stdout)
    mine = [w for w in who if w["user"] == "alice"]
    assert len(mine) == 1 and set(mine[0]["pids"]) == {"monitor", "worker", "agent"}
    assert all(os.path.exists(f"/proc/{p}") for p in mine[0]["pids"].values())
    ftp.quit()


def metrics(server):
    return json.loads(ctl(server, "--json", "metrics").stdout)


def test_metrics(serve):
    server = serve()
    before = metrics(server)
    ftp = server.ftp("alice")
    ftp.storbinary("STOR f", io.BytesIO(b"x" * 100_000))
    with pytest.raises(ftplib.error_perm):
        server.ftp("bob", "wrong")
    during = wait_for(lambda: (m := metrics(server))["login_failures_total"] > before["login_failures_total"] and m)
    assert during["sessions_logged_in"] == 1 and during["sessions"] >= 1 and during["logins_total"] == before["logins_total"] + 1
    assert during["login_failures_total"] == before["login_failures_total"] + 1
    for _ in range(20):
        ftp.retrbinary("RETR f", lambda block: None)
    ftp.quit()
    # A session tells its totals at its end, and none gets lost.
    for _ in range(30):
        with server.ftp("alice") as other:
            other.retrbinary("RETR f", lambda block: None)
    wait_for(lambda: metrics(server)["transfers_total"] >= 51)
    after = metrics(server)
    assert (after["transfers_total"], after["received_bytes_total"], after["sent_bytes_total"]) == (51, 100_000, 5_000_000)


def test_kick(server):
    r = server.raw().login("bob")
    ctl(server, "kick", "bob")
    code, text = r.reply()
    assert code in (421, 0), text
    assert ctl(server, "kick", "nobody-here", check=False).returncode == 1


def test_ban(server):
    ctl(server, "ban", "127.0.0.77", "1h")
    assert greeting(server, "127.0.0.77").startswith("421 Your address may not connect")
    assert greeting(server, "127.0.0.78").startswith("220")
    ctl(server, "unban", "127.0.0.77")
    assert greeting(server, "127.0.0.77").startswith("220")
    assert ctl(server, "ban", "nonsense", check=False).returncode == 64


def test_control_socket_is_for_root_only(server):
    assert os.stat(control(server)).st_mode & 0o077 == 0


def test_who_gave_a_command_is_logged(server):
    ctl(server, "ban", "127.0.0.79", "1m")
    ctl(server, "unban", "127.0.0.79")
    server.wait_log(r"event=control command=unban arguments=127\.0\.0\.79 uid=0 pid=[1-9]")


def test_hostile_control_client(server):
    """Whoever breaks the protocol of the control socket is dropped, and nobody else notices."""
    for packet in (b"x", b"\0" * 8, os.urandom(2000), b""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(control(server))
            s.send(packet)
            s.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                assert s.recv(100) == b""
    assert ctl(server, "status").returncode == 0


# ------------------------------------------------------------------------------ reload

def test_reload_reaches_new_sessions(serve):
    server = serve("banner = first words")
    held = server.raw().login("alice")
    assert "first words" in greeting(server)
    rewrite(server, "first words", "second words")
    ctl(server, "reload")
    assert "second words" in greeting(server)
    assert held.cmd("NOOP")[0] == 200
    rewrite(server, "second words", "third words")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "third words" in greeting(server))


def test_wrong_configuration_is_refused_whole(serve):
    server = serve("banner = good words")
    rewrite(server, "banner = good words", "banner = bad words\nno_such_key = 1\nidle_timeout = soon")
    r = ctl(server, "reload", check=False)
    assert r.returncode == 2
    assert "no_such_key" in r.stderr and "idle_timeout" in r.stderr
    assert "good words" in greeting(server)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert "good words" in greeting(server)


def test_unmet_expectations_refuse_a_reload(serve, tmp_path):
    expectations = tmp_path / "expectations"
    expectations.write_text("alice STOR /x -> allow\nreader STOR /x -> deny\n")
    server = serve(f"banner = good words\nexpectations = {expectations}")
    rewrite(server, "good words", "new words")
    r = ctl(server, "reload")
    assert "new words" in greeting(server)
    expectations.write_text("reader STOR /x -> allow\n")
    rewrite(server, "new words", "unwanted words")
    r = ctl(server, "reload", check=False)
    assert r.returncode == 2 and "expectations" in r.stderr and r.stdout == "", r
    assert "new words" in greeting(server)


# ------------------------------------------------------- listeners that a reload changes

def section(name, port, *lines):
    return "\n".join((f"[listener {name}]", f"listen = 127.0.0.1:{port}", *lines, ""))


def closed(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_removed_listener_is_closed(serve):
    """It must not go on with the server's settings; who came by it and is logged in stays."""
    port = free_port()
    other = section("other", port, "banner = other words")
    server = serve(sections=other)
    r = Raw(port).login()
    again = Raw(port).login()
    rewrite(server, other, "")
    assert ctl(server, "reload").stdout.strip() == "The new configuration is in use."
    assert closed(port)
    assert greeting(server).startswith("220")
    assert r.cmd("NOOP")[0] == 200
    # A client that comes back would be served as one of the server's own.
    again.send("REIN\r\n")
    code, text = again.reply()
    assert code == 421 and "no longer served" in text, text
    server.wait_log("event=refused .*listener_removed")


def test_who_waits_at_a_removed_listener_is_refused(serve):
    port = free_port()
    other = section("other", port)
    server = serve("spare_sessions_min = 1\nspare_sessions_max = 1", other)
    wait_for(lambda: server.ctl("status")["spares"] == 1)
    monitors = [p for p, name in server.pids().items() if name == "sallyport-monit"]

    template = min(monitors, key=lambda p: p.started)
    os.kill(template, signal.SIGSTOP)
    try:
        held = server.raw()
        assert held.reply()[0] == 220
        late = Raw(port)
        wait_for(lambda: server.ctl("status")["waiting"] == 1)
        rewrite(server, other, "")
        ctl(server, "reload")
        assert late.reply()[0] == 421
    finally:
        os.kill(template, signal.SIGCONT)


def test_nobody_logs_in_by_a_listener_that_was_removed(serve):
    """Its clear-text rules are gone with it, whatever stage a client had come to; who is logged in stays."""
    port = free_port()
    other = section("other", port)
    server = serve("login_grace_time = 10m", other)
    inside, silent, named, asking = (Raw(port) for _ in range(4))
    inside.login()
    for r in (silent, named, asking):
        assert r.reply()[0] == 220
    for r in (named, asking):
        assert r.cmd("USER alice")[0] == 331
    assert server.raw().login().cmd("NOOP")[0] == 200
    own = server.raw()
    assert own.reply()[0] == 220
    rewrite(server, other, "")
    asking.send("PASS alice\r\n")
    assert ctl(server, "reload").stdout.strip() == "The new configuration is in use."
    for r in (silent, named):
        code, text = r.reply()
        assert code == 421 and "no longer served" in text, text
        assert r.reply() == (0, "")
    # It may have got in before the reload was through, or not at all.
    assert asking.reply()[0] in (230, 421)
    assert inside.cmd("NOOP")[0] == 200
    # Clients of other listeners log in as if nothing had been.
    assert own.login_again().cmd("NOOP")[0] == 200
    server.wait_log("event=refused .*reason=listener_removed")
    wait_for(lambda: all(s["user"] == "alice" for s in server.ctl("who")))


def test_a_renamed_listener_keeps_its_socket_and_gets_its_settings(serve):
    port = free_port()
    server = serve(sections=section("other", port, "banner = old words"))
    assert "old words" in Raw(port).reply()[1]
    rewrite(server, section("other", port, "banner = old words"), section("fresh", port, "banner = new words"))
    with contextlib.ExitStack() as stack:
        # Nobody is refused meanwhile.
        waiting = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        ctl(server, "reload")
        assert waiting.recv(3) == b"220"
    assert "new words" in Raw(port).reply()[1]


def test_listeners_move_and_come(serve):
    old, moved, added = free_port(), free_port(), free_port()
    server = serve(sections=section("other", old, "banner = other words"))
    rewrite(server, section("other", old, "banner = other words"),
            section("other", moved, "banner = other words") + section("third", added, "banner = third words"))
    assert ctl(server, "reload").stdout.strip() == "The new configuration is in use."
    assert closed(old)
    assert "other words" in Raw(moved).reply()[1]
    assert "third words" in Raw(added).reply()[1]
    assert Raw(added).login().cmd("NOOP")[0] == 200


def test_the_star_may_take_the_place_of_an_address(serve):
    server = serve()
    rewrite(server, f"listen = 127.0.0.1:{server.port}", f"listen = *:{server.port}")
    assert ctl(server, "reload").stdout.strip() == "The new configuration is in use."
    assert greeting(server, "127.0.0.3").startswith("220")


def test_the_reply_names_what_needs_a_restart(serve):
    port = free_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        server = serve(sections=section("other", free_port()))
        with open(server.conf, "a") as f:
            f.write(section("third", port))
        rewrite(server, "[server]", "[server]\nlandlock = off\nrefused_groups = shadow")
        out = ctl(server, "reload").stdout
        assert out.startswith("The new configuration is in use.\n"), out
        assert f"Needs a restart: listen = 127.0.0.1:{port} (Address already in use)" in out
        assert "Needs a restart: landlock" in out and "Needs a restart: refused_groups" in out
        server.wait_log(f"event=cannot-listen about=\"?127.0.0.1:{port}")
        server.wait_log("event=needs-restart about=landlock")
        server.wait_log("event=needs-restart about=refused_groups")
    # The next reload tries again.
    assert ctl(server, "reload").stdout.strip() == "The new configuration is in use."
    assert Raw(port).reply()[0] == 220


def test_a_failed_reload_leaves_the_sockets(serve):
    port = free_port()
    other = section("other", port)
    server = serve(sections=other)
    rewrite(server, other, "no_such_key = 1\n")
    assert ctl(server, "reload", check=False).returncode == 2
    assert Raw(port).reply()[0] == 220


# -------------------------------------------------------------------------------- stop

def refuses(server):
    try:
        greeting(server)
    except ConnectionRefusedError:
        return True
    return False


def test_stop_lets_a_transfer_finish(serve):
    server = serve("stop_timeout = 10m")
    size = 64 << 20
    path = f"{server.homes['alice']}/big"
    with open(path, "wb") as f:
        f.truncate(size)
    os.chown(path, UIDS["alice"], UIDS["alice"])
    r = server.raw().login("alice")
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    got = len(data.recv(1000))
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: refuses(server), "new clients are let in")
    while True:
        chunk = data.recv(1 << 20)
        if not chunk:
            break
        got += len(chunk)
    assert got == size
    assert server.process.wait(PATIENCE) == 0


def test_second_signal_ends_at_once(serve):
    server = serve("stop_timeout = 1h")
    r = server.raw().login("alice")
    r.cmd("TYPE I")
    data = r.passive()
    path = f"{server.homes['alice']}/big"
    with open(path, "wb") as f:
        f.truncate(256 << 20)
    os.chown(path, UIDS["alice"], UIDS["alice"])
    assert r.cmd("RETR big")[0] == 150
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert "event=stopped" in server.log() and 'about=""' not in server.log()
    data.close()


def test_drain(server):
    ctl(server, "drain", "", "Back at noon.")
    assert greeting(server) == "421 Back at noon.\r\n"
    # What the shell has taken apart is one message again.
    ctl(server, "drain", "1h", "Back", "at", "noon.")
    assert greeting(server) == "421 Back at noon.\r\n"
    ctl(server, "drain", "off")
    assert greeting(server).startswith("220")


def test_drain_ends_sessions(serve):
    """Without a time: who idles is told at once, who transfers when that is done; nobody is cut off."""
    server = serve("max_sessions = 100")
    size = 64 << 20
    path = f"{server.homes['bob']}/big"
    with open(path, "wb") as f:
        f.truncate(size)
    os.chown(path, UIDS["bob"], UIDS["bob"])
    idle, fresh, busy = server.raw().login(), server.raw(), server.raw().login("bob")
    assert fresh.reply()[0] == 220
    busy.cmd("TYPE I")
    data = busy.passive()
    assert busy.cmd("RETR big")[0] == 150
    got = len(data.recv(1000))
    ctl(server, "drain", "", "Back at noon.")
    for r in (idle, fresh):
        code, text = r.reply()
        assert code == 421 and "Back at noon." in text
        assert r.reply()[0] == 0
    while chunk := data.recv(1 << 20):
        got += len(chunk)
    assert got == size
    assert busy.reply()[0] == 226
    assert busy.reply()[0] == 421
    ctl(server, "drain", "off")
    assert server.raw().login().cmd("NOOP")[0] == 200


def test_drain_with_a_time(serve):
    server = serve()
    r = server.raw().login()
    ctl(server, "drain", "1h")
    assert r.cmd("NOOP")[0] == 200
    ctl(server, "drain", "off")
    ctl(server, "drain", "1s")
    assert r.reply()[0] == 421


def test_everybody_hears_of_the_end(serve):
    """More sessions than are ended in one turn, some not logged in: each gets its 421."""
    server = serve("max_sessions = 400\nstop_timeout = 10m")
    clients = [server.raw().login() if n % 2 else server.raw() for n in range(160)]
    for n, r in enumerate(clients):
        assert n % 2 or r.reply()[0] == 220
    server.process.send_signal(signal.SIGTERM)
    assert [r.reply()[0] for r in clients] == [421] * len(clients)
    assert server.process.wait(PATIENCE) == 0


def test_a_second_kick_breaks_a_transfer_off(serve):
    server = serve()
    path = f"{server.homes['alice']}/big"
    with open(path, "wb") as f:
        f.truncate(256 << 20)
    r = server.raw().login()
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    data.recv(1000)
    ctl(server, "kick", "alice")
    assert [w["user"] for w in server.ctl("who")] == ["alice"]
    ctl(server, "kick", "alice")
    assert r.reply()[0] == 426
    assert r.reply()[0] == 421
    wait_for(lambda: not server.ctl("who"))
    data.close()


def test_without_spares(serve):
    """Nothing is kept prepared, not even for the start; each client waits for its session to be forked."""
    server = serve("spare_sessions_min = 0")
    for _ in range(3):
        assert server.raw().login().cmd("QUIT")[0] == 221
    server.wait_quiet()


def test_spares_that_die_together_are_one_event(serve):
    server = serve("spare_sessions_min = 6")
    wait_for(lambda: server.ctl("status")["spares"] == 6)
    agents = [p for p, name in server.pids().items() if name == "sallyport-agent"]

    # All but the template, which is the oldest.
    killed = sorted(agents, key=lambda p: p.started)[1:]
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # The kernel comes to it when it can. A client is never given to one that has ended, reaped or not.
    wait_for(lambda: not any(alive(pid) for pid in killed))
    # Who comes meanwhile is served.
    assert greeting(server).startswith("220")
    server.wait_log(r'event=start-throttled reason="an? \w+ (was killed before it was used: signal 9|ended before it was used: [^"]+)" pause=1000')
    wait_for(lambda: server.ctl("status")["spares"] >= 6)
    assert server.log().count("event=start-throttled") == 1, server.log()


def test_no_descriptors_left(serve):
    """The log says what is missing; who waits is served as soon as there is room again."""
    server = serve("spare_sessions_min = 1\nmax_sessions = 500")
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 4, hard))
    held = [server.raw() for _ in range(4)]
    server.wait_log(r'event=start-throttled reason="the channels of a session" pause=\d+ hint="[^"]*open files[^"]*" error="Too many open files"|'
                    r'event=accept-failed about="clients wait" error="Too many open files"')
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert all(r.reply()[0] in (220, 421) for r in held)
    assert greeting(server).startswith("220")
    for r in held:
        r.close()


def test_what_a_session_costs_the_listener(serve):
    """What the limit in the unit and sallyctl doctor reckon with is what it is, for clients of every kind."""
    with open(f"{TOP}/privsep/role.h") as f:
        each = int(re.search(r"#define ROLE_SESSION_FDS\s+(\d+)", f.read())[1])
    server = serve("spare_sessions_min = 2\nspare_sessions_max = 2")

    def held():
        assert server.ctl("status")["spares"] == 2
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    wait_for(lambda: server.ctl("status")["spares"] == 2)
    before = held()
    clients = [server.raw().login() for _ in range(10)] + [server.raw() for _ in range(10)]
    assert all(r.reply()[0] == 220 for r in clients[10:])
    wait_for(lambda: server.ctl("status")["spares"] == 2)
    # One is kept free for REIN. The connection of sallyctl may still be counted.
    wait_for(lambda: before + 20 <= held() <= before + 20 * (each - 1), "the count of descriptors")
    for r in clients:
        r.close()
    server.wait_quiet()
    wait_for(lambda: server.ctl("status")["spares"] == 2 and held() <= before)


def test_doctor_reckons_with_descriptors(serve):
    server = serve("max_sessions = 1000\nspare_sessions_max = 20")

    def findings(limit):
        r = subprocess.run(["prlimit", f"--nofile={limit}:{limit}", f"{BUILD}/sallyctl", "-c", server.conf, "--json", "doctor"],
                           capture_output=True, text=True)
        return [f["text"] for f in json.loads(r.stdout) if "descriptors in the listener" in f["text"]]

    assert findings(1020 * 6 + 128) == []
    assert "needs up to 6248 descriptors" in findings(1020 * 6 + 127)[0]


def test_who_does_not_read_is_ended_by_the_grace_time(serve):
    server = serve("login_grace_time = 2s")
    r = server.raw()
    r.sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        while True:
            r.sock.sendall(b"HELP\r\n" * 1000)
    session = server.ctl("who")
    assert len(session) == 1
    started = time.monotonic()
    wait_for(server.idle)
    # The rest of the grace time, two seconds for the last words, and one for the machine.
    assert time.monotonic() - started < 8
    assert not any(exists(p) for p in session[0]["pids"].values())
    r.close()


# --------------------------------------------------------------- other ways to be started

STARTER = """
import os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="sallyport.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_socket_activation(serve):
    server = serve("")
    server.stop()
    server.command = [sys.executable, "-c", STARTER, str(server.port), *server.command]
    server.start()
    assert server.ftp("alice").voidcmd("NOOP").startswith("200")


def test_an_activated_socket_without_its_section_refuses(serve):
    """It is the service manager's: closed here it would take connections that nobody answers."""
    server = serve("")
    server.stop()
    starter = STARTER.replace("sallyport.socket", "main")
    server.command = [sys.executable, "-c", starter, str(server.port), *server.command]
    server.start()
    rewrite(server, "[listener main]", "[listener unused]")
    ctl(server, "reload")
    assert "421 This address is no longer served" in greeting(server)
    rewrite(server, "[listener unused]", "[listener main]")
    ctl(server, "reload")
    assert greeting(server).startswith("220")


def test_notifications(serve, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(PATIENCE)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            server = serve("")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert s.recv(1000).startswith(b"READY=1")
        ctl(server, "reload")
        assert s.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert s.recv(1000).startswith(b"READY=1")
        server.stop()
        assert s.recv(1000).startswith(b"STOPPING=1")


def test_inetd(serve):
    server = serve("")
    server.stop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname(), PATIENCE)
        conn, _ = listener.accept()
        command = [a for a in server.command if a != "-d"] + ["-i"]
        with subprocess.Popen(command, stdin=conn, stdout=conn, stderr=conn) as p:
            conn.close()
            with client, client.makefile("rb") as f:
                assert f.readline().startswith(b"220")
                client.sendall(b"USER alice\r\n")
                assert f.readline().startswith(b"331")
                client.sendall(b"PASS alice\r\n")
                assert f.readline().startswith(b"230")
                client.sendall(b"QUIT\r\n")
                assert f.readline().startswith(b"221")
            assert p.wait(PATIENCE) == 0


# A /dev of its own for the command that follows, with a log socket in it.
OWN_DEV = """mount -t tmpfs none "$0/dev" && ln -s "$0/log" "$0/dev/log" || exit
for d in null urandom; do touch "$0/dev/$d" && mount --bind "/dev/$d" "$0/dev/$d" || exit; done
mount --move "$0/dev" /dev && exec "$@" """


def test_inetd_logs_to_syslog(serve, tmp_path):
    """What inetd starts has its client as standard error: lines for it must not get lost, nor to the client."""
    server = serve("log = stderr")
    server.stop()
    (tmp_path / "dev").mkdir()
    with socket.socket() as listener, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(PATIENCE)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname(), PATIENCE)
        conn, _ = listener.accept()
        command = [a for a in server.command if a != "-d"] + ["-i"]
        with subprocess.Popen(["unshare", "-m", "sh", "-c", OWN_DEV, str(tmp_path), *command],
                              stdin=conn, stdout=conn, stderr=conn) as p:
            conn.close()
            with client, client.makefile("rb") as f:
                assert f.readline().startswith(b"220")
                client.sendall(b"QUIT\r\n")
                assert f.readline().startswith(b"221") and f.readline() == b""
            assert p.wait(PATIENCE) == 0
        lines = b""
        while b"event=session-end" not in lines:
            lines += log.recv(4096)
        assert b"sallyport" in lines


def test_serve_without_root(tmp_path, open_build):
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "file").write_text("content")
    os.chown(folder, 65534, 65534)
    port = free_port()
    command = [f"{open_build}/sallyportd", "--libexec", open_build, "serve", str(folder), "--address", "127.0.0.1",
               "--port", str(port), "--user", "bob:secret"]
    with subprocess.Popen(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command],
                          stderr=subprocess.PIPE) as p:
        try:
            ftp = ftplib.FTP(timeout=PATIENCE)
            wait_for(lambda: p.poll() is not None or ftp.connect("127.0.0.1", port))
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), PATIENCE)
            assert "bob:secret" not in open(f"/proc/{p.pid}/cmdline").read()
            ftp.login("bob", "secret")
            got = []
            ftp.retrbinary("RETR file", got.append)
            assert b"".join(got) == b"content"
            ftp.quit()
        finally:
            p.terminate()
        assert p.wait(PATIENCE) == 0
        assert b"without root" in p.stderr.read()


def test_errors_at_start_say_what_to_do(serve):
    server = serve("")
    server.stop()
    rewrite(server, "worker_user = 64101:64101", "worker_user = nobody-of-that-name")
    r = subprocess.run(server.command, capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 78
    assert "worker_user" in r.stderr and "useradd" in r.stderr
    rewrite(server, "worker_user = nobody-of-that-name", "worker_user = root")
    assert subprocess.run(server.command, capture_output=True, timeout=PATIENCE).returncode == 78
    rewrite(server, "worker_user = root", "worker_user = 64101:64101")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        r = subprocess.run(server.command, capture_output=True, text=True, timeout=PATIENCE)
        # What is read where the server was started, too, when its log is a file.
        quiet = subprocess.run([w for w in server.command if w != "-d"], capture_output=True, text=True, timeout=PATIENCE)
    for r in (r, quiet):
        assert r.returncode == 71 and re.search(rf'event=cannot-listen about=127.0.0.1:{server.port} hint="another server', r.stderr), r.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_start_is_no_client_and_says_nothing_on_stderr(serve, form):
    """The server's session with itself is neither counted nor logged; a log in a file has all lines, stderr none."""
    server = serve(f"log_format = {form}")
    server.stop()
    open(server.stderr_path, "w").close()
    server.command.remove("-d")
    server.start()
    server.ftp("alice").quit()
    wait_for(lambda: "session-end" in server.log())
    log = server.log()
    ports = re.findall(r'event"?[=:]"?connect\b.*rport"?[=:](\d+)', log)
    assert ports and "0" not in ports, log
    total = subprocess.run([f"{BUILD}/sallyctl", "--config", server.conf, "metrics"], capture_output=True, text=True, timeout=PATIENCE)
    assert re.search(rf"^sallyport_sessions_started_total {len(ports)}$", total.stdout, re.M), total.stdout + total.stderr
    with open(server.stderr_path) as f:
        assert "event=" not in f.read()


def test_inetd_without_a_client(serve):
    server = serve("")
    server.stop()
    with socket.socket() as listener:
        listener.listen()
        for stdin in (subprocess.DEVNULL, subprocess.PIPE, listener):
            r = subprocess.run([*server.command, "-i"], stdin=stdin, capture_output=True, text=True, timeout=PATIENCE)
            assert r.returncode == 64 and "not a client's connection" in r.stderr, r.stderr
