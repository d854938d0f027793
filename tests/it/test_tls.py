"""FTPS: clients people use, and attacks (RFC 4217)."""
import contextlib
import ftplib
import io
import os
import random
import signal
import socket
import ssl
import subprocess
import time

import pytest
from conftest import PATIENCE, Raw, read_all, wait_for
from tlsserver import make_cert, NAME, read, Resuming, run, running, strict_list, tls, wrap, write

# ------------------------------------------------------------------------------ clients

@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("implicit", [False, True])
def test_curl(tls, tmp_path, version, implicit):
    content = os.urandom(3_000_000)
    write(f"{tls.homes['alice']}/curl", content)
    base = f"ftps://127.0.0.1:{tls.implicit}" if implicit else f"ftp://127.0.0.1:{tls.port}"
    curl = ["curl", "-sS", "-k", "--ssl-reqd", f"--tlsv{version}", "--tls-max", version, "-u", "alice:alice"]
    out = tmp_path / "out"
    r = run(*curl, f"{base}/curl", "-o", out)
    assert r.returncode == 0, r.stderr
    assert out.read_bytes() == content
    out.write_bytes(content[:1_000_000])
    assert run(*curl, "-C", "-", f"{base}/curl", "-o", out).returncode == 0
    assert out.read_bytes() == content
    r = run(*curl, "-T", out, f"{base}/up-{version}-{implicit}")
    assert r.returncode == 0, r.stderr
    assert read(f"{tls.homes['alice']}/up-{version}-{implicit}") == content
    assert b"curl" in run(*curl, f"{base}/").stdout


def test_lftp(tls, tmp_path):
    os.makedirs(f"{tls.homes['bob']}/tree", exist_ok=True)
    for i in range(40):
        write(f"{tls.homes['bob']}/tree/f{i}", os.urandom(1000 + i))
    script = ("set ssl:verify-certificate no; set ftp:ssl-force true; set ftp:ssl-protect-data true;"
              f"mirror tree {tmp_path}/got; mirror -R {tmp_path}/got back; bye")
    r = run("lftp", "-u", "bob,bob", "-e", script, f"ftp://127.0.0.1:{tls.port}")
    assert r.returncode == 0, r.stderr
    run("chown", "-R", "64112", f"{tls.homes['bob']}")
    for i in range(40):
        assert read(f"{tls.homes['bob']}/back/f{i}") == read(f"{tls.homes['bob']}/tree/f{i}")


def test_rclone(tls, tmp_path):
    write(tmp_path / "r", os.urandom(500_000))
    password = run("rclone", "obscure", "alice").stdout.decode().strip()
    flags = ["--ftp-host", "127.0.0.1", "--ftp-port", str(tls.port), "--ftp-user", "alice", "--ftp-pass", password,
             "--ftp-explicit-tls", "--ftp-no-check-certificate", "--config", "/dev/null"]
    r = run("rclone", "copy", str(tmp_path / "r"), ":ftp:/rclone", *flags)
    assert r.returncode == 0, r.stderr
    assert read(f"{tls.homes['alice']}/rclone/r") == read(tmp_path / "r")
    assert b"500000 r" in run("rclone", "ls", ":ftp:/rclone", *flags).stdout


@pytest.mark.parametrize("cls", [ftplib.FTP_TLS, Resuming])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_500_small_files(tls, cls, version):
    write(f"{tls.homes['alice']}/small", b"hello\n")
    f = tls.ftps(cls=cls, context=tls.context(version))
    for i in range(250):
        b = io.BytesIO()
        f.retrbinary("RETR small", b.write)
        assert b.getvalue() == b"hello\n"
        f.storbinary(f"STOR s{i % 10}", io.BytesIO(b"%d" % i))
    assert f.size("s9") == 3
    f.quit()


def test_s_client(tls):
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.port}", "-starttls", "ftp", "-quiet"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"NOOP\r\nQUIT\r\n")
    p.stdin.flush()
    out = p.communicate(timeout=PATIENCE)[0]
    assert b"221 " in out


