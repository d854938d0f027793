"""sallyctl import, judged by the servers themselves: vsftpd, ProFTPD and pure-ftpd with a configuration, and ours with
what the import made of it. The same users try the same things at both. What theirs refuses, ours refuses; what ours
refuses and theirs does not stands in the table."""
import contextlib
import ftplib
import glob
import io
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile

import pytest

from conftest import BUILD, PATIENCE, ROLE_USERS, free_port, wait_for
from test_ctl import ctl

# They conflict with each other as packages, so they are only unpacked; with them what machines do not have anyway.
PEERS = {"vsftpd": "vsftpd", "proftpd": "proftpd-core", "pure-ftpd": "pure-ftpd"}
LIBRARIES = ["libwrap0", "libmemcached11", "libmemcachedutil2", "libhashkit2", "libhiredis0.14", "libsodium23",
             "libpcre2-posix3"]
CACHE = f"{BUILD}/peers"
ROOT = f"{CACHE}/root"
ENV = os.environ | {"LD_LIBRARY_PATH": ":".join(f"{ROOT}{d}/x86_64-linux-gnu" for d in ("/usr/lib", "/lib"))}
PREFIX = f"spim{secrets.token_hex(3)}"
SERVICE = f"sallyport-it-{PREFIX}"
ALICE, BOB, NOSHELL, ANON = (f"{PREFIX}{n}" for n in ("alice", "bob", "nosh", "anon"))


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="session")
def unpacked():
    os.makedirs(CACHE, exist_ok=True)
    for package in [*PEERS.values(), *LIBRARIES]:
        # What cannot be got is missed when its program is started.
        with contextlib.suppress(subprocess.CalledProcessError, OSError, subprocess.TimeoutExpired):
            if not glob.glob(f"{CACHE}/{package}_*.deb"):
                run("apt-get", "download", "-q", package, cwd=CACHE, timeout=PATIENCE)
            run("dpkg-deb", "-x", glob.glob(f"{CACHE}/{package}_*.deb")[0], ROOT)


def program(peer):
    path = f"{ROOT}/usr/sbin/{peer}"
    if not os.path.exists(path) or "not found" in run("ldd", path, env=ENV):
        pytest.skip(f"{PEERS[peer]} cannot be downloaded by apt-get, or a library of it is missing")
    return path


