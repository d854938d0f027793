"""check-config and show-config, reload with a wrong file, and what is installed beside the programs."""
import contextlib
import ftplib
import json
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from conftest import BUILD, HASHES, PATIENCE, TOP

SALLYPORTD = f"{BUILD}/sallyportd"
SALLYCTL = f"{BUILD}/sallyctl"


def run(config, *words):
    return subprocess.run([SALLYPORTD, "-f", str(config), *words], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("words", [["--help"], ["check-config", "--help"], ["show-config", "-h"], ["print-roles", "--help"], ["serve", "--help"]])
def test_help_is_everywhere(tmp_path, words):
    r = run(tmp_path / "none.conf", *words)
    assert r.returncode == 0 and "sallyportd serve DIR" in r.stdout and r.stderr == ""


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "wrong.conf"
    path.write_text("[server]\nidel_timeout = 5\numask = 9\n[tls]\ntls = full\n[acount bob]\nhome = /\n")
    path.chmod(0o640)
    return path


def test_every_mistake_at_once(wrong):
    r = run(wrong, "check-config")
    assert r.returncode == 78
    lines = [line.split(":", 2)[1] for line in r.stdout.splitlines()]
    assert lines == ["2", "3", "5", "6"]
    assert 'did you mean "idle_timeout"?' in r.stdout and "did you mean [account NAME]?" in r.stdout
    problems = json.loads(run(wrong, "check-config", "--json").stdout)
    assert not problems["ok"] and [p["line"] for p in problems["problems"]] == [2, 3, 5, 6]


def test_a_wrong_file_does_not_start(wrong):
    r = run(wrong, "-d")
    assert r.returncode == 78
    assert 'unknown key; did you mean "idle_timeout"?' in r.stderr + r.stdout


def test_the_sample_is_right():
    r = run(f"{BUILD}/etc/sallyport.conf", "check-config")
    assert r.returncode == 0 and r.stdout.endswith("ok\n"), r.stdout


@pytest.mark.parametrize("text, fault, word", [
    ("[server]\nlisten = *:2121\n[listener x]\nlisten = *:2122\n", 78, "[listener main] with listen = *:2121"),
    ("[server]\nlisten = *:2121, 127.0.0.1:2122\n[listener x]\nlisten = *:2121\n", 78, "[listener main] with listen = 127.0.0.1:2122"),
    ("[listener x]\nlisten = *:2122\n[server]\nlisten = 127.0.0.1:2123\n", 78, "[listener main] with listen = 127.0.0.1:2123"),
    ("[server]\nlisten = *:2121\n[listener x]\nlisten = *:2121\n[listener y]\nlisten = *:2122\n", 0, ""),
    ("[server]\nlisten = *:2121\n", 0, ""),
    ("[listener x]\nlisten = *:2122\n", 0, ""),
    ("[listener x]\nlisten = *:990\nimplicit_tls = yes\n{tls}", 0, "warning"),
    ("[listener x]\nlisten = *:990\nimplicit_tls = yes\n[listener y]\nlisten = *:21\n{tls}", 0, ""),
])
def test_no_port_is_closed_without_a_word(tmp_path, text, fault, word):
    """[listener X] beside listen of [server]: the server would not listen there any longer."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "pem"], capture_output=True, check=True)
    path = tmp_path / "ports.conf"
    path.write_text(text.replace("{tls}", f"[tls]\ncertificate = {tmp_path}/pem\nprivate_key = {tmp_path}/key\n"))
    r = run(path, "check-config", "--elsewhere")
    assert r.returncode == fault and word in r.stdout and (word != "" or r.stdout == "ok\n"), r.stdout


def test_the_second_way_in_of_the_sample_leaves_the_first(tmp_path):
    """The block as an administrator uncomments it."""
    with open(f"{BUILD}/etc/sallyport.conf") as f:
        block = re.search(r"^# Several ways in.*\n((?:#.*\n)+)", f.read(), re.M)[1]
    lines = [line[1:] for line in block.splitlines() if not line.startswith("# ")]
    assert [line for line in lines if line.startswith("listen =")] == ["listen = *:21", "listen = *:990"], lines


@pytest.mark.parametrize("password, whole", [
    ("$y$j9T$...", False), ("$6$x", False), ("$6$salt$" + "a" * 85, False), ("$2b$10$" + "a" * 52, False), ("$1$salt$", False),
    ("$6$rounds=5000$salt$" + "a" * 86, True), ("$2b$10$" + "a" * 53, True), ("$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA", True),
    ("*", True), ("!$6$x", True), (HASHES["alice"], True)])
def test_a_template_is_no_password(tmp_path, password, whole):
    path = tmp_path / "template.conf"
    path.write_text(f"[account bob]\nhome = /srv/bob\npassword = {password}\n")
    path.chmod(0o640)
    r = run(path, "check-config")
    assert ("template.conf:3: warning: " in r.stdout and "not complete" in r.stdout) != whole, r.stdout


def test_effective_values_and_origins(tmp_path):
    path = tmp_path / "good.conf"
    path.write_text("[server]\numask = 027\n[class inside]\nmembers = all\nfrom = 10.0.0.0/8\nrate_up = 1M\n"
                    "[account bob]\npassword = $6$x$SECRET\nlayer = ups -W\n")
    path.chmod(0o640)
    inside = json.loads(run(path, "show-config", "--for", "bob,10.0.0.1", "--json").stdout)
    assert inside["class"] == "inside"
    assert inside["settings"]["rate_up"] == {"value": "1M", "file": str(path), "line": 6, "section": "class inside"}
    assert inside["settings"]["umask"]["line"] == 2
    assert inside["settings"]["layer"][0]["language"] == "ups"
    assert json.loads(run(path, "show-config", "--for", "bob,192.0.2.1", "--json").stdout)["class"] is None
    text = run(path, "show-config", "--for", "bob").stdout
    assert "SECRET" not in text and "umask = 027\t# [server] " in text
    assert run(path, "show-config", "--for", "bob,x").returncode == 64
    assert run(path, "show-config", "--nonsense").returncode == 64


@pytest.mark.skipif(shutil.which("fail2ban-regex") is None, reason="no fail2ban")
def test_fail2ban_filter(tmp_path):
    log = tmp_path / "log"
    head = "2026-11-22T00:10:00.123Z notice event=auth-failure session=4f2a rhost="
    log.write_text(head + "192.0.2.7 user=bob reason=wrong-password source=config attempt=1 tls=0\n" +
                   head + '2001:db8::7 user="x reason=internal rhost=10.0.0.1 y" reason=unknown-user attempt=1 tls=0\n' +
                   head + "192.0.2.8 user=bob reason=source-unavailable attempt=1 tls=0\n" +
                   head + '192.0.2.9 user="a\\" reason=wrong-password " reason=internal attempt=1\n')
    r = subprocess.run(["fail2ban-regex", str(log), f"{TOP}/contrib/fail2ban/filter.conf"], capture_output=True, text=True, timeout=PATIENCE)
    assert re.search(r"Lines: 4 lines, 0 ignored, 2 matched, 2 missed", r.stdout), r.stdout


def test_the_filter_knows_a_real_line(server):
    with pytest.raises(ftplib.error_perm):
        f = ftplib.FTP()
        f.connect("127.0.0.1", server.port, timeout=PATIENCE)
        f.login("bob", "wrong")
    line = server.wait_log(r".*event=auth-failure.*").group(0)
    pattern = re.search(r"^failregex = (.*)$", open(f"{TOP}/contrib/fail2ban/filter.conf").read(), re.M).group(1)
    pattern = pattern.replace("<ADDR>", r"(?P<ip>\S+)")
    text = re.sub(r"^\S+Z", "", line)
    assert re.search(pattern, text) and re.search(pattern, text)["ip"] == "127.0.0.1", line


def test_unit_has_the_listeners_capabilities():
    roles = subprocess.run([SALLYPORTD, "print-roles"], capture_output=True, text=True, timeout=PATIENCE).stdout
    listener = roles.split("\n\n")[0]
    have = set(re.search(r"spare .*capabilities: (.*)", listener).group(1).upper().split())
    for name in ("sallyport.service", "sallyport@.service"):
        unit = open(f"{BUILD}/etc/{name}").read()
        want = set(" ".join(re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.M)).split())
        assert want == have, name


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd")
def test_the_users_can_be_made(tmp_path):
    (tmp_path / "etc").mkdir()
    r = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", f"{TOP}/etc/sallyport.sysusers"], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stderr
    users = (tmp_path / "etc/passwd").read_text()
    for name in ("sallyport", "sallyport-monitor", "sallyport-keeper"):
        assert re.search(rf"^{name}:.*:/usr/sbin/nologin$", users, re.M), users


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_units_are_valid(tmp_path):
    for name, folder in (("sallyport.service", f"{BUILD}/etc"), ("sallyport@.service", f"{BUILD}/etc"), ("sallyport.socket", f"{TOP}/etc"),
                         ("sallyport-metrics@.service", f"{BUILD}/etc"), ("sallyport-metrics.socket", f"{TOP}/etc")):
        text = open(os.path.join(folder, name)).read()
        text = re.sub(r"=\S*/(sallyportd|sallyctl)\b", rf"={BUILD}/\1", text)
        (tmp_path / name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
    r = subprocess.run(["systemd-analyze", "verify", *map(str, tmp_path.iterdir())],
                       capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stderr


def test_accounts_of_a_database_are_shown(tmp_path):
    """Settings that a source stores belong to what holds for its account, whichever program is asked."""
    conf = tmp_path / "conf"
    conf.write_text(f"[server]\naccounts = config, database\naccounts_database = {tmp_path}/accounts.db\nvirtual_user = 4000:4000\n")
    conf.chmod(0o640)

    def ask(program, *words):
        return subprocess.run([f"{BUILD}/{program}", "--config", str(conf), *words], input="pw\n", text=True, capture_output=True,
                              timeout=PATIENCE)

    assert ask("sallyctl", "account", "add", "dora", "home=/srv/dora").returncode == 0
    for command in (("sallyctl", "config", "show"), ("sallyportd", "show-config")):
        assert "home = /srv/dora" in ask(*command, "--for", "dora").stdout
        unknown = ask(*command, "--for", "nobody-here")
        assert unknown.returncode == 1 and "no source knows" in unknown.stderr and unknown.stdout == ""


def test_unusable_hashes_are_reported(tmp_path):
    """A hash that no library here computes lets nobody in: check names the account, wherever it stands."""
    conf, passwd, database = tmp_path / "conf", tmp_path / ".passwd", tmp_path / "accounts.db"
    good = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
    passwd.write_text(f"ann:secret:1000:/\nbert:$pbkdf2-md5$9$c2FsdA$dClv:1001:/\ngood:{good}:1002:/\n")
    conf.write_text(f"[server]\naccounts = config, passwd_file, database\npasswd_file = {passwd}\naccounts_database = {database}\n"
                    "virtual_user = 4000:4000\n[account sect]\nrun_as = 4000\nhome = /srv\npassword = $99$what$ever0123456789\n"
                    f"[account fine]\npassword = {good}\nrun_as = 4000\nhome = /srv\n")
    conf.chmod(0o640)
    stored = {"dora": "{SSHA}c2FsdHNhbHRzYWx0", "emil": "$argon9$v=19$m=8,t=1,p=1$c2FsdA$abcd", "fred": good, "gina": "!" + good, "hank": "*",
              "ina": "{CLEAR}pw", "jan": "$argon2id$v=19$m=8,t=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
              "kim": "$pbkdf2-sha256$1000$c2Fs:HNhbHQ$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
              "lea": "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
              "max": "$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94"}
    with open(f"{BUILD}/config.h") as f:
        no_argon2 = set() if "#define HAVE_SODIUM 1" in f.read() else {"max"}
    for name, setting in stored.items():
        r = subprocess.run([SALLYCTL, "--config", str(conf), "account", "add", name, "home=/srv"], input="pw\n", text=True, capture_output=True)
        assert r.returncode == 0, r.stderr
        with contextlib.closing(sqlite3.connect(database)) as db, db:
            db.execute("UPDATE sallyport_accounts SET password = ? WHERE name = ?", (setting, name))
    out = subprocess.run([SALLYCTL, "--config", str(conf), "check"], text=True, capture_output=True, timeout=PATIENCE).stdout
    found = {line.split(" has a hash of no kind")[0].split()[-1]: line for line in out.splitlines() if "has a hash of no kind" in line}
    assert set(found) == {"sect", "bert", "dora", "emil", "jan", "kim"} | no_argon2, out
    assert found["sect"].startswith(f"{conf}:9:") and found["bert"].startswith(f"{passwd}:2:") and found["dora"].startswith(f"{database}"), out


def test_empty_passwords_are_reported(tmp_path):
    """Of every source that can be read: check and lint name the account and where it stands."""
    conf, passwd, database = tmp_path / "conf", tmp_path / ".passwd", tmp_path / "accounts.db"
    passwd.write_text("ann:secret:1000:/\nbert::1001:/\n")
    conf.write_text(f"[server]\naccounts = config, passwd_file, database\npasswd_file = {passwd}\naccounts_database = {database}\n"
                    "virtual_user = 4000:4000\n[account hollow]\npassword = {CLEAR}\nrun_as = 4000\nhome = /srv\n"
                    "[account full]\npassword = {CLEAR}x\nrun_as = 4000\nhome = /srv\n"
                    "[listener other]\nlisten = 127.0.0.1:2\npasswd_file = " + str(tmp_path / "second") + "\n")
    (tmp_path / "second").write_text("carla::1000:/\n")
    conf.chmod(0o640)
    for name, setting in (("dora", "{CLEAR}"), ("emil", "{CLEAR}pw")):
        r = subprocess.run([SALLYCTL, "--config", str(conf), "account", "add", name, "home=/srv"], input="pw\n", text=True, capture_output=True)
        assert r.returncode == 0, r.stderr
        with sqlite3.connect(database) as db:
            db.execute("UPDATE sallyport_accounts SET password = ? WHERE name = ?", (setting, name))
        db.close()
    places = {"hollow": f"{conf}:7", "bert": f"{passwd}:2", "carla": f"{tmp_path}/second:1", "dora": f"{database}"}
    for command in ("check", "lint"):
        out = subprocess.run([SALLYCTL, "--config", str(conf), command], text=True, capture_output=True, timeout=PATIENCE).stdout
        found = [line for line in out.splitlines() if "password is empty" in line or "empty password" in line]
        assert len(found) == 4, out
        for name, place in places.items():
            assert any(re.search(rf"\b{name}\b", line) and line.startswith(place.rsplit(":", 1)[0]) for line in found), (command, name, out)