# --------------------------------------------------------------------------- the commands

def test_order_of_commands(tls):
    r = Raw(tls.port)
    assert r.reply()[0] == 220
    assert "AUTH TLS" in r.cmd("FEAT")[1]
    assert r.cmd("PBSZ 0")[0] == 503
    assert r.cmd("PROT P")[0] == 503
    assert r.cmd("CCC")[0] == 533
    assert r.cmd("AUTH KERBEROS_V4")[0] == 504
    assert r.cmd("AUTH TLS")[0] == 234
    wrap(r, tls.context())
    assert r.cmd("AUTH TLS")[0] == 503
    assert r.cmd("PROT P")[0] == 503
    for size in ("x", "-1", "4294967296", "99999999999999999999"):
        assert r.cmd(f"PBSZ {size}")[0] == 501
    assert r.cmd("PROT P")[0] == 503
    assert r.cmd("PBSZ 4294967295")[0] == 200
    assert r.cmd("PBSZ 16384") == (200, "200 PBSZ=0\r\n")
    assert r.cmd("PROT S")[0] == 536
    assert r.cmd("PROT X")[0] == 504
    assert r.cmd("PROT C")[0] == 200
    assert r.cmd("PROT P")[0] == 200
    assert r.cmd("CCC")[0] == 534
    r.close()


def test_tls_off():
    with running(listener="tls = off") as s:
        r = Raw(s.port)
        r.reply()
        assert "AUTH" not in r.cmd("FEAT")[1]
        assert r.cmd("AUTH TLS")[0] == 502
        assert r.cmd("USER alice")[0] == 331


def test_control_must_be_secure():
    with running(listener="tls = control") as s:
        r = Raw(s.port)
        r.reply()
        code, text = r.cmd("USER alice")
        assert code == 530 and "TLS" in text
        assert r.cmd("PASS alice")[0] == 503
        f = s.ftps(protect=False)
        f.nlst()
        f.quit()


def test_data_must_be_secure():
    with running(listener="tls = full") as s:
        r = s.secured()
        r.cmd("PBSZ 0")
        assert r.cmd("PROT C")[0] == 534
        f = s.ftps(protect=False)
        with pytest.raises(ftplib.error_perm, match="^521"):
            f.nlst()
        f.prot_p()
        f.nlst()
        with pytest.raises(ftplib.error_perm, match="^534"):
            f.prot_c()
        f.quit()


def test_account_wants_tls():
    accounts = "[account carl]\npassword = {CLEAR}carl\nhome = /tmp\nrun_as = 64114:64114\nlayer = pyftpdlib elr\ntls = control\n"
    with running(sections=accounts) as s:
        r = Raw(s.port)
        r.reply()
        r.cmd("USER carl")
        assert r.cmd("PASS carl")[0] in (530, 503)


def test_ccc():
    with running(listener="allow_ccc = yes") as s:
        r = s.secured()
        assert r.cmd("USER alice")[0] == 331
        assert r.cmd("PASS alice")[0] == 230
        assert r.cmd("CCC")[0] == 200
        r.sock = r.sock.unwrap()
        r.file = r.sock.makefile("rb")
        assert r.cmd("PWD")[0] == 257
        assert r.cmd("AUTH TLS")[0] == 503


def test_a_client_that_does_not_end_tls_after_ccc():
    with running(listener="allow_ccc = yes") as s:
        r = s.secured()
        assert r.cmd("USER alice")[0] == 331
        assert r.cmd("PASS alice")[0] == 230
        assert r.cmd("CCC")[0] == 200
        r.file.close()
        r.sock.close()
        s.wait_log("notice event=ccc-failed .*about=control error=")


def test_ccc_before_the_login():
    """It would send the password in clear, of an account that may demand TLS."""
    with running(listener="allow_ccc = yes") as s:
        r = s.secured()
        assert "CCC" not in r.cmd("FEAT")[1]
        assert r.cmd("CCC")[0] == 530
        assert r.cmd("USER alice")[0] == 331
        assert r.cmd("CCC")[0] == 530
        # The connection is still under TLS, or this reply could not be read.
        assert r.cmd("PASS alice")[0] == 230
        assert "CCC" in r.cmd("FEAT")[1]
        assert r.cmd("CCC")[0] == 200


