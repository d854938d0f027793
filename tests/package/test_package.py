"""The packages: what ./bootstrap package makes, and what becomes of it on a Debian 12 with systemd.

The tests of the machine build on each other, in their order, as an administrator goes on.
"""
import contextlib
import filecmp
import glob
import os
import re
import shutil
import subprocess
import threading
import time

import pytest
from machine import Machine, wait_for
from pristine import CACHE, PATIENCE, TOP, run

OUT = f"{TOP}/build/package"
CERTIFICATE = f"{CACHE}/machine.crt"
LOG = "/var/log/sallyport/sallyport.log"
CONF = f"""\
[server]
default_layer = posix1e
log = {LOG}
xferlog = /var/log/sallyport/xferlog
[tls]
certificate = /etc/ssl/certs/ftp.pem
private_key = /etc/ssl/private/ftp.key
tls = offer
"""
# What systemd's macros for rpm say, which Debian's rpm lacks; scriptlets are nothing here.
MACROS = {"_unitdir": "/usr/lib/systemd/system", "_sysusersdir": "/usr/lib/sysusers.d", "_tmpfilesdir": "/usr/lib/tmpfiles.d",
          "_docdir": "/usr/share/doc", "systemd_post()": "%{nil}", "systemd_preun()": "%{nil}",
          "systemd_postun()": "%{nil}"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install packages, or make a machine for them")


def checkout():
    """Every file of the checkout that git does not keep, but for those in build directories."""
    r = run("git", "-c", "safe.directory=*", "status", "--porcelain", "--ignored", "--", ".", ":!build", ":!build-*", cwd=TOP)
    return [] if r.returncode else [line for line in r.stdout.splitlines() if "__pycache__" not in line]


@pytest.fixture(scope="module")
def packages():
    """./bootstrap package: (what was in the checkout before and is after it, what it printed, the .deb)."""
    before = checkout()
    r = run("./bootstrap", "package", cwd=TOP)
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-4000:]
    return before, checkout(), r.stdout, deb("*")


def deb(version):
    found = glob.glob(f"{OUT}/sallyport_{version}_*.deb")
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="module")
def higher(packages):
    """The same package with a higher version: its .deb."""
    tree = next(iter(glob.glob(f"{OUT}/sallyport-*/")))
    with open(f"{tree}/debian/changelog") as f:
        entries = f.read()
    version = re.search(r"\((\S+)\)", entries)[1] + "+next"
    with open(f"{tree}/debian/changelog", "w") as f:
        f.write(re.sub(r"\(\S+\)", f"({version})", entries, count=1) + "\n" + entries)
    options = dict(os.environ, DEB_BUILD_OPTIONS="nocheck", DEB_BUILD_PROFILES="nocheck")
    r = run("dpkg-buildpackage", "--no-sign", "--build=binary", "--no-pre-clean", cwd=tree, env=options)
    assert r.returncode == 0, r.stderr[-3000:]
    return deb(version)


# ------------------------------------------------------------------------------------ what is in the packages

def test_the_checkout_stays_as_it_was(packages):
    before, after, printed, _ = packages
    assert after == before
    for name in ("sallyport-[0-9]*.tar.xz", "*.dsc", "sallyport_*.deb"):
        assert len(glob.glob(f"{OUT}/{name}")) == 1 and os.path.basename(glob.glob(f"{OUT}/{name}")[0]) in printed


def test_lintian(packages):
    if shutil.which("lintian") is None:
        pytest.skip("lintian is missing; install it with: apt-get install lintian")
    r = run("lintian", "--fail-on", "error,warning,info", "--display-info", "--tag-display-limit", "0", *glob.glob(f"{OUT}/*.changes"))
    assert r.returncode == 0 and not re.search("^[EWI]: ", r.stdout, re.M), r.stdout + r.stderr


def test_each_override_has_its_reason():
    for path in glob.glob(f"{TOP}/contrib/debian/*lintian-overrides"):
        with open(path) as f:
            lines = f.read().splitlines()
        for above, line in zip(["", *lines], lines):
            assert line.startswith("#") or above.startswith("# "), f"{path}: {line}"


def contents(paths):
    """The files that both packages should have: documentation has places of its own in each."""
    paths = {re.sub(r"^(\./|/)(usr/lib|lib)/systemd/", "/usr/lib/systemd/", p).replace("./", "/", 1) for p in paths}
    return {re.sub(r"\.gz$", "", p) for p in paths if not re.search(r"/share/(doc|lintian|licenses)/|/\.build-id", p)}