@pytest.fixture(scope="module")
def users():
    """System users with homes below a folder that everybody can enter, and the PAM service that they log in by."""
    folder = tempfile.mkdtemp(prefix="sallyport-peers-")
    os.chmod(folder, 0o755)
    hashed = run("openssl", "passwd", "-1", "pw").strip()
    made = [ALICE, BOB, NOSHELL, ANON]
    # pure-ftpd knows no other name for the user of anonymous clients.
    with contextlib.suppress(subprocess.CalledProcessError):
        run("useradd", "-M", "-d", f"{folder}/{ANON}", "-s", "/usr/sbin/nologin", "ftp")
        made.append("ftp")
    for name in made[:4]:
        shell = "/usr/sbin/nologin" if name == NOSHELL else "/bin/sh"
        run("useradd", "-M", "-d", f"{folder}/{name}", "-s", shell, "-p", hashed, name)
    with open(f"/etc/pam.d/{SERVICE}", "w") as f:
        f.write("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
    yield folder, made[-1] == "ftp"
    os.unlink(f"/etc/pam.d/{SERVICE}")
    for name in made:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("userdel", name)
    shutil.rmtree(folder, ignore_errors=True)


def fill(folder, anonymous):
    """The same tree for both. Some serve no root that anonymous clients may write to: all happens one folder below."""
    for name in (ALICE, BOB, NOSHELL, ANON):
        home = f"{folder}/{name}"
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(f"{home}/work/sub")
        for file, bits in (("public", 0o644), ("group", 0o640), (".dot", 0o644), ("old", 0o644), ("virus.exe", 0o644),
                           ("gone", 0o644), ("there", 0o644), ("sub/inner", 0o644)):
            with open(f"{home}/work/{file}", "w") as f:
                f.write("before")
            os.chmod(f"{home}/work/{file}", bits)
        for path in ([] if name == ANON else [home]) + glob.glob(f"{home}/**", include_hidden=True, recursive=True)[1:]:
            shutil.chown(path, anonymous if name == ANON else name, anonymous if name == ANON else name)
    with open(f"{folder}/outside", "w") as f:
        f.write("outside")


# ------------------------------------------------------------------------------------------------- what is tried

def get(f, name):
    parts = []
    f.retrbinary(f"RETR {name}", parts.append)
    return b"".join(parts)


def listed(f, *options):
    lines = []
    f.retrlines(" ".join(("LIST", *options)), lines.append)
    return "\n".join(lines)


def put(f, name, command="STOR"):
    f.storbinary(f"{command} {name}", io.BytesIO(b"after"))


def mode(path):
    return oct(os.stat(path).st_mode & 0o777)


TRIED = {
    "list": lambda f, home: "public" in listed(f),
    "see-dot": lambda f, home: ".dot" in listed(f),
    "see-all": lambda f, home: ".dot" in listed(f, "-a"),
    "get": lambda f, home: get(f, "public"),
    "get-group": lambda f, home: get(f, "group"),
    "get-dot": lambda f, home: get(f, ".dot"),
    "get-exe": lambda f, home: get(f, "virus.exe"),
    "get-inner": lambda f, home: get(f, "sub/inner"),
    "get-outside": lambda f, home: get(f, os.path.dirname(os.path.dirname(home)) + "/outside"),
    "put": lambda f, home: put(f, "new") or mode(f"{home}/new"),
    "get-new": lambda f, home: get(f, "new"),
    "put-dot": lambda f, home: put(f, ".new"),
    "put-inner": lambda f, home: put(f, "sub/new"),
    "append": lambda f, home: put(f, "old", "APPE"),
    "overwrite": lambda f, home: put(f, "old") or open(f"{home}/old").read() == "after",
    "mkdir": lambda f, home: f.mkd("folder") and mode(f"{home}/folder"),
    "rmdir": lambda f, home: os.makedirs(f"{home}/folder", exist_ok=True) or f.rmd("folder"),
    "chmod": lambda f, home: f.sendcmd("SITE CHMOD 600 public"),
    "rename": lambda f, home: f.rename("public", "renamed"),
    "rename-over": lambda f, home: f.rename("renamed", "there"),
    "delete": lambda f, home: f.delete("gone"),
}


def attempt(what, *arguments):
    try:
        return what(*arguments) or False
    except (ftplib.Error, OSError, EOFError):
        return False


class Client:
    def __init__(self, port):
        self.port = port

    def login(self, name):
        f = ftplib.FTP(timeout=PATIENCE)
        f.connect("127.0.0.1", self.port)
        f.login(name, "pw")
        return f

    def first(self, name):
        """Sessions before it may not have ended and count still: then it comes again."""
        try:
            return self.login(name)
        except ftplib.error_temp:
            raise
        except (ftplib.Error, OSError, EOFError):
            return None

    def all(self, folder, names):
        """What each user could do: (user, what) -> what came of it, False where it was refused."""
        result = {}
        for name in names:
            home = f"{folder}/{ANON if name == 'anonymous' else name}/work"
            f = wait_for(lambda: [self.first(name)])[0]
            result[name, "login"] = bool(f)
            if not f:
                continue
            second = attempt(self.login, name)
            result[name, "second"] = bool(second)
            if second:
                second.close()
            if name in (ALICE, "anonymous") and attempt(f.cwd, "work"):
                for what, how in TRIED.items():
                    value = attempt(how, f, home)
                    result[name, what] = value if isinstance(value, str) and value.startswith("0o") else bool(value)
            f.close()
        return result


@contextlib.contextmanager
def running(command, port, folder, env=None):
    with open(f"{folder}/said", "w+") as said:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env)

        def answers():
            assert p.poll() is None, open(f"{folder}/said").read()[-3000:]
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
                return s.recv(3) is not None      # some close it at once

        try:
            wait_for(answers)
            yield Client(port)
        finally:
            p.terminate()
            p.wait(PATIENCE)