def test_data_stays_protected_after_ccc():
    with running(listener="allow_ccc = yes") as s:
        r = s.logged_in()
        session, context = r.sock.session, r.context
        assert r.cmd("CCC")[0] == 200
        r.sock = r.sock.unwrap()
        r.file = r.sock.makefile("rb")
        assert strict_list(r, session, context)[0] == 226
        data = r.passive()
        assert r.cmd("LIST")[0] == 150
        data.sendall(b"this is not TLS\r\n")
        assert r.reply()[0] == 522


@pytest.mark.parametrize("where", ["account", "class", "group"])
def test_account_wants_all_data_under_tls(where):
    """The listener leaves it open, the account does not: PROT C is refused, and no data flows without PROT P."""
    carl = "[account carl]\npassword = {CLEAR}carl\nhome = /tmp\nrun_as = 64114:64114\nlayer = pyftpdlib elr\n"
    how = {"account": carl + "tls = full\n", "class": carl + "class = closed\n[class closed]\ntls = full\n",
           "group": carl + "groups = closed\n[group closed]\ntls = full\n"}[where]
    with running(sections=how) as s:
        f = s.ftps("carl", protect=False)
        f.voidcmd("PBSZ 0")
        for _ in range(2):
            with pytest.raises(ftplib.error_perm, match="^521"):
                f.nlst()
            with pytest.raises(ftplib.error_perm, match="^534"):
                f.prot_c()
        f.prot_p()
        f.nlst()
        with pytest.raises(ftplib.error_perm, match="^534"):
            f.prot_c()
        f.nlst()
        # What was agreed before the account was known counts no more.
        r = s.secured()
        r.cmd("PBSZ 0")
        assert r.cmd("PROT C")[0] == 200
        assert r.cmd("USER carl")[0] == 331
        assert r.cmd("PASS carl")[0] == 230
        data = r.passive()
        assert r.cmd("LIST")[0] == 521
        data.close()
        # alice may.
        f = s.ftps(protect=True)
        f.prot_c()
        f.nlst()
        f.quit()


def test_what_was_said_in_clear_is_forgotten(tls):
    """Somebody on the way may have said it (RFC 4217, 17)."""
    r = Raw(tls.port)
    r.reply()
    assert r.cmd("USER bob")[0] == 331
    assert r.cmd("AUTH TLS")[0] == 234
    wrap(r, tls.context())
    assert r.cmd("PASS bob")[0] == 503
    assert r.cmd("USER alice")[0] == 331
    assert r.cmd("PASS bob")[0] == 530
    r = Raw(tls.port)
    r.reply()
    r.cmd("OPTS MLST type;")
    r.cmd("TYPE I")
    r.cmd("REST 100")
    r.cmd("AUTH TLS")
    wrap(r, tls.context())
    assert "size*" in r.cmd("FEAT")[1].lower()
    assert r.cmd("USER alice")[0] == 331
    assert r.cmd("PASS alice")[0] == 230
    r.cmd("PBSZ 0")
    r.cmd("PROT P")
    content = os.urandom(300)
    write(f"{tls.homes['alice']}/rest", content)
    data = r.passive()
    assert r.cmd("TYPE I")[0] == 200
    assert r.cmd("RETR rest")[0] == 150
    assert read_all_tls(r.context.wrap_socket(data, suppress_ragged_eofs=False)) == content


def test_protection_is_not_begun_after_the_login(tls):
    r = tls.raw().login()
    assert "AUTH" not in r.cmd("FEAT")[1]
    assert r.cmd("AUTH TLS")[0] == 503
    assert r.cmd("PBSZ 0")[0] == 503
    assert r.cmd("PROT P")[0] == 503
    assert r.cmd("CCC")[0] == 533
    assert r.cmd("NOOP")[0] == 200
