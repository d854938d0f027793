"""sallyctl account: as an administrator of thousands of accounts uses it, while the server runs."""
import contextlib
import csv
import ftplib
import io
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import tempfile

import pytest

from conftest import BUILD, PATIENCE, Server
from test_accounts import CTL, HASH, IDENTITY, add, ctl

NO, FAILED, USAGE = 1, 2, 64


@pytest.fixture(scope="module")
def base():
    folder = tempfile.mkdtemp(prefix="sallyport-it-")
    s = Server(folder, f"accounts = config, database\nquota_directory = {folder}/quota\nvirtual_user = {IDENTITY}:{IDENTITY}\n"
               "default_layer = pyftpdlib elradfmwMT\npenalty_failure = 0",
               "[class gold]\nquota_bytes = 1M\nlayer = pyftpdlib elradfmwMT\n[group staff]\numask = 027\n")
    s.shared = f"{s.dir}/shared"
    os.mkdir(s.shared)
    os.chown(s.shared, IDENTITY, IDENTITY)
    yield s
    s.clean()


@pytest.fixture(autouse=True)
def nobody_left(base):
    """Each test begins and ends without accounts in the database."""
    yield
    if os.path.exists(f"{base.dir}/state/accounts.db"):
        with contextlib.closing(sqlite3.connect(f"{base.dir}/state/accounts.db", timeout=30)) as db, db:
            db.execute("DELETE FROM sallyport_settings")
            db.execute("DELETE FROM sallyport_accounts")


def listed(server):
    """name -> {key: value, or a list where a key stands several times}"""
    have = {}
    for a in json.loads(ctl(server, "list", "--json").stdout):
        settings = have[a["name"]] = {}
        for s in a["settings"]:
            old = settings.get(s["key"])
            settings[s["key"]] = s["value"] if old is None else (old if isinstance(old, list) else [old]) + [s["value"]]
    return have


def done(server, *args, code=0, **more):
    """The JSON answer of an import, checked for its shape."""
    result = json.loads(ctl(server, "import", "--json", *args, code=code, **more).stdout)
    assert set(result) == {"source", "kept", "imported", "replaced", "already_there", "wrong", "mistakes", "remarks"}
    assert result["source"] == "database" and result["wrong"] == len(result["mistakes"])
    for m in result["mistakes"] + result["remarks"]:
        assert set(m) == {"line", "account", "what"} and m["what"]
    return result


# ------------------------------------------------------------------------------ one account

def test_answers_of_the_commands(base):
    add(base, "eve", "pw", "quota_bytes=10M", "layer=pyftpdlib elr")
    assert "already" in ctl(base, "add", "eve", password="x\n", code=NO).stderr
    assert "no such account" in ctl(base, "passwd", "nobody-here", password="x\n", code=NO).stderr
    ctl(base, "remove", "nobody-here", code=NO)
    ctl(base, "show", "nobody-here", code=NO)
    ctl(base, "add", "fay", password="", code=USAGE)
    # An empty password would be one hash among others, which nobody could find again.
    assert "empty" in ctl(base, "add", "fay", password="\n", code=USAGE).stderr
    assert "empty" in ctl(base, "passwd", "eve", password="\n", code=USAGE).stderr
    assert "no complete hash" in ctl(base, "add", "fay", "--hash", password="$6$x\n", code=USAGE).stderr
    assert "fay" not in ctl(base, "list").stdout
    ctl(base, "set", "eve", "layer+=ups -W", "quota_bytes=")
    shown = ctl(base, "show", "eve").stdout
    assert "layer: pyftpdlib elr\nlayer: ups -W\n" in shown and "quota_bytes" not in shown and "password: yescrypt" in shown
    data = json.loads(ctl(base, "show", "eve", "--json").stdout)
    assert data["name"] == "eve" and {"key": "layer", "value": "ups -W"} in data["settings"] and data["enabled"] is True
    assert [a["name"] for a in json.loads(ctl(base, "list", "--json").stdout)] == ["eve"]
    assert "$y$" not in ctl(base, "list").stdout + shown
    ctl(base, "remove", "eve", "eva", code=NO)          # all or none
    ctl(base, "show", "eve")
    ctl(base, "remove", "eve")


