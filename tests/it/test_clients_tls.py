"""The client matrix: uploads, downloads, appends and listings by what people and programs use, over TLS and in clear, against the
default settings; one session alone, and four at once.  Programs are in clients/.

Nothing here sets session_reuse: no client that behaves may be refused, whatever it does with its tickets."""
import concurrent.futures
import ftplib
import io
import os
import re
import shutil

import pytest
from conftest import UIDS
from tlsserver import read, Resuming, run, tls, write

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
ROUNDS = 6
SESSIONS = [pytest.param(1, id="one"), pytest.param(4, id="four")]
WAYS = ["tls", "clear"]
COMMONS_NET = "/usr/share/java/commons-net.jar"
BASIC_FTP = os.environ.get("BASIC_FTP", "/usr/share/nodejs/basic-ftp")


def need(*programs):
    for p in programs:
        if shutil.which(p) is None:
            pytest.skip(f"{p} is not installed")


class Place:
    """A directory of the account, and one here with a file to send and a piece to append."""

    def __init__(self, server, local, name):
        self.directory, self.local = name, str(local / name)
        self.remote = f"{server.homes['alice']}/{name}"
        shutil.rmtree(self.remote, ignore_errors=True)
        for path in (self.remote, self.local):
            os.makedirs(path)
        os.chown(self.remote, UIDS["alice"], UIDS["alice"])
        self.source, self.piece = os.urandom(200_000), name.encode() + b" was here\n"
        write(f"{self.local}/source", self.source)
        write(f"{self.local}/piece", self.piece)

    def check(self, rounds=ROUNDS, appended=True, fetched=True):
        """Has everything arrived, there and here?"""
        for i in range(rounds):
            assert read(f"{self.remote}/up-{i}") == self.source
            assert not fetched or read(f"{self.local}/got-{i}") == self.source
        assert not appended or read(f"{self.remote}/log") == self.piece * rounds


@pytest.fixture
def places(tls, tmp_path, request):
    """A function that makes n places; afterwards no data connection may have been refused, whatever the client made of it."""
    before = len(tls.log())
    name = re.sub(r"\W+", "-", request.node.name)
    yield lambda n: [Place(tls, tmp_path, f"{name}-{i}") for i in range(n)]
    assert "session_reuse" not in re.sub("hint=.*", "", tls.log()[before:])


def listed(found):
    return [x for p in found for x in (p.directory, p.local)]


def succeeds(*command, **options):
    r = run(*command, **options)
    assert r.returncode == 0, (r.stdout[-1500:], r.stderr[-1500:])
    return r


def at_once(commands):
    """Several programs at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
        for _ in pool.map(lambda c: succeeds(*c), commands):
            pass


# --------------------------------------------------------------------- libraries of programming languages

def work_with_ftplib(f, place):
    f.cwd(place.directory)
    for i in range(ROUNDS):
        f.storbinary(f"STOR up-{i}", io.BytesIO(place.source))
        got = io.BytesIO()
        f.retrbinary(f"RETR up-{i}", got.write)
        write(f"{place.local}/got-{i}", got.getvalue())
        f.storbinary("APPE log", io.BytesIO(place.piece))
        assert f"up-{i}" in f.nlst()
        assert f"up-{i}" in dict(f.mlsd())
    f.quit()
    place.check()


@pytest.mark.parametrize("cls", [ftplib.FTP_TLS, Resuming, ftplib.FTP])
@pytest.mark.parametrize("n", SESSIONS)
def test_ftplib(tls, places, n, cls):
    context = tls.context()
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        for _ in pool.map(lambda p: work_with_ftplib(tls.ftp() if cls is ftplib.FTP else tls.ftps(cls=cls, context=context), p),
                          places(n)):
            pass


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_php_ftp(tls, places, n, way):
    need("php")
    found = places(n)
    at_once([["php", f"{HERE}/ftp.php", str(tls.port), p.directory, p.local, str(ROUNDS), way] for p in found])
    for p in found:
        p.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_php_curl(tls, places, n, way):
    need("php")
    if b"curl" not in run("php", "-m").stdout:
        pytest.skip("PHP's curl extension is not installed")
    found = places(n)
    succeeds("php", f"{HERE}/curl.php", str(tls.port), str(ROUNDS), way, *listed(found))
    for p in found:
        p.check()


@pytest.mark.parametrize("way,cache", [("tls", "own"), ("tls", "shared"), ("clear", "own")])
@pytest.mark.parametrize("n", SESSIONS)
def test_net_ftp(tls, places, n, way, cache):
    need("perl")
    found = places(n)
    succeeds("perl", f"{HERE}/netftp.pl", str(tls.port), str(ROUNDS), way, cache, *listed(found))
    for p in found:
        p.check()


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """The command that runs commons-net's sessions."""
    need("java", "javac")
    if not os.path.exists(COMMONS_NET):
        pytest.skip("commons-net is not installed")
    out = str(tmp_path_factory.mktemp("java"))
    succeeds("javac", "-d", out, "-cp", COMMONS_NET, f"{HERE}/CommonsNet.java")
    # What programs that resume are started with, since Java has no public way to it.
    opened = [f"--add-opens=java.base/sun.security.{x}=ALL-UNNAMED" for x in ("ssl", "util")]
    return ["java", *opened, "-Djdk.tls.useExtendedMasterSecret=false", "-cp", f"{out}:{COMMONS_NET}", "CommonsNet"]


