"""The README's commands on a Debian 12 that nobody has touched.

A root directory made by debootstrap holds nothing but git and ca-certificates, and the committed tree.  It is entered in
mount and process namespaces of its own; clients come from outside.  The root is kept in the build directory, and each test
run works on a copy of it.
"""
import contextlib
import ftplib
import glob
import io
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from pristine import CACHE, PATIENCE, TOP, base, copied, inside, run

HERE = "/srv/sallyport"	# the checkout, in the root

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root directory")


# ------------------------------------------------------------------------------------------- the root

class Root:
    """A copy of the base with the committed tree in it."""

    def __init__(self, base):
        self.top = copied(base, "root")
        subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", TOP, self.top + HERE], check=True)

    def command(self, *words):
        return inside(self.top, HERE, *words)

    def run(self, *words):
        return run(*self.command(*words))

    @contextlib.contextmanager
    def serving(self, *words):
        """Runs a server inside until it says that it serves: (its port, what it printed)."""
        log = f"{CACHE}/log"
        with open(log, "w") as f, subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=f, stderr=f) as p:
            try:
                end = time.monotonic() + PATIENCE
                while "Try it from another terminal" not in (text := open(log, errors="replace").read()):
                    assert p.poll() is None, f"it ended with {p.returncode}:\n{text[-3000:]}"
                    assert time.monotonic() < end, text[-3000:]
                    time.sleep(0.2)
                yield int(re.search(r"serving on \S*:(\d+);", text)[1]), text
            finally:
                p.kill()	# unshare heeds nothing else while its child runs; with it goes all that runs inside


@pytest.fixture(scope="module")
def root():
    if run("git", "-c", "safe.directory=*", "rev-parse", "HEAD", cwd=TOP).returncode != 0:
        pytest.skip("this is no git checkout")
    r = Root(base())
    yield r
    shutil.rmtree(r.top, ignore_errors=True)


def free_port():
    """2121, which the README names, where it is free."""
    for port in (2121, 0):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            return s.getsockname()[1]
    pytest.fail("no port is free")


# ------------------------------------------------------------------------------------------ the clients

def curl(url, *options):
    r = run("curl", "-sS", *options, url)
    assert r.returncode == 0, r.stderr
    return r.stdout


def with_curl(port, user, certificate, folder):
    for n, tls in enumerate(([], ["--ssl-reqd", "--cacert", certificate])):
        url = f"ftp://{user}@127.0.0.1:{port}/"
        assert "hello" in curl(url, *tls)
        with open(f"{CACHE}/upload", "w") as f:
            f.write(f"by curl {n}\n")
        curl(f"{url}{folder}c{n}", *tls, "-T", f"{CACHE}/upload")
        assert curl(f"{url}{folder}c{n}", *tls) == f"by curl {n}\n"


def with_lftp(port, user, certificate, folder):
    for n, tls in enumerate(("no", "yes")):
        script = (f"set cmd:fail-exit yes; set net:max-retries 1; set ssl:ca-file {certificate}; set ftp:ssl-allow {tls};"
                  f"set ftp:ssl-force {tls}; open -u {user.replace(':', ',')} -p {port} 127.0.0.1; cls; "
                  f"put {CACHE}/upload -o {folder}l{n}; cat {folder}l{n}; bye")
        r = run("lftp", "-c", script)
        assert r.returncode == 0 and "hello" in r.stdout and "by curl" in r.stdout, r.stdout + r.stderr


def with_python(port, user, certificate, folder):
    context = ssl.create_default_context(cafile=certificate)
    for n, f in enumerate((ftplib.FTP(timeout=60), ftplib.FTP_TLS(context=context, timeout=60))):
        with f:
            f.connect("127.0.0.1", port)
            f.login(*user.split(":"))
            if n:
                f.prot_p()
            assert "hello" in f.nlst()
            f.storbinary(f"STOR {folder}p{n}", io.BytesIO(b"by Python"))
            got = []
            f.retrbinary(f"RETR {folder}p{n}", got.append)
            assert b"".join(got) == b"by Python"


def all_clients(port, user, certificate, folder):
    for client in (with_curl, with_lftp, with_python):
        client(port, user, certificate, folder)


# --------------------------------------------------------------------------------------------- the tests

def test_bootstrap_run_as_root(root):
    with root.serving("./bootstrap", "run", str(free_port())) as (port, text):
        assert f"curl --user demo ftp://127.0.0.1:{port}/" in text
        with open(f"{root.top}{HERE}/build/demo/hello", "w") as f:
            f.write("hello")
        all_clients(port, "demo:demo", f"{root.top}{HERE}/build/demo.crt", "incoming/")


def test_serve_without_root(root):
    """As the README shows it, by a user who did not build it."""
    tree = f"{root.top}/srv/tree"
    os.mkdir(tree)
    with open(f"{tree}/hello", "w") as f:
        f.write("hello")
    for path, source in (("demo.crt", "demo.crt"), ("demo.key", "demo.key")):
        shutil.copy(f"{root.top}{HERE}/build/{source}", f"{root.top}/srv/{path}")
    for path in (tree, f"{root.top}/srv/demo.crt", f"{root.top}/srv/demo.key"):
        os.chown(path, 12345, 12345)
    with root.serving("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "build/sallyportd", "--libexec", "build",
                      "serve", "/srv/tree", "--port", str(free_port()), "--address", "127.0.0.1", "--user", "me:secret",
                      "--certificate", "/srv/demo.crt", "--private-key", "/srv/demo.key") as (port, text):
        assert "without root" in text
        all_clients(port, "me:secret", f"{root.top}/srv/demo.crt", "")


def test_missing_tools_are_named(root):
    """Before the packages are there, each message names the command that installs them. (The root has them by now.)"""
    r = run(*root.command("env", "PATH=/nowhere", "/bin/sh", "./bootstrap", "build"))
    assert r.returncode != 0 and "bootstrap deps" in r.stderr, r.stderr


def test_bootstrap_package(root):
    """From what that command installs alone; the checkout stays clean. What becomes of the package is the stage of that name."""
    r = root.run("env", "DEB_BUILD_OPTIONS=nocheck noopt", "./bootstrap", "package")
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    assert len(glob.glob(f"{root.top}{HERE}/build/package/sallyport_*.deb")) == 1
    r = root.run("git", "status", "--porcelain")
    assert r.returncode == 0 and r.stdout == "", r.stdout + r.stderr


def test_bootstrap_check_lists_every_test_program_and_only_lists(root):
    """Nothing is installed or built for a list; the units stage itself counts a program as failed that was not built."""
    r = root.run("./bootstrap", "check", "--list")
    if r.returncode != 0:	# this root has had nothing installed but what the build needs
        assert "python3 is missing" in r.stderr and "sudo ./bootstrap deps" in r.stderr, r.stderr
        installed = root.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3")
        assert installed.returncode == 0, installed.stderr[-2000:]
        r = root.run("./bootstrap", "check", "--list")
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    listed = set(re.findall(r"^test (\S+)$", r.stdout, re.M))
    expected = set()
    for path in root.run("git", "ls-files", "*.mk").stdout.split():
        with open(f"{root.top}{HERE}/{path}") as f:
            expected.update(name for names in re.findall(r"^TESTS \+= (.*)$", f.read(), re.M) for name in names.split())
    assert len(expected) > 10 and listed == expected
    assert not os.path.exists(f"{root.top}{HERE}/build/unit-common")