@pytest.mark.parametrize("setting,says", [
    ("quotas=1", "unknown key"), ("quota_byte=1", 'did you mean "quota_bytes"'), ("umask=what", "umask"), ("password=x", "account passwd"),
    ("listen=*:21", "cannot be set for a"), ("nothing", "KEY=VALUE"), ("=x", "KEY=VALUE"), ("class=golden", "[class golden]"),
    ("groups=staff, stuff", "[group stuff]"), ("expires=tomorrow", "YYYY-MM-DD"), ("comment=a\x01b", "control bytes"),
    ("comment= x", "blank"), ("comment=x ", "blank"), ("login_message=a\n b", "blank"), ("login_message=a\n", "empty line"),
    ("umask+=022", "one value only"), ("layer=ups ?", ""), ("layer=pyftpdlib elx", ""), ("layer=nix x", ""), ("rate_up=fast", "rate"), ("login_hours=always", "")])
def test_wrong_settings_have_a_remedy(base, setting, says):
    add(base, "eve", "pw")
    for command in (("set", "eve"), ("add", "new", "--no-password")):
        p = ctl(base, *command, setting, "comment=fine", code=USAGE)
        assert setting.split("\n")[0][:6].rstrip("\x01 ") in p.stderr and says in p.stderr, p.stderr
    assert set(listed(base)) == {"eve"} and "comment" not in listed(base)["eve"]


def test_all_wrong_settings_are_told_at_once(base):
    p = ctl(base, "add", "eve", "--no-password", "quotas=1", "umask=x", "comment=fine", "class=none-such", code=USAGE)
    assert all(word in p.stderr for word in ("quotas", "umask", "none-such")) and "comment" not in p.stderr
    p = ctl(base, "add", "eve", "--no-password", "umask=022", "umask=077", code=USAGE)
    assert "stands twice" in p.stderr
    p = ctl(base, "add", "eve", "--no-password", "layer=ups -W", "layer=ups -R", code=USAGE)
    assert "layer+=" in p.stderr
    ctl(base, "add", "eve", "--no-password", "layer=ups -W", "layer+=ups -R")
    assert listed(base)["eve"]["layer"] == ["ups -W", "ups -R"]


def test_what_changed_is_told_in_json(base):
    want = {"source": "database", "accounts": ["eve"]}
    assert json.loads(ctl(base, "add", "eve", "--json", password="pw\n").stdout) == want
    assert json.loads(ctl(base, "set", "eve", "umask=077", "--json").stdout) == want
    assert json.loads(ctl(base, "passwd", "eve", "--json", password="pw2\n").stdout) == want
    ctl(base, "add", "eva", password="pw\n")
    want["accounts"] = ["eve", "eva"]
    for command in ("disable", "enable", "remove"):
        assert json.loads(ctl(base, command, "eve", "eva", "--json").stdout) == want
    p = ctl(base, "remove", "eve", "--json", code=NO)
    assert p.stdout == "" and "eve" in p.stderr


def test_what_nobody_can_use_is_remarked(base):
    assert "no-such-user" in ctl(base, "add", "lost", "--no-password", "run_as=no-such-user").stderr
    assert "uid_min" in ctl(base, "add", "low", "--no-password", "run_as=33:33").stderr
    assert ctl(base, "add", "fine", "--no-password").stderr == ""
    assert ctl(base, "add", "still", "--no-password", "run_as=33:33", "--quiet").stderr == ""


@pytest.mark.parametrize("source,where", [("config", "configuration"), ("shadow", "useradd"), ("pam", "system"), ("external", "external_socket"),
                                          ("anonymous", "account anonymous"), ("none-such", "database, postgresql and passwd_file")])
def test_sources_that_cannot_be_changed(base, source, where):
    if source == "pam" and not os.path.exists("/etc/pam.d"):
        pytest.skip("no PAM here")
    assert where in ctl(base, "add", "x", "--source", source, "--no-password", code=USAGE).stderr
    assert where in ctl(base, "import", "-", "--source", source, password="", code=USAGE).stderr


def test_lists(base):
    for name in ("ann", "anton", "bob"):
        ctl(base, "add", name, "--no-password", f"home=/srv/{name}")
    ctl(base, "disable", "anton")
    assert re.findall(r"^(\S+) +none +(\S+) +(\S+)$", ctl(base, "list").stdout, re.M) == [
        ("ann", "enabled", "/srv/ann"), ("anton", "disabled", "/srv/anton"), ("bob", "enabled", "/srv/bob")]
    assert [line.split()[0] for line in ctl(base, "list", "an*").stdout.splitlines()] == ["ann", "anton"]
    assert [a["name"] for a in json.loads(ctl(base, "list", "a?*", "--disabled", "--json").stdout)] == ["anton"]
    assert json.loads(ctl(base, "list", "zz*", "--json").stdout) == []
    ctl(base, "add", "--", "evil\x1b[2J" "name", "--no-password", code=USAGE)