# --------------------------------------------------------------------------------------------------- their servers

def vsftpd(folder, port, text):
    os.makedirs(f"{folder}/empty", exist_ok=True)
    return f"""listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
secure_chroot_dir={folder}/empty
pam_service_name={SERVICE}
ftp_username={ANON}
delay_failed_login=0
allow_writeable_chroot=YES
xferlog_enable=NO
seccomp_sandbox=NO
{text}
""", lambda conf: [program("vsftpd"), conf]


def proftpd(folder, port, text):
    return f"""ServerName x
ServerType standalone
DefaultAddress 127.0.0.1
Port {port}
UseIPv6 off
User nobody
Group nogroup
{'' if 'AuthOrder' in text else 'AuthOrder mod_auth_unix.c'}
WtmpLog off
TransferLog none
SystemLog none
DelayEngine off
UseReverseDNS off
ModulePath {ROOT}/usr/lib/proftpd
ScoreboardFile {folder}/scoreboard
PidFile {folder}/proftpd.pid
{text}
""", lambda conf: [program("proftpd"), "-n", "-q", "-c", conf]


def pureftpd(folder, port, text):
    return f"""Bind 127.0.0.1,{port}
Daemonize no
PIDFile {folder}/pure.pid
UnixAuthentication yes
DontResolve yes
{text}
""", lambda conf: [program("pure-ftpd"), conf]


@contextlib.contextmanager
def imported(tmp_path, peer, conf):
    """Ours with what the import made of it; None where it does not start."""
    text, port = ctl("import", peer, conf).stdout, free_port()
    text = re.sub(r"^listen = .*", f"listen = 127.0.0.1:{port}", text, flags=re.M)
    keep = [line for line in text.splitlines() if line.split(" =")[0] not in ("log", "xferlog", "login_delay")]
    ours = [f"{k} = {v}" for k, v in ROLE_USERS.items()]
    ours += [f"control_socket = {tmp_path}/control", f"log = {tmp_path}/log",
             f"accounts_database = {tmp_path}/accounts.db", "login_delay = 0"]
    at = keep.index("[server]") + 1
    path = tmp_path / "ours.conf"
    path.write_text("\n".join(keep[:at] + ours + keep[at:]) + "\n")
    command = [f"{BUILD}/sallyportd", "-f", str(path), "--libexec", BUILD, "-d"]
    if "\nnot_imported = " in text:
        r = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert r.returncode != 0 and "not_imported" in r.stdout + r.stderr
        yield None, text
        return
    with running(command, port, tmp_path) as client:
        yield client, text


# ------------------------------------------------------------------------------------------------------- the table

