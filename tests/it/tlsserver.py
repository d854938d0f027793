"""A server with TLS, and clients of it, for test_tls*.py."""
import contextlib
import ftplib
import os
import ssl
import subprocess
import tempfile

import pytest
from conftest import PATIENCE, Raw, Server, free_port, read_all

NAME = "ftp.example.org"


def run_openssl(*args):
    return subprocess.run(["openssl", *args], capture_output=True, check=True)


def make_cert(directory, name, kind="ec", host=NAME, days=90, ca=None, extra=()):
    """name.pem and name.key; self-signed, or by the pair called ca."""
    new = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"], "ed25519": ["ed25519"]}[kind]
    signer = ["-x509"] if ca is None else ["-x509", "-CA", f"{directory}/{ca}.pem", "-CAkey", f"{directory}/{ca}.key"]
    run_openssl("req", *signer, "-newkey", *new, "-nodes", "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem",
                "-days", str(days), "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1", *extra)
    os.chmod(f"{directory}/{name}.key", 0o600)


class TlsServer(Server):
    """Two certificates beside each other, an implicit listener."""

    def __init__(self, tls="", server="", listener="", sections="", kinds=("ec", "rsa"), accounts=None, prepare=None):
        directory = tempfile.mkdtemp(prefix="sallyport-tls-")
        for k in kinds:
            make_cert(directory, k, k)
        if prepare:
            prepare(directory)
        self.implicit = free_port()
        certs = ", ".join(f"{directory}/{k}.pem" for k in kinds)
        keys = ", ".join(f"{directory}/{k}.key" for k in kinds)
        text = ["[tls]", f"certificate = {certs}", f"private_key = {keys}", tls.replace("{dir}", directory),
                "[listener implicit]", f"listen = 127.0.0.1:{self.implicit}", "implicit_tls = yes"]
        super().__init__(directory, "never_ban = 127.0.0.0/8\n" + server, "\n".join(text) + "\n" + sections, accounts, listener)

    def context(self, version=None):
        c = ssl.create_default_context()
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
        if version:
            c.minimum_version = c.maximum_version = version
        return c

    def ftps(self, user="alice", cls=ftplib.FTP_TLS, context=None, protect=True, login=True, **kw):
        f = cls(context=context or self.context(), timeout=PATIENCE, **kw)
        f.connect("127.0.0.1", self.port)
        if login:
            f.login(user, user)
            if protect:
                f.prot_p()
        return f

    def secured(self, context=None, host=None, **kw):
        """A raw control connection after its handshake."""
        r = Raw(self.port)
        assert r.reply()[0] == 220
        assert r.cmd("AUTH TLS")[0] == 234
        wrap(r, context or self.context(), host, **kw)
        return r

    def logged_in(self, context=None, user="alice"):
        r = self.secured(context)
        assert r.cmd(f"USER {user}")[0] == 331
        assert r.cmd(f"PASS {user}")[0] == 230
        assert r.cmd("PBSZ 0")[0] == 200
        assert r.cmd("PROT P")[0] == 200
        return r


def wrap(raw, context, host=None, session=None):
    raw.sock = context.wrap_socket(raw.sock, server_hostname=host, session=session, suppress_ragged_eofs=False)
    raw.file = raw.sock.makefile("rb")
    raw.context = context


class Resuming(ftplib.FTP_TLS):
    """Data connections resume the control connection's session, as FileZilla does."""

    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size


@pytest.fixture(scope="module")
def tls():
    s = TlsServer()
    yield s
    s.clean()


@contextlib.contextmanager
def running(**kw):
    s = TlsServer(**kw)
    try:
        yield s
    finally:
        s.clean()


def run(*args, timeout=PATIENCE, **kw):
    return subprocess.run(args, capture_output=True, timeout=timeout, check=False, **kw)


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def data_connection(r, session, context=None):
    return (context or r.context).wrap_socket(r.passive(), session=session, suppress_ragged_eofs=False,
                                              do_handshake_on_connect=False)


def strict_list(r, session, context=None):
    """The final code of a listing whose data connection has this session."""
    plain = r.passive()
    assert r.cmd("LIST")[0] == 150
    with contextlib.suppress(ssl.SSLError, OSError):
        data = (context or r.context).wrap_socket(plain, session=session, suppress_ragged_eofs=False)
        read_all(data)
    return r.reply()
