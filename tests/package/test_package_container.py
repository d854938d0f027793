"""The image of contrib/container: the root that build-root assembles, run as container programs run it.

Its first process has mount, process and network namespaces, a root that cannot be written, only the capabilities that
the examples name, and no system call that Docker's filter refuses. Clients are this machine's, and enter that network.
(After test_package.py, whose package it takes.)
"""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from machine import PATIENCE, children, text, wait_for
from pristine import BUILD, CACHE, TOP, base, run

HERE = f"{TOP}/contrib/container"
ROOT = f"{CACHE}/container"
FILES = f"{CACHE}/container-files"		# what is mounted: the volume and the secrets
# What the filters of Docker, Podman and containerd deny without CAP_SYS_ADMIN; old ones deny Landlock, too.
DENIED = ("unshare setns mount umount2 pivot_root bpf perf_event_open keyctl add_key request_key userfaultfd ptrace "
          "landlock_create_ruleset landlock_add_rule landlock_restrict_self").split()
UP = """import fcntl, socket, struct
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 1))"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ANY_UID = 1000650000		# OpenShift's way: in no passwd, group 0

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root directory")


def example(name):
    with open(f"{HERE}/{name}") as f:
        return f.read()


CAPABILITIES = re.search(r"cap_add: \[(.*)\]", example("compose.yaml"))[1].split(", ")


def package():
    """What test_package.py has made, or a new one where the checkout is newer."""
    made = sorted(p for p in glob.glob(f"{TOP}/build/package/sallyport_*.deb") if "+next" not in p)
    tracked = run("git", "-c", "safe.directory=*", "ls-files", "-z", cwd=TOP).stdout.split("\0")
    packed = [f"{TOP}/{f}" for f in tracked if not f.startswith("tests/") and os.path.isfile(f"{TOP}/{f}")]
    newest = max(map(os.path.getmtime, packed), default=0)
    if not made or os.path.getmtime(made[0]) < newest:
        r = run("./bootstrap", "package", cwd=TOP)
        assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
        made = glob.glob(f"{TOP}/build/package/sallyport_*.deb")
    return made[0]


@pytest.fixture(scope="module")
def image():
    if not os.path.exists(f"{BUILD}/roles-deny"):
        pytest.skip("roles-deny is not built; make check builds it")
    for directory in (ROOT, FILES):
        shutil.rmtree(directory, ignore_errors=True)
    r = run(f"{HERE}/build-root", ROOT, package(), env=dict(os.environ, BASE=base()))
    if "Temporary failure resolving" in r.stderr:
        pytest.skip("no network, where packages could come from")
    assert r.returncode == 0, r.stdout[-1000:] + r.stderr[-3000:]
    shutil.copy(f"{BUILD}/roles-deny", f"{ROOT}/usr/local/bin/")
    os.makedirs(f"{FILES}/srv")
    for place in ("secrets", "etc"):
        os.makedirs(f"{FILES}/{place}", mode=0o750)
    os.mkdir(f"{ROOT}/secrets")
    r = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=ftp", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", f"{FILES}/secrets/key", "-out", f"{FILES}/secrets/certificate")
    assert r.returncode == 0, r.stderr
    with open(f"{FILES}/secrets/users", "w") as f:
        f.write("# users\nalice:se cret:#1\nbob:" + run("openssl", "passwd", "-6", "bob").stdout)
    with open(f"{FILES}/secrets/probe", "w") as f:
        f.write("se cret:#1\n")
    for name in os.listdir(f"{FILES}/secrets"):
        os.chmod(f"{FILES}/secrets/{name}", 0o440)
    yield ROOT
    shutil.rmtree(ROOT, ignore_errors=True)
    shutil.rmtree(FILES, ignore_errors=True)


VARIABLES = {
    "SALLYPORT_USERS_FILE": "/secrets/users", "SALLYPORT_TLS_CERTIFICATE": "/secrets/certificate",
    "SALLYPORT_TLS_KEY": "/secrets/key", "SALLYPORT_PASSIVE_ADDRESS": "127.0.0.1",
    "SALLYPORT_PASSIVE_PORTS": "50000-50009", "SALLYPORT_LISTEN_IMPLICIT": "*:9990", "SALLYPORT_STOP_TIMEOUT": "60s", "SALLYPORT_RUN_AS": "4321:4321"}


class Container:
    """One that runs; uid None: root with the capabilities of the examples."""

    def __init__(self, uid=None, variables=VARIABLES, command=(), conf=None):
        self.port, self.uid = (21 if uid is None else 2121), uid
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{FILES}/etc/sallyport.conf")
        mounts = [f"mount --bind {ROOT} {ROOT}", *(f"mount --bind {FILES}/{p} {ROOT}/{p}" for p in ("srv", "secrets"))]
        if conf is not None:
            with open(f"{FILES}/etc/sallyport.conf", "w") as f:
                f.write(conf)
            os.chmod(f.name, 0o640)
            mounts.append(f"mount --bind {f.name} {ROOT}/etc/sallyport/sallyport.conf")
        mounts += [f"mount -o remount,bind,ro {ROOT}", f"mount -t tmpfs -o mode=1777 none {ROOT}/run/sallyport",
                   f"mount -t tmpfs -o mode=1777 none {ROOT}/tmp", f"mount --rbind /dev {ROOT}/dev",
                   f"mount -t proc none {ROOT}/proc"]
        capabilities = "" if uid else "".join(f",+{c.lower()}" for c in CAPABILITIES)
        self.enter = ["setpriv", f"--reuid={uid or 0}", "--regid=0", "--clear-groups", "--no-new-privs",
                      "--inh-caps=-all", f"--bounding-set=-all{capabilities}"]
        env = [f"{k}={v}" for k, v in {"PATH": PATH, **variables}.items()]
        steps = [*mounts, f"python3 -c \"{UP}\"", f"cd {ROOT}", "pivot_root . .", "umount -l .", 'exec "$@"']
        self.log_path = f"{CACHE}/container.log"
        with open(self.log_path, "w") as out, open(f"{CACHE}/container.err", "w") as err:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c", " && ".join(steps), "sh",
                 *self.enter, "roles-deny", *(f"{call}=1" for call in DENIED), "--", "env", "-i", *env,
                 "/usr/local/sbin/sallyport-container", *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)

    def said(self):
        return text(self.log_path) + text(f"{CACHE}/container.err")

    def pid(self):
        return int(children(self.process.pid)[0])

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while "event=ready" not in text(self.log_path):
            assert self.process.poll() is None and time.monotonic() < end, self.said()[-3000:]
            time.sleep(0.1)
        return self

    def client(self, *words):
        return run("nsenter", "-t", str(self.pid()), "-n", "--", *words)

    def inside(self, *words):
        """As docker exec and probes run it."""
        return run("nsenter", "-t", str(self.pid()), "-m", "-n", "-p", "-r", "--", *self.enter, *words)

    def probe(self, *words):
        r = self.inside("sallyport-container", "probe", "--timeout", str(PATIENCE), "--json", *words)
        return r.returncode, json.loads(r.stdout)["servers"] if r.stdout else r.stderr

    def stop(self):
        """docker stop: its exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its first process: what --kill-child asks for, a change of credentials takes back.
        if self.process.poll() is None:
            for pid in children(self.process.pid):
                os.kill(int(pid), signal.SIGKILL)
            self.process.kill()
            self.process.wait()


