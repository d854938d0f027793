"""Certificates of the server and of clients: changes, expiry, logins, revocation; and where the private keys are."""
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

import pytest
from conftest import alive, BUILD, Raw, Server, wait_for
from tlsserver import make_cert, read, Resuming, run_openssl, running, strict_list, tls, wrap, write

# ----------------------------------------------------------------------------- certificates

def der_of(sock):
    return sock.getpeercert(binary_form=True)


def test_files_that_change_are_reloaded():
    with running(kinds=("ec",)) as s:
        held = s.logged_in()
        old = der_of(held.sock)
        make_cert(s.dir, "ec")
        wait_for(lambda: der_of(s.secured().sock) != old, "the old certificate is still shown")
        s.wait_log("certificates-reloaded")
        # The session from before goes on, and its data connections are signed with the key of its time.
        assert strict_list(held, None)[0] == 226
        new = der_of(s.secured().sock)
        write(f"{s.dir}/ec.key", b"broken")
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("certificate-unusable.*no private key.*effect=")
        assert der_of(s.secured().sock) == new
        assert strict_list(held, None)[0] == 226


def test_expiry_is_told():
    def prepare(d):
        make_cert(d, "ec", days=5)

    with running(kinds=("ec",), prepare=prepare) as s:
        assert re.search("days=[45]$", s.wait_log("certificate-expires.*").group(0))


def kill_keeper(s):
    """Returns when it is dead; the server may not have noticed yet."""
    pid = next(p for p, name in s.pids().items() if name.startswith("sallyport-keepe"))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), "SIGKILL did not end the keeper")


def come_in(s, how):
    """A client that tries once: in clear, with AUTH TLS, and where TLS begins at once. What its listing says."""
    if how == "implicit":
        r = Raw(s.implicit)
        wrap(r, s.context())
        return r.login().cmd("PWD")[0]
    if how == "clear":
        return s.raw().login().cmd("PWD")[0]
    return strict_list(s.logged_in(), None)[0]


@contextlib.contextmanager
def suspended(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def crowd(s, n=12):
    """More at once than there are spares."""
    ways = ["clear", "explicit", "implicit"]
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda i: come_in(s, ways[i % 3]), range(n)))


def test_keeper_dies_and_nobody_is_turned_away():
    """Clients that come when it is dead wait for the next one, of whatever kind they are."""
    with running() as s:
        for times in range(3):
            kill_keeper(s)
            assert set(crowd(s)) <= {257, 226}
            wait_for(lambda: s.log().count("keeper-restarted") == times + 1)
        assert "start-throttled" not in s.log()
        # The keys have their numbers again: there was no reason to make the templates anew.
        assert "templates-renewed" not in s.log()


def test_clients_just_before_the_death_of_a_keeper():
    """The server finds both at once, the clients first: no session that asks the dead keeper is given to them."""
    with running() as s:
        keeper = next(p for p, name in s.pids().items() if name.startswith("sallyport-keepe"))
        with suspended(s.process.pid):
            clients = [s.raw() for _ in range(3)]
            os.kill(keeper, signal.SIGKILL)
            wait_for(lambda: not alive(keeper), "SIGKILL did not end the keeper")
        for r in clients:
            assert r.reply()[0] == 220
            assert r.cmd("AUTH TLS")[0] == 234
            wrap(r, s.context())
            assert r.login_again().cmd("PWD")[0] == 257
            r.close()


def test_keeper_dies_while_certificates_change():
    """No session may know the old certificate and ask for its key."""
    with running(kinds=("ec",)) as s:
        old = der_of(s.secured().sock)
        make_cert(s.dir, "ec")
        kill_keeper(s)
        assert set(crowd(s)) <= {257, 226}
        assert der_of(s.secured().sock) != old


