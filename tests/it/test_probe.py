"""sallyctl probe: for load balancers, containers and monitoring."""
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import BUILD, PATIENCE, free_port, wait_for
from tlsserver import NAME, make_cert, running, tls

OK, NO, FAILED, USAGE, NOSERVER, CONFIG = 0, 1, 2, 64, 69, 78


def ask(*words, conf="/nowhere", password="", env=None):
    return subprocess.run([f"{BUILD}/sallyctl", "--config", conf, "probe", "--timeout", str(PATIENCE), *words],
                          input=password, capture_output=True, text=True, timeout=2 * PATIENCE, check=False, env=env)


def told(*words, **options):
    """(exit status, what is said of the servers)."""
    r = ask("--json", *words, **options)
    answer = json.loads(r.stdout)
    assert answer["ok"] == (r.returncode == 0) == all(s["ok"] for s in answer["servers"])
    assert all(s["ok"] == (s["error"] is None) for s in answer["servers"])
    return r.returncode, answer["servers"]


def test_every_listener_of_the_configuration(tls):
    code, servers = told("--user", "alice", conf=tls.conf, password="alice\n")
    assert code == OK and {s["address"] for s in servers} == {f"127.0.0.1:{tls.port}", f"127.0.0.1:{tls.implicit}"}
    for s in servers:
        assert s["greeting"] == 220 and s["tls"] == "TLSv1.3" and s["logged_in"] is True
        assert s["certificate_days"] in (89, 90) and s["certificate_expires"].endswith("Z")
    code, servers = told("--listener", "implicit", conf=tls.conf)
    assert code == OK and [s["address"] for s in servers] == [f"127.0.0.1:{tls.implicit}"]
    assert "logged_in" not in servers[0]
    r = ask("--listener", "nobody", conf=tls.conf)
    assert r.returncode == CONFIG and "no listener" in r.stderr


@pytest.mark.parametrize("everywhere", ["*", "0.0.0.0", "[::]"])
def test_a_listener_on_all_addresses_is_asked_on_one(serve, everywhere):
    if not os.path.exists("/proc/net/if_inet6") and everywhere == "[::]":
        pytest.skip("the kernel has no IPv6")
    port = free_port()
    s = serve(sections=f"[listener everywhere]\nlisten = {everywhere}:{port}")
    code, (p,) = told("--listener", "everywhere", conf=s.conf)
    assert code == OK and p["address"] == f"127.0.0.1:{port}"


def test_it_ends_in_order(tls):
    """Nothing is logged that looks like trouble, however often it asks."""
    before = len(tls.log())
    assert ask("--user", "alice", conf=tls.conf, password="alice").returncode == OK
    tls.wait_quiet()
    ends = [line for line in tls.log()[before:].splitlines() if "event=session-end" in line]
    assert len(ends) == 2 and not any("error" in line or "broken" in line for line in ends)