@pytest.mark.parametrize("way", ["tls", "resuming", "clear"])
@pytest.mark.parametrize("n", SESSIONS)
def test_commons_net(tls, places, java, n, way):
    found = places(n)
    succeeds(*java, str(tls.port), str(ROUNDS), way, *listed(found))
    for p in found:
        p.check()


@pytest.mark.skipif(shutil.which("node") is None or not os.path.isdir(BASIC_FTP),
                    reason="basic-ftp for Node is not installed (set BASIC_FTP to its folder)")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_basic_ftp(tls, places, n, way):
    found = places(n)
    succeeds("node", f"{HERE}/basicftp.js", BASIC_FTP, str(tls.port), str(ROUNDS), way, *listed(found))
    for p in found:
        p.check()


# -------------------------------------------------------------------------------------- programs

CURL_TLS = {"tls": ["--ssl-reqd", "-k"], "clear": []}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_curl(tls, places, n, way):
    """One program, whose connections are used again; four of its transfers at once with -Z."""
    need("curl")
    found = places(n)
    curl = ["curl", "-sS", "--fail-early", *CURL_TLS[way], "-u", "alice:alice"]
    base = f"ftp://127.0.0.1:{tls.port}"

    def transfers(*options):
        together = ["-Z", "--parallel-max", str(n)] if n > 1 else []
        return succeeds(*curl, *together, *(x for p in found for i in range(ROUNDS) for o in options for x in o(p, i)))

    transfers(lambda p, i: ["-T", f"{p.local}/source", f"{base}/{p.directory}/up-{i}"])
    transfers(lambda p, i: ["-o", f"{p.local}/got-{i}", f"{base}/{p.directory}/up-{i}"])
    for p in found:
        names = succeeds(*curl, "-l", f"{base}/{p.directory}/").stdout.decode().split()
        assert {f"up-{i}" for i in range(ROUNDS)} <= set(names)
        succeeds(*curl, *(x for i in range(ROUNDS) for x in ("-a", "-T", f"{p.local}/piece", f"{base}/{p.directory}/log")))
        p.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_lftp(tls, places, n, way):
    need("lftp")
    found = places(n)
    script = [f"set ftp:ssl-force {'true' if way == 'tls' else 'false'}", f"set ftp:ssl-allow {'true' if way == 'tls' else 'false'}",
              "set ftp:ssl-protect-data true", "set ssl:verify-certificate no", "set net:max-retries 1", "set cmd:fail-exit yes",
              f"open -u alice,alice -p {tls.port} 127.0.0.1"]
    for p in found:
        os.makedirs(f"{p.local}/tree")
        for i in range(ROUNDS):
            write(f"{p.local}/tree/up-{i}", p.source)
        script += [f"mirror -R --parallel={n} {p.local}/tree {p.directory}", f"cls -l {p.directory}",
                   f"mirror --parallel={n} {p.directory} {p.local}/back"]
    succeeds("lftp", "-c", "; ".join(script))
    for p in found:
        p.check(appended=False, fetched=False)
        for i in range(ROUNDS):
            assert read(f"{p.local}/back/up-{i}") == p.source


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_rclone(tls, places, n, way, tmp_path):
    """One cache of tickets for all its connections."""
    need("rclone")
    p = places(1)[0]
    for i in range(30):
        os.makedirs(f"{p.local}/tree/d{i % 3}", exist_ok=True)
        write(f"{p.local}/tree/d{i % 3}/{i}", os.urandom(i * 1000))
    secret = run("rclone", "obscure", "alice").stdout.decode().strip()
    remote = f":ftp,host=127.0.0.1,port={tls.port},user=alice,pass={secret},explicit_tls={'true' if way == 'tls' else 'false'}," \
             f"no_check_certificate=true:{p.directory}"
    rclone = ["rclone", "--config", str(tmp_path / "none"), "--retries", "1", "--low-level-retries", "1", "--transfers", str(n),
              "--checkers", str(n)]
    succeeds(*rclone, "copy", f"{p.local}/tree", remote)
    succeeds(*rclone, "check", "--download", f"{p.local}/tree", remote)
    succeeds(*rclone, "copy", remote, f"{p.local}/back")
    succeeds(*rclone, "check", f"{p.local}/tree", f"{p.local}/back")
    for i in range(30):
        write(f"{p.local}/tree/d{i % 3}/{i}", os.urandom(i * 1000 + 1))
    succeeds(*rclone, "sync", f"{p.local}/tree", remote)
    succeeds(*rclone, "check", "--download", f"{p.local}/tree", remote)


