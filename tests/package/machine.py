"""A machine for the package: the pristine Debian with systemd as process 1, in namespaces of its own (systemd-nspawn).

Its network is a loopback that nobody else has, so the ports are the real ones. Clients are this machine's, and enter that
network; commands inside see everything else of it, too.
"""
import os
import shutil
import subprocess
import time

import pytest
from pristine import CACHE, base, copied, inside, run

PATIENCE = 120		# seconds for one event
# What every server has that is installed the usual way (netbase knows what ftp is), and one super-server; xinetd replaces it later.
PACKAGES = "systemd systemd-sysv dbus logrotate netbase openbsd-inetd procps"
# Debian 12's nspawn refuses them, and so the worker would not start; a real machine has them.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
# A machine outlives its nspawn, but not the process namespace of that.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--mount-proc", "--fork", "--kill-child")
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends")


def need(*command):
    """Something that can fail only for want of network, space or rights on this machine."""
    r = run(*command)
    assert "unmet dependencies" not in r.stdout + r.stderr, r.stdout[-1000:] + r.stderr[-1000:]
    if r.returncode != 0:
        pytest.skip(f"{' '.join(command[-4:])}: {r.stdout[-300:]}{r.stderr[-300:]}")


def prepared():
    """The base and systemd; kept, as the base is."""
    top = f"{CACHE}/systemd"
    if not os.path.isdir(top):
        part = copied(base(), "systemd.part")
        with open(f"{part}/usr/sbin/policy-rc.d", "w") as f:	# nothing is started before there is a process 1
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(f.name, 0o755)
        need(*inside(part, "/", *APT, "update"))
        need(*inside(part, "/", *APT, "install", *PACKAGES.split()))
        os.unlink(f.name)
        os.rename(part, top)
    return top


class Machine:
    def __init__(self):
        if shutil.which("systemd-nspawn") is None:
            pytest.skip("systemd-nspawn is missing; install it with: apt-get install systemd-container")
        self.top = copied(prepared(), "machine")
        self.nspawn = self.leader = None

    def fetch(self, *packages):
        """Has apt bring packages, and what they depend on, into its cache: there is no network once it runs."""
        need(*inside(self.top, "/", *APT, "install", "--download-only", *packages))

    def boot(self):
        # Without a service manager here there is no unit that could be made for it.
        keep = [] if os.path.isdir("/run/systemd/system") else ["--keep-unit"]
        with open(f"{CACHE}/machine.log", "w") as log:
            self.nspawn = subprocess.Popen(
                [*ENDS_WITH_US, "systemd-nspawn", "-D", self.top, "--boot", "--register=no", *keep,
                 "--private-network", "--link-journal=no", "--console=pipe", "--resolv-conf=off", "--timezone=off", f"--system-call-filter={LANDLOCK}",
                 "-M", f"sallyport-{os.getpid()}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + PATIENCE
        while not self.up():
            if self.nspawn.poll() is not None or time.monotonic() > end:
                self.stop()
                with open(f"{CACHE}/machine.log", errors="replace") as log:
                    pytest.skip(f"systemd does not start in systemd-nspawn here: {log.read()[-500:]}")
            time.sleep(0.2)

    def up(self):
        """Whether its process 1 has started everything; finds it first."""
        for nspawn in children(self.nspawn.pid):
            self.leader = next((p for p in children(nspawn) if text(f"/proc/{p}/comm").strip() == "systemd"), None)
        return self.leader and self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def stop(self):
        if self.nspawn is not None:
            self.nspawn.kill()
            self.nspawn.wait()
            if self.leader:
                wait_for(lambda: not os.path.exists(f"/proc/{self.leader}/root/etc"))

    def run(self, *words):
        """A command inside: what came of it."""
        enter = ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        return run(*enter, "env", "-i", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words)

    def do(self, *words):
        """A command inside that must succeed: what it printed."""
        r = self.run(*words)
        assert r.returncode == 0, f"{' '.join(words)}: {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}"
        return r.stdout

    def apt(self, *words):
        return self.do(*APT, *words)

    def client(self, *words):
        """A program of this machine in that network."""
        return run("nsenter", "-t", self.leader, "-n", "--", *words)

    def path(self, name):
        return self.top + name

    def read(self, name):
        return text(self.path(name))

    def write(self, name, content, mode=0o644):
        with open(self.path(name), "w") as f:
            f.write(content)
        os.chmod(self.path(name), mode)

    def listens(self, port=21):
        """Whether something listens there."""
        return any(f":{port:04X}" in line[:60] and line.split()[3] == "0A"
                   for kind in ("tcp", "tcp6") for line in text(f"/proc/{self.leader}/net/{kind}").splitlines()[1:])


def children(pid):
    return text(f"/proc/{pid}/task/{pid}/children").split()


def text(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def wait_for(what, *arguments):
    end = time.monotonic() + PATIENCE
    while not (value := what(*arguments)):
        assert time.monotonic() < end, f"{what.__name__} {arguments}"
        time.sleep(0.1)
    return value