def test_show_effective_names_origins(base):
    add(base, "gil", "pw", "umask=027", "class=gold", "layer=/in ups -W", "extra_groups=64777")
    shown = json.loads(ctl(base, "show", "gil", "--effective", "--json").stdout)
    assert set(shown) == {"name", "source", "origin", "uid", "gid", "groups", "class", "home", "settings"}
    assert (shown["uid"], shown["gid"], shown["groups"], shown["class"], shown["home"]) == (IDENTITY, IDENTITY, [64777], "gold", base.shared)
    rows = {r["key"]: r for r in shown["settings"]}
    assert (rows["umask"]["value"], rows["umask"]["origin"]) == ("027", "accounts.db")
    assert rows["idle_timeout"]["origin"] == "default"
    assert rows["home"]["value"] == base.shared and rows["password"]["value"] == "yescrypt"
    assert rows["quota_bytes"]["value"] == "1M" and re.match(re.escape(base.conf) + r":\d+ \[class gold\]", rows["quota_bytes"]["origin"])
    layers = [(r["value"], r["origin"]) for r in shown["settings"] if r["key"] == "layer"]
    assert len(layers) == 2 and "[class gold]" in layers[0][1] and layers[1][0] == "/in ups -W" and "accounts.db" in layers[1][1]
    rows = {r["key"]: r for r in json.loads(ctl(base, "show", "alice", "--effective", "--json").stdout)["settings"]}
    assert re.match(re.escape(base.conf) + r":\d+ \[account alice\]", rows["home"]["origin"])
    text = ctl(base, "show", "gil", "--effective").stdout
    assert re.search(r"^umask +027 +accounts\.db$", text, re.M) and re.search(rf"^uid: {IDENTITY}$", text, re.M)


def test_a_class_that_is_gone_keeps_its_accounts_out(base):
    """What a class or group took away must not come back because its section was removed."""
    add(base, "gil", "pw", "class=gold")
    base.ftp("gil", "pw").quit()
    with contextlib.closing(sqlite3.connect(f"{base.dir}/state/accounts.db", timeout=30)) as db, db:
        db.execute("UPDATE sallyport_settings SET value = 'gone' WHERE account = 'gil' AND key = 'class'")
    with pytest.raises(ftplib.error_perm, match="530 .*administrator"):
        base.ftp("gil", "pw")
    base.wait_log(r"event=account-settings-wrong .*\[class gone\]")


# ---------------------------------------------------------------------------------- a terminal