def serve_files(found):
    """What clients that only fetch are to find."""
    for p in found:
        for i in range(ROUNDS):
            write(f"{p.remote}/up-{i}", p.source)
            os.chown(f"{p.remote}/up-{i}", UIDS["alice"], UIDS["alice"])


WGET = {"clear": ["ftp"], "tls": ["ftps", "--no-check-certificate"]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SESSIONS)
def test_wget(tls, places, n, way):
    need("wget")
    if way == "tls" and b"ftps" not in run("wget", "--help").stdout:
        pytest.skip("wget without FTPS")
    found = places(n)
    serve_files(found)
    scheme, *options = WGET[way]
    at_once([["wget", "-nv", "--tries=1", "--retr-symlinks=no", *options, "-r", "-nd", "-P", p.local, "--user=alice", "--password=alice",
              f"{scheme}://127.0.0.1:{tls.port}/{p.directory}/"] for p in found])
    for p in found:
        for i in range(ROUNDS):
            assert read(f"{p.local}/up-{i}") == p.source


@pytest.mark.parametrize("n", SESSIONS)
def test_aria2(tls, places, n):
    """Speaks FTP in clear only. Four sessions fetch parts of one file."""
    need("aria2c")
    p = places(1)[0]
    p.source = os.urandom(6 << 20)
    serve_files([p])
    succeeds("aria2c", "--no-conf", "-q", "--max-tries=1", f"-x{n}", f"-s{n}", "-k1M", f"-j{n}", "--ftp-user=alice",
             "--ftp-passwd=alice", "-d", p.local, "-Z", *(f"ftp://127.0.0.1:{tls.port}/{p.directory}/up-{i}" for i in range(ROUNDS)))
    for i in range(ROUNDS):
        assert read(f"{p.local}/up-{i}") == p.source


@pytest.mark.parametrize("n", SESSIONS)
def test_busybox(tls, places, n):
    """A command is a session, in clear."""
    need("busybox")
    found = places(n)
    login = ["-u", "alice", "-p", "alice", "-P", str(tls.port), "127.0.0.1"]
    for i in range(ROUNDS):
        at_once([["busybox", "ftpput", *login, f"{p.directory}/up-{i}", f"{p.local}/source"] for p in found])
        at_once([["busybox", "ftpget", *login, f"{p.local}/got-{i}", f"{p.directory}/up-{i}"] for p in found])
        at_once([["busybox", "wget", "-q", "-O", f"{p.local}/wget-{i}",
                  f"ftp://alice:alice@127.0.0.1:{tls.port}/{p.directory}/up-{i}"] for p in found])
    for p in found:
        p.check(appended=False)
        for i in range(ROUNDS):
            assert read(f"{p.local}/wget-{i}") == p.source


@pytest.mark.parametrize("n", SESSIONS)
def test_ncftp(tls, places, n):
    need("ncftpput")
    found = places(n)
    login = ["-u", "alice", "-p", "alice", "-P", str(tls.port), "-V"]
    for i in range(ROUNDS):
        for p in found:
            shutil.copy(f"{p.local}/source", f"{p.local}/up-{i}")
        at_once([["ncftpput", *login, "127.0.0.1", p.directory, f"{p.local}/up-{i}"] for p in found])
        at_once([["ncftpget", *login, "-c", "127.0.0.1", f"/{p.directory}/up-{i}"] for p in found])
        at_once([["ncftpput", *login, "-A", "127.0.0.1", p.directory, f"{p.local}/piece"] for p in found])
    for p in found:
        p.check(appended=False, fetched=False)
        assert read(f"{p.remote}/piece") == p.piece * ROUNDS
