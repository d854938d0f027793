"""A worker that has been taken over, against a real monitor, a real agent and the sessions of others.

tests/hostile/worker.c runs in the worker's sandbox and does what the test tells it over the control connection.
"""
import os
import re
import socket
import ssl

import pytest

from conftest import BUILD, HASHES, PATIENCE, TOP, UIDS, alive, wait_for
from tlsserver import make_cert

pytestmark = pytest.mark.skipif(not os.path.exists(f"{BUILD}/hostile-worker"), reason="hostile-worker is not built")
SECRET = b"SECRET OF ANOTHER TENANT"


def rows():
    """The messages that a worker sends."""
    with open(f"{TOP}/privsep/messages.def") as f:
        return re.findall(r"^MSG\((\w+), \w+, CH_\w+, ROLE_WORKER,", f.read(), re.M)


ROWS = rows()


class Hostile:
    """The client's end of a session whose worker obeys."""

    def __init__(self, server, user=None):
        wait_for(lambda: self.served(server), "no hostile worker serves")
        if user:
            assert self.do(f"login {user} {user}") == "LOGIN_OK"

    def served(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.file = self.sock.makefile("rb")
        if self.file.readline() == b"220 at your service\n":
            return True
        # A spare of the generation before, or none yet.
        self.close()
        return False

    def do(self, line):
        """The answer to an order; empty when the worker has gone."""
        try:
            self.sock.sendall(line.encode() + b"\n")
            return self.file.readline().decode(errors="replace").rstrip("\n")
        except OSError:
            return ""

    def ask(self, message, number=0, path=""):
        raw = path if isinstance(path, bytes) else os.fsencode(path)
        if not self.do(f"with {message} {number} {raw.hex()}".rstrip()).startswith("sent 1"):
            return "closed"
        return self.do("read")

    def close(self):
        self.file.close()
        self.sock.close()


class Host:
    """A server whose sessions, from now on, have hostile workers; honest ones that began before stay."""

    def __init__(self, server, libexec, before=None):
        self.server = server
        if before:
            before(server)
        self.honest = server.ftp("bob")
        os.unlink(libexec / "sallyport-worker")
        os.symlink(f"{BUILD}/hostile-worker", libexec / "sallyport-worker")
        server.process.send_signal(1)
        server.wait_log("event=reloaded")
        self.session().close()

    def session(self, user=None):
        return Hostile(self.server, user)

    def check(self):
        """The server and the session of somebody else have not suffered."""
        assert self.server.process.poll() is None, self.server.errors()
        assert self.honest.voidcmd("NOOP").startswith("200")
        assert self.honest.nlst() is not None
        assert not re.search(r"event=process-killed[^\n]*signal=(11|6|7|8|4)\b", self.server.log()), self.server.log()[-3000:]


@pytest.fixture
def host(serve, tmp_path):
    for name in ("worker", "monitor", "agent", "keeper", "verifier"):
        os.symlink(f"{BUILD}/sallyport-{name}", tmp_path / f"sallyport-{name}")
    os.symlink(f"{BUILD}/sallyctl", tmp_path / "sallyctl")

    def start(server="", sections="", before=None, **options):
        s = serve("never_ban = 127.0.0.0/8\n" + server, sections, args=("--libexec", str(tmp_path)), **options)
        with open(f"{s.dir}/secret", "wb") as f:
            f.write(SECRET)
        return Host(s, tmp_path, before)

    return start


STATES = {
    "before the login": [],
    "logged in": ["login"],
    "in an upload": ["login", ("STORE", 0, "up")],
    "in a download": ["login", ("RETRIEVE", 0, "{name}")],
    "in a listing": ["login", ("NAMES_OPEN", 0, ".")],
    "in a rename": ["login", ("RENAME_FROM", 0, "{name}")],
}


def in_state(host, steps, name):
    """A session in that state, with a file of its own: what the one before began may still go on."""
    if steps:
        with open(f"{host.server.homes['alice']}/{name}", "w") as f:
            f.write("content")
    h = host.session("alice" if steps else None)
    for message, number, path in steps[1:]:
        answer = h.ask(message, number, path.format(name=name))
        assert answer in ("WRITING", "READING", "DONE"), answer
    return h


def steps_live(state):
    return "login" in STATES[state]


@pytest.mark.parametrize("state", STATES)
def test_every_message_in_every_state(host, state):
    host = host()
    h, lasting = None, len(STATES[state]) < 2
    for name in ROWS:
        for size in ("full", "small") if lasting else ("small",):
            h = h or in_state(host, STATES[state], f"down-{name}")
            h.do(f"{size} {name} 1")
            # The next session greets on the same connection.
            if name == "GIVE_BACK" and lasting and steps_live(state):
                h.close()
                h = None
                continue
            if not lasting or h.do("read 20")[:6] in ("closed", ""):
                h.close()
                h = None
    host.check()
    with open(f"{host.server.dir}/secret", "rb") as f:
        assert f.read() == SECRET


PATHS = ["../secret", "/../secret", "../../../../../../../../etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd",
         "link/secret", "absolute", "up/../../secret", "./././..//secret", "..", "/", "\udcff\udcfe/../../secret",
         "x" * 4096, "a/" * 2047 + "b", "link", "up\n../secret", ".sallyport-0000", "CON", " ", "-rf", "%s%n", "link/"]


def test_no_path_leads_out(host):
    host = host()
    home, outside = host.server.homes["alice"], host.server.dir
    os.symlink(outside, f"{home}/link")
    os.symlink(f"{outside}/secret", f"{home}/absolute")
    before = {name: os.stat(f"{outside}/{name}").st_mtime_ns for name in ("secret", "sallyport.conf")}
    listed = sorted(os.listdir(outside))
    h = host.session("alice")
    for path in PATHS:
        for message in ("RETRIEVE", "DIGEST", "STORE", "APPEND", "MAKE_DIR", "DELETE", "REMOVE_DIR", "CHANGE_DIR", "SET_TIME",
                        "CHANGE_MODE", "LIST_OPEN", "MAKE_LINK", "RENAME_FROM", "STORE_UNIQUE"):
            answer = h.ask(message, 0, path)
            if answer.startswith("closed"):
                h = host.session("alice")
            if answer == "READING":
                assert path not in ("../secret", "/../secret", "absolute", "link/secret"), (message, path)
            if answer in ("WRITING", "READING"):
                h.do("with FINISH 0")
                if message != "RETRIEVE":
                    h.do("read 200")
            if message == "RENAME_FROM" and answer == "DONE":
                h.ask("RENAME_TO", 0, f"../moved-{len(path)}")
    with open(f"{outside}/secret", "rb") as f:
        assert f.read() == SECRET
    assert before == {name: os.stat(f"{outside}/{name}").st_mtime_ns for name in before}
    assert [n for n in sorted(os.listdir(outside)) if n not in listed] == []
    host.check()


def test_nothing_is_reached_but_the_descriptors(host):
    """No call of a worker reaches another process, another file, or an address that the agent did not choose."""
    host = host()
    service = socket.create_server(("127.0.0.1", 0))
    service.setblocking(False)
    nobody = socket.create_server(("127.0.0.1", 0))
    closed = nobody.getsockname()[1]
    nobody.close()
    h = host.session("alice")
    victim = next(p for p, name in host.server.pids().items() if name == "sallyport-worke")
    assert h.ask("CONNECT", closed) == "CONNECTING"
    assert h.do(f"fastopen {service.getsockname()[1]}").startswith("error ")
    with pytest.raises(BlockingIOError):
        service.accept()
    assert h.do(f"limit {victim}") == "error ENOSYS"
    assert h.do("reopen") == "error EACCES"
    assert h.do("memory 100") == "ok 0"
    assert h.do("memory 300") == "error ENOMEM"
    assert h.do("login x y").startswith("closed")
    for deadly in (f"trace {victim}", f"kill {victim}"):
        assert host.session("alice").do(deadly) == "", deadly
    assert alive(victim)
    host.check()


def pids_of(host, h):
    peer = "%s:%d" % h.sock.getsockname()
    return [w["pids"].values() for w in host.server.ctl("who") if w["peer"] == peer]


def test_only_the_clients_connection_is_given_back(host):
    """REIN hands a socket to the listener. Another one, such as a data connection to anybody whom the agent reaches, is
    refused as a crash is; and the right one is served again only when no process of the old session is left."""
    host = host()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(PATIENCE)
        h = host.session("alice")
        assert h.ask("CONNECT", other.getsockname()[1]) == "CONNECTING"
        taken = other.accept()[0]
        h.do("back kept 1")
        taken.settimeout(PATIENCE)
        assert taken.recv(100) == b"", "nobody greets on that connection"
        host.server.wait_log("event=protocol-violation peer=monitor [^\n]*message=CLIENT_BACK")
        assert h.do("read 10") == ""
        taken.close()
    h = host.session("alice")
    h.do("back own 2")
    host.server.wait_log("event=protocol-violation [^\n]*message=GIVE_BACK")
    h = host.session()
    h.do("back own 1")
    wait_for(lambda: len(re.findall("event=protocol-violation [^\n]*message=GIVE_BACK", host.server.log())) == 2)
    h.close()
    h = host.session("alice")
    before = pids_of(host, h)[0]
    assert h.do("back own 1") == "sent 1"
    assert h.file.readline() == b"220 at your service\n", "another worker, although the first did not go by itself"
    assert not any(map(alive, before))
    assert h.do("login alice alice") == "LOGIN_OK"
    h.close()
    host.check()


def test_no_other_port_or_address(host):
    host = host()
    h = host.session("alice")
    for port in (0, 1, 22, 80, 1023):
        assert h.ask("CONNECT", port).startswith("FAILED 6"), port
    assert h.ask("CONNECT", 65536 + 21).startswith("FAILED 6")
    for family in (3, 5, 6, 255):
        assert h.ask("LISTEN", family).startswith("FAILED")
    port = int(h.ask("LISTEN", 0).split()[1])
    assert 20000 <= port <= 45000
    assert h.ask("LISTEN", 0) == f"LISTENING {port}", "one passive socket a session"
    h.close()
    host.check()


SHARED = f"""[account eve]
password = {HASHES['alice']}
home = {{dir}}
run_as = {UIDS['bob']}:{UIDS['bob']}
layer = pyftpdlib elradfmwMT
"""


def test_descriptors_on_their_way_are_few(host):
    """The kernel counts them for each uid, and accounts may share one: nobody else is refused his."""
    host = host(sections=SHARED)
    greedy = []
    for _ in range(3):
        h = host.session()
        assert h.do("login eve alice") == "LOGIN_OK"
        for _ in range(100):
            h.do("with LISTEN 0")
        greedy.append(h)
    for _ in range(5):
        host.honest.nlst()
        assert host.honest.voidcmd("NOOP").startswith("200")
    host.check()


def test_a_transfer_ends_once(host, tmp_path):
    host = host(f"quota_directory = {tmp_path}")
    h = host.session("alice")
    assert h.ask("STORE", 0, "once") == "WRITING"
    assert h.do("write content") == "ok 7"
    assert h.ask("FINISH", 1) == "DONE"
    assert h.ask("FINISH", 1).startswith("closed"), "there was nothing to finish"
    with open(f"{host.server.homes['alice']}/once") as f:
        assert f.read() == "content"
    host.server.wait_log("event=protocol-violation [^\n]*message=FINISH")
    host.check()


@pytest.mark.parametrize("limit", ["quota_bytes = 1M", "max_file_size = 1M", "quota_bytes = 1M\nmax_file_size = 2G"])
def test_no_file_grows_beyond_the_whole_quota(host, tmp_path, limit):
    """What the worker does not keep, the kernel does: during the upload, at its end, and afterwards."""
    host = host(f"quota_directory = {tmp_path}", f"[class limited]\nmembers = alice\n{limit}")
    home, megabyte = host.server.homes["alice"], 1 << 20
    h = host.session("alice")
    for verb in ("STORE", "STORE_UNIQUE", "APPEND"):
        assert h.ask(verb, 0, "f") == "WRITING"
        assert h.do("fill 40") == f"filled {megabyte} EFBIG"
        assert sum(os.lstat(f"{home}/{n}").st_size for n in os.listdir(home)) == megabyte
        h.ask("FINISH", 0)
        for n in os.listdir(home):
            h.ask("DELETE", 0, n)
        assert not os.listdir(home)
    # What the quota has for it is another matter, and settled at the end.
    assert h.ask("STORE", 0, "g") == "WRITING"
    assert h.do("write content") == "ok 7" and h.ask("FINISH", 1) == "DONE"
    assert h.do("fill 40") == f"filled {megabyte - 7} EFBIG"
    h.close()
    host.check()


@pytest.mark.parametrize("before", ["missing", "existing", "restarted", "linked"])
def test_what_was_stored_stays_as_it_is(host, before):
    """A descriptor cannot be taken back; but what 226 was said for is not changed through it any more."""
    host = host()
    path = f"{host.server.homes['alice']}/file"
    if before != "missing":
        with open(path, "w") as f:
            f.write("an older content of it")
        os.chown(path, UIDS["alice"], UIDS["alice"])
    if before == "linked":
        os.link(path, f"{path}-too")
    h = host.session("alice")
    assert h.ask("STORE", 3 if before == "restarted" else 0, "file") == "WRITING"
    assert h.do("write content") == "ok 7"
    assert h.ask("FINISH", 1) == "DONE"
    with open(path) as f:
        stored = f.read()
    assert stored == ("an content" if before == "restarted" else "content")
    assert h.do("append").startswith("error")
    h.do("write late")
    with open(path) as f:
        assert f.read() in (stored, stored + "late")
    h.close()
    host.check()


def test_attempts_are_counted_by_the_monitor(host):
    host = host("login_attempts = 3\nlogin_delay = 1")
    h = host.session()
    assert [h.do("login alice wrong") for _ in range(3)] == ["LOGIN_REFUSED 530 0", "LOGIN_REFUSED 530 0", "LOGIN_REFUSED 530 1"]
    assert h.do("login alice alice") in ("closed login", "closed files", "")
    # Two at once: the second is not one more attempt but the end.
    h = host.session()
    h.do("small LOGIN 2")
    assert h.do("read") in ("closed login", "closed files", "")
    host.server.wait_log("event=protocol-violation [^\n]*message=LOGIN")
    host.check()


PARTNER = ("[account partner]\nhome = {dir}/home-alice\nrun_as = 64111:64111\nlayer = posix1e\n"
           "certificate_login = instead_of_password\ncertificate_id = dns:pc7.example.org\n")


def give(session, handshake):
    """PROVE with these bytes."""
    for i in range(0, len(handshake), 4000):
        assert session.do(f"hold {handshake[i:i + 4000].hex()}").startswith("held")
    return session.do("prove 1")


@pytest.mark.parametrize("asked, order", [
    ("", "claim partner 1"),        # no TLS at all
    ("", "prove 1"),
    ("no", "prove 1"),              # TLS, but no client is asked
    ("request", "prove 2"),         # one session, one handshake
    ("request", "prove 1\nclaim partner 0"),   # which takes back that there was one
    ("require", "prove 1\nclaim partner 0"),
])
def test_no_certificate_where_none_is_asked_for(host, tmp_path, asked, order):
    make_cert(tmp_path, "own")
    own = tmp_path / "own"
    host = host(sections=(f"[tls]\ncertificate = {own}.pem\nprivate_key = {own}.key\nclient_ca = {own}.pem\n"
                          f"client_certificate = {asked}\n" if asked else "") + PARTNER)
    h = host.session()
    for line in order.split("\n"):
        last = h.do(line)
    assert (last if "claim" in line else h.do("read")) in ("closed login", "closed files", "")
    host.server.wait_log(f"event=protocol-violation [^\\n]*message={'LOGIN' if 'claim' in line else 'PROVE'}")
    assert "event=login " not in host.server.log().split("event=protocol-violation")[1]
    # What can be true is decided as ever.
    assert host.session().do("claim partner 0") == "LOGIN_REFUSED 530 0"
    host.check()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_certificates_are_not_made_up(host, tmp_path, version):
    """The worker says nothing of the client that the client has not signed in this very session."""
    make_cert(tmp_path, "own")
    make_cert(tmp_path, "ca", host="ca")
    make_cert(tmp_path, "client", host="pc7.example.org", ca="ca")
    own = tmp_path / "own"
    seen, of_session = [], re.compile(rb"sallyport session [0-9a-f]{32}")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    # Both directions, as the worker sees them; 22: messages of the handshake.
    context._msg_callback = lambda conn, direction, v, kind, message, data: seen.append(data) if kind == 22 else None

    def honest(s):
        with socket.create_connection(("127.0.0.1", s.port), PATIENCE) as c:
            c.recv(4096)
            c.sendall(b"AUTH TLS\r\n")
            c.recv(4096)
            with context.wrap_socket(c) as tls:
                tls.sendall(b"USER partner\r\n")
                assert tls.recv(4096).startswith(b"232")

    host = host(sections=f"[tls]\ncertificate = {own}.pem\nprivate_key = {own}.key\nclient_ca = {tmp_path}/ca.pem\n"
                         "client_certificate = request\n" + PARTNER, before=honest)
    last = max(i for i, m in enumerate(seen) if m[0] == 15)     # the client's CertificateVerify
    handshake = b"".join(seen[:last + 1])
    assert len(of_session.findall(handshake)) == 1
    tries = {
        "of another session": lambda m: handshake,
        "with this session's name": lambda m: of_session.sub(m, handshake),
        "cut": lambda m: of_session.sub(m, handshake)[:-1],
        "rubbish": lambda m: b"dns:pc7.example.org\n",
        "empty": lambda m: b"",
    }
    for what, forge in tries.items():
        h = host.session()
        mine = of_session.search(bytes.fromhex(h.do("challenge x").split()[1]))[0]
        assert give(h, forge(mine)) == "sent 1", what
        assert h.do("claim partner 1") == "LOGIN_REFUSED 530 0", what
        h.close()
    why = re.findall(r'event=certificate-not-proved [^\n]*', host.server.log())
    assert len(why) == len(tries) and "another session" in why[0] and "not signed by" in why[1], why
    assert len(re.findall("event=login ", host.server.log())) == 2, "bob, and partner by the honest handshake"
    host.check()


def test_logs_are_rationed(host):
    host = host()
    h = host.session("alice")
    h.do("log login 5000")
    h.do("log anything 5000")
    h.close()
    m = host.server.wait_log(r"event=log-lines-dropped [^\n]*lost=(\d+)")
    assert int(m[1]) > 1000
    log = host.server.log()
    assert len(re.findall(r"event=\S*anything", log)) < 1000
    assert not re.search(r"event=login (?!rhost|session)", log), "a worker states a login"
    host.check()
