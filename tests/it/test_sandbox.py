"""Kernels and containers that do not give every part of the sandbox: what the server does without it, and who is told."""
import errno
import io
import os
import re
import signal
import subprocess

import pytest
from conftest import BUILD, ROLE_USERS, Server, exists, free_port, wait_for
from tlsserver import make_cert, run

LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
REFUSALS = ("EPERM", "ENOSYS", "EOPNOTSUPP")
# The words of each part's row in privsep/parts.def, and what is refused to see it missing: prctl's first argument is an option.
SANDBOX = {"resource limits": ["prlimit64"], "network namespaces": ["unshare"], "roots": ["chroot"], "system call filters": ["seccomp"]}
ALWAYS = {"memory files": ["memfd_create"], "process descriptors": ["clone@0x1011"], "openat2": ["openat2"],
          "change of user": ["setresuid"], "capabilities up": ["capset"], "no_new_privs": ["prctl@38"]}
OTHERWISE = {"signals by process": ["pidfd_send_signal"], "close_range": ["close_range"], "bounding set": ["prctl@24"]}


def denying(calls, error):
    """The start of a command line whose command is refused these calls."""
    return [f"{BUILD}/roles-deny", *(f"{call}={getattr(errno, error) if error else 0}" for call in calls), "--"]


@pytest.fixture
def below(tmp_path, monkeypatch):
    """below(calls, error, settings) starts a server that is refused these calls."""
    servers = []
    os.chmod(tmp_path, 0o755)
    make_cert(str(tmp_path), "cert")
    tls = f"[tls]\ncertificate = {tmp_path}/cert.pem\nprivate_key = {tmp_path}/cert.key\n"

    def start(calls, error, settings=""):
        directory = f"{tmp_path}/{len(servers)}"
        os.mkdir(directory)
        popen = subprocess.Popen
        with monkeypatch.context() as m:
            m.setattr(subprocess, "Popen", lambda command, *a, **k: popen(
                [*denying(calls, error), *command] if command[0].endswith("/sallyportd") else command, *a, **k))
            servers.append(Server(directory, settings, tls))
        servers[-1].cert = f"{tmp_path}/cert.pem"
        return servers[-1]

    yield start
    for s in servers:
        s.clean()


def serves(server):
    """Two sessions at once, in clear and over TLS: up, down, list, away."""
    f = server.ftp("alice")
    for options in ((), ("--ssl-reqd", "--cacert", server.cert)):
        with open(f"{server.dir}/given", "wb") as out:
            out.write(os.urandom(200000))
        r = run("curl", "-sS", *options, "-T", f"{server.dir}/given", server.url("/up"))
        assert r.returncode == 0, r.stderr
        r = run("curl", "-sS", *options, server.url("/up"))
        assert r.stdout == open(f"{server.dir}/given", "rb").read(), r.stderr
    assert f.nlst() == ["up"]
    f.storbinary("STOR two", io.BytesIO(b"2"))
    f.delete("two")
    f.quit()


def told(server):
    return [line for line in server.log().splitlines() if "event=sandbox-incomplete" in line and "missing=" in line]


def refuses(tmp_path, calls, error, settings=""):
    """A start that must fail: what it said."""
    conf = tmp_path / "refused.conf"
    users = "".join(f"{k} = {v}\n" for k, v in ROLE_USERS.items())
    conf.write_text(f"[server]\n{users}control_socket = {tmp_path}/control\naccounts = config\n{settings}\n"
                    f"[listener main]\nlisten = 127.0.0.1:{free_port()}\n")
    r = run(*denying(calls, error), f"{BUILD}/sallyportd", "-f", str(conf), "--libexec", BUILD)
    text = (r.stdout + r.stderr).decode()
    assert r.returncode == 84 and "event=refusing-to-start" in text and "event=ready" not in text, (r.returncode, text)
    return text


# ------------------------------------------------------------------------------------------------------------- Landlock

@pytest.mark.parametrize("call", LANDLOCK)
@pytest.mark.parametrize("error", [*REFUSALS, None])
def test_landlock_auto_is_where_it_works(below, call, error):
    """Also where part of it is refused, and where whoever tries it is killed (None), as units of systemd may do."""
    if error is None and call == "landlock_add_rule":
        pytest.skip("only agents call it, and whether they die of it cannot be tried without a directory")
    server = below([call], error)
    serves(server)
    if call != "landlock_add_rule":
        lines = told(server)
        assert len(lines) == 1 and "missing=Landlock" in lines[0] and "hint=" in lines[0] and "effect=" in lines[0], lines


@pytest.mark.parametrize("error", [*REFUSALS, None])
def test_landlock_off_is_off(below, error):
    server = below(LANDLOCK, error, "landlock = off")
    serves(server)
    assert told(server) == []
    server.ctl("reload")
    serves(server)


@pytest.mark.parametrize("call", LANDLOCK[::2])
def test_landlock_required(tmp_path, call):
    for sandbox in ("enforce", "best_effort"):
        assert "missing=Landlock" in refuses(tmp_path, [call], "EPERM", f"landlock = require\nsandbox = {sandbox}")


def test_a_reload_without_landlock(below):
    """What was found at the start holds for the processes of a reload."""
    server = below(LANDLOCK, None)
    server.ctl("reload")
    serves(server)


# --------------------------------------------------------------------------------------------------- every other part