def test_an_address_in_place_of_the_configuration(tls, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("alice\nmore\n")
    for words in ([f"127.0.0.1:{tls.port}"], [f"localhost:{tls.port}", "--tls", "explicit"],
                  [f"127.0.0.1:{tls.implicit}", "--tls", "implicit"]):
        code, (s,) = told(*words, "--user", "alice", "--password-file", str(secret))
        assert code == OK and s["tls"] == "TLSv1.3" and s["logged_in"], s
    code, (s,) = told(f"127.0.0.1:{tls.port}", "--tls", "no", "--user", "alice", password="alice")
    assert code == OK and s["tls"] is None and s["logged_in"]
    r = ask(f"127.0.0.1:{tls.port}", "--user", "alice", "--password-file", str(secret))
    assert r.returncode == OK
    assert r.stdout.startswith(f"127.0.0.1:{tls.port}: answers 220, TLSv1.3, certificate good for ")
    assert "logs in alice" in r.stdout
    r = ask("--quiet", f"127.0.0.1:{tls.port}")
    assert (r.returncode, r.stdout, r.stderr) == (OK, "", "")


def test_a_login_that_is_refused(tls):
    code, (s,) = told(f"127.0.0.1:{tls.port}", "--user", "alice", password="wrong")
    assert code == NO and s["logged_in"] is False and "530" in s["error"]
    r = ask(f"127.0.0.1:{tls.port}", "--user", "nobody", password="wrong")
    assert r.returncode == NO and "530" in r.stderr and "wrong" not in r.stderr


def test_days_that_are_left():
    with running(kinds=("ec",), prepare=lambda d: make_cert(d, "ec", days=20)) as s:
        assert told("--days", "15", conf=s.conf)[0] == OK
        code, servers = told("--days", "30", conf=s.conf)
        assert code == NO and all(p["certificate_days"] in (19, 20) and "only" in p["error"] for p in servers)
        # Where there is no TLS there is nothing that could be good for a day.
        assert told(f"127.0.0.1:{s.port}", "--tls", "no")[0] == OK


def test_a_certificate_whose_time_is_over():
    """The server goes on with it; clients do not."""
    with running(kinds=("ec",)) as s:
        make_expired(s.dir, "ec")
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("event=reload")
        wait_for(lambda: told(conf=s.conf)[0] == NO)
        _, servers = told(conf=s.conf)
        assert all(p["certificate_days"] < 0 and "expired" in p["error"] for p in servers)


def make_expired(directory, name):
    """Only "openssl ca" of Debian 12 knows a past."""
    def openssl(*args):
        subprocess.run(["openssl", *args], capture_output=True, check=True, cwd=directory)
    os.mkdir(f"{directory}/db")
    open(f"{directory}/db/index", "w").close()
    with open(f"{directory}/ca.conf", "w") as f:
        f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=db/index\nnew_certs_dir=db\nrand_serial=yes\n"
                "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={NAME}", "-out", "request")
    openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-selfsign", "-keyfile", f"{name}.key", "-in", "request",
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", f"{name}.pem")


def test_verify(tls, tmp_path):
    """Name and authority, as a client of the Internet would look at them."""
    def verified(name, authority):
        return told(f"127.0.0.1:{tls.port}", "--verify", name, env={**os.environ, "SSL_CERT_FILE": f"{authority}"})
    os.chmod(tmp_path, 0o755)
    for pem in ("ec", "rsa"):
        with open(f"{tls.dir}/{pem}.pem") as f, open(tmp_path / "authority", "a") as out:
            out.write(f.read())
    assert verified(NAME, f"{tmp_path}/authority")[0] == OK
    assert verified("127.0.0.1", f"{tmp_path}/authority")[0] == OK
    for name, authority in (("other.example.org", f"{tmp_path}/authority"), (NAME, "/dev/null"),
                            ("127.0.0.2", f"{tmp_path}/authority")):
        code, (s,) = verified(name, authority)
        assert code == NO and f"no good for {name}" in s["error"]
    # TLS is wanted then, whatever the server offers.
    code, (s,) = told(f"127.0.0.1:{tls.port}", "--tls", "no", "--verify", NAME)
    assert code == NO and "TLS" in s["error"]


def test_a_server_without_tls(server):
    code, (s,) = told("--user", "bob", conf=server.conf, password="bob")
    assert code == OK and s["tls"] is None and s["logged_in"]
    assert told(f"127.0.0.1:{server.port}")[0] == OK
    for words in (["--tls", "explicit"], ["--days", "1"], ["--verify", NAME]):
        code, (s,) = told(f"127.0.0.1:{server.port}", *words)
        assert code == NO and "AUTH TLS" in s["error"], words
    assert told(f"127.0.0.1:{server.port}", "--tls", "implicit")[0] != OK


def test_full_or_ending_is_not_dead(serve):
    s = serve("[server]\nmax_sessions = 1")
    with s.ftp():
        code, (p,) = told(conf=s.conf)
        assert code == NO and p["greeting"] == 421 and "421" in p["error"]
        assert told("--alive", conf=s.conf)[0] == OK


def test_nobody_there():
    code, (s,) = told(f"127.0.0.1:{free_port()}")
    assert code == NOSERVER and s["greeting"] == 0
    assert ask("no-such-host.invalid").returncode == NOSERVER


@pytest.mark.parametrize("words", [
    ["--days", "x"], ["--days", "-1"], ["--timeout", "0"], ["--tls", "yes"], ["--password-file", "/dev/null"],
    ["--user", ""], ["--user", "a\r\nDELE x"], ["a:b:c"], ["host:70000"], [":21"], ["127.0.0.1", "--listener", "main"]])