def test_rein_takes_no_tls_away():
    """RFC 4217, 11 would have it fall back to clear text; the refusal says so, and nothing has changed, after CCC neither."""
    with running(listener="allow_ccc = yes") as s:
        r = s.secured()
        code, text = r.cmd("REIN")
        assert code == 502 and "TLS" in text, text
        assert r.cmd("USER alice")[0] == 331 and r.cmd("PASS alice")[0] == 230
        assert r.cmd("REIN")[0] == 502 and r.cmd("PWD")[0] == 257
        r.send(b"REIN\r\nPWD\r\nUSER bob\r\n")
        assert [r.reply()[0] for _ in range(3)] == [502, 257, 530]
        assert r.cmd("CCC")[0] == 200
        r.sock = r.sock.unwrap()
        r.file = r.sock.makefile("rb")
        assert r.cmd("REIN")[0] == 502 and r.cmd("PWD")[0] == 257


def test_host_and_sni(tls):
    c = tls.context()
    r = tls.secured(c, host=NAME)
    assert r.cmd("HOST other.example.org")[0] == 504
    assert r.cmd(f"HOST {NAME}")[0] == 220
    r = tls.secured(c)
    assert r.cmd("HOST other.example.org")[0] == 504
    r = tls.raw()
    assert r.reply()[0] == 220
    assert r.cmd("HOST other.example.org")[0] == 504, "the names that are known are those of the certificates, in clear as well"
    assert r.cmd(f"HOST {NAME}")[0] == 220
    assert r.cmd("HOST 127.0.0.1")[0] == 220


@pytest.mark.parametrize("offer,good", [(["ftp"], True), (["http/1.1"], False), (["h2", "imap"], False)])
def test_alpn(tls, offer, good):
    c = tls.context()
    c.set_alpn_protocols(offer)
    if good:
        assert tls.secured(c).sock.selected_alpn_protocol() == "ftp"
    else:
        with pytest.raises(ssl.SSLError):
            tls.secured(c)


def test_sni_chooses():
    def prepare(d):
        make_cert(d, "other", host="other.example.org")

    with running(kinds=("ec",), prepare=prepare) as s:
        text = read(s.conf).decode().replace(f"{s.dir}/ec.pem", f"{s.dir}/ec.pem, {s.dir}/other.pem").replace(
            f"{s.dir}/ec.key", f"{s.dir}/ec.key, {s.dir}/other.key")
        write(s.conf, text.encode())
        s.process.send_signal(signal.SIGHUP)
        for host in (NAME, "other.example.org"):
            c = s.context()
            c.load_verify_locations(f"{s.dir}/{'ec' if host == NAME else 'other'}.pem")
            c.verify_mode = ssl.CERT_REQUIRED
            c.check_hostname = True
            wait_for(lambda: s.secured(c, host=host), f"no certificate for {host}")


# -------------------------------------------------------------------------------- attacks

def test_injection_with_auth(tls):
    r = Raw(tls.port)
    r.reply()
    r.send("AUTH TLS\r\nUSER alice\r\nPASS alice\r\n")
    assert r.reply()[0] == 421
    assert r.reply()[0] == 0
    assert "plaintext-injection" in tls.wait_log("plaintext-injection").group(0)


def test_injection_after_auth(tls):
    r = Raw(tls.port)
    r.reply()
    assert r.cmd("AUTH TLS")[0] == 234
    r.send("USER alice\r\n")
    rest = read_all(r.sock)
    assert b"331" not in rest and b"220" not in rest


