"""Every process of a running server is what privsep/roles.def says, seen from /proc."""
import contextlib
import os
import re
import signal
import ssl
import subprocess
import time

import pytest

from conftest import BUILD, ROLE_USERS, UIDS, exists, wait_for

PROGRAMS = {"sallyport-start": "starter", "sallyport-monit": "monitor", "sallyport-worke": "worker", "sallyport-agent": "agent",
            "sallyport-keepe": "keeper", "sallyport-verif": "verifier"}


def capability_numbers():
    with open("/usr/include/linux/capability.h") as f:
        return {m[1].lower(): int(m[2]) for m in re.finditer(r"#define (CAP_\w+)\s+(\d+)$", f.read(), re.M)}


def table():
    """What print-roles says: role -> phase -> (user, filter, capability mask), role -> flags."""
    numbers = capability_numbers()
    text = subprocess.run([f"{BUILD}/sallyportd", "print-roles"], capture_output=True, text=True, check=True).stdout
    roles, flags, role = {}, {}, None
    for line in text.splitlines():
        m = re.match(r"(\w+) \(sallyport\S*\)$", line)
        if m:
            role = m[1]
            roles[role], flags[role] = {}, ""
        m = re.match(r"    (template|spare|live)\s+user (\S+)\s+filter: ([^;]+); capabilities: (.*)$", line)
        if m:
            mask = {"none": 0, "all": (1 << 64) - 1}.get(m[4])
            if mask is None:
                mask = sum(1 << numbers[c] for c in m[4].split())
            roles[role][m[1]] = (m[2], m[3], mask)
        elif role and line.startswith("    ") and "descriptors:" in line:
            flags[role] = line
    assert set(roles) == {"listener", "monitor", "worker", "agent", "keeper", "clerk", "starter", "verifier"}
    return roles, flags


