"""What newcomers stumble over: each was seen once."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, TOP, UIDS, free_port, wait_for
from tlsserver import run

CTL = f"{BUILD}/sallyctl"


def words(*arguments):
    r = run(CTL, *arguments)
    return r.returncode, (r.stdout + r.stderr).decode()


@pytest.mark.parametrize("word, meant", [("foo", None), ("x", None), ("xyz", None), ("whp", "who"), ("relaod", "reload"),
                                         ("statsu", "status"), ("chek", "check"), ("dcotor", "doctor")])
def test_a_suggestion_is_like_what_was_typed(word, meant):
    code, text = words(word)
    assert code == 64 or code == 2, text
    assert (f"did you mean {meant}?" in text) if meant else "did you mean" not in text, text


@pytest.mark.skipif(shutil.which("git") is None or not os.path.exists(f"{TOP}/.git"), reason="no git checkout")
@pytest.mark.parametrize("name", ["build", "build-san", "build-fuzz"])
def test_git_ignores_directories_of_builds(name):
    assert run("git", "-C", TOP, "check-ignore", "-q", f"{name}/x").returncode == 0


@pytest.mark.parametrize("page, line", [("sallyport-replies.7", "No such file or directory"),
                                        ("sallyport-policy.5", r"RNTO +RENTO +RENTO and RENREPL +RENTO and RENREPL")])
def test_pages_show_what_they_say(page, line):
    if shutil.which("mandoc") is None:
        pytest.skip("no mandoc")
    text = re.sub(r".\x08", "", run("mandoc", "-T", "ascii", "-O", "width=100", f"{BUILD}/man/{page}").stdout.decode())
    assert re.search(line, text), line


@pytest.mark.parametrize("address", ["[::1]", "::1", "127.0.0.1"])
def test_serve_at_an_address_as_people_write_it(tmp_path, address):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "hello").write_text("hello\n")
    host = address if ":" not in address or address[0] == "[" else f"[{address}]"
    port, log = free_port(host.strip("[]")), tmp_path / "log"
    with open(log, "w") as out:
        p = subprocess.Popen([f"{BUILD}/sallyportd", "--libexec", BUILD, "serve", str(tmp_path), "--address", address, "--port", str(port)],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(lambda: "event=ready" in log.read_text() or p.poll() is not None)
        r = run("curl", "-sS", "-g", f"ftp://{host}:{port}/hello")
        assert r.stdout == b"hello\n", (r.stderr, log.read_text())
    finally:
        p.terminate()
        p.wait()


def test_doctor_says_that_no_passive_address_is_set(tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("[server]\naccounts = config\n")
    conf.chmod(0o600)
    lines = [x for x in words("-c", str(conf), "doctor")[1].splitlines() if re.match(r"\w+ +address ", x)]
    assert len(lines) == 1 and "passive_address is not set" in lines[0], lines


def test_doctor_of_a_build_tree(tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("[server]\naccounts = config\n")
    conf.chmod(0o600)
    lines = [x for x in words("-c", str(conf), "doctor", "--libexec", BUILD)[1].splitlines() if re.match(r"\w+ +programs ", x)]
    assert lines and not any("No such file" in x for x in lines) and BUILD in lines[0], lines
    lines = [x for x in words("-c", str(conf), "doctor", "--libexec", str(tmp_path))[1].splitlines() if re.match(r"\w+ +programs ", x)]
    assert len(lines) == 4 and all(x.startswith("error") and str(tmp_path) in x for x in lines), lines


def test_an_account_without_run_as_is_shown_with_its_user(tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text(f"[server]\naccounts = database\naccounts_database = {tmp_path}/db\nvirtual_user = {UIDS['bob']}:{UIDS['bob']}\n")
    conf.chmod(0o600)
    assert words("-c", str(conf), "account", "add", "--no-password", "plain")[0] == 0
    code, text = words("-c", str(conf), "account", "show", "-e", "plain")
    row = next((x for x in text.splitlines() if x.startswith("run_as")), text)
    assert code == 0 and f"{UIDS['bob']}:{UIDS['bob']}" in row and "x.conf:4" in row, text


def test_expectations_come_from_standard_input(tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("[server]\naccounts = config\n[account a]\nrun_as = 4000\nhome = /\nlayer = pyftpdlib elr\n")
    conf.chmod(0o600)
    for words in (["expect"], ["expect", "-"]):
        for line, code in (("a STOR /x -> allow", 1), ("a STOR /x -> deny", 0), ("nonsense", 2)):
            r = subprocess.run([CTL, "-c", str(conf), *words], input=line, capture_output=True, text=True)
            assert r.returncode == code and ("-:1: " in r.stdout or code == 0), (line, r)
            assert "1 met, 0 not met" in r.stdout or code != 0, (line, r)
    terminal, side = os.openpty()
    r = subprocess.run([CTL, "-c", str(conf), "expect"], stdin=side, capture_output=True, text=True, timeout=60)
    os.close(terminal)
    os.close(side)
    assert r.returncode == 64 and "FILE" in r.stderr and r.stdout == "", r


def add_mistake(server):
    with open(server.conf, "a") as f:
        f.write("no_such_key = 1\n")


REFUSED = [(["ban", "not.an.address"], 64, "192.0.2.7"), (["ban", "192.0.2.7", "soon"], 64, "10m"),
           (["ban", ""], 64, "192.0.2.7"),
           (["unban", "x"], 64, "192.0.2.7"), (["unban", "192.0.2.9"], 1, "no such ban"), (["kick", ""], 64, "session"),
           (["kick", "nobodyx"], 1, "No session"), (["drain", "xx"], 64, "10m"), (["drain", "old"], 1, "older generation"),
           (["metrics", "xml"], 64, "openmetrics"), (["top", "x"], 64, "3600"), (["status", "x"], 64, "too many"),
           (["reload"], 2, "no_such_key")]


def test_what_the_server_refuses_is_an_error(serve):
    """On standard error, with the command's name in front, and nothing else there; in JSON it is the document."""
    server = serve("")
    add_mistake(server)
    socket = ("--socket", f"{server.dir}/control")
    for command, code, text in REFUSED:
        r = run(CTL, *socket, *command)
        told = r.stderr.decode().splitlines()
        assert (r.returncode, r.stdout) == (code, b""), (command, r)
        assert text in r.stderr.decode(), (command, r)
        assert all(re.match(f"sallyctl {command[0]}: .", line) for line in told), (command, r)
        r = run(CTL, *socket, "--json", *command)
        assert r.returncode == code and (r.stdout == b"") == (b"sallyctl" in r.stderr), (command, r)
        if r.stdout != b"":
            assert "error" in json.loads(r.stdout) or json.loads(r.stdout) == {"kicked": 0}, (command, r)
    r = run(CTL, *socket, "ban", "192.0.2.9")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"banned\n", b""), r