@pytest.fixture(params=[None, ANY_UID], ids=["root", "any-uid"])
def uid(request):
    return request.param


@pytest.fixture(autouse=True)
def volume(image, request):
    """A volume that belongs to whoever shall write it."""
    shutil.rmtree(f"{FILES}/srv")
    os.mkdir(f"{FILES}/srv", 0o755)
    if "uid" in request.fixturenames and request.getfixturevalue("uid"):
        os.chown(f"{FILES}/srv", 0, 0)
        os.chmod(f"{FILES}/srv", 0o775)


def curl(c, path, *options, user="alice:se cret:#1", scheme="ftp", port=None):
    r = c.client("curl", "-sS", "--cacert", f"{FILES}/secrets/certificate", "--user", user, *options,
                 f"{scheme}://127.0.0.1:{port or c.port}/{path}")
    assert r.returncode == 0, r.stderr + c.said()[-3000:]
    return r.stdout


def test_clients_log_in_and_it_ends_in_order(uid):
    with open(f"{CACHE}/upload", "w") as f:
        f.write("content\n" * 10000)
    with Container(uid).wait_ready() as c:
        for name, options in (("clear", {}), ("tls", {"port": 9990, "scheme": "ftps"})):
            curl(c, name, "-T", f.name, **options)
            assert curl(c, name, **options) == "content\n" * 10000
        curl(c, "auth", "--ssl-reqd", "-T", f.name)
        script = (f"set cmd:fail-exit yes; set net:max-retries 1; set ssl:ca-file {FILES}/secrets/certificate;"
                  f"set ftp:ssl-force yes; open -u bob,bob -p {c.port} 127.0.0.1; put {f.name} -o lftp; cat lftp; bye")
        r = c.client("lftp", "-c", script)
        assert r.returncode == 0 and r.stdout == "content\n" * 10000, r.stderr
        assert {(os.stat(p).st_uid) for p in glob.glob(f"{FILES}/srv/*/*")} == {uid or 4321}
        assert sorted(os.listdir(f"{FILES}/srv/alice")) == ["auth", "clear", "tls"]
        assert os.listdir(f"{FILES}/srv/bob") == ["lftp"]
        r = c.client("curl", "-sS", "-v", "--disable-epsv", "--user", "bob:bob", f"ftp://127.0.0.1:{c.port}/")
        high, low = map(int, re.search(r"227 .*\(127,0,0,1,(\d+),(\d+)\)", r.stderr).groups())
        assert 50000 <= high * 256 + low <= 50009
        # What the runtime does not give is named; and the log is on stdout, all of it.
        assert "event=sandbox-incomplete missing=" in text(c.log_path)
        assert all(f"event={e}" in text(c.log_path) for e in ("ready", "connect", "login", "transfer", "session-end"))
        assert "session=" not in text(f"{CACHE}/container.err"), c.said()
        # Process 1 has nobody to bury.
        wait_for(lambda: not [p for p in children(c.pid()) if "\nState:\tZ" in text(f"/proc/{p}/status")])
        assert c.stop() == 0 and "event=stopping" in text(c.log_path)
    with Container(uid).wait_ready() as c:
        assert curl(c, "auth") == "content\n" * 10000