ROLES, FLAGS = table() if os.path.exists(f"{BUILD}/sallyportd") else ({}, {})


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def stat_fields(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()


def descriptors(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def limit(pid, name):
    with open(f"/proc/{pid}/limits") as f:
        return next(line for line in f if line.startswith(name)).split()[-3]


def processes(server):
    """role -> pids, oldest first: the template, then session processes."""
    found = {}
    for pid, name in server.pids().items():
        with contextlib.suppress(OSError):
            found.setdefault(PROGRAMS.get(name, name), []).append((int(stat_fields(pid)[19]), pid))
    return {role: [pid for _, pid in sorted(pids)] for role, pids in found.items()}




def uid_of(user):
    return int(ROLE_USERS[user].split(":")[0]) if user in ROLE_USERS else {"root": 0, "session": UIDS["alice"]}[user]


def filters(role, phase):
    order = ["template", "spare", "live"]
    own = sum(ROLES[role][p][1] != "as before" for p in order[:order.index(phase) + 1])
    return own + (role != "listener")


def check(pid, role, phase):
    user, _, caps = ROLES[role][phase]
    s = status(pid)
    where = f"{role} in phase {phase} (pid {pid})"
    assert s["Uid"].split() == [str(uid_of(user))] * 4, where
    assert len(set(s["Gid"].split())) == 1, where
    if user != "session":
        assert s["Groups"].split() == [], where
    for field in ("CapPrm", "CapEff"):
        assert int(s[field], 16) & ~caps == 0, f"{where}: {field} {s[field]}"
    # The bounding set is cut once, by the template: exec is forbidden afterwards.
    assert int(s["CapBnd"], 16) & ~ROLES[role]["template" if role != "listener" else "live"][2] == 0, where
    assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0, where
    assert s["NoNewPrivs"] == "1", where
    assert s["Seccomp"] == "2", where
    assert int(s["Seccomp_filters"]) >= filters(role, phase), where


def wait_for_spares(server):
    """The processes, once nothing changes any more: no session is ending or starting."""
    def settled():
        now = processes(server)
        if not server.idle() or len(now.get("worker", [])) < 3:
            return None
        time.sleep(0.1)
        return now if now == processes(server) else None

    return wait_for(settled, "there are no spares")


def test_table_is_complete():
    for role, phases in ROLES.items():
        assert set(phases) == {"template", "spare", "live"}, role
        assert phases["live"][2] & ~phases["template"][2] == 0, f"{role} gains capabilities"
    for role in ("worker", "keeper"):
        assert all(phases[2] == 0 for phases in ROLES[role].values())


def test_listener(server):
    pid = server.process.pid
    check(pid, "listener", "live")
    assert bin(int(status(pid)["CapEff"], 16)).count("1") <= 2


def test_starter(server):
    """It has the privileges of a start to pass them on, uses none, and has its channel and what the server was started with."""
    pid, = processes(server)["starter"]
    s = status(pid)
    assert s["Uid"].split() == ["0"] * 4
    assert int(s["CapEff"], 16) == int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0
    for field in ("CapPrm", "CapBnd"):
        assert int(s[field], 16) & ~ROLES["starter"]["live"][2] == 0, field
    held = descriptors(pid)
    assert set(held) == {0, 1, 2, 3} and held[3].startswith("socket:"), held


@pytest.mark.parametrize("role", ["monitor", "worker", "agent"])
def test_templates_and_spares(server, role):
    pids = wait_for_spares(server)[role]
    check(pids[0], role, "template")
    for pid in pids[1:]:
        check(pid, role, "spare")


def test_worker_has_no_world(server):
    seen = 0
    for pid in wait_for_spares(server)["worker"]:
        # One that served the test before may be ending.
        with contextlib.suppress(FileNotFoundError):
            assert os.listdir(f"/proc/{pid}/root") == []
            assert os.readlink(f"/proc/{pid}/root").endswith("(deleted)")
            assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
            with open(f"/proc/{pid}/net/dev") as f:
                assert [line.split(":")[0].strip() for line in f.readlines()[2:]] == ["lo"]
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize("role", ["monitor", "worker", "agent"])
def test_spares_hold_channels_only(server, role):
    for pid in wait_for_spares(server)[role][1:]:
        for fd, target in descriptors(pid).items():
            # The monitor is its session's log writer, and asks PAM and data bases; the agent prints names of owners.
            fine = role == "monitor" or target.startswith("socket:") or (fd <= 2 and target == "/dev/null")
            # Replaced by now when somebody has added a user meanwhile.
            fine = fine or (role == "agent" and target.removesuffix(" (deleted)") in ("/etc/passwd", "/etc/group", "/memfd:holds"))
            assert fine, f"{role} {pid}: {fd} is {target}"
        assert len(descriptors(pid)) <= 12


def test_limits_and_dumps(server):
    for role, pids in wait_for_spares(server).items():
        if role not in ROLES:
            continue
        for pid in pids:
            assert limit(pid, "Max core file size") == "0", role
            # A process that can be dumped or traced has its /proc files owned by its own user.
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0, role
    for pid in wait_for_spares(server)["worker"]:
        assert int(limit(pid, "Max open files")) <= 64
        assert int(limit(pid, "Max data size")) <= 1 << 30


def test_after_login_nobody_is_root(server):
    ftp = server.ftp("alice")
    ftp.voidcmd("NOOP")
    pids = session_of(server, ftp)
    for role in ("worker", "monitor", "agent"):
        check(pids[role], role, "live")
    assert os.readlink(f"/proc/{pids['agent']}/root") == server.homes["alice"]
    ftp.quit()


def test_clerk(serve):
    """The child of a live monitor that still is root: what it may be, call and hold."""
    server = serve("chown = yes")
    ftp = server.ftp("alice")
    monitor = session_of(server, ftp)["monitor"]
    clerk = next(p for p in server.pids() if stat_fields(p)[1] == str(monitor))
    check(clerk, "clerk", "live")
    # Besides its own filter those of the monitor's template and of the listener.
    assert int(status(clerk)["Seccomp_filters"]) >= 3
    assert os.stat(f"/proc/{clerk}/mem").st_uid == 0
    held = descriptors(clerk)
    with open("/proc/net/unix") as f:
        kinds = {f"socket:[{line.split()[6]}]": line.split()[4] for line in f if line[0].isalnum() and line.split()[4].isdigit()}
    # The other one is a datagram socket, by which a log that cannot be written is reported to the system's.
    channels = [fd for fd, target in held.items() if target.startswith("socket:") and kinds.get(target) != "0002"]
    assert len(channels) == 1, f"it hears nobody but its monitor: {held}"
    ftp.quit()
    wait_gone([clerk, monitor])


def test_what_a_live_session_holds(server):
    """No descriptor of the listener, of its caller or of another session: channels, the client, its data, its root."""
    ftp = server.ftp("alice")
    ftp.nlst()
    pids = session_of(server, ftp)
    allowed = {
        "worker": r"socket:|/dev/null$",
        "agent": rf"socket:|/dev/null$|/etc/(passwd|group)( \(deleted\))?$|/memfd:holds \(deleted\)$|{re.escape(server.homes['alice'])}$",
        "monitor": rf"socket:|/dev/null$|/memfd:inflight \(deleted\)$|{re.escape(server.dir)}/(log|xferlog|stderr)$",
    }
    for role, pattern in allowed.items():
        held = descriptors(pids[role])
        for fd, target in held.items():
            assert re.match(pattern, target), f"{role}: {fd} is {target}"
        assert sum(target.startswith("socket:") for target in held.values()) <= 6, f"{role}: {held}"
    ftp.quit()


def test_groups_of_the_user_and_no_others(server):
    ftp = server.ftp("bob")
    agent = session_of(server, ftp)["agent"]
    assert status(agent)["Groups"].split() in ([], [str(UIDS["bob"])])
    assert status(agent)["Gid"].split() == [str(UIDS["bob"])] * 4
    ftp.quit()


def wait_gone(processes):
    """Ended and reaped."""
    wait_for(lambda: not any(exists(p) for p in processes), f"still there, of {processes}")


def session_of(server, raw):
    """role -> pid of the session that serves this connection, as the listener knows it."""
    port = raw.sock.getsockname()[1]
    return next(w["pids"] for w in server.ctl("who") if w["peer"] == f"127.0.0.1:{port}")


def make_pair(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-days", "9", "-keyout", f"{directory}/{name}.key",
                    "-out", f"{directory}/{name}.pem"], capture_output=True, check=True)
    os.chmod(f"{directory}/{name}.key", 0o600)


def catch_child(pid, filters):
    """A child of this process, stopped once it has that many filters; None: it was quicker."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        with contextlib.suppress(OSError, KeyError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                child = int((f.read().split() or [0])[0])
            if child and int(status(child)["Seccomp_filters"]) >= filters:
                os.kill(child, signal.SIGSTOP)
                if os.listdir(f"/proc/{child}/fd"):
                    return child
    return None


def test_verifier(serve, tmp_path):
    """The child of a monitor that looks at a handshake: what it may be, call and hold."""
    for name in ("server", "client"):
        make_pair(tmp_path, name)
    # Many authorities give us time to see it.
    (tmp_path / "ca.pem").write_text("".join((tmp_path / "client.pem").read_text() for _ in range(200)))
    server = serve("", f"[tls]\ncertificate = {tmp_path}/server.pem\nprivate_key = {tmp_path}/server.key\n"
                       f"client_ca = {tmp_path}/ca.pem\nclient_certificate = request\n")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")

    def caught():
        raw = server.raw()
        raw.reply()
        raw.cmd("AUTH TLS")
        monitor = session_of(server, raw)["monitor"]
        raw.sock = context.wrap_socket(raw.sock)
        # The listener's, the monitor's template's, its own.
        pid = catch_child(monitor, 3)
        return pid and (raw, monitor, pid)

    raw, monitor, pid = wait_for(caught, "no verifier is seen")
    try:
        check(pid, "verifier", "live")
        assert int(status(pid)["Seccomp_filters"]) >= 3
        assert os.listdir(f"/proc/{pid}/root") == []
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        assert int(limit(pid, "Max open files")) <= 16
        held = descriptors(pid)
        assert {fd for fd, target in held.items() if target != "/dev/null"} <= {2, 3}, held
        assert held[3].startswith("socket:")
    finally:
        os.kill(pid, signal.SIGCONT)
    raw.sock.sendall(b"USER alice\r\n")
    assert raw.sock.recv(4096).startswith(b"331")
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "it was not waited for")


@pytest.mark.parametrize("victim", ["worker", "monitor", "agent"])
def test_one_killed_takes_the_session_and_nothing_else(server, victim):
    wait_for_spares(server)
    raw = server.raw().login()
    pids = session_of(server, raw)
    os.kill(pids[victim], signal.SIGKILL)
    wait_gone(pids.values())
    raw.sock.close()
    assert server.ftp("alice").voidcmd("NOOP").startswith("200")
    assert server.process.poll() is None


def test_killed_template_is_replaced(server):
    old = wait_for_spares(server)["worker"][0]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not exists(old) and len(processes(server)["worker"]) >= 3)
    assert server.ftp("alice").voidcmd("NOOP").startswith("200")


def test_nothing_is_left_after_the_end(server):
    ftp = server.ftp("alice")
    pids = list(server.pids())
    assert len(pids) > 5
    server.stop()
    wait_gone(pids)
    ftp.close()