def test_usage(words):
    assert ask(*words, password="x").returncode == USAGE


@contextlib.contextmanager
def saying(*parts, close=True):
    """A server that says this to whoever connects, one part for each line that it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve_one():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for part in parts:
                        connection.sendall(part)
                        if part is not parts[-1] or not close:
                            connection.recv(1000)
                    while not close and connection.recv(1000):
                        pass
        t = threading.Thread(target=serve_one, daemon=True)
        t.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        t.join(PATIENCE)


@pytest.mark.parametrize("greeting", [
    b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"22\r\n", b"999 x\r\n", b"220-a\r\n" * 2000, b"220 " + b"x" * 100_000,
    b"220-hello\r\n 220 not the end\r\n", b"\x00220 x\r\n", b"220 a\x00b\r\n", b"\xff\xfe\r\n"])
def test_what_is_no_greeting(greeting):
    with saying(greeting) as address:
        code, (s,) = told(address)
        assert code in (FAILED, NOSERVER) and s["greeting"] == 0
    with saying(greeting) as address:
        assert told(address, "--alive")[0] in (FAILED, NOSERVER)


def test_a_terminal_is_shown_nothing_raw():
    with saying(b"421 \x1b]0;owned\x07\r\n") as address:
        r = ask(address)
        assert r.returncode == NO and "\x1b" not in r.stderr and "\\x1b" in r.stderr


def test_what_stands_behind_the_reply_to_auth_is_not_believed(tmp_path):
    """Somebody on the way has put a reply there; the server itself would refuse the login."""
    make_cert(tmp_path, "ec")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{tmp_path}/ec.pem", f"{tmp_path}/ec.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve_one():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"220 hello\r\n")
                connection.recv(100)
                connection.sendall(b"234 go\r\n230 logged in\r\n")
                with context.wrap_socket(connection, server_side=True) as secured:
                    while secured.recv(100):
                        secured.sendall(b"530 no\r\n")
        t = threading.Thread(target=serve_one, daemon=True)
        t.start()
        code, (s,) = told(f"127.0.0.1:{listener.getsockname()[1]}", "--user", "alice", password="secret")
        t.join(PATIENCE)
        assert code == NO and s["logged_in"] is False and "TLS fails" in s["error"]


def test_a_password_goes_to_another_machine_only_over_tls():
    """Not in clear because somebody on the way has taken AUTH out; where it is told to, it does."""
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    other = next((a for a in own if "." in a), None)
    if other is None:
        pytest.skip("this machine has no address but loopback")
    heard = []
    with socket.create_server((other, 0)) as listener:
        def serve_two():
            for _ in range(2):
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb") as f:
                    f.write(b"220 hello\r\n")
                    f.flush()
                    for line in f:
                        heard.append(line.split()[0])
                        f.write({b"USER": b"331 password\r\n", b"PASS": b"230 in\r\n"}.get(heard[-1], b"500 what\r\n"))
                        f.flush()
        t = threading.Thread(target=serve_two, daemon=True)
        t.start()
        address = f"{other}:{listener.getsockname()[1]}"
        code, (s,) = told(address, "--user", "alice", password="secret")
        assert code == NO and "not sent in clear" in s["error"] and not {b"USER", b"PASS"} & set(heard)
        assert told(address, "--user", "alice", "--tls", "no", password="secret")[0] == OK
        assert b"PASS" in heard
        t.join(PATIENCE)


def test_silence_has_an_end():
    with saying(b"", close=False) as address:
        code, (s,) = told("--timeout", "1", address)
        assert code == FAILED and s["error"].startswith("no greeting")


def test_root_is_nobody_on_the_network():
    """While it waits for a reply it has neither a right nor a way back to one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with subprocess.Popen([f"{BUILD}/sallyctl", "probe", address], stderr=subprocess.DEVNULL) as p:
            listener.settimeout(PATIENCE)
            connection, _ = listener.accept()
            with connection, open(f"/proc/{p.pid}/status") as f:
                status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
            p.wait(PATIENCE)
    assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4 and status["Groups"].split() == []
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
