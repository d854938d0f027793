"""journald and rsyslogd, the real ones, in a mount namespace with a /run and a /dev that nobody else sees."""
import os
import shutil
import signal
import subprocess

import pytest

from conftest import PATIENCE, wait_for

RSYSLOG = """module(load="imuxsock" SysSock.Name="/run/log-socket")
{template}
*.* {top}/syslog
"""


class Machine:
    """A /run and a /dev that nobody else sees, with a log daemon that is really one."""

    def __init__(self, top, *programs):
        for program in (*programs, "rsyslogd", "/lib/systemd/systemd-journald"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is missing; ./bootstrap deps installs it")
        self.top, self.started = str(top), []
        os.makedirs(f"{top}/dev")
        script = (f"mount --make-rprivate / && mount -t tmpfs none {top}/dev && mkdir {top}/dev/u {top}/dev/w && "
                  f"mount -t overlay -o lowerdir=/dev,upperdir={top}/dev/u,workdir={top}/dev/w none /dev && mount -t tmpfs none /run && "
                  "mkdir -p /run/log/journal /run/systemd/journal && echo ready && exec sleep infinity")
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no namespace with a /dev of its own here: {self.holder.communicate()[1].decode()}")
        self.enter = ["nsenter", "-m", "-t", str(self.holder.pid)]

    def log_daemon(self, reader):
        if reader.startswith("syslog"):
            # Debian's rsyslog.conf asks for the old format; without, the times are those of RFC 3339.
            old = 'module(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")' if reader == "syslog" else ""
            with open(f"{self.top}/rsyslog.conf", "w") as f:
                f.write(RSYSLOG.format(top=self.top, template=old))
            self.start("rsyslogd", "-n", "-f", f"{self.top}/rsyslog.conf", "-i", f"{self.top}/rsyslog.pid")
            socket = "/run/log-socket"
        else:
            self.start("/lib/systemd/systemd-journald")
            socket = "/run/systemd/journal/dev-log"
        wait_for(lambda: self.run("test", "-S", socket).returncode == 0)
        assert self.run("ln", "-sf", socket, "/dev/log").returncode == 0

    def run(self, *command):
        return subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=PATIENCE)

    def start(self, *command, **environment):
        with open(f"{self.top}/daemons.log", "a") as log:
            self.started.append(subprocess.Popen([*self.enter, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 env={**os.environ, **environment}))
        return self.started[-1]

    def end(self):
        for process in reversed([self.holder, *self.started]):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