GARBAGE = {
    "cut record": b"\x16\x03\x01", "no message": b"\x16\x03\x01\x00\x05AAAAA", "random": os.urandom(3000),
    "SSL 2": b"\x80\x80\x01\x03\x01", "zeros": b"\x00" * 600, "alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "early data": b"\x17\x03\x03\x40\x00" + b"A" * 16384,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_in_the_handshake(tls, what):
    r = Raw(tls.port)
    r.reply()
    assert r.cmd("AUTH TLS")[0] == 234
    with contextlib.suppress(OSError):
        r.send(GARBAGE[what])
        r.sock.shutdown(socket.SHUT_WR)
        read_all(r.sock)
    tls.ftps().quit()


@pytest.mark.parametrize("explicit", [True, False])
def test_half_open_handshake(explicit):
    with running(server="login_grace_time = 2") as s:
        began = time.monotonic()
        r = Raw(s.port if explicit else s.implicit)
        if explicit:
            r.reply()
            r.cmd("AUTH TLS")
        with contextlib.suppress(ConnectionError):
            r.send(b"\x16\x03\x01\x02\x00\x01")
            assert b"421" not in read_all(r.sock)
        assert time.monotonic() - began > 1
        wait_for(lambda: s.ftps().quit())


def test_data_in_clear(tls):
    r = tls.logged_in()
    data = r.passive()
    assert r.cmd("LIST")[0] == 150
    data.sendall(b"this is not TLS\r\n")
    assert r.reply()[0] == 522
    assert data.recv(1000)[:5] != b"total"
    assert r.cmd("NOOP")[0] == 200


def test_upload_in_clear_stores_nothing(tls):
    r = tls.logged_in()
    data = r.passive()
    assert r.cmd("STOR clear")[0] == 150
    data.sendall(b"content in clear")
    data.close()
    assert r.reply()[0] == 522
    assert not os.path.exists(f"{tls.homes['alice']}/clear") or read(f"{tls.homes['alice']}/clear") == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_stolen_ticket(version):
    with running(tls="session_reuse = strict") as s:
        c = s.context(version)
        first, second = s.logged_in(c), s.logged_in(c)
        assert strict_list(first, first.sock.session)[0] == 226
        code, text = strict_list(second, first.sock.session)
        assert code == 522 and "TLS session of data connection not resumed" in text and "session_reuse = strict" in text
        assert strict_list(second, None)[0] == 522
        assert strict_list(second, second.sock.session)[0] == 226


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_adaptive(tls, version):
    r = tls.logged_in(tls.context(version))
    assert strict_list(r, None)[0] == 226
    for _ in range(3):
        assert strict_list(r, r.sock.session)[0] == 226
    # The client has its ticket: who has none is somebody else, however often they try.
    for _ in range(3):
        code, text = strict_list(r, None)
        assert code == 522 and "session_reuse = adaptive" in text
    assert strict_list(r, r.sock.session)[0] == 226
    assert strict_list(r, None)[0] == 522


def test_adaptive_takes_any_ticket_for_a_cache(tls):
    c = tls.context()
    first, second = tls.logged_in(c), tls.logged_in(c)
    for _ in range(4):
        assert strict_list(first, first.sock.session)[0] == 226
    assert strict_list(first, second.sock.session)[0] == 226
    assert strict_list(first, None)[0] == 226


class Cache:
    """A client's cache of tickets, as several control connections share it."""

    def __init__(self, once):
        self.once, self.held = once, []

    def get(self):
        if not self.held:
            return None
        return self.held.pop() if self.once else self.held[-1]

    def put(self, session):
        self.held.append(session)


def cached_transfer(r, cache, command, content=None):
    plain = r.passive()
    assert r.cmd(command)[0] == 150
    data = r.context.wrap_socket(plain, session=cache.get(), suppress_ragged_eofs=False)
    if content is None:
        read_all_tls(data)
    else:
        data.sendall(content)
    if content is None or data.version() == "TLSv1.2":
        cache.put(data.session)
    with contextlib.suppress(ssl.SSLError, OSError):
        data.unwrap().close()
    return r.reply()


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_adaptive_with_a_shared_cache(tls, version, once):
    """Four sessions of one client, at each other's tickets: downloads that bring some, uploads and appends that do not."""
    c = tls.context(version)
    sessions, cache = [tls.logged_in(c) for _ in range(4)], Cache(once)
    for r in sessions:
        cache.put(r.sock.session)
    steps = random.Random(8)
    for i in range(80):
        command = steps.choice(["MLSD", "LIST", f"STOR shared{i % 5}", "APPE shared-log"])
        code, text = cached_transfer(steps.choice(sessions), cache, command, None if command[0] in "ML" else b"x" * 100)
        assert code == 226, (i, command, text)
        # What a cache does when it is full, or after an error of some other connection.
        if steps.random() < 0.1:
            cache.held.clear()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_adaptive_forgives_tickets_thrown_away(tls, version):
    """An upload that was cut: the library takes the session for broken, and has none for the next one."""
    r = tls.logged_in(tls.context(version))
    for _ in range(4):
        assert strict_list(r, r.sock.session)[0] == 226
    assert upload(r, "cut-short", b"x" * 1000, cut)[0] == 426
    assert strict_list(r, None)[0] == 226


def test_adaptive_knows_that_tickets_grow_old():
    with running(tls="ticket_lifetime = 4") as s:
        r = s.logged_in()
        for _ in range(3):
            assert strict_list(r, r.sock.session)[0] == 226
        time.sleep(2.5)
        assert strict_list(r, None)[0] == 226


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_strict_is_not_passed_by_coming_back(version):
    """A stranger is refused; the handshake has left it a ticket. That must not open the next data connection."""
    with running(tls="session_reuse = strict") as s:
        r = s.logged_in(s.context(version))
        plain = r.passive()
        assert r.cmd("LIST")[0] == 150
        stranger = r.context.wrap_socket(plain, suppress_ragged_eofs=False)
        with contextlib.suppress(ssl.SSLError, OSError):
            stranger.recv(1)
        loot = stranger.session
        assert loot is not None
        assert r.reply()[0] == 522
        assert strict_list(r, loot)[0] == 522
        assert strict_list(r, r.sock.session)[0] == 226


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_strict_is_not_passed_by_waiting(version):
    """Nor when what the refused handshake has left is too old, while the client goes on and has fresh ones."""
    with running(tls="session_reuse = strict\nticket_lifetime = 2s") as s:
        r, other = s.logged_in(s.context(version)), s.context(version)

        def come(session):
            plain = r.passive()
            assert r.cmd("LIST")[0] == 150
            left = session
            with contextlib.suppress(ssl.SSLError, OSError):
                stranger = other.wrap_socket(plain, session=session, suppress_ragged_eofs=False)
                with contextlib.suppress(ssl.SSLError, OSError):
                    stranger.recv(1)
                left = stranger.session
            return left, r.reply()[0]

        loot, code = come(None)
        assert loot is not None and code == 522
        time.sleep(3.2)
        assert strict_list(r, r.sock.session)[0] == 226
        assert come(loot)[1] == 522
        assert come(None)[1] == 522


def test_session_outlives_its_tickets():
    with running(tls="session_reuse = strict\nticket_lifetime = 1") as s:
        f = s.ftps(cls=Resuming)
        f.nlst()
        time.sleep(2.5)
        f.nlst()
        f.quit()


def upload(r, name, content, close, verb="STOR"):
    plain = r.passive()
    assert r.cmd(f"{verb} {name}")[0] == 150
    data = r.context.wrap_socket(plain, session=r.sock.session, suppress_ragged_eofs=False)
    data.sendall(content)
    close(data)
    return r.reply()


def cut(data):
    raw = socket.socket(fileno=data.detach())
    raw.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    raw.close()


def test_truncated_upload(tls):
    old = f"{tls.homes['alice']}/precious"
    write(old, b"old content")
    os.chown(old, 64111, 64111)
    r = tls.logged_in()
    code, text = upload(r, "precious", b"x" * 100_000, cut)
    assert code == 426 and "closing message" in text
    assert read(old) == b"old content"
    code, _ = upload(r, "precious", b"new content", lambda d: d.unwrap().close())
    assert code == 226
    assert read(old) == b"new content"


@pytest.mark.parametrize("verb", ["STOR", "APPE"])
@pytest.mark.parametrize("name", ["fresh", "kept"])
def test_an_upload_cut_before_its_first_byte(tls, verb, name):
    """No data and no closing message: an empty file, or one of which nothing came through.  Nobody can tell which."""
    kept = f"{tls.homes['alice']}/kept"
    write(kept, b"old content")
    os.chown(kept, 64111, 64111)
    r = tls.logged_in()
    code, text = upload(r, name, b"", cut, verb)
    assert code == 426 and "closing message" in text
    tls.wait_log(f"event=transfer .*direction=upload path=/{name} bytes=0 .*complete=no how=tls-not-closed")
    assert read(kept) == b"old content" and not os.path.exists(f"{tls.homes['alice']}/fresh")
    assert upload(r, "empty", b"", lambda d: d.unwrap().close(), verb)[0] == 226
    assert read(f"{tls.homes['alice']}/empty") == b""
    os.unlink(f"{tls.homes['alice']}/empty")


def swallowed_upload(r, name, content):
    """STOR with an attacker on the way who ends the connection behind the handshake and swallows what follows."""
    plain, come, gone = r.passive(), ssl.MemoryBIO(), ssl.MemoryBIO()
    assert r.cmd(f"STOR {name}")[0] == 150
    client = r.context.wrap_bio(come, gone, session=r.sock.session)

    shaken = False
    while not shaken:
        try:
            client.do_handshake()
            shaken = True
        except ssl.SSLWantReadError:
            plain.sendall(gone.read())
            come.write(plain.recv(65536))
    plain.sendall(gone.read())
    plain.shutdown(socket.SHUT_WR)
    assert client.write(content) == len(content)
    with contextlib.suppress(ssl.SSLWantReadError):     # it has said its end, and nothing comes back
        client.unwrap()
    got = r.reply()
    plain.close()
    return got


def test_an_upload_that_is_swallowed_on_the_way(tls):
    """For its client all went well but for the reply: with 226 it would remove its own copy."""
    assert swallowed_upload(tls.logged_in(), "swallowed", b"x" * 10_000)[0] == 426
    assert not os.path.exists(f"{tls.homes['alice']}/swallowed")


def test_truncated_upload_where_allowed():
    with running(tls="tls_strict_close = no") as s:
        r = s.logged_in()
        assert upload(r, "lax", b"x" * 100_000, cut)[0] == 226
        assert len(read(f"{s.homes['alice']}/lax")) == 100_000


def test_download_ends_with_the_closing_message(tls):
    write(f"{tls.homes['alice']}/closing", b"y" * 50_000)
    r = tls.logged_in()
    plain = r.passive()
    assert r.cmd("RETR closing")[0] == 150
    data = r.context.wrap_socket(plain, session=r.sock.session, suppress_ragged_eofs=False)
    got = read_all_tls(data)
    assert got == b"y" * 50_000
    data.unwrap().close()
    assert r.reply()[0] == 226


def read_all_tls(data):
    parts = []
    while True:
        b = data.recv(65536)     # raises on an end without the closing message
        if not b:
            return b"".join(parts)
        parts.append(b)


def read_until(f, text):
    """All that comes, to where the text is or to the end."""
    out = b""
    while text not in out and (part := os.read(f.fileno(), 4096)):
        out += part
    return out


def test_no_renegotiation(tls):
    with subprocess.Popen(["timeout", str(PATIENCE), "openssl", "s_client", "-connect", f"127.0.0.1:{tls.implicit}", "-tls1_2"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        read_until(p.stdout, b"220 ")
        p.stdin.write(b"R\n")
        p.stdin.flush()
        assert b"no renegotiation" in read_until(p.stdout, b"no renegotiation")
        p.kill()


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions(tls, version):
    r = run("openssl", "s_client", "-connect", f"127.0.0.1:{tls.implicit}", version, "-cipher", "ALL:@SECLEVEL=0", input=b"")
    assert b"Cipher is (NONE)" in r.stdout or b"no protocols available" in r.stderr