def test_a_running_transfer_is_let_finish(uid):
    with Container(uid).wait_ready() as c:
        with open(f"{CACHE}/upload", "wb") as f:
            f.write(os.urandom(4_000_000))
        curl(c, "large", "-T", f.name)
        enter = ["nsenter", "-t", str(c.pid()), "-n", "--"]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{CACHE}/upload.got")
        with subprocess.Popen([*enter, "curl", "-sS", "--limit-rate", "2M", "--user", "alice:se cret:#1",
                               "-o", f"{CACHE}/upload.got", f"ftp://127.0.0.1:{c.port}/large"]) as p:
            wait_for(lambda: os.path.exists(f"{CACHE}/upload.got") and os.path.getsize(f"{CACHE}/upload.got") > 0)
            assert c.stop() == 0
            assert p.wait(PATIENCE) == 0
    with open(f"{CACHE}/upload.got", "rb") as got, open(f"{CACHE}/upload", "rb") as f:
        assert got.read() == f.read()


def test_probe(uid):
    login = ("--user", "alice", "--password-file", "/secrets/probe")
    with Container(uid).wait_ready() as c:
        code, servers = c.probe(*login, "--days", "30")
        assert code == 0 and len(servers) == 2, servers
        assert all(s["logged_in"] and s["certificate_days"] in (89, 90) for s in servers), servers
        assert c.probe("--alive")[0] == 0
        assert c.probe("--days", "100")[0] == 1
        assert c.probe("--user", "bob", "--password-file", "/secrets/probe")[0] == 1
        r = c.inside("sallyport-container", "status", "--json")
        assert r.returncode == 0 and "sessions" in json.loads(r.stdout), r.stderr
    with Container(uid, command=("sleep", "1000")) as c:
        wait_for(lambda: children(c.process.pid) and text(f"/proc/{c.pid()}/comm") == "sleep\n")
        assert c.probe("127.0.0.1:2121")[0] == 69


def test_configured_by_files(uid):
    """No variables: the file of the administrator is the configuration, and its words hold."""
    with open(f"{FILES}/secrets/users") as f:
        bob = re.search(r"bob:(.*)", f.read())[1]
    os.mkdir(f"{FILES}/srv/bob")
    os.chown(f"{FILES}/srv/bob", uid or 4321, 0)
    conf = (f"[server]\nlisten = *:{2121 if uid else 21}\nlog = stdout\nsandbox = best_effort\naccounts = config\n"
            f"default_layer = posix1e\n[account bob]\npassword = {bob}\nhome = /srv/bob\n")
    conf += "" if uid else "run_as = 4321:4321\n"
    with Container(uid, {}, conf=conf).wait_ready() as c:
        curl(c, "x", "-T", "/etc/hostname", user="bob:bob")
        assert c.probe()[0] == 0 and c.stop() == 0
    assert os.listdir(f"{FILES}/srv/bob") == ["x"]