def test_keeper_dies_and_a_key_is_broken():
    """What was loaded died with it; the other certificate serves."""
    with running() as s:
        write(f"{s.dir}/ec.key", b"broken")
        kill_keeper(s)
        assert set(crowd(s)) <= {257, 226}
        write(f"{s.dir}/rsa.key", b"broken")
        kill_keeper(s)
        r = s.raw().login()
        r.close()
        r = s.raw()
        r.reply()
        assert r.cmd("AUTH TLS")[0] == 431


def test_sessions_of_a_dead_keeper_say_so(tls):
    r, before = tls.raw(), tls.log().count("keeper-restarted")
    r.reply()
    kill_keeper(tls)
    code, text = r.cmd("AUTH TLS")
    assert code == 431 and "connect again" in text
    assert r.cmd("USER alice")[0] == 331
    assert r.cmd("PASS alice")[0] == 230
    wait_for(lambda: tls.log().count("keeper-restarted") > before)


def test_start_fails_with_a_broken_pair():
    directory = tempfile.mkdtemp(prefix="sallyport-tls-")
    make_cert(directory, "a")
    make_cert(directory, "b")
    with pytest.raises(pytest.fail.Exception, match="does not belong to the certificate"):
        Server(directory, sections=f"[tls]\ncertificate = {directory}/a.pem\nprivate_key = {directory}/b.key\n")
    shutil.rmtree(directory)


def revoke(d, name):
    """crl.pem of the authority ca."""
    write(f"{d}/index", b"")
    write(f"{d}/ca.cnf", f"[ca]\ndefault_ca=x\n[x]\ndatabase={d}/index\ndefault_md=sha256\ndefault_crl_days=9\n".encode())
    common = ["ca", "-config", f"{d}/ca.cnf", "-cert", f"{d}/ca.pem", "-keyfile", f"{d}/ca.key"]
    run_openssl(*common, "-revoke", f"{d}/{name}.pem")
    run_openssl(*common, "-gencrl", "-out", f"{d}/crl.pem")


def fingerprint(path):
    text = run_openssl("x509", "-in", path, "-noout", "-fingerprint", "-sha256").stdout.decode()
    return "sha256:" + text.strip().split("=")[1].replace(":", "").lower()


@contextlib.contextmanager
def client_cert_server(mode, login, ident="", crl=False):
    """Account carl has a certificate (pair client); stranger's is of nobody we know."""
    known = {}

    def prepare(d):
        make_cert(d, "ca", host="ca")
        make_cert(d, "client", host="pc7.example.org", ca="ca")
        make_cert(d, "stranger", host="pc7.example.org")
        known["id"] = ident or fingerprint(f"{d}/client.pem")
        if crl:
            revoke(d, "client")

    class Account(str):
        """Known only once the certificates are made."""
        def __radd__(self, before):
            return before + ("[account carl]\npassword = {CLEAR}carl\nhome = /tmp\nrun_as = 64114:64114\nlayer = pyftpdlib elr\n"
                             f"certificate_login = {login}\ncertificate_id = {known['id']}\n")

    text = f"client_certificate = {mode}\nclient_ca = {{dir}}/ca.pem\n" + ("client_crl = {dir}/crl.pem\n" if crl else "")
    with running(tls=text, prepare=prepare, kinds=("ec",), sections=Account()) as s:
        yield s


def try_login(s, cert, password):
    c = s.context()
    if cert:
        c.load_cert_chain(f"{s.dir}/{cert}.pem", f"{s.dir}/{cert}.key")
    try:
        r = s.secured(c)
        code, _ = r.cmd("USER carl")
        if code == 331:
            code, _ = r.cmd(f"PASS {password}")
        return code
    except (ssl.SSLError, ConnectionError):
        return 0