def test_rpmbuild_takes_the_archive(packages):
    """The spec, from the archive alone, with Debian's rpm: the package holds the same files as Debian's."""
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild is missing; install it with: apt-get install rpm")
    archive = glob.glob(f"{OUT}/sallyport-[0-9]*.tar.xz")[0]
    macros = dict(MACROS, _topdir=f"{OUT}/rpm", _smp_mflags=f"-j{len(os.sched_getaffinity(0))}")
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    # What it needs is installed, but rpm does not know Debian's packages. The unit tests are another stage's, and so is speed.
    r = run("rpmbuild", "-tb", "--nodeps", "--nocheck", *defines, archive, env=dict(os.environ, LC_ALL="C", CFLAGS="-O0"))
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    built, = glob.glob(f"{OUT}/rpm/RPMS/*/*.rpm")
    modes = dict(reversed(line.split(None, 1)) for line in
                 run("rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]", built).stdout.splitlines())
    assert modes["/etc/sallyport/sallyport.conf"] == "-rw-r-----"
    listed = [line.split(None, 5)[5] for line in run("dpkg-deb", "-c", packages[3]).stdout.splitlines() if not line.startswith("d")]
    assert contents(p for p, mode in modes.items() if mode[0] != "d") == contents(listed)
    scripts = run("rpm", "-qp", "--scripts", built).stdout
    assert "systemd-sysusers sallyport.conf" in scripts and "%" not in scripts


# ----------------------------------------------------------------------------------------------- the machine

def give_certificate(m):
    r = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{CACHE}/machine.key", "-out", CERTIFICATE)
    assert r.returncode == 0, r.stderr
    shutil.copy(CERTIFICATE, m.path("/etc/ssl/certs/ftp.pem"))
    shutil.copy(f"{CACHE}/machine.key", m.path("/etc/ssl/private/ftp.key"))


@pytest.fixture(scope="module")
def machine(packages):
    try:
        m = Machine()
        shutil.copy(packages[3], m.path("/srv/sallyport.deb"))
        m.fetch("/srv/sallyport.deb")
        m.fetch("xinetd")
        give_certificate(m)
        m.boot()
    except pytest.skip.Exception as e:
        pytest.skip(f"the package was not installed, started, upgraded, removed and purged: {e.msg}")
    try:
        m.do("useradd", "-m", "-s", "/bin/sh", "alice")
        m.do("sh", "-c", "echo alice:secret | chpasswd")
        yield m
    finally:
        m.stop()
        shutil.rmtree(m.top, ignore_errors=True)


def pid_of(m, unit="sallyport.service"):
    return m.do("systemctl", "show", "-P", "MainPID", unit).strip()


def state_of(m, unit, what="is-active"):
    return m.run("systemctl", what, unit).stdout.strip()


def log_in(m, user="alice:secret"):
    """In clear and over TLS, with curl and lftp: upload, list, fetch, delete."""
    wait_for(m.listens)
    upload = f"{CACHE}/upload"
    for tls in (False, True):
        with open(upload, "w") as f:
            f.write(f"over {'TLS' if tls else 'FTP'} at {time.monotonic()}\n")
        with open(upload) as f:
            content = f.read()
        safe = ["--ssl-reqd", "--cacert", CERTIFICATE] if tls else []
        curl = ["curl", "-sS", "-m", str(PATIENCE), *safe, "-u", user, "ftp://127.0.0.1/up"]
        r = m.client(*curl, "-T", upload)
        assert r.returncode == 0, r.stderr
        assert m.client(*curl).stdout == content
        script = (f"set cmd:fail-exit yes; set net:max-retries 1; set ssl:ca-file {CERTIFICATE}; set ftp:ssl-allow {tls};"
                  f"set ftp:ssl-force {tls}; set ftp:ssl-protect-data {tls};"
                  f"open -u {user.replace(':', ',')} 127.0.0.1; cls; cat up; rm up; bye")
        r = m.client("lftp", "-c", script)
        assert r.returncode == 0 and "up\n" in r.stdout and content in r.stdout, r.stdout + r.stderr


SESSION = """\
import ftplib, sys
with ftplib.FTP("127.0.0.1", "alice", "secret") as f:
    print("in", flush=True)
    sys.stdin.readline()
    print(f.voidcmd("NOOP")[:3], flush=True)
"""