def on_terminal(*args, typed=(), interrupt=False):
    """Runs sallyctl account on a terminal of its own: (exit code, all that was shown, does the terminal echo at the end)."""
    import termios
    master, slave = pty.openpty()
    p = subprocess.Popen([CTL, *args], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                         preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    shown, answers = b"", list(typed)
    while True:
        if not select.select([master], [], [], PATIENCE)[0]:
            p.kill()
            pytest.fail(f"nothing more came: {shown!r}")
        try:
            echo = bool(termios.tcgetattr(master)[3] & termios.ECHO)
            shown += os.read(master, 4096)
        except OSError:         # the last one has closed it
            break
        if shown.endswith(b": ") and (answers or interrupt):
            os.write(master, answers.pop(0).encode() + b"\n" if answers else b"\x03")
            shown += b"<typed>"
    os.close(master)
    return p.wait(), shown.decode(errors="replace"), echo


def test_passwords_are_asked_for_and_hidden(base):
    command = ("--config", base.conf, "account")
    code, shown, echo = on_terminal(*command, "add", "tina", f"home={base.shared}", typed=("hidden word", "hidden word"))
    assert code == 0 and "hidden" not in shown and "Password: " in shown and "Once more: " in shown and echo
    base.ftp("tina", "hidden word").quit()
    code, shown, echo = on_terminal(*command, "passwd", "tina", typed=("one", "another"))
    assert code == USAGE and "differ" in shown and "another" not in shown and echo
    base.ftp("tina", "hidden word").quit()
    code, shown, echo = on_terminal(*command, "passwd", "tina", interrupt=True)
    assert code == -signal.SIGINT and echo, shown
    base.ftp("tina", "hidden word").quit()


def test_taken_names_are_told_before_a_password_is_asked_for(base):
    add(base, "tina", "pw")
    code, shown, _ = on_terminal("--config", base.conf, "account", "add", "tina")
    assert code == NO and "already" in shown and "Password" not in shown


# --------------------------------------------------------------------------- import and export

FILES = {
    "passwd": (f"# comment\nann:{HASH}:64121:64122:Ann:/srv/ann:/bin/sh\nshy:x:64123:64123::/srv/shy:/bin/sh\n",
               {"ann": {"run_as": "64121:64122", "home": "/srv/ann",
               "comment": "Ann"}, "shy": {"run_as": "64123:64123", "home": "/srv/shy"}}, 1),
    "proftpd": (f"pro:{HASH}:64121:64122:Pro:/srv/pro:/bin/false\n", {"pro": {"run_as": "64121:64122", "home": "/srv/pro", "comment": "Pro"}}, 0),
    "pure-ftpd": (f"pure:{HASH}:64121:64122:Pure:/srv/pure/./in:1025:2049:1:5:3:100:1000001:::10.0.0.0/8:10.9.0.0/16:0830-1745\nmini:{HASH}:1:1::/m\n"
                  f"part:{HASH}:1:1::/m:::::::::192.0.2.1::\n",
                  {"pure": {"run_as": "64121:64122", "home": "/srv/pure", "start": "/in", "rate_up": "1025", "rate_down": "2049",
                            "ratio_up": "1", "ratio_down": "5", "max_sessions_per_user": "3", "quota_files": "100", "quota_bytes": "1000001",
                            "comment": "Pure", "allowed_networks": "10.0.0.0/8", "rejected_networks": "10.9.0.0/16",
                            "login_hours": "08:30-17:45"},
                   "mini": {"run_as": "1:1", "home": "/m"}, "part": {"run_as": "1:1", "home": "/m"}}, 1),
    # The example of ftpcluster's documentation, verbatim, and a locked account.
    "ftpcluster": ("admin:secret-password:0:/u/admin\nroot:another-secret-password:100:/u/root\nnobody:not-so-secret:1001:\nlocked:x:5:\n_:-:1002\n",
                   {"admin": {"cluster_uid": "0", "start": "/u/admin", "administrator": "yes"}, "root": {"cluster_uid": "100", "start": "/u/root"},
                    "nobody": {"cluster_uid": "1001"}, "locked": {"cluster_uid": "5"}}, 0),
    # As ncftpd_passwd -x prints them: bare, with quotas and bandwidth, with a user permission string, with something unknown.
    "ncftpd": (f"nc:{HASH}:64121:64122,64123:Nc:/srv/nc:/bin/sh\nquota:{HASH}:1:1::/q:/bin/sh:3072:2800:500:450:0:12:7\n"
               f"string:{HASH}:1:1::/s:/bin/sh:-W+n\nboth:{HASH}:1:1::/b:/bin/sh:0:0:0:0:0:0:0:-* +rCL\nodd:{HASH}:1:1::/o:/bin/sh:what\n",
               {"nc": {"run_as": "64121:64122", "extra_groups": "64123", "home": "/srv/nc", "comment": "Nc"},
                "quota": {"run_as": "1:1", "home": "/q", "quota_bytes": "3072K", "quota_files": "500", "rate_down": "12K", "rate_up": "7K"},
                "string": {"run_as": "1:1", "home": "/s", "layer": "ups -W+n"}, "both": {"run_as": "1:1", "home": "/b", "layer": "ups -* +rCL"},
                "odd": {"run_as": "1:1", "home": "/o"}}, 1),
    "csv": (f'name,password,home,layer,layer,comment,groups\nann,{HASH},/srv/ann,ups -W,"/x ups -R","a ""b"", c",staff\nbare,,,,,,\n'
            f'"two words",{HASH},/s,"sftpplus allow-read\n*.csv, allow-write",,,\n',
            {"ann": {"home": "/srv/ann", "layer": ["ups -W", "/x ups -R"], "comment": 'a "b", c', "groups": "staff"}, "bare": {},
             "two words": {"home": "/s", "layer": "sftpplus allow-read\n*.csv, allow-write"}}, 0),
}


@pytest.mark.parametrize("name", FILES)
def test_import(base, name, tmp_path):
    text, want, remarks = FILES[name]
    path = tmp_path / "accounts"
    path.write_text(text)
    dry = done(base, "--format", name, "--dry-run", str(path))
    assert (dry["kept"], dry["imported"]) == (False, len(want)) and listed(base) == {}
    result = done(base, "--format", name, str(path))
    assert (result["kept"], result["imported"], result["already_there"], result["wrong"], len(result["remarks"])) == (True, len(want), 0, 0, remarks)
    assert listed(base) == want
    again = done(base, "--format", name, "-", password=text)
    assert again["already_there"] == len(want) and again["imported"] == 0
    anew = done(base, "--format", name, "--replace", "-", password=text)
    assert anew["imported"] == anew["replaced"] == len(want) and listed(base) == want
    exported = ctl(base, "export").stdout
    ctl(base, "remove", *want)
    ctl(base, "import", "-", password=exported)
    assert listed(base) == want and ctl(base, "export").stdout == exported


def test_passwords_of_imports(base):
    """A clear one becomes a hash; every kind of hash that can be computed here lets in."""
    text = f"name;clear_password;password;home\nclear;in clear;;{base.shared}\nhashed;;{HASH};{base.shared}\nnone;;;{base.shared}\n"
    ctl(base, "import", "--format", "csv", "-", password="\ufeff" + text.replace("\n", "\r\n"))
    base.ftp("clear", "in clear").quit()
    base.ftp("hashed", "secret").quit()
    with pytest.raises(ftplib.error_perm):
        base.ftp("none", "")
    assert {a["name"]: a["password"] for a in json.loads(ctl(base, "list", "--json").stdout)} == {
        "clear": "yescrypt", "hashed": "yescrypt", "none": "none"}         # the second was made anew at its login


@pytest.mark.parametrize("name, text, settings", [
    ("ftpcluster", "bert::2:/\nann:pw:3:/\n", 1), ("passwd", "bert::64121:64122::/srv/b:/bin/sh\n", 1),
    ("pure-ftpd", "bert::64121:64122::/srv/b\n", 1), ("proftpd", "bert:$6$x:64121:64122::/srv/b:/bin/sh\n", 1)])
def test_passwords_that_let_everybody_or_nobody_in(base, tmp_path, name, text, settings):
    """What stands open there is shut here, and said; and so is a hash that is cut."""
    (tmp_path / "file").write_text(text)
    result = done(base, "--format", name, str(tmp_path / "file"))
    assert [r["account"] for r in result["remarks"]] == ["bert"] and re.search("is empty there|not complete", result["remarks"][0]["what"]), result
    shown = ctl(base, "show", "bert").stdout
    assert "yescrypt" not in shown, shown


def test_what_holds_for_an_account_of_the_database(base):
    """show-config knows what the account's source knows, and does not know who is nowhere."""
    add(base, "eve", "pw", "quota_bytes=10M", "groups=staff")
    for command in ([f"{BUILD}/sallyportd", "-f", base.conf, "show-config"], [f"{BUILD}/sallyctl", "-c", base.conf, "config", "show"]):
        r = subprocess.run([*command, "--for", "eve", "--json"], capture_output=True, text=True, timeout=PATIENCE)
        settings = json.loads(r.stdout)["settings"]
        assert settings["quota_bytes"]["value"] == "10M" and settings["quota_bytes"]["file"].endswith("accounts.db"), r.stdout + r.stderr
        assert settings["umask"]["section"] == "group staff", settings["umask"]
        assert "yescrypt" not in r.stdout and "$y$" not in r.stdout
        r = subprocess.run([*command, "--for", "nobody-here,127.0.0.1"], capture_output=True, text=True, timeout=PATIENCE)
        assert r.returncode == NO and r.stdout == "" and "nobody-here" in r.stderr, r.stdout


def test_accounts_that_cannot_log_in_are_told_with_the_remedy(base):
    text = "".join(f"{name}:{hash_}:{IDENTITY}:{IDENTITY}::/srv:/bin/sh\n"
                   for name, hash_ in (("one", "x"), ("two", "x"), ("ok", HASH)))
    said = ctl(base, "import", "--format", "proftpd", "--dry-run", "-", password=text).stderr
    assert said.count("nobody can log in") == 2 and "--shadow" in said and "account passwd" in said


def test_shadow_beside_passwd(base, tmp_path):
    (tmp_path / "shadow").write_text(f"shy:{HASH}:19000:0:99999:7:::\nlock:!:19000::::::\n")
    ctl(base, "import", "--format", "passwd", "--shadow", str(tmp_path / "shadow"), "-",
        password=f"shy:x:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\nlock:x:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\n")
    base.ftp("shy", "secret").quit()
    with pytest.raises(ftplib.error_perm):
        base.ftp("lock", "")


WRONG = {
    "passwd": (f"good:{HASH}:64121:64121::/srv:/bin/sh\nbad:line\nclear:password:64121:64121::/srv:/bin/sh\nx/y:{HASH}:1:1::/s:/b\n"
               f"rel:{HASH}:1:1::srv:/b\nuid:{HASH}:x:1::/s:/b\n", [2, 3, 4, 5, 6]),
    "pure-ftpd": (f"good:{HASH}:1:1::/m\nshort:{HASH}:1\nlimit:{HASH}:1:1::/m:fast\nnet:{HASH}:1:1::/m:::::::::::x::\n", [2, 3, 4]),
    "ncftpd": (f"good:{HASH}:1:1::/m:/b\nups:{HASH}:1:1::/m:/b:+?\n", [2]),
    "ftpcluster": ("good:pw:1:/u\nfive:pw:1:/u:x\nnumber:pw:x:/u\n", [2, 3]),
    "csv": (f'name,password,quota_bytes\ngood,{HASH},1M\nmany,{HASH},1M,x\nsize,{HASH},much\nclear,secret,\n"two\nlines",,\n../x,,\n', [3, 4, 5, 6, 8]),
    "config": (f"[account good]\npassword = {HASH}\n[account bad]\numask = x\nno_such = 1\n[acount worse]\n[account c]\nclass = nix\n", [4, 5, 6, 8]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lines_change_nothing_and_are_all_told(base, name):
    text, lines = WRONG[name]
    result = done(base, "--format", name, "-", password=text, code=NO)
    assert [m["line"] for m in result["mistakes"]] == lines and result["kept"] is False
    p = ctl(base, "import", "--format", name, "-", password=text, code=NO)
    assert all(f"standard input:{n}: " in p.stderr for n in lines) and "nothing was changed" in p.stdout
    assert listed(base) == {}
    if name != "config":        # a configuration with mistakes is not one
        ctl(base, "import", "--format", name, "--partial", "-", password=text, code=NO)
        assert list(listed(base)) == ["good"]


@pytest.mark.parametrize("text,line,says", [
    ("", None, ""), ("password\nx\n", 1, "called name"), ("name,nmae\nx,y\n", 1, "nmae"), ("name,listen\nx,y\n", 1, "listen"),
    ('name\n"x\n', 2, "not whole"), ('name\nx"y\n', 2, "not whole"), ("name\nx\0y\n", 2, "not whole"), ("name,name\n", None, "")])
def test_wrong_tables(base, text, line, says):
    result = done(base, "--format", "csv", "-", password=text, code=0 if line is None else NO)
    assert [m["line"] for m in result["mistakes"]] == ([] if line is None else [line])
    assert line is None or says in result["mistakes"][0]["what"]


def test_a_table_with_an_unknown_column_has_a_suggestion(base):
    assert 'did you mean "quota_bytes"' in ctl(base, "import", "--format", "csv", "-", password="name,quota_byte\n", code=NO).stderr


@pytest.mark.parametrize("hours,want", [
    ("0-600", "00:00-06:00"), ("0830-2400", "08:30-24:00"), ("+830-1745", None), (" 830-1745", None), ("0860-1745", None),
    ("2401-1", None), ("0830-1745x", None), ("08300-1745", None), ("0830", None), ("-", None), ("-1-5", None)])
def test_hours_of_pure_ftpd(base, hours, want):
    line = f"pure:{HASH}:1:1::/m" + ":" * 12 + f"{hours}\n"
    p = ctl(base, "import", "--format", "pure-ftpd", "-", password=line, code=0 if want else NO)
    if want is None:
        assert ":1: pure: the time of day must look like" in p.stderr
    else:
        assert listed(base)["pure"]["login_hours"] == want


def test_round_trip_loses_nothing(base):
    """Names and values that mean something to the syntax of a configuration, and long ones."""
    names = ["ünï-cödé", "two words", "na]me", "[x]", "# hash", "; semi", "a=b", "with:colon", "-dash", "日本語", "x" * 300, '"quoted"']
    values = ["semi ; colon # hash", "# only", "; x", '"quoted"', "[section]", "a = b", "tab\tab", "line one\nline two\n\nline four", "日本語",
              "\\backslash\\", "key = value\n[account x]\npassword = *", "x" * 4000, "%s%n ${USER} $x", "'; DROP TABLE"]
    layer = "sftpplus allow-read\n" + "\n".join(f"/folder-{i}/*, allow-read, allow-write" for i in range(1000))
    for i, value in enumerate(values):
        ctl(base, "add", "--no-password", "--", names[i % len(names)] + (str(i) if i >= len(names) else ""), f"login_message={value}",
            *[f"layer+=/p{k} ups -W" for k in range(40 if i == 0 else 2)], f"layer+={layer}", "groups=staff", "class=gold", "expires=2030-01-31 12:30",
            "allowed_networks=10.0.0.0/8, 2001:db8::/32", "quota_bytes=1537", "rate_up=1M")
    add(base, "hashed", "some password")
    before, exported = json.loads(ctl(base, "export", "--json").stdout), ctl(base, "export").stdout
    assert len(before) == len(values) + 1 and all(len(a["settings"]) >= 10 for a in before if a["name"] != "hashed")
    ctl(base, "remove", "--", *[a["name"] for a in before])
    ctl(base, "import", "-", password=exported)
    assert json.loads(ctl(base, "export", "--json").stdout) == before and ctl(base, "export").stdout == exported
    base.ftp("hashed", "some password").quit()


def test_names_that_a_file_cannot_hold(base):
    for name in ("trail ", " lead", "a/b", "..", "", "x" * 321):
        assert "cannot be called" in ctl(base, "add", "--no-password", "--", name, code=USAGE).stderr


def test_export_of_another_source(base, tmp_path):
    passwd = tmp_path / "passwd"
    passwd.write_text(FILES["ftpcluster"][0])
    conf = tmp_path / "conf"
    conf.write_text(f"[server]\naccounts = passwd_file, database\npasswd_file = {passwd}\naccounts_database = {tmp_path}/db\n")
    run = [CTL, "--config", str(conf), "account"]
    text = subprocess.run([*run, "export", "--source", "passwd_file"], capture_output=True, text=True, check=True).stdout
    p = subprocess.run([*run, "import", "-"], input=text, capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    have = {a["name"]: a for a in json.loads(subprocess.run([*run, "list", "--json"], capture_output=True, text=True, check=True).stdout)}
    assert set(have) == {"admin", "root", "nobody", "locked"} and {"key": "cluster_uid", "value": "0"} in have["admin"]["settings"]


# -------------------------------------------------------------------------------- a hundred thousand

MANY = 100000


def test_a_hundred_thousand(base, tmp_path):
    """All of them or none, in a table; a login looks one up and reads no others."""
    rows = io.StringIO()
    w = csv.writer(rows)
    w.writerow(["name", "password", "home", "run_as", "comment"])
    for i in range(MANY):
        w.writerow([f"m{i:06d}", HASH, base.shared, f"{IDENTITY}:{IDENTITY}", f"number {i}, of many"])
    path = tmp_path / "many.csv"
    path.write_text(rows.getvalue() + "bad\n")
    ctl(base, "import", "--format", "csv", str(path), code=NO)
    assert ctl(base, "list").stdout == ""
    path.write_text(rows.getvalue())
    assert done(base, "--format", "csv", str(path))["imported"] == MANY
    for i in (0, MANY // 2, MANY - 1):
        base.ftp(f"m{i:06d}", "secret").quit()
    assert len(ctl(base, "list", "m00000?").stdout.splitlines()) == 10
    exported = ctl(base, "export").stdout
    assert exported.count("[account ") == MANY
    with contextlib.closing(sqlite3.connect(f"{base.dir}/state/accounts.db", timeout=30)) as db:
        plan = [row[3] for row in db.execute(
            "EXPLAIN QUERY PLAN SELECT a.password, s.key, s.value FROM sallyport_accounts a LEFT JOIN sallyport_settings s ON s.account = a.name "
            "WHERE a.name = 'm000001' ORDER BY s.key, s.position")]
    assert plan and all("SEARCH" in step for step in plan), plan


def test_memory_of_a_login_among_many(base):
    """Memory of the monitors, with no accounts but one and with a hundred thousand."""
    def memory():
        sizes = []
        for pid in (p for p, name in base.pids().items() if name == "sallyport-monit"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
                sizes.append(int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)))
        return max(sizes)

    add(base, "one", "pw")
    with base.ftp("one", "pw"):
        few = memory()
    text = "".join(f"m{i:06d}:*:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\n" for i in range(MANY))
    ctl(base, "import", "--format", "passwd", "-", password=text)
    with base.ftp("one", "pw"):
        many = memory()
    assert many < few + 1024, (few, many)       # kilobytes at the peak; the accounts take 30 megabytes


def test_progress_on_a_terminal(base, tmp_path):
    path = tmp_path / "many"
    path.write_text("".join(f"m{i:06d}:{HASH}:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\n" for i in range(MANY)))
    command = ("--config", base.conf, "account", "import", "--format", "passwd", str(path))
    code, shown, _ = on_terminal(*command)
    assert code == 0 and re.search(r"\r\d+ accounts, \d+ % ", shown) and f"{MANY} imported" in shown, shown[-500:]
    code, shown, _ = on_terminal(*command, "--quiet")
    assert code == 0 and shown == ""
    p = ctl(base, "list")
    assert "\r" not in p.stdout + p.stderr      # nobody watches


def test_eight_importers_and_one_is_killed(base, tmp_path):
    """Each import is there as a whole or not at all, whatever happens to the others."""
    jobs = []
    for k in range(8):
        path = tmp_path / f"part{k}"
        path.write_text("".join(f"p{k}-{i:05d}:*:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\n" for i in range(1000)))
        jobs.append(subprocess.Popen([CTL, "--config", base.conf, "account", "import", "--format", "passwd", str(path)],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    for p in jobs[:3]:
        p.kill()                # some in mid-write, whichever hold the lock
    for p in jobs:
        err = p.communicate(timeout=PATIENCE)[1]
        assert p.returncode in (0, -signal.SIGKILL), err
    sizes = {k: len(ctl(base, "list", f"p{k}-*").stdout.splitlines()) for k in range(8)}
    assert all(n in ((0, 1000) if k < 3 else (1000,)) for k, n in sizes.items()), sizes
    with contextlib.closing(sqlite3.connect(f"{base.dir}/state/accounts.db", timeout=30)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_in_mid_write(base, tmp_path):
    """kill -9 at the moment when much has been written and nothing committed."""
    add(base, "steady", "pw")
    feed, out = os.pipe()
    p = subprocess.Popen([CTL, "--config", base.conf, "account", "import", "--format", "passwd", "-"], stdin=feed, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    os.close(feed)
    with open(out, "wb") as f:
        for i in range(20000):  # more than a pipe holds: most has been read and stored when this is done
            f.write(f"half{i:05d}:*:{IDENTITY}:{IDENTITY}::{base.shared}:/bin/sh\n".encode())
        f.flush()
        p.kill()
        p.wait()
    base.ftp("steady", "pw").quit()
    assert set(listed(base)) == {"steady"}
    add(base, "after", "pw")
    base.ftp("after", "pw").quit()


@pytest.mark.parametrize("name, said", [("rubbish", "file is not a database; restore the file"),
                                        ("nowhere/x.db", "(unable to open database file; its directory must exist|"
                                         "the directory [^ ]*/nowhere is missing; make it)")])
def test_broken_databases_speak_for_themselves(tmp_path, name, said):
    """What SQLite says, of which file, and a remedy; once, and no errno in its place."""
    (tmp_path / "rubbish").write_text("no table here\n" * 100)
    conf = tmp_path / "x.conf"
    conf.write_text(f"[server]\naccounts = database\naccounts_database = {tmp_path}/{name}\n")
    conf.chmod(0o600)
    for command in (["add", "pat"], ["passwd", "pat"], ["set", "pat", "home=/x"], ["remove", "pat"],
                    ["disable", "pat"]):
        p = subprocess.run([CTL, "-c", conf, "account", *command], input="pw\n", capture_output=True, text=True,
                           timeout=PATIENCE)
        assert p.returncode in (FAILED, 77) and re.search(f"{tmp_path}/{name}: {said}", p.stderr), (command, p.stderr)
        assert p.stderr.count("\n") == 1, p.stderr