@pytest.mark.parametrize("variables,said", [
    ({"SALLYPORT_USER": "a:b"}, "there is no variable SALLYPORT_USER;"),
    ({"SALLYPORT_USERS": "alice"}, "has no colon"),
    ({"SALLYPORT_USERS": "alice:"}, "alice has no password"),
    ({"SALLYPORT_USERS": "../x:y"}, "can be no user's name"),
    ({"SALLYPORT_USERS": "a:$6$x;uid_min=0"}, "has a line end, ; or #"),
    ({"SALLYPORT_USERS": "a:b", "SALLYPORT_PASSIVE_ADDRESS": "127.0.0.1\n[account root]"}, "has a line end"),
    ({"SALLYPORT_USERS": "a:b", "SALLYPORT_HOMES": "/srv\nlisten = *:2"}, "has a line end"),
    ({"SALLYPORT_USERS": "a:b", "SALLYPORT_TLS": "full"}, "names no certificate"),
    ({"SALLYPORT_USERS_FILE": "/nowhere"}, "/nowhere cannot be read"),
    ({"SALLYPORT_USERS": "a:b", "SALLYPORT_TLS_CERTIFICATE": "/nowhere"}, "/nowhere"),
    ({"SALLYPORT_USERS": "a:b", "SALLYPORT_PASSIVE_PORTS": "many"}, "passive_ports"),
])
def test_what_is_wrong_is_said_and_nothing_serves(uid, variables, said):
    with Container(uid, variables) as c:
        assert c.process.wait(PATIENCE) not in (0, None)
        assert said in c.said() and "event=ready" not in c.said()


def test_variables_alone(uid):
    """The shortest command line there is."""
    variables = {"SALLYPORT_USERS": "carol:with,comma dave:$6$x$y", "SALLYPORT_PORT": "tcp://10.0.0.1:21"}
    with Container(uid, variables).wait_ready() as c:
        curl(c, "x", "-T", "/etc/hostname", user="carol:with,comma")
        assert c.client("curl", "-sS", f"ftp://carol:wrong@127.0.0.1:{c.port}/").returncode == 67


def test_nothing_of_a_password_is_in_the_environment_of_the_server(uid):
    with Container(uid, {"SALLYPORT_USERS": "carol:supersecret"}).wait_ready() as c:
        for p in glob.glob("/proc/[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if os.readlink(f"{os.path.dirname(p)}/ns/pid") == os.readlink(f"/proc/{c.pid()}/ns/pid"):
                    assert "supersecret" not in text(p)
        assert "supersecret" not in c.inside("cat", "/run/sallyport/sallyport.conf").stdout


# ------------------------------------------------------------------------------- the examples

def test_the_examples_say_what_the_tests_tried():
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load(example("compose.yaml"))["services"]["ftp"]
    documents = list(yaml.safe_load_all(example("kubernetes.yaml")))
    pod = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    container, = pod["containers"]
    service = next(d for d in documents if d["kind"] == "Service")["spec"]
    known = re.search(r"\tUSERS \|[^)]*", example("sallyport-container"))[0].replace("\\", "").replace("|", "").split()
    known = {f"SALLYPORT_{word}" for word in known}
    env = {e["name"]: e["value"] for e in container["env"]}
    assert set(compose["environment"]) <= known and set(env) <= known and set(VARIABLES) <= known
    low, high = map(int, env["SALLYPORT_PASSIVE_PORTS"].split("-"))
    assert {p["nodePort"] for p in service["ports"] if p["name"] != "control"} == set(range(low, high + 1))
    given = compose["environment"]
    assert f"{given['SALLYPORT_PASSIVE_PORTS']}:{given['SALLYPORT_PASSIVE_PORTS']}" in compose["ports"]
    for grace, timeout in ((pod["terminationGracePeriodSeconds"], env["SALLYPORT_STOP_TIMEOUT"]),
                           (int(compose["stop_grace_period"].rstrip("s")), given["SALLYPORT_STOP_TIMEOUT"])):
        assert grace > int(timeout.rstrip("s"))
    with open(f"{TOP}/man/sallyport-containers.7.in") as f:
        page = f.read()
    assert all(f"Ev {name}" in page for name in known)
    assert re.search(r"CHOWN.*SYS_CHROOT", page)[0].replace(",", "").split() == CAPABILITIES
