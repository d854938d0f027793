"""A machine that nobody has prepared: no user of ours, no configuration, no root."""
import contextlib
import os
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, PATIENCE, free_port, wait_for
from tlsserver import make_cert, run

ROLES = ("sallyport", "sallyport-monitor", "sallyport-keeper")


@pytest.fixture
def bare(tmp_path):
    """The start of a command line whose command finds none of our users, whatever this machine has."""
    lines = [line for line in open("/etc/passwd") if line.split(":")[0] not in ROLES]
    (tmp_path / "passwd").write_text("".join(lines))
    command = ["unshare", "--mount", "sh", "-c", f'mount --bind {tmp_path}/passwd /etc/passwd && exec "$@"', "sh"]
    if run(*command, "true").returncode != 0:
        pytest.skip("no mount namespace can be made here")
    return command


@contextlib.contextmanager
def started(command, log):
    with open(log, "w") as f, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f) as p:
        wait_for(lambda: "event=ready" in log.read_text() or p.poll() is not None)
        try:
            yield p
        finally:
            p.terminate()
            p.wait(PATIENCE)


def shared(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir(mode=0o755)
    (tree / "hello").write_text("hello\n")
    make_cert(str(tmp_path), "cert")
    return ["serve", str(tree), "--address", "127.0.0.1", "--user", "me:secret", "--certificate", f"{tmp_path}/cert.pem",
            "--private-key", f"{tmp_path}/cert.key"]


def fetch(port, tmp_path, *options):
    r = run("curl", "-sS", *options, f"ftp://me:secret@127.0.0.1:{port}/hello")
    assert r.stdout == b"hello\n", r.stderr


def serves_in_clear_and_over_tls(port, tmp_path):
    fetch(port, tmp_path)
    fetch(port, tmp_path, "--ssl-reqd", "--cacert", f"{tmp_path}/cert.pem")


def test_serve_as_root_without_our_users(bare, tmp_path):
    port, log = free_port(), tmp_path / "log"
    with started([*bare, f"{BUILD}/sallyportd", "--libexec", BUILD, *shared(tmp_path), "--port", str(port)], log) as p:
        assert p.poll() is None, log.read_text()
        serves_in_clear_and_over_tls(port, tmp_path)
    text = log.read_text()
    numbers = re.findall(r"there is no user (\S+); using number (\d+)", text)
    assert [name for name, _ in numbers] == list(ROLES) and len({n for _, n in numbers}) == 3, text
    assert text.index("event=ready") < text.index("Try it from another terminal"), "the promise stands before the deed"
    assert "started=serve" in text


def test_serve_says_how_to_go_on(tmp_path):
    """A port that is taken or is none, and the command that lftp's users are given, as it stands there."""
    port, log, words = free_port(), tmp_path / "log", [f"{BUILD}/sallyportd", "--libexec", BUILD, *shared(tmp_path)]
    for wrong in ("99999", "0", "x", "21x", "-1"):
        r = run(*words, "--port", wrong)
        assert r.returncode == 64 and b"--port wants a number from 1 to 65535" in r.stderr, r.stderr
    with started([*words, "--port", str(port)], log):
        taken = run(*words, "--port", str(port))
        assert taken.returncode != 0 and b"choose another with --port" in taken.stdout + taken.stderr, taken.stderr
        if shutil.which("lftp") is None:
            pytest.skip("no lftp")
        wait_for(lambda: "    lftp " in log.read_text())
        line = re.search(r"^    (lftp .*)$", log.read_text(), re.M)[1]
        line = line.replace("--user me ", "--user me --password secret ").replace("; ls'", "; ls; exit'")
        r = run("sh", "-c", f"HOME={tmp_path} {line}")
        assert r.returncode == 0 and b"hello" in r.stdout and r.stderr == b"", r.stderr


def test_serve_without_root(bare, open_build, tmp_path):
    """TLS included: the keeper is then the same user as everybody else."""
    port, log, words = free_port(), tmp_path / "log", shared(tmp_path)
    os.chown(f"{tmp_path}/cert.key", 65534, 65534)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{open_build}/sallyportd", "--libexec", open_build]
    with started([*command, *words, "--port", str(port)], log) as p:
        assert p.poll() is None, log.read_text()
        serves_in_clear_and_over_tls(port, tmp_path)
    assert 'effect="without root' in log.read_text()


def test_a_configuration_names_every_missing_user_at_once(bare, tmp_path):
    conf = tmp_path / "sallyport.conf"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:{free_port()}\ncontrol_socket = {tmp_path}/control\n")
    r = run(*bare, f"{BUILD}/sallyportd", "-f", str(conf), "--libexec", BUILD)
    text = r.stderr.decode()
    assert r.returncode == 78, text
    lines = [line for line in text.splitlines() if "event=role-user-unusable" in line]
    assert len(lines) == 1, text
    for name in ROLES:
        assert f"nologin {name}" in lines[0], text