@contextlib.contextmanager
def session(m):
    """Somebody who is logged in; what is yielded sends a command and returns the reply, or nothing where there was none."""
    enter = ["nsenter", "-t", m.leader, "-n", "--", "/usr/bin/python3", "-c", SESSION]
    with subprocess.Popen(enter, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == "in\n"
        yield lambda: p.communicate("\n", timeout=PATIENCE)[0]
        p.kill()


def processes(m):
    return [line for line in m.do("ps", "-eo", "pid,args").splitlines() if "sallyport" in line]


def test_installed_it_serves(machine):
    """At once, with the configuration as shipped: users of the system may list and read."""
    machine.apt("install", "/srv/sallyport.deb")
    assert state_of(machine, "sallyport.service") == "active"
    assert state_of(machine, "sallyport.service", "is-enabled") == "enabled"
    assert state_of(machine, "sallyport.socket", "is-enabled") == "disabled" and state_of(machine, "sallyport.socket") == "inactive"
    assert state_of(machine, "sallyport.service", "is-failed") != "failed"
    machine.do("sallyctl", "check")
    machine.write("/home/alice/hello", "hello")
    r = machine.client("curl", "-sS", "-u", "alice:secret", "ftp://127.0.0.1/hello")
    assert r.stdout == "hello", r.stderr
    assert machine.client("curl", "-sS", "-u", "alice:secret", "-T", CERTIFICATE, "ftp://127.0.0.1/up").returncode != 0
    assert machine.client("curl", "-sS", "-u", "alice:wrong", "ftp://127.0.0.1/hello").returncode == 67
    modes = machine.do("stat", "-c", "%a %U:%G", "/etc/sallyport/sallyport.conf", "/var/lib/sallyport", "/var/log/sallyport")
    assert modes.split("\n")[:3] == ["640 root:root", "700 root:root", "2750 root:adm"]


def test_configured_it_serves_tls_and_accounts(machine):
    machine.write("/etc/sallyport/conf.d/site.conf", CONF)
    machine.do("mkdir", "/srv/bob")
    machine.do("chown", "alice", "/srv/bob")
    machine.do("sh", "-c", "echo geheim | sallyctl account add bob home=/srv/bob run_as=alice")
    pid = pid_of(machine)
    machine.do("systemctl", "reload", "sallyport")
    # It has waited until that was over.
    assert "event=reloaded" in machine.read(LOG)
    assert pid_of(machine) == pid
    log_in(machine)
    log_in(machine, "bob:geheim")


def test_a_reload_that_is_refused_is_told(machine):
    machine.write("/etc/sallyport/conf.d/wrong.conf", "[server]\nno_such_key = 1\n")
    r = machine.run("systemctl", "reload", "sallyport")
    assert r.returncode != 0 and "no_such_key" in machine.do("journalctl", "-u", "sallyport")
    assert state_of(machine, "sallyport.service") == "active"
    log_in(machine, "bob:geheim")
    # Nor does a restart of that kind take the server away.
    r = machine.run("sallyctl", "restart")
    assert r.returncode == 2 and "no_such_key" in r.stdout + r.stderr and "goes on as it was" in r.stdout + r.stderr
    machine.do("rm", "/etc/sallyport/conf.d/wrong.conf")
    machine.do("systemctl", "reload", "sallyport")
    log_in(machine)


def test_logs_are_rotated(machine):
    log_in(machine)
    for name in (LOG, "/var/log/sallyport/xferlog"):
        assert "alice" in machine.read(name)
    old = machine.read(LOG)
    machine.do("logrotate", "-f", "/etc/logrotate.d/sallyport")
    assert machine.read(f"{LOG}.1").startswith(old)
    log_in(machine, "bob:geheim")
    for name in (LOG, "/var/log/sallyport/xferlog"):
        wait_for(lambda path=name: "bob" in machine.read(path))
        assert "alice" not in machine.read(name)
        assert machine.do("stat", "-c", "%a %U:%G", name, f"{name}.1").split("\n")[:2] == ["640 root:adm"] * 2


def test_reconfigured_it_goes_on(machine):
    pid = pid_of(machine)
    machine.do("dpkg-reconfigure", "sallyport")
    assert state_of(machine, "sallyport.service") == "active"
    log_in(machine)
    assert pid_of(machine)


def transfer(m, *arguments):
    """bob's, over TLS and slowly: the running curl."""
    return subprocess.Popen(["nsenter", "-t", m.leader, "-n", "--", "curl", "-sS", "--ssl-reqd", "--cacert", CERTIFICATE, "--limit-rate",
                             "2M", "-u", "bob:geheim", *arguments], stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def logins(m):
    """One after the other as long as this lasts; yields what became of each."""
    codes, over = [], threading.Event()

    def run_them():
        while not over.is_set():
            codes.append(m.client("curl", "-sS", "-m", str(PATIENCE), "-u", "bob:geheim", "ftp://127.0.0.1/").returncode)

    thread = threading.Thread(target=run_them)
    thread.start()
    try:
        yield codes
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def nobody_is_cut_off(m):
    """A session, an upload and a download (UPGRADE_BYTES) go on through what is done here, and every login is answered."""
    sizes = {"sent": f"{CACHE}/big", "got": f"{CACHE}/big.got"}
    with open(sizes["sent"], "wb") as f:
        f.write(os.urandom(1 << 20) * (int(os.environ.get("UPGRADE_BYTES", 48 << 20)) >> 20))
    shutil.copy(sizes["sent"], m.path("/srv/bob/big"))
    m.do("chown", "alice", "/srv/bob/big")
    running = [transfer(m, "ftp://127.0.0.1/sent", "-T", sizes["sent"]), transfer(m, "ftp://127.0.0.1/big", "-o", sizes["got"])]
    wait_for(lambda: os.path.exists(sizes["got"]) and os.path.exists(m.path("/srv/bob/sent")))
    with session(m) as ask, logins(m) as codes:
        yield
        assert ask() == "200\n"
    assert codes and not any(codes), codes
    for p in running:
        assert p.wait(PATIENCE * 20) == 0, p.stderr.read()
    for copy in (m.path("/srv/bob/sent"), sizes["got"]):
        assert filecmp.cmp(copy, sizes["sent"], shallow=False), copy


def test_upgraded(machine, higher):
    """The new version runs; what the administrator wrote and what the server keeps is as before; nobody was cut off."""
    machine.do("sh", "-c", "echo '# mine' >>/etc/sallyport/sallyport.conf")
    shutil.copy(higher, machine.path("/srv/higher.deb"))
    pid = pid_of(machine)
    with nobody_is_cut_off(machine):
        machine.apt("install", "/srv/higher.deb")
        assert f"(pid {pid})" in machine.do("sallyctl", "status")
        assert state_of(machine, "sallyport.service") == "active"
    # And what is left goes with the unit, whichever generation it is of.
    wait_for(lambda: "older" not in machine.do("sallyctl", "status"))
    assert machine.do("dpkg-query", "-W", "-f", "${Version} ${Status}", "sallyport").endswith("+next install ok installed")
    assert state_of(machine, "sallyport.service") == "active" and pid_of(machine) != pid
    exe = machine.do("readlink", f"/proc/{pid_of(machine)}/exe")
    assert "deleted" not in exe
    assert machine.read("/etc/sallyport/sallyport.conf").endswith("# mine\n")
    log_in(machine)
    log_in(machine, "bob:geheim")


def test_stopped_it_ends_both_generations(machine):
    with session(machine) as ask:
        machine.do("sallyctl", "restart")
        assert "older" in machine.do("sallyctl", "status")
        machine.do("systemctl", "restart", "sallyport")
        assert ask() == ""
    assert len([p for p in processes(machine) if p.split()[1].endswith("/sallyportd")]) == 2
    log_in(machine)


def test_metrics_by_their_socket(machine):
    """In the unit's own sandbox, as a user that exists for one request; and without a line of the journal for each."""
    machine.do("systemctl", "enable", "--now", "sallyport-metrics.socket")
    page = machine.client("curl", "-sS", "-m", "60", "http://127.0.0.1:9121/metrics")
    assert page.returncode == 0 and "\nsallyport_sessions " in page.stdout, page.stdout + page.stderr
    assert machine.client("curl", "-sS", "-m", "60", "http://127.0.0.1:9121/").stdout == "Not Found\n"
    assert "sallyport-metrics@" not in machine.do("journalctl", "--no-pager")
    machine.do("systemctl", "disable", "--now", "sallyport-metrics.socket")


def again(m):
    """An upgrade to the version that is there."""
    m.do("dpkg", "-i", "/srv/higher.deb")


def test_stopped_and_disabled_it_stays_so(machine):
    machine.do("systemctl", "disable", "--now", "sallyport.service")
    again(machine)
    assert state_of(machine, "sallyport.service") == "inactive"
    assert state_of(machine, "sallyport.service", "is-enabled") == "disabled"
    assert not machine.listens()


def test_through_the_socket(machine):
    """A server for each client, through an upgrade, too, which cuts off nobody who is in."""
    machine.do("systemctl", "enable", "--now", "sallyport.socket")
    log_in(machine)
    log_in(machine, "bob:geheim")
    with session(machine) as ask:
        again(machine)
        assert ask() == "200\n"
    assert state_of(machine, "sallyport.socket") == "active" and state_of(machine, "sallyport.service") == "inactive"
    log_in(machine)
    machine.do("systemctl", "disable", "--now", "sallyport.socket")
    assert not machine.listens()


def test_through_inetd(machine):
    """With the line of README.Debian."""
    assert not machine.listens()
    line, = re.findall(r"^\s*(ftp stream .*)$", machine.read("/usr/share/doc/sallyport/README.Debian"), re.M)
    machine.do("sh", "-c", f"echo '{line}' >>/etc/inetd.conf")
    machine.do("systemctl", "restart", "inetd")
    log_in(machine)
    log_in(machine, "bob:geheim")


def test_through_xinetd(machine):
    """With the example, enabled as its users do."""
    machine.apt("purge", "openbsd-inetd")
    wait_for(lambda: not machine.listens())
    machine.apt("install", "xinetd")
    example = machine.read("/usr/share/doc/sallyport/examples/sallyport.xinetd")
    assert re.search(r"disable\s*= yes", example)
    machine.write("/etc/xinetd.d/sallyport", re.sub(r"(disable\s*=) yes", r"\1 no", example))
    machine.do("systemctl", "restart", "xinetd")
    log_in(machine)
    log_in(machine, "bob:geheim")
    machine.apt("purge", "xinetd")
    machine.do("rm", "/etc/xinetd.d/sallyport", "/etc/inetd.conf")
    wait_for(lambda: not machine.listens())


def test_removed_it_is_gone_and_comes_back(machine):
    """What was configured and written stays until the purge."""
    machine.do("systemctl", "enable", "--now", "sallyport.service")
    log_in(machine)
    machine.apt("remove", "sallyport")
    assert not machine.listens() and not processes(machine)
    assert "not-found" in machine.do("systemctl", "show", "-P", "LoadState", "sallyport.service", "sallyport.socket")
    for path in ("/etc/sallyport/conf.d/site.conf", "/etc/sallyport/sallyport.conf", "/var/lib/sallyport/accounts.db", LOG):
        assert os.path.exists(machine.path(path)), path
    again(machine)
    assert state_of(machine, "sallyport.service") == "active"
    log_in(machine)
    log_in(machine, "bob:geheim")


def test_purged_nothing_stays(machine):
    """But what the administrator put there, and the users, who own nothing. Through the socket, who is in goes with the programs."""
    machine.do("systemctl", "disable", "--now", "sallyport.service")
    machine.do("systemctl", "enable", "--now", "sallyport.socket")
    with session(machine) as ask:
        machine.apt("purge", "sallyport")
        assert ask() == ""
    assert not machine.listens() and not processes(machine)
    assert machine.do("find", "/etc/sallyport", "-type", "f").split() == ["/etc/sallyport/conf.d/site.conf"]
    machine.do("rm", "-r", "/etc/sallyport")
    machine.do("rm", "-f", "/srv/sallyport.deb", "/srv/higher.deb")
    left = machine.do("find", "/", "/run", "/tmp", "-xdev", "-iname", "*sallyport*")
    assert left.split() == []
    named = machine.run("grep", "-rlI", "sallyport", "/etc", "/lib/systemd", "/usr/lib", "/var/lib", "/var/spool").stdout.split()
    # The users, and what dpkg and logrotate remember for a while.
    kept = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|/etc/host(s|name)|/var/lib/dpkg/status-old|/var/lib/logrotate/status"
    assert [p for p in named if not re.fullmatch(kept, p)] == []
    for user in ("sallyport", "sallyport-monitor", "sallyport-keeper"):
        assert machine.do("find", "/", "-xdev", "-user", user).split() == []
    assert state_of(machine, "sallyport.service", "is-failed") != "failed"
