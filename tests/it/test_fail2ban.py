"""fail2ban with the filter and the jails as shipped, before each log that the server can write.

That is the journal, files and a syslog daemon's, the real ones of logdaemons.py.
"""
import ftplib
import os
import re
import shutil
import subprocess

import pytest

from conftest import PATIENCE, TOP, wait_for
from logdaemons import Machine

SHIPPED = f"{TOP}/contrib/fail2ban"
CLIENT = "127.0.0.77"
# The last of them tries to be another's, and to be no fault of the client's.
NAMES = ("bob", "nobody-here", "4711", "two words", 'x" reason=internal rhost=10.0.0.1 "')
# Logs: what the configuration says, what the server is started by, and who reads it.
LOGS = {
    "journal": ("log = journal", [], "systemd"),
    "stderr": ("log = stderr", ["systemd-cat", "-t", "sallyportd"], "systemd"),
    "stderr-json": ("log = stderr\nlog_format = json", ["systemd-cat", "-t", "sallyportd"], "systemd"),
    "syslog-journal": ("log = syslog", [], "systemd"),
    "syslog": ("log = syslog", [], "syslog"),
    "syslog-iso": ("log = syslog", [], "syslog-iso"),
    "file": ("log = {dir}/log", [], "file"),
    "file-json": ("log = {dir}/log\nlog_format = json", [], "file"),
}
@pytest.fixture(params=LOGS)
def logged(request, serve, tmp_path):
    """(machine, server, reader): the server logs as it does in a service, into that log."""
    settings, starter, reader = LOGS[request.param]
    machine = Machine(tmp_path, "fail2ban-server", "fail2ban-regex")
    try:
        machine.log_daemon(reader)
        server = serve(settings.replace("{dir}", str(tmp_path)) + "\npenalty_failure = 0\nlogin_attempts = 9")
        server.stop()
        server.command.remove("-d")
        server.command = [*machine.enter, *starter, *server.command]
        server.start()
        yield machine, server, reader
        server.stop()
    finally:
        machine.end()


def fail_to_log_in(server, name):
    f = ftplib.FTP(timeout=PATIENCE)
    f.connect("127.0.0.1", server.port, source_address=(CLIENT, 0))
    with pytest.raises(ftplib.error_perm, match="530"):
        f.login(name, "wrong")
    f.close()


def source_of(machine, reader):
    return {"systemd": "systemd-journal", "file": f"{machine.top}/log"}.get(reader, f"{machine.top}/syslog")


def test_the_filter(logged):
    """It finds each wrong password with its address, and nothing in what else is logged."""
    machine, server, reader = logged
    with server.ftp("alice") as f:
        f.nlst()
    for name in NAMES:
        fail_to_log_in(server, name)

    def ask(*options):
        return machine.run("fail2ban-regex", *options, source_of(machine, reader), f"{SHIPPED}/filter.conf").stdout

    def found():
        return ask("-o", "ip").split()
    wait_for(lambda: len(found()) >= len(NAMES), ask())
    assert found() == [CLIENT] * len(NAMES)


def configure(machine, reader):
    """fail2ban's own configuration and the shipped files; bans are written into a file."""
    top = machine.top
    shutil.copytree("/etc/fail2ban", f"{top}/f2b")
    for name in os.listdir(f"{top}/f2b/jail.d"):
        os.unlink(f"{top}/f2b/jail.d/{name}")
    shutil.copy(f"{SHIPPED}/filter.conf", f"{top}/f2b/filter.d/sallyport.conf")
    shutil.copy(f"{SHIPPED}/jail.conf", f"{top}/f2b/jail.d/sallyport.conf")
    files = {"action.d/write.conf": f"[Definition]\nactionban = echo <ip> >> {top}/bans\nactionunban =\n",
             "fail2ban.local": f"[Definition]\nsocket = {top}/f2b.sock\npidfile = {top}/f2b.pid\n"
                               f"dbfile = None\nlogtarget = {top}/f2b.log\n",
             "jail.local": "[DEFAULT]\nbanaction = write\nignoreself = false\n"}
    if reader != "systemd":         # what the file says that one has to do
        files["jail.d/zz.local"] = ("[sallyport]\nenabled = false\n[sallyport-file]\nenabled = true\n"
                                    f"logpath = {source_of(machine, reader)}\n")
    for name, content in files.items():
        with open(f"{top}/f2b/{name}", "w") as f:
            f.write(content)


def content(path):
    with open(path) as f:
        return f.read()


def test_the_jail(logged):
    """A fail2ban-server with the shipped jail, in a place where it is not UTC, bans who guesses, and nobody else."""
    machine, server, reader = logged
    fail_to_log_in(server, "bob")
    wait_for(lambda: reader == "systemd" or os.path.exists(source_of(machine, reader)))
    configure(machine, reader)
    zone = {} if reader == "syslog" else {"TZ": "America/New_York"}     # the old format has the local time
    daemon = machine.start("fail2ban-server", "-c", f"{machine.top}/f2b", "-f", "start", **zone)
    jail = "sallyport" if reader == "systemd" else "sallyport-file"
    wait_for(lambda: (daemon.poll() is None or pytest.fail(content(f"{machine.top}/daemons.log"))) and
             re.search(rf"Jail '{jail}' started", content(f"{machine.top}/f2b.log")), f"{jail} does not start")
    with server.ftp("alice") as f:
        f.nlst()
    for name in NAMES:
        fail_to_log_in(server, name)
    wait_for(lambda: content(f"{machine.top}/bans"), "nobody was banned")
    assert content(f"{machine.top}/bans").split() == [CLIENT]


@pytest.mark.parametrize("rest, matches", [
    ('"reason":"wrong-password","source":"config","attempt":1,"tls":0}', 1),
    ('"reason":"account-refused","password":"right","source":"pam","attempt":1,"tls":0}', 0),
    ('"reason":"settings-unusable","password":"right","attempt":1,"tls":0}', 0),
    ('"reason":"internal","attempt":1,"tls":0}', 0)])
@pytest.mark.parametrize("user", ['bob', 'x\\",\\"reason\\":\\"wrong-password\\",\\"rhost\\":\\"10.0.0.1', "a\\\\"])
def test_json_of_others_faults(tmp_path, rest, matches, user):
    (tmp_path / "log").write_text('{"time":"2026-11-22T00:10:00.123Z","level":"notice","event":"auth-failure","session":"4f2a",'
                                  f'"rhost":"2001:db8::7","user":"{user}",{rest}\n')
    r = subprocess.run(["fail2ban-regex", "-o", "ip", str(tmp_path / "log"), f"{SHIPPED}/filter.conf"],
                       capture_output=True, text=True, timeout=PATIENCE)
    assert r.stdout.split() == ["2001:db8::7"] * matches