def test_certificate_instead_of_password():
    with client_cert_server("request", "instead_of_password") as s:
        assert try_login(s, "client", "wrong") == 232     # RFC 4217: no password is asked for
        assert try_login(s, None, "wrong") == 530
        assert try_login(s, "stranger", "wrong") == 0


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_come_in_by_certificate(tmp_path, version):
    """By nothing but a certificate: the verifier believes what curl, lftp, s_client and Python do."""
    content = os.urandom(100_000)
    with client_cert_server("request", "instead_of_password") as s:
        home = tempfile.mkdtemp(dir="/tmp")
        os.chmod(home, 0o755)
        write(f"{home}/file", content)
        path, pair = f"{os.path.basename(home)}/file", (f"{s.dir}/client.pem", f"{s.dir}/client.key")
        out = tmp_path / "curl"
        run = lambda *args, **kw: subprocess.run(args, capture_output=True, timeout=120, **kw)  # noqa: E731
        r = run("curl", "-sS", "-k", "--ssl-reqd", f"--tlsv{version}", "--tls-max", version, "--cert", pair[0],
                "--key", pair[1], "-u", "carl:none", f"ftp://127.0.0.1:{s.port}/{path}", "-o", out)
        assert r.returncode == 0 and out.read_bytes() == content, r.stderr
        r = run("openssl", "s_client", "-starttls", "ftp", "-connect", f"127.0.0.1:{s.port}", "-crlf", "-quiet",
                f"-tls{version.replace('.', '_')}", "-cert", pair[0], "-key", pair[1], input=b"USER carl\nQUIT\n")
        assert b"\n232 " in b"\n" + r.stdout, r.stdout + r.stderr
        if version == "1.3":    # lftp chooses its version itself
            script = ("set ssl:verify-certificate no; set ftp:ssl-force true; set ftp:ssl-protect-data true;"
                      f"set ssl:cert-file {pair[0]}; set ssl:key-file {pair[1]}; get {path} -o {tmp_path}/lftp; bye")
            r = run("lftp", "-u", "carl,none", "-e", script, f"ftp://127.0.0.1:{s.port}")
            assert r.returncode == 0 and read(tmp_path / "lftp") == content, r.stderr
        c = s.context(VERSIONS[version])
        c.load_cert_chain(*pair)
        f = s.ftps(user="carl", context=c)
        got = []
        f.retrbinary(f"RETR {path}", got.append)
        assert b"".join(got) == content
        f.quit()
        assert "certificate-not-proved" not in s.log()
        shutil.rmtree(home)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_kinds_of_keys_that_prove(version, kind):
    """Of the server and of the client, and several sessions at once."""
    def prepare(d):
        make_cert(d, "ca", host="ca")
        make_cert(d, "client", kind, host="pc7.example.org", ca="ca")

    asked = "client_certificate = request\nclient_ca = {dir}/ca.pem\n"
    with running(tls=asked, prepare=prepare, kinds=(kind,), sections=CARL) as s:
        c = s.context(VERSIONS[version])
        c.load_cert_chain(f"{s.dir}/client.pem", f"{s.dir}/client.key")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert [*pool.map(lambda _: s.secured(c).cmd("USER carl")[0], range(12))] == [232] * 12


def test_certificate_and_password():
    with client_cert_server("request", "and_password", ident="dns:pc7.example.org") as s:
        assert try_login(s, "client", "wrong") == 530
        assert try_login(s, None, "carl") == 530
        assert try_login(s, "client", "carl") == 230


def test_certificate_required_and_revoked():
    with client_cert_server("require", "no", crl=True) as s:
        assert try_login(s, None, "carl") == 0
        assert try_login(s, "client", "carl") == 0
        s.wait_log("tls-failed")


# ------------------------------------------------------------------------------- revocation

