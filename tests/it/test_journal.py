"""The lines in systemd's journal, as journalctl has them: a priority, one time, and no line feeds that nobody can read."""
import json
import re
import threading

import pytest

from conftest import BUILD, UIDS, wait_for
from logdaemons import Machine

# As a service of systemd: systemd-cat makes the stream, and leaves it to the service manager to name it.
IN_JOURNAL = ["systemd-cat", "-t", "sallyportd", "sh", "-c", 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"', "sh"]
LOGS = {"native": ("log = journal", []), "stderr": ("log = stderr", IN_JOURNAL),
        "json": ("log = stderr\nlog_format = json", IN_JOURNAL)}
# Of the listener, of the keeper's kin and of session processes; the priority is that of the level.
PRIORITIES = {"ready": 5, "auth-failure": 5, "login": 5, "control": 5, "reload-failed": 3, "configuration-wrong": 3, "reloaded": 5, "access": 6,
              "stopped": 5}


@pytest.fixture(params=LOGS)
def logged(request, serve, tmp_path):
    settings, starter = LOGS[request.param]
    machine = Machine(tmp_path, "journalctl", "systemd-cat")
    try:
        machine.log_daemon("journal")
        server = serve(settings)
        server.stop()
        server.command.remove("-d")
        server.command = [*machine.enter, *starter, *server.command]
        server.start()
        yield machine, server
        server.stop()
    finally:
        machine.end()


@pytest.mark.parametrize("daemon, program, tool", [("journal", "systemd-cat", "journalctl"), ("syslog", "rsyslogd", "rsyslogd")])
def test_a_busy_log_daemon_loses_nothing(serve, tmp_path, daemon, program, tool):
    """Its queue is short.  Two sessions that fill it neither lose lines, theirs or others', nor end sessions for want of a record."""
    machine = Machine(tmp_path, program, tool)
    try:
        machine.log_daemon(daemon)
        server = serve(f"log = {daemon}\naudit = yes\naudit_full = refuse")
        server.stop()
        server.command.remove("-d")
        server.command = [*machine.enter, *server.command]
        server.start()

        with open(f"{server.homes['alice']}/f", "w"):
            pass

        def ask():
            r = server.raw().login("alice")
            r.send("SIZE f\r\n" * 3000)
            assert {r.reply()[0] for _ in range(3000)} == {213}
            r.close()

        busy = [threading.Thread(target=ask) for _ in range(2)]
        for b in busy:
            b.start()
        with server.ftp("bob") as f:
            for i in range(100):
                f.mkd(f"d{i}")
        for b in busy:
            b.join()
        server.stop()
    finally:
        machine.end()
    if daemon == "syslog":
        with open(tmp_path / "syslog", errors="replace") as f:
            text = f.read()
        assert "event=log-gap" not in text and len(re.findall(r"event=access [^\n]*user=bob [^\n]*op=MKD", text)) == 100


def records(machine):
    """event -> records; the message is that of text or JSON."""
    found = {}
    for line in machine.run("journalctl", "-D", "/run/log/journal", "-o", "json").stdout.splitlines():
        r = json.loads(line)
        m = re.search(r'(?:^event=|^\{"time":"[^"]*","level":"\w+","event":")([\w-]+)', r["MESSAGE"])
        if r.get("SYSLOG_IDENTIFIER", "").startswith("sallyport"):
            found.setdefault(m and m[1], []).append(r)
    return found


def sallyctl(machine, server, *words):
    return machine.run(f"{BUILD}/sallyctl", "--socket", f"{server.dir}/control", *words)


def test_each_line(logged):
    machine, server = logged
    with server.ftp("alice") as f:
        f.mkd("d")
    with pytest.raises(Exception, match="530"):
        server.ftp("alice", "wrong")
    assert sallyctl(machine, server, "ban", "10.9.8.7", "2h").returncode == 0
    with open(server.conf) as f:
        good = f.read()
    with open(server.conf, "a") as f:
        f.write("[server]\nno_such_key = 1\nidle_timeout = never\n")
    assert sallyctl(machine, server, "reload").returncode == 2
    with open(server.conf, "w") as f:
        f.write(good.replace("[listener main]\n", "max_sessions = 77\n[listener main]\n"))
    assert sallyctl(machine, server, "reload").returncode == 0
    server.stop()
    wait_for(lambda: "stopped" in records(machine))
    found = records(machine)
    assert set(PRIORITIES) <= set(found), found.keys()
    assert {e: {int(r["PRIORITY"]) for r in found[e]} for e in PRIORITIES} == {e: {p} for e, p in PRIORITIES.items()}
    messages = [r["MESSAGE"] for several in found.values() for r in several]
    assert not [m for m in messages if re.search(r"\\x0a|\\u000a", m) or re.match(r"<|\d{4}-\d\d", m)]
    assert re.search(r"10\.9\.8\.7 2h", found["control"][0]["MESSAGE"])
    assert re.search(r"no_such_key.*; .*idle_timeout", found["reload-failed"][0]["MESSAGE"])


def test_mistakes_in_the_configuration(tmp_path):
    """Those of sallyctl check, which the unit starts first, and of the server itself."""
    machine = Machine(tmp_path, "journalctl", "systemd-cat")
    try:
        machine.log_daemon("journal")
        (tmp_path / "conf").write_text(f"[server]\nno_such_key = 1\nworker_user = {UIDS['alice']}\n")
        for command in ([f"{BUILD}/sallyctl", "--quiet", "--config", f"{tmp_path}/conf", "check"],
                        [f"{BUILD}/sallyportd", "--libexec", BUILD, "-f", f"{tmp_path}/conf"]):
            assert machine.run(*IN_JOURNAL, *command).returncode != 0

        def lines():
            out = machine.run("journalctl", "-D", "/run/log/journal", "-o", "json", "-t", "sallyportd").stdout
            return [(r["PRIORITY"], r["MESSAGE"]) for r in map(json.loads, out.splitlines()) if "no_such_key" in r["MESSAGE"]]
        wait_for(lambda: len(lines()) >= 2)
        assert all(p == "3" and m.startswith(f"{tmp_path}/conf:2: ") for p, m in lines())
    finally:
        machine.end()