PUB = "<Anonymous {pub}>\nUser {anon}\nUserAlias anonymous {anon}\n"
LOCAL = "local_enable=YES\nwrite_enable=YES\n"
PUBLIC = "anonymous_enable=YES\n"
CLOSED = "closed"      # theirs goes on, ours does not start until its owner has decided
ROWS = [
    # peer, its configuration, what ours refuses although theirs allows it (or CLOSED)
    ("vsftpd", "local_enable=YES", ""),
    ("vsftpd", LOCAL, ""),
    ("vsftpd", LOCAL + "local_umask=022", ""),
    ("vsftpd", LOCAL + "local_umask=022\nfile_open_mode=0640", ""),
    ("vsftpd", LOCAL + "chroot_local_user=YES", ""),
    ("vsftpd", LOCAL + "chroot_local_user=YES\nchroot_list_enable=YES\nchroot_list_file={dir}/alice", ""),
    ("vsftpd", LOCAL + "chroot_list_enable=YES\nchroot_list_file={dir}/alice", ""),
    ("vsftpd", LOCAL + "userlist_enable=YES\nuserlist_file={dir}/bob", ""),
    ("vsftpd", LOCAL + "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file={dir}/bob", ""),
    ("vsftpd", LOCAL + "chmod_enable=NO", ""),
    ("vsftpd", LOCAL + "download_enable=NO", ""),
    ("vsftpd", LOCAL + "dirlist_enable=NO", ""),
    ("vsftpd", LOCAL + "max_per_ip=1", ""),
    ("vsftpd", LOCAL + "max_clients=1", ""),
    ("vsftpd", LOCAL + "force_dot_files=YES", ""),
    ("vsftpd", LOCAL + "deny_file={*.exe}", CLOSED),
    ("vsftpd", LOCAL + "cmds_denied=DELE", CLOSED),
    ("vsftpd", LOCAL + "guest_enable=YES\nguest_username=" + ANON, CLOSED),
    ("vsftpd", LOCAL + "pasv_promiscuous=YES", ""),
    ("vsftpd", PUBLIC, ""),
    ("vsftpd", PUBLIC + "write_enable=YES\nanon_upload_enable=YES", ""),
    ("vsftpd", PUBLIC + "write_enable=YES\nanon_upload_enable=YES\nanon_umask=022\nanon_mkdir_write_enable=YES", ""),
    ("vsftpd", PUBLIC + "write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO",
     "anonymous rename-over"),
    ("vsftpd", PUBLIC + LOCAL + "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES", ""),
    ("proftpd", "", ""),
    ("proftpd", "AllowOverwrite on", ""),
    ("proftpd", "AllowOverwrite on\nUmask 027", ""),
    ("proftpd", "AllowOverwrite on\nUmask 022 077", ""),
    ("proftpd", "AllowOverwrite on\nDefaultRoot ~", ""),
    ("proftpd", "RequireValidShell off", ""),
    ("proftpd", "MaxClientsPerHost 1", ""),
    ("proftpd", "MaxClientsPerUser 1", ""),
    ("proftpd", "MaxClients 1", ""),
    ("proftpd", "<Limit LOGIN>\nDenyAll\n</Limit>", CLOSED),
    ("proftpd", "<Limit LOGIN>\nDenyUser {bob}\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nAllowUser {bob}\nDenyAll\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nAllowUser OR {alice},{bob}\nDenyAll\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nAllowGroup {bob}\nDenyAll\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nAllow from 127.0.0.0/8\nDenyAll\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nAllow from 192.0.2.0/24\nDenyAll\n</Limit>", ""),
    ("proftpd", "<Limit LOGIN>\nDeny from 127.0.0.1\n</Limit>", ""),
    # A list without OR is one condition, which nobody fulfils.
    ("proftpd", "<Limit LOGIN>\nAllowUser {alice},{bob}\nDenyAll\n</Limit>", CLOSED),
    ("proftpd", "<Limit LOGIN>\nOrder deny,allow\nAllowUser {bob}\n</Limit>", CLOSED),
    ("proftpd", "AuthUserFile {dir}/users\nAuthOrder mod_auth_file.c", ""),
    ("proftpd", "AllowOverwrite on\n<Limit WRITE>\nDenyAll\n</Limit>", CLOSED),
    ("proftpd", "<Directory /*>\n<Limit DELE>\nDenyAll\n</Limit>\n</Directory>", CLOSED),
    ("proftpd", PUB + "<Limit WRITE>\nDenyAll\n</Limit>\n</Anonymous>", ""),
    ("proftpd", PUB + "MaxClients 1\n<Limit WRITE>\nDenyAll\n</Limit>\n"
                "</Anonymous>", ""),
    ("proftpd", PUB + "<Limit READ>\nDenyAll\n</Limit>\n</Anonymous>", "anonymous"),
    ("pure-ftpd", "NoAnonymous yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nChrootEveryone yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nUmask 077:077", ""),
    ("pure-ftpd", "NoAnonymous yes\nUmask 133:022", ""),
    ("pure-ftpd", "NoAnonymous yes\nMaxClientsPerIP 1", ""),
    ("pure-ftpd", "NoAnonymous yes\nMaxClientsNumber 1", ""),
    ("pure-ftpd", "NoAnonymous yes\nPerUserLimits 1:1", ""),
    ("pure-ftpd", "NoAnonymous yes\nDisplayDotFiles no", ""),
    ("pure-ftpd", "NoAnonymous yes\nProhibitDotFilesWrite yes", CLOSED),
    ("pure-ftpd", "NoAnonymous yes\nProhibitDotFilesRead yes", CLOSED),
    ("pure-ftpd", "NoAnonymous yes\nNoRename yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nNoChmod yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nKeepAllFiles yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nNoTruncate yes", ""),
    ("pure-ftpd", "NoAnonymous yes\nAutoRename yes", "alice overwrite, alice rename-over"),
    ("pure-ftpd", "NoAnonymous yes\nMinUID 60000", ""),
    ("pure-ftpd", "AnonymousOnly yes", ""),
    ("pure-ftpd", "AnonymousOnly yes\nAnonymousCantUpload yes", ""),
    ("pure-ftpd", "AnonymousOnly yes\nAnonymousCanCreateDirs yes", ""),
    ("pure-ftpd", "AnonymousOnly yes\nAntiWarez no", ""),
]