class Authority:
    """A root, an authority below it, its client carl, and lists of revoked certificates, in one directory."""

    def __init__(self, directory):
        self.dir = directory
        self.issue("root", None, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign")
        self.issue("inter", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign")
        self.issue("client", "inter", "subjectAltName=DNS:pc7.example.org")
        write(f"{directory}/chain.pem", read(f"{directory}/client.pem") + read(f"{directory}/inter.pem"))
        self.issue("other", None, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign")
        # It calls itself root and is not.
        self.issue("forger", None, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign", name="root")

    def issue(self, file, by, extensions, name=None):
        d, serial = self.dir, str(len(os.listdir(self.dir)) + 100)
        write(f"{d}/ext", extensions.encode() + b"\n")
        run_openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{d}/{file}.key",
                    "-out", f"{d}/{file}.csr", "-subj", f"/CN={name or file}")
        signer = ["-signkey", f"{d}/{file}.key"] if by is None else ["-CA", f"{d}/{by}.pem", "-CAkey", f"{d}/{by}.key"]
        run_openssl("x509", "-req", "-in", f"{d}/{file}.csr", *signer, "-set_serial", serial, "-days", "9", "-extfile", f"{d}/ext",
                    "-out", f"{d}/{file}.pem")

    def crl(self, by, *revoked, until="300101000000Z"):
        """A list of this authority, as PEM."""
        d = self.dir
        write(f"{d}/index", b"")
        write(f"{d}/ca.cnf", f"[ca]\ndefault_ca=x\n[x]\ndatabase={d}/index\ndefault_md=sha256\n".encode())
        common = ["ca", "-config", f"{d}/ca.cnf", "-cert", f"{d}/{by}.pem", "-keyfile", f"{d}/{by}.key"]
        for name in revoked:
            run_openssl(*common, "-revoke", f"{d}/{name}.pem")
        run_openssl(*common, "-gencrl", "-crl_lastupdate", "200101000000Z", "-crl_nextupdate", until, "-out", f"{d}/out.crl")
        return read(f"{d}/out.crl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("authority")))


CARL = ("[account carl]\npassword = {CLEAR}carl\nhome = /tmp\nrun_as = 64114:64114\nlayer = pyftpdlib elr\n"
        "certificate_login = instead_of_password\ncertificate_id = dns:pc7.example.org\n")


@contextlib.contextmanager
def revoking_server(authority, lists):
    with running(tls=f"client_certificate = request\nclient_ca = {authority.dir}/root.pem\nclient_crl = {{dir}}/lists.crl\n",
                 prepare=lambda d: write(f"{d}/lists.crl", lists), kinds=("ec",), sections=CARL) as s:
        yield s


def carl_comes_in(s, authority, version=None):
    """232 with the certificate; 0 when the handshake fails, as for a revoked one."""
    c = s.context(version)
    c.load_cert_chain(f"{authority.dir}/chain.pem", f"{authority.dir}/client.key")
    try:
        return s.secured(c).cmd("USER carl")[0]
    except (ssl.SSLError, ConnectionError):
        return 0


# What the lists say: carl's verdict and, of the refusal, a word in the log.
REVOCATION = {
    "nobody is revoked": (lambda a: a.crl("root") + a.crl("inter"), 232, ""),
    "other order": (lambda a: a.crl("inter") + a.crl("root"), 232, ""),
    "the client is revoked": (lambda a: a.crl("root") + a.crl("inter", "client"), 0, "certificate revoked"),
    "the authority is revoked": (lambda a: a.crl("root", "inter") + a.crl("inter"), 0, "certificate revoked"),
    "no list of the root": (lambda a: a.crl("inter"), 0, "unable to get certificate CRL"),
    "no list of the authority": (lambda a: a.crl("root"), 0, "unable to get certificate CRL"),
    "empty file": (lambda a: b"", 0, "unable to get certificate CRL"),
    "rubbish": (lambda a: b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", 0, "unable to get certificate CRL"),
    "cut after the first": (lambda a: a.crl("inter") + a.crl("root")[:90], 0, "unable to get certificate CRL"),
    "somebody else's": (lambda a: a.crl("other") + a.crl("inter"), 0, "unable to get certificate CRL"),
    "forged": (lambda a: a.crl("forger") + a.crl("inter"), 0, "CRL signature failure"),
    "too old, of the root": (lambda a: a.crl("root", until="200201000000Z") + a.crl("inter"), 0, "CRL has expired"),
    "too old, of the authority": (lambda a: a.crl("root") + a.crl("inter", until="200201000000Z"), 0, "CRL has expired"),
}


@pytest.mark.parametrize("what", REVOCATION)
def test_revocation(authority, what):
    lists, verdict, reason = REVOCATION[what]
    with revoking_server(authority, lists(authority)) as s:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert carl_comes_in(s, authority, version) == verdict
        if verdict == 0:
            s.wait_log(f'event=tls-failed.*client certificate: {reason}')
        # Whatever is the matter with the lists: those who have no certificate come in as ever.
        s.ftps().quit()


def test_a_list_that_vanishes_lets_nobody_in(authority):
    """While its file is replaced, which the server may notice halfway."""
    with revoking_server(authority, authority.crl("root", "inter") + authority.crl("inter")) as s:
        assert carl_comes_in(s, authority) == 0
        os.remove(f"{s.dir}/lists.crl")
        s.wait_log("certificate-unusable")
        s.wait_log("templates-renewed")
        for _ in range(30):
            assert carl_comes_in(s, authority) == 0
        s.ftps().quit()


def test_doctor_knows_lists_that_refuse(authority, tmp_path):
    """Before clients meet it."""
    lists, conf = tmp_path / "lists", tmp_path / "conf"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:1\n[tls]\nclient_certificate = request\n"
                    f"client_ca = {authority.dir}/root.pem\nclient_crl = {lists}\n")

    def found():
        r = subprocess.run([f"{BUILD}/sallyctl", "-c", str(conf), "doctor", "--json"], capture_output=True, text=True)
        return [x["text"] for x in json.loads(r.stdout) if x["result"] == "error" and "lists" in x["text"]]

    lists.write_bytes(authority.crl("inter"))
    assert any("no list of /CN=root" in t for t in found())
    lists.write_bytes(authority.crl("inter") + authority.crl("root", until="200201000000Z"))
    assert any("too old of /CN=root" in t for t in found())
    lists.write_bytes(authority.crl("inter") + authority.crl("root"))
    assert not found()


# ---------------------------------------------------------------------- the key stays where it is

def secrets_of(directory):
    """Byte strings that only a holder of the keys has: each in the orders in which memory may hold it."""
    found = {}
    ec = run_openssl("ec", "-in", f"{directory}/ec.key", "-text", "-noout").stdout.decode()
    scalar = bytes.fromhex(re.sub(r"[^0-9a-f]", "", ec.split("priv:")[1].split("pub:")[0])).lstrip(b"\0")
    rsa = run_openssl("rsa", "-in", f"{directory}/rsa.key", "-text", "-noout").stdout.decode()
    for name, after in (("privateExponent", "prime1"), ("prime1", "prime2"), ("prime2", "exponent1")):
        found[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", rsa.split(name + ":")[1].split(after)[0])).lstrip(b"\0")
    found["scalar"] = scalar
    out = {}
    for name, value in found.items():
        out[name] = value[-24:]
        out[name + " (limbs)"] = value[::-1][:24]
    for kind in ("ec", "rsa"):
        text = read(f"{directory}/{kind}.key")
        out[f"{kind} file"] = text.split(b"\n")[2][:40]
    return out


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            first, last = (int(x, 16) for x in where.split("-"))
            with contextlib.suppress(OSError, ValueError, OverflowError):
                mem.seek(first)
                yield mem.read(last - first)


def test_private_keys_are_in_the_keeper_only(tls):
    secrets = secrets_of(tls.dir)
    held = [tls.ftps(), tls.ftps(cls=Resuming)]
    for f in held:
        f.nlst()
    seen_in_keeper = set()
    for pid, name in {**tls.pids(), tls.process.pid: "sallyportd"}.items():
        for block in memory(pid):
            for what, value in secrets.items():
                if value not in block:
                    continue
                if name.startswith("sallyport-keepe"):
                    seen_in_keeper.add(what)
                else:
                    pytest.fail(f"{what} of a private key is in the memory of {name}")
    # Otherwise the search would prove nothing.
    assert {"scalar (limbs)", "prime1 (limbs)"} <= seen_in_keeper
    for f in held:
        f.quit()
