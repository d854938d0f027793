"""How many lines of the log a stranger can order: ten a minute for each source, of any kind; the rest is counted."""
import collections
import contextlib
import re
import socket
import ssl
import threading

import pytest

from conftest import PATIENCE
from tlsserver import running

TIMES = 60      # of each kind, from each source or by each thread


def send(server, source, data, tls=False, implicit=False):
    """Sends this after the greeting (tls: after a good handshake), and reads all that the server says."""
    with contextlib.suppress(OSError), socket.create_connection(
            ("127.0.0.1", server.implicit if implicit else server.port), PATIENCE, (source, 0)) as s:
        if not implicit:
            s.recv(200)
        if tls:
            s.sendall(b"AUTH TLS\r\n")
            s.recv(200)
            s = server.context().wrap_socket(s)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096):
            pass


KINDS = {"garbage": lambda v, a: send(v, a, b"AUTH TLS\r\n" + b"garbage " * 20),
         "nothing": lambda v, a: send(v, a, b"AUTH TLS\r\n"),
         "implicit": lambda v, a: send(v, a, b"garbage " * 20, implicit=True),
         "handshake": lambda v, a: send(v, a, b"QUIT\r\n", tls=True),
         "http": lambda v, a: send(v, a, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"),
         "injection": lambda v, a: send(v, a, b"AUTH TLS\r\nUSER alice\r\n"),
         "unknown": lambda v, a: send(v, a, b"XYZ\r\n" * 100)}


def flood(server, sources):
    """In threads of their own: each source, or six that share the only one."""
    def one(source):
        for _ in range(TIMES // 6):
            for kind in KINDS.values():
                kind(server, source)

    threads = [threading.Thread(target=one, args=(source,)) for source in sources]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def test_an_account_without_room_is_counted():
    """Everybody knows the password of anonymous, and a right one is neither delayed nor penalised."""
    with running(kinds=("ec",), accounts=["alice"], sections="[class one]\nmembers = alice\nmax_sessions_per_user = 1",
                 server="connects_per_minute = 100000\nlog_level = info") as server:
        held = server.ftps()
        for _ in range(40):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE, ("127.0.9.7", 0)) as s, s.makefile("rb") as f:
                s.recv(200)
                s.sendall(b"AUTH TLS\r\n")
                f.readline()
                with server.context().wrap_socket(s) as t, t.makefile("rb") as g:
                    t.sendall(b"USER alice\r\nPASS alice\r\n")
                    assert g.readline()[:3] == b"331" and g.readline()[:3] == b"421"
        held.quit()
        server.stop()
        log = server.log()
    said = len(re.findall(r"event=auth-failure [^\n]*rhost=127\.0\.9\.7 [^\n]*reason=too-many-sessions", log))
    counted = sum(int(n) for n in re.findall(r"event=lines-counted rhost=127\.0\.9\.7 reason=auth-failure [^\n]*count=(\d+)", log))
    assert said < 30 and said + counted == 40, log[-3000:]


@pytest.mark.parametrize("sources", [["127.0.9.1"] * 6, [f"127.0.9.{n + 1}" for n in range(10)]], ids=["one", "ten"])
def test_strangers_have_ten_lines_a_minute(sources):
    with running(kinds=("ec",), accounts=["alice"], server="connects_per_minute = 100000\nlog_level = info") as server:
        flood(server, sources)
        # Whoever fails to log in is on record all the same, and whoever logs in has all lines.
        for password in ("wrong", "alice"):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE, (sources[0], 0)) as s:
                s.recv(200)
                s.sendall(b"AUTH TLS\r\n")
                s.recv(200)
                with server.context().wrap_socket(s) as t, t.makefile("rb") as f:
                    for command in (b"USER alice", b"PASS " + password.encode(), b"QUIT"):
                        t.sendall(command + b"\r\n")
                        last = f.readline()
                        while last[3:4] == b"-":
                            last = f.readline()
        server.stop()
        log = server.log()
    alice = re.search(r"event=login session=(\S+) rhost=127\.0\.9\.1 user=alice", log)[1]
    assert re.search(rf"event=tls session={alice} ", log), log[-3000:]
    assert re.search(r"event=auth-failure session=\S+ rhost=127\.0\.9\.1 user=alice reason=wrong-password", log)
    counted, said, minutes = collections.Counter(), collections.Counter(), 1
    for source in set(sources):
        own = [line for line in log.splitlines() if f" rhost={source} " in line and f"session={alice} " not in line]
        events = collections.Counter(re.search(r"event=(\S+)", line)[1] for line in own)
        sums = re.findall(r"event=lines-counted rhost=\S+ reason=(\S+) listener=(\S+) count=(\d+)", "\n".join(own))
        minutes = max([minutes, *collections.Counter(sum_[:2] for sum_ in sums).values()])
        for event, _, count in sums:
            counted[event] += int(count)
        for event in ("connect", "session-end", "auth-failure", "no-login", "lines-counted", "login"):
            assert events.pop(event, 0) <= 22 * minutes, own        # ten for each of two listeners
        assert sum(events.values()) <= 10 * minutes, own
        said += events
    # Nothing is forgotten: what is not logged is counted by its event.
    each = len(sources) * (TIMES // 6)
    total = said + counted
    assert total["not-ftp"] >= each and total["tls-failed"] >= 2 * each and total["tls"] >= each, (said, counted)
    assert total["plaintext-injection"] >= each, (said, counted)