@pytest.mark.parametrize("peer,text,narrower", ROWS, ids=[f"{p}:{'; '.join(t.splitlines())}" for p, t, n in ROWS])
def test_what_they_refuse_is_refused(unpacked, users, tmp_path, peer, text, narrower):
    folder, ftp_is_ours = users
    if peer == "pure-ftpd" and "AnonymousOnly" in text and not ftp_is_ours:
        pytest.skip("this machine has a user ftp of its own")
    words = {"{alice}": ALICE, "{bob}": BOB, "{anon}": ANON, "{pub}": f"{folder}/{ANON}", "{dir}": str(tmp_path)}
    for word, name in words.items():
        text = text.replace(word, name)
    for name in (ALICE, BOB):
        (tmp_path / name[len(PREFIX):]).write_text(name + "\n")
    (tmp_path / "users").touch(0o600)
    port = free_port()
    source, command = {"vsftpd": vsftpd, "proftpd": proftpd, "pure-ftpd": pureftpd}[peer](tmp_path, port, text)
    conf = tmp_path / "theirs.conf"
    conf.write_text(source)
    names = [*([ALICE] if "AnonymousOnly" not in text else []), *([BOB] if BOB in source or "/bob" in text else []),
             *([NOSHELL] if "Shell" in text else []),
             *(["anonymous"] if "nonymous" in text and "NoAnonymous" not in text else [])]
    fill(folder, "ftp" if peer == "pure-ftpd" else ANON)
    with running(command(str(conf)), port, tmp_path, ENV) as client:
        theirs = client.all(folder, names)
    assert any(theirs.values()) or "MinUID" in text or "LOGIN>" in text or "AuthOrder" in text
    fill(folder, "ftp" if peer == "pure-ftpd" else ANON)
    with imported(tmp_path, peer, str(conf)) as (client, made):
        ours = client.all(folder, names) if client else CLOSED
    if narrower == CLOSED or ours == CLOSED:
        assert narrower == ours
        return
    differ = {}
    for user, what in theirs.keys() | ours.keys():
        there, here = theirs.get((user, what), False), ours.get((user, what), False)
        if there != here:
            differ[f"{user.removeprefix(PREFIX)} {what}"] = there, here
    expected = set(filter(None, narrower.split(", ")))
    # All of a user's is one difference.
    assert {what.split()[0] if what.split()[0] in expected else what for what in differ} == expected, differ
    for what, (there, here) in differ.items():
        assert not here, f"{what} is {there} there"