def test_a_refused_reload_opens_rotated_logs_again(serve):
    """logrotate asks for a reload; a mistake somebody left in the files must not make the server write into the old log."""
    server = serve("")
    if "-d" in server.command:		# that writes to stderr: start it as a service is
        server.stop()
        server.command.remove("-d")
        server.start()
    log = pathlib.Path(server.log_path)
    log.rename(f"{log}.1")
    add_mistake(server)
    r = run(CTL, "--socket", f"{server.dir}/control", "reload")
    assert r.returncode != 0
    wait_for(lambda: log.exists(), "the log was not opened again")

    def logged():	# sessions that were forked before serve first
        server.ftp("alice").quit()
        return "event=login" in log.read_text()

    wait_for(logged, "sessions go on writing into the old log")


def written(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_mistakes_are_named_by_file_and_form(tmp_path):
    """The certificate's path and not its section; a remedy once; a name once; the form that was meant."""
    pem = tmp_path / "bad.pem"
    pem.write_text("junk\n")
    good = "[server]\naccounts = config\n[account bob]\nrun_as = 4000\nhome = /\nlayer = pyftpdlib elr\n"
    conf = written(tmp_path / "x.conf", f"{good}[tls]\ncertificate = {pem}\nprivate_key = {pem}\n")
    lines = words("-c", conf, "check")[1].splitlines()
    assert any(f'x.conf:8: "{pem}": certificate: no certificate' in x for x in lines), lines
    assert any(f'x.conf:9: "{pem}": private_key: no private key' in x for x in lines), lines
    conf = written(tmp_path / "x.conf", good.replace("layer = ", "layer = outbox "))
    assert "a path begins with a slash: layer = /outbox pyftpdlib" in words("-c", conf, "check")[1]
    conf = written(tmp_path / "x.conf", good + "[listener main]\nlisten = 127.0.0.1:2121\ntls = control\n")
    text = words("-c", conf, "doctor")[1]
    assert text.count("set certificate and private_key in [tls]\n") == 1 and "remedy: set certificate and" in text, text
    text = words("-c", written(tmp_path / "x.conf", good), "why", "nobodyx", "LIST", "/")[1]
    assert text.count("nobodyx") == 1 and "no source knows" in text, text


@pytest.mark.parametrize("line, named", [
    ("log = /nowhere/x.log", "/nowhere: No such file"), ("xferlog = /", "this is a directory"),
    ("control_group = nosuch", "no such group"), ("quota_directory = /nowhere", "/nowhere: No such file"),
    ("accounts = config, database\naccounts_database = /nowhere/a.db", "/nowhere: No such file")])
def test_check_and_reload_judge_places_alike(serve, line, named):
    """What check refuses, a reload does: with key, value and remedy; and the server goes on as it was."""
    server = serve("")
    with open(server.conf) as f:
        good = f.read()
    key = line.splitlines()[-1].split(" ")[0]
    replaced = f"({key}|accounts) = " if key == "accounts_database" else f"{key} = "
    bad = "".join(x for x in good.splitlines(True) if not re.match(replaced, x))
    with open(server.conf, "w") as f:
        f.write(bad.replace("[server]\n", f"[server]\n{line}\n", 1))
    wanted = f"{line.splitlines()[-1]}: "
    code, text = words("-c", server.conf, "check")
    assert code == 78 and any(wanted in x and named in x and "; " in x for x in text.splitlines()), text
    code, text = words("--socket", f"{server.dir}/control", "reload")
    assert code == 2 and "the old configuration stays" in text, text
    assert any(wanted in x and named in x and "; " in x for x in text.splitlines()), text
    with server.ftp("alice") as ftp:
        ftp.voidcmd("NOOP")


def test_account_add_names_the_directory_that_is_missing(tmp_path):
    conf = written(tmp_path / "x.conf", "[server]\naccounts = database\naccounts_database = /nowhere/at/a.db\n")
    code, text = words("-c", conf, "account", "add", "--no-password", "bob", "run_as=33:33")
    assert code == 2 and "the directory /nowhere/at is missing; make it" in text, text