@pytest.mark.parametrize("part", SANDBOX)
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_the_setting_sandbox_decides(below, tmp_path, part, error):
    text = refuses(tmp_path, SANDBOX[part], error)
    assert part in text and "hint=" in text and "best_effort" in text, text
    server = below(SANDBOX[part], error, "sandbox = best_effort")
    serves(server)
    serves(server)
    assert len(told(server)) == 1 and part in told(server)[0] and "effect=" in told(server)[0], told(server)
    assert len(re.findall("event=sandbox-incomplete", server.log())) <= 6, "sessions repeat it"


@pytest.mark.parametrize("part", ALWAYS)
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_what_nothing_goes_without(tmp_path, part, error):
    for sandbox in ("enforce", "best_effort"):
        text = refuses(tmp_path, ALWAYS[part], error, f"sandbox = {sandbox}")
        line = next(x for x in text.splitlines() if "event=refusing-to-start" in x and part in x)
        assert "hint=" in line and "best_effort" not in line, text


def test_who_would_be_killed_does_not_start(tmp_path):
    for part, calls in (SANDBOX | ALWAYS).items():
        if calls == ["prlimit64"]:	# the listener raises its own limits first, and dies of it
            continue
        text = refuses(tmp_path, calls, None, "sandbox = best_effort")
        assert part in text and "killed" in text, text


@pytest.mark.parametrize("part", OTHERWISE)
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_what_has_another_way(below, part, error):
    server = below(OTHERWISE[part], error)
    serves(server)
    assert told(server) == []
    # A session that hangs is ended all the same.
    f = server.ftp("alice")
    worker = server.ctl("who")[0]["pids"]["worker"]
    os.kill(worker, signal.SIGSTOP)
    server.ctl("kick", "alice")
    wait_for(lambda: not exists(worker))
    f.close()


def test_no_descriptor_of_the_server_is_left_open(below):
    """Without close_range(2) a program has what it is given, and nothing else."""
    have = {}
    for error in ("ENOSYS", None):
        server = below(["close_range"] if error else ["swapon"], "ENOSYS")
        for pid, name in server.pids().items():
            have.setdefault(name, []).append(sorted(os.listdir(f"/proc/{pid}/fd"), key=int)[-1])
    with_it = {name: sorted(set(fds)) for name, fds in have.items()}
    assert all(int(fds[-1]) < 40 for fds in with_it.values()), with_it


# ---------------------------------------------------------------------------------------------------------------- doctor

def doctor(tmp_path, calls, error, settings=""):
    conf = tmp_path / "doctor.conf"
    users = "".join(f"{k} = {v}\n" for k, v in ROLE_USERS.items())
    conf.write_text(f"[server]\n{users}control_socket = {tmp_path}/control\n{settings}\n")
    r = run(*denying(calls, error), f"{BUILD}/sallyctl", "--config", str(conf), "doctor")
    return [line for line in r.stdout.decode().splitlines() if re.match(r"\w+ +kernel ", line)]


@pytest.mark.parametrize("error", [*REFUSALS, None])
def test_doctor_tries_it(tmp_path, error):
    """doctor says what a start would: error where that fails, warning where something is lost."""
    for settings, level in (("", "warning"), ("landlock = require", "error"), ("landlock = off", "note")):
        for call in LANDLOCK[::2]:
            line = next(x for x in doctor(tmp_path, [call], error, settings) if "Landlock" in x)
            assert line.split()[0] == level, line
    for part, calls in SANDBOX.items():
        if error is None and calls == ["prlimit64"]:	# every program asks for its limits
            continue
        for settings, level in (("", "error"), ("sandbox = best_effort", "warning" if error else "error")):
            line = next(x for x in doctor(tmp_path, calls, error, settings) if part in x)
            assert line.split()[0] == level, line
    for part, calls in ALWAYS.items():
        line = next(x for x in doctor(tmp_path, calls, error, "sandbox = best_effort") if part in x)
        assert line.split()[0] == "error", line
    for part, calls in OTHERWISE.items():
        line = next(x for x in doctor(tmp_path, calls, error) if part in x)
        assert line.split()[0] == ("note" if error else "error"), line


def test_doctor_where_all_is_there(tmp_path):
    lines = doctor(tmp_path, ["swapon"], "EPERM")
    assert len(lines) >= 16 and all(x.startswith("ok") for x in lines), lines


# ------------------------------------------------------------------------------------------------------- capabilities

@pytest.mark.parametrize("lacking, part", [("sys_admin", "network namespaces"), ("sys_chroot", "roots")])
def test_containers_without_a_capability(tmp_path, lacking, part, monkeypatch):
    """Root in a container: enforce names what is missing, best_effort serves."""
    drop = ["setpriv", f"--bounding-set=-{lacking}", f"--inh-caps=-{lacking}"]
    popen = subprocess.Popen
    server = None
    os.chmod(tmp_path, 0o755)
    for sandbox in ("enforce", "best_effort"):
        directory = f"{tmp_path}/{sandbox}"
        os.mkdir(directory)
        with monkeypatch.context() as m:
            m.setattr(subprocess, "Popen", lambda command, *a, **k: popen([*drop, *command] if command[0].endswith("/sallyportd") else command, *a, **k))
            if sandbox == "enforce":
                with pytest.raises(pytest.fail.Exception) as failed:
                    Server(directory, f"sandbox = {sandbox}")
                assert "ended with 84" in str(failed.value) and part in str(failed.value), failed.value
            else:
                server = Server(directory, f"sandbox = {sandbox}")
    try:
        f = server.ftp("alice")
        f.storbinary("STOR x", io.BytesIO(b"x"))
        f.quit()
        assert part in told(server)[0]
    finally:
        server.clean()
