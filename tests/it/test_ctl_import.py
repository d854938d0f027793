"""sallyctl import: configurations of other servers, and what is said of the rest."""
import json
import os
import re

import pytest

from conftest import TOP
from test_ctl import ctl

VSFTPD = """\
# a hosting machine
listen=YES
listen_port=2121
anonymous_enable=NO
local_enable=YES
write_enable=YES
local_umask=027
dirmessage_enable=YES
xferlog_enable=YES
xferlog_std_format=YES
xferlog_file=/var/log/vsftpd.xfer
connect_from_port_20=YES
chroot_local_user=YES
chroot_list_enable=YES
chroot_list_file={dir}/chroot_list
userlist_enable=YES
userlist_deny=NO
userlist_file={dir}/user_list
pam_service_name=vsftpd
pasv_enable=NO
pasv_min_port=40000
pasv_max_port=40999
pasv_address=203.0.113.7
max_clients=200
max_per_ip=5
idle_session_timeout=600
local_max_rate=50000
user_sub_token=$USER
local_root=/srv/ftp/$USER/files
ssl_enable=YES
rsa_cert_file=/etc/ssl/ftp.pem
rsa_private_key_file=/etc/ssl/ftp.key
require_ssl_reuse=NO
force_local_data_ssl=NO
tcp_wrappers=YES
allow_writeable_chroot=YES
hide_ids=YES
deny_file={*.exe}
no_such_thing=1
banner_file={dir}/banner
"""

PUREFTPD = """\
ChrootEveryone               yes
MaxClientsNumber             50
MaxClientsPerIP              8
DisplayDotFiles              yes
NoAnonymous                  no
AnonymousCantUpload          yes
MaxIdleTime                  15
PureDB                       /etc/pureftpd.pdb
UnixAuthentication           yes
LimitRecursion               10000 8
PassivePortRange             30000 50000
ForcePassiveIP               192.0.2.9
Umask                        133:022
MinUID                       500
Quota                        1000:10
UserBandwidth                100:
TLS                          2
CertFile                     /etc/ssl/private/pure.pem
Bind                         127.0.0.1,2121
NoChmod                      yes
AutoRename                   no
CallUploadScript             yes
"""

PROFTPD = """\
ServerName "Example"
ServerType standalone
Port 2121
UseIPv6 off
Umask 022 022
MaxInstances 30
MaxClientsPerHost 4 "too many"
TimeoutIdle 600
TimeoutStalled 300
DefaultRoot ~
AllowOverwrite on
RequireValidShell off
PassivePorts 49152 65534
MasqueradeAddress ftp.example.org
ServerIdent on "Example files"
TransferRate RETR 100
MaxStoreFileSize 2 Gb
AuthOrder mod_auth_pam.c* mod_auth_unix.c
<IfModule mod_tls.c>
  TLSEngine on
  TLSRequired on
  TLSRSACertificateFile /etc/ssl/p.pem
  TLSRSACertificateKeyFile /etc/ssl/p.key
  TLSOptions NoCertRequest NoSessionReuseRequired
</IfModule>
<Directory /*>
  AllowOverwrite off
  <Limit STOR>
    DenyAll
  </Limit>
</Directory>
<Anonymous /srv/pub>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  MaxClients 10
</Anonymous>
Include {dir}/conf.d/*.conf
SomethingElse 7
"""


def imported(tmp_path, server, text):
    path = tmp_path / "theirs.conf"
    path.write_text(text.replace("{dir}", str(tmp_path)))
    r = ctl("import", server, str(path), "--json")
    told = json.loads(r.stdout)
    plain = ctl("import", server, str(path))
    assert plain.returncode == r.returncode == (1 if told["lost"] else 0)
    assert plain.stdout == told["configuration"]
    for lost in told["lost"]:
        assert lost["name"] in plain.stdout and lost["why"] in plain.stderr
    ours = tmp_path / "ours.conf"
    ours.write_text(told["configuration"])
    ours.chmod(0o600)
    return told, {x["name"] for x in told["lost"]}, ours


def sections(text):
    found, here = {}, None
    for line in text.splitlines():
        if line.startswith("["):
            here = found.setdefault(line[1:-1], {})
        elif here is not None and " = " in line:
            key, value = line.split(" = ", 1)
            here[key] = value
    return found


def test_vsftpd(tmp_path):
    (tmp_path / "chroot_list").write_text("# comment\nadmin\noperator\n")
    (tmp_path / "user_list").write_text("alice\nbob\n")
    (tmp_path / "banner").write_text("Welcome\nto this machine\n")
    told, lost, ours = imported(tmp_path, "vsftpd", VSFTPD)
    assert lost == {"tcp_wrappers", "deny_file", "no_such_thing"}
    assert any(x["name"] == "tcp_wrappers" and x["line"] == 35 for x in told["lost"])
    assert "allow_writeable_chroot" in {x["name"] for x in told["unneeded"]}
    s = sections(told["configuration"])
    assert s["server"] | {"accounts": "pam", "default_layer": "posix1e", "umask": "027", "jail": "yes", "pam_service": "vsftpd",
                          "passive_mode": "no", "passive_ports": "40000-40999", "passive_address": "203.0.113.7", "max_sessions": "200", "active_port": "20",
                          "max_sessions_per_address": "5", "idle_timeout": "600", "rate_up": "50000", "rate_down": "50000",
                          "home": "/srv/ftp/${USER}/files", "xferlog": "/var/log/vsftpd.xfer", "allowed_users": "alice, bob",
                          "directory_message_file": ".message", "list_owner": "session", "banner": "Welcome"} == s["server"]
    assert s["listener main"]["listen"] == "*:2121"
    assert s["tls"] == {"certificate": "/etc/ssl/ftp.pem", "private_key": "/etc/ssl/ftp.key", "tls": "control", "session_reuse": "never"}
    assert s["class jail-exceptions"] == {"members": "admin, operator", "jail": "no"}
    r = ctl("check", str(ours))
    assert "jail-exceptions" not in r.stdout and "unknown" not in r.stdout
    # What restricted access and is not expressed: tcp_wrappers, deny_file, and what nobody knows.
    assert r.returncode != 0 and r.stdout.count("has no counterpart here yet") == 3


@pytest.mark.parametrize("text,server,anonymous", [
    # Nobody gets in by an empty file, as Debian has it; the limits that vsftpd has and we have not are written out.
    ("", {"accounts": "config", "umask": "077", "max_sessions": "2000", "max_sessions_per_address": "50",
    "pam_service": "ftp"}, None),
    ("anonymous_enable=YES\n", {"accounts": "anonymous", "jail": "no"},
     {"layer": "ups -* +rLC", "umask": "077", "download_only": "world_readable", "jail": "yes"}),
    ("anonymous_enable=YES\nwrite_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_umask=022\n"
     "anon_world_readable_only=NO\n", {}, {"layer": "ups -* +rLCcM", "umask": "022", "jail": "yes"}),
    # Without write_enable the others say nothing; deleting does not mean uploading.
    ("anonymous_enable=YES\nanon_upload_enable=YES\n", {}, {"layer": "ups -* +rLC"}),
    ("anonymous_enable=YES\nwrite_enable=YES\nanon_other_write_enable=YES\n", {}, {"layer": "ups -* +rLCdDnt"}),
    ("anonymous_enable=YES\ndownload_enable=NO\ndirlist_enable=NO\n", {}, {"layer": "ups -* +rLC -rL"}),
    ("local_enable=YES\n", {"accounts": "pam", "default_layer": "ups -* +rLC"}, None),
    ("local_enable=YES\nwrite_enable=YES\n", {"default_layer": "posix1e"}, None),
    ("local_enable=YES\nwrite_enable=YES\ndownload_enable=NO\nchmod_enable=NO\n",
    {"default_layer": "ups +* -ro"}, None),
    # A number is octal with a 0 in front only: 22 is 026.
    ("local_umask=22\nfile_open_mode=0640\nmax_clients=0\nmax_per_ip=0\n",
     {"umask": "026", "file_mode": "0640", "max_sessions": "100000", "max_sessions_per_address": "0"}, None)])
def test_vsftpd_defaults(tmp_path, text, server, anonymous):
    told, lost, ours = imported(tmp_path, "vsftpd", text)
    s = sections(told["configuration"])
    assert not lost and s["server"] | server == s["server"] and s["tls"]["tls"] == "off"
    assert anonymous is None or s["account anonymous"] | anonymous == s["account anonymous"]
    assert (anonymous is None) == ("account anonymous" not in s)
    assert_usable(ours)


def assert_usable(conf):
    """No error but that of a PAM service which this machine does not have."""
    found = json.loads(ctl("check", str(conf), "--json").stdout)
    assert not [p for p in found["problems"] if p["severity"] == "error" and "PAM" not in str(p) and "pam" not in str(p)], found


EVERYBODY, ANONYMOUS = "server", "account anonymous"
LOCAL, ANON = "local_enable=YES\nwrite_enable=YES\n", "anonymous_enable=YES\n"
CLOSED = [
    *(("vsftpd", LOCAL + line, EVERYBODY) for line in (
        "deny_file={*.exe}", "hide_file=secret", "cmds_allowed=PASV,RETR,QUIT", "cmds_denied=DELE",
        "tcp_wrappers=YES", "user_config_dir=/etc/v",
        "download_file=*.txt", "upload_file=*.txt", "guest_enable=YES",
        "userlist_enable=YES\nuserlist_file=/nonexistent",
        "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file=/dev/null",
        "chroot_list_enable=YES\nchroot_list_file=/nonexistent",
        "chroot_local_user=perhaps", "some_new_restriction=YES")),
    *(("vsftpd", ANON + line, ANONYMOUS) for line in (
        "deny_email_enable=YES\nbanned_email_file=/etc/b",
        "secure_email_list_enable=YES\nemail_password_file=/etc/b", "chown_uploads=YES",
        "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file=/dev/null")),
    *(("proftpd", text, EVERYBODY) for text in (
        "<Limit LOGIN>\nDenyAll\n</Limit>", "<Limit LOGIN>\nAllowUser alice,bob\nDenyAll\n</Limit>",
        "<Limit LOGIN>\nAllowUser alice\n</Limit>", "<Limit LOGIN>\nAllowUser alice\nDenyUser bob\nDenyAll\n</Limit>",
        "<Limit LOGIN>\nAllow from .example.org\nDenyAll\n</Limit>", "<Limit LOGIN>\nDenyUser !bob\n</Limit>",
        "<Limit LOGIN>\nAllowClass inside\nDenyAll\n</Limit>",
        "AuthUserFile /etc/ftp.users\n<Limit LOGIN>\nAllowUser alice\nDenyAll\n</Limit>",
        "<Limit WRITE>\nDenyUser bob\n</Limit>",
        "<Directory /srv>\n<Limit ALL>\nDenyAll\n</Limit>\n</Directory>",
        "<VirtualHost 192.0.2.1>\nPort 2121\n</VirtualHost>",
        "<Global>\n<Limit LOGIN>\nDenyAll\n</Limit>\n</Global>", "QuotaEngine on", "Ratios on",
        "PathDenyFilter \\.exe$", "HideFiles ^\\.",
        "Umask 02x 022", "Umask 022 9", "RequireValidShell perhaps", "AllowOverwrite never",
        "AllowOverride on", "SomeModuleAllows alice")),
    *(("proftpd", f"<Anonymous /srv/pub>\n{text}\n</Anonymous>", ANONYMOUS) for text in (
        "<Limit LOGIN>\nDenyAll\n</Limit>", "<Limit READ>\nDenyAll\n</Limit>",
        "<Directory incoming>\n<Limit READ>\nDenyAll\n</Limit>\n</Directory>",
        "AnonRequirePassword on")),
    *(("pure-ftpd", text, EVERYBODY) for text in (
        "ProhibitDotFilesWrite yes", "ProhibitDotFilesRead yes", "AntiWarez yes", "KeepAllFiles perhaps",
        "Umask 9:022", "Umask 022:x", "ChrootEveryone", "NoAnonymous maybe", "AnonymousOnly 2", "NobodyMay 1")),
]


@pytest.mark.parametrize("server,text,place", CLOSED)
def test_what_was_closed_stays_closed(tmp_path, server, text, place):
    """A restriction without a counterpart: the configuration is refused until it is decided, or the account is off."""
    told, lost, ours = imported(tmp_path, server, text + "\n")
    s, checked = sections(told["configuration"]), ctl("check", str(ours))
    if place == EVERYBODY:
        assert s["server"]["not_imported"] and checked.returncode != 0
        assert "has no counterpart here yet" in checked.stdout
        # Once it is decided there is nothing else in the way.
        lines = told["configuration"].splitlines(True)
        ours.write_text("".join(line for line in lines if not line.startswith("not_imported = ")))
    else:
        assert s[place]["enabled"] == "no" and "# Restricted access" in told["configuration"].split(f"\n[{place}]\n")[1]
    assert_usable(ours)


@pytest.mark.parametrize("name,value", [("ChrootEveryone", ""), ("MaxClientsNumber", "x"), ("UserBandwidth", "a:b"),
    ("PassivePortRange", "40000"), ("UserRatio", "10"), ("AnonymousRatio", "x:y"), ("PerUserLimits", "3"), ("MinUID", ""),
    ("Quota", "1000"), ("Umask", "")])
def test_a_folder_of_pure_ftpd_with_malformed_values_lets_nobody_in(tmp_path, name, value):
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "UnixAuthentication").write_text("yes\n")
    (conf / name).write_text(value)
    r = ctl("import", "pure-ftpd", str(conf))
    (tmp_path / "ours.conf").write_text(r.stdout)
    assert r.returncode == 1 and ctl("check", str(tmp_path / "ours.conf")).returncode != 0, r.stdout


@pytest.mark.parametrize("line", ["local_umask=abc", "local_umask=22x", "anon_umask=", "file_open_mode=rw"])
def test_modes_of_vsftpd_that_are_none_are_refused(tmp_path, line):
    told, lost, ours = imported(tmp_path, "vsftpd", LOCAL + ANON + line + "\n")
    assert lost and ctl("check", str(ours)).returncode != 0


def test_one_name_has_one_answer():
    """What check says of a name of another server is what the import says of it."""
    with open(f"{TOP}/common/foreign.def") as f, open(f"{TOP}/ctl/import.def") as g:
        here = dict(re.findall(r'^FOREIGN\("[^"]+", "([^"]+)", "([^"]*)"\)', f.read(), re.M))
        told = dict(re.findall(r'^RULE\(\w+, "([^"]+)",\s*(?:LOST|USELESS|CLOSED),\s*\w+,\s*, "([^"]*)"\)',
                               g.read(), re.M))
    both = here.keys() & told.keys()
    assert len(both) >= 7 and {n: here[n] for n in both} == {n: told[n] for n in both}


def test_findings_without_a_line_name_none(tmp_path):
    path = tmp_path / "pure-ftpd.conf"
    path.write_text("PureDB /etc/pureftpd.pdb\nMaxLoad 4\n")
    said = ctl("import", "pure-ftpd", str(path)).stderr
    assert ":0:" not in said and f"{path}: PureDB" in said and f"{path}:2: MaxLoad" in said


def test_proftpd_has_a_umask_for_directories(tmp_path):
    told, lost, ours = imported(tmp_path, "proftpd", "Umask 022 077\n")
    s = sections(told["configuration"])["server"]
    assert (s["umask"], s["file_mode"], s["dir_mode"]) == ("000", "0644", "0700")


@pytest.mark.parametrize("folder", [False, True])
def test_pure_ftpd(tmp_path, folder):
    if folder:
        conf = tmp_path / "conf"
        conf.mkdir()
        for line in PUREFTPD.splitlines():
            name, value = line.split(None, 1)
            (conf / name).write_text(value + "\n")
        r = ctl("import", "pure-ftpd", str(conf), "--json")
        told = json.loads(r.stdout)
        lost = {x["name"] for x in told["lost"]}
    else:
        told, lost, ours = imported(tmp_path, "pure-ftpd", PUREFTPD)
    assert lost == {"PureDB", "CallUploadScript"}
    s = sections(told["configuration"])
    assert s["server"] | {"jail": "yes", "max_sessions": "50", "max_sessions_per_address": "8", "hide_dot_files": "no", "idle_timeout": "15m",
                          "accounts": "database, shadow, anonymous", "default_layer": "ups +* -o", "list_max_entries": "10000", "list_max_depth": "8", "uid_min": "500",
                          "passive_ports": "30000-50000", "passive_address": "192.0.2.9", "umask": "000", "file_mode": "0644",
                          "dir_mode": "0755", "rate_up": "100K"} == s["server"]
    assert "rate_down" not in s["server"]
    assert s["class everybody"] == {"members": "all", "quota_files": "1000", "quota_bytes": "10M"}
    # No c: AnonymousCantUpload. And no dot files, which are never for them there.
    assert "\nlayer = ups -* +rLC\nlayer = sftpplus allow-full-control\n\tm/" in told["configuration"]
    assert s["listener main"]["listen"] == "127.0.0.1:2121"
    assert s["tls"]["tls"] == "control" and s["tls"]["private_key"] == "/etc/ssl/private/pure.pem"


def test_proftpd(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").write_text("TimeoutLogin 33\nRootLogin off\n")
    told, lost, ours = imported(tmp_path, "proftpd", PROFTPD)
    assert lost == {"Directory", "SomethingElse"}
    s = sections(told["configuration"])
    assert s["server"] | {"umask": "022", "max_sessions": "30", "max_sessions_per_address": "4", "idle_timeout": "600", "stall_timeout": "300",
                          "jail": "yes", "default_layer": "posix1e", "require_valid_shell": "no", "passive_ports": "49152-65534",
                          "passive_address": "ftp.example.org", "banner": "Example files", "rate_down": "102400", "max_file_size": "2G",
                          "accounts": "pam, anonymous", "anonymous_user": "ftp", "login_grace_time": "33"} == s["server"]
    assert s["listener main"]["listen"] == "0.0.0.0:2121"
    assert s["tls"] == {"certificate": "/etc/ssl/p.pem", "private_key": "/etc/ssl/p.key", "tls": "full", "session_reuse": "never"}
    assert s["account anonymous"] == {"layer": "ups -* +rLC", "home": "/srv/pub", "jail": "yes",
                                      "max_sessions_per_user": "10"}


@pytest.mark.parametrize("text,accounts", [("", "pam"), ("AuthOrder mod_sql.c\n", "config"),
    ("AuthOrder mod_auth_file.c\nAuthUserFile /etc/ftp.users\n", "database"),
    ("AuthUserFile /etc/ftp.users\n", "database, pam"), ("AuthPAM off\n", "shadow"),
    ("AuthOrder mod_auth_unix.c\nAuthUserFile /etc/ftp.users\n", "shadow")])
def test_proftpd_asks_who_was_asked(tmp_path, text, accounts):
    """Where only a file or a database was asked, users of the system must not get in."""
    told, lost, ours = imported(tmp_path, "proftpd", text)
    assert sections(told["configuration"])["server"]["accounts"] == accounts and ("AuthOrder" in lost) == ("sql" in text)


@pytest.mark.parametrize("block", ["<IfUser bob>\n{}\n</IfUser>", "<IfGroup regex .*>\n{}\n</IfGroup>", "<New thing>\n{}\n</New>",
    "<VirtualHost 192.0.2.1>\n<Anonymous /srv>\nUser ftp\n</Anonymous>\n{}\n</VirtualHost>",
    "<Directory /srv>\n<IfModule mod_x.c>\n<Limit LOGIN>\nAllowAll\n</Limit>\n{}\n</IfModule>\n</Directory>"])
def test_proftpd_gives_to_some_what_is_not_for_all(tmp_path, block):
    told, lost, ours = imported(tmp_path, "proftpd", block.format("AllowOverwrite on\nExecEngine on") + "\nTimeoutIdle 7\n")
    s = sections(told["configuration"])["server"]
    assert s["default_layer"] == "ups +* -ma" and s["not_imported"] and s["idle_timeout"] == "7" and len(lost) == 1


def test_remarks_name_what_was_written(tmp_path):
    told, lost, ours = imported(tmp_path, "proftpd", "ExecEngine on\nVRootAlias /a /b\n")
    assert lost == {"ExecEngine", "VRootAlias"}


def test_values_that_we_refuse_are_told(tmp_path):
    told, lost, ours = imported(tmp_path, "vsftpd", "max_per_ip=many\nidle_session_timeout=\x1b[2J\n")
    assert any("many" in x["value"] for x in told["lost"])
    assert "\x1b" not in told["configuration"]


def test_unreadable(tmp_path):
    for server in ("vsftpd", "pure-ftpd", "proftpd"):
        assert ctl("import", server, str(tmp_path / "none")).returncode == 2


NCFTPD = """\
# general.cf
u-restricted-groups=staff
u-restrict-mode=homedir,-W
begin-new-user-class WriteOnly
u-restricted-groups=wrt_only other
u-restrict-mode=homedir,-R
end-user-class
begin-new-user-class
u-restricted-groups=none
u-restrict-mode=unrestricted
end-user-class
u-vquota=yes
no-such-option=1
"""

SFTPPLUS = """\
[server]
name = x
[services/1]
type = ftps
name = outside
address = 127.0.0.1
port = 2121
passive_port_range = 9000-9099
ftps_explicit_force_secure_data = no
[services/2]
type = sftp
port = 2222
[groups/aaa]
name = partners
enabled = True
home_folder_path = /srv/${USER}
permissions =
    allow-list
    /queue/${USER}/*, allow-full-control
[accounts/202da724]
enabled = True
type = application
name = johnd
group = aaa
password = $5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA
lock_in_home_folder = Yes
expire_datetime = 2030-01-31 12:30:00
permissions =
    allow-read
    /inbox/*, allow-full-control
    e/.*\\.pdf/, allow-write
source_ip_filter = allow, 10.0.0.0/8
[accounts/2]
enabled = no
type = os
name = jane
home_folder_path = c:\\Users\\jane
permissions = inherit
"""


def converted(path, *args):
    """(configuration, {name: why}) of an import that lost something."""
    p = ctl("import", *args, str(path), "--json")
    out = json.loads(p.stdout)
    assert p.returncode == (1 if out["lost"] else 0) and set(out) == {"configuration", "lost", "unneeded"}
    return out["configuration"], {row["name"]: row for row in out["lost"]}


def test_ncftpd(tmp_path):
    folder = tmp_path / "ncftpd"
    folder.mkdir()
    (folder / "general.cf").write_text(NCFTPD)
    (folder / "domain.cf").write_text("passwd=/usr/local/etc/ncftpd/passwd.db\nu-read-only-groups=guests\n")
    text, lost = converted(folder, "ncftpd")
    assert set(lost) == {"no-such-option", "passwd", "u-read-only-groups"} and lost["no-such-option"]["line"] == 13
    assert "\nnot_imported = no-such-option 1: " in text
    order = [line for line in text.splitlines() if line.startswith("[")]
    assert order == ["[server]", "[class restricted]", "[class WriteOnly]", "[class class-3]", "[class read-only]", "[class all-others]"]
    assert "[class WriteOnly]\nmembers = @wrt_only, @other\nrestrict_mode = homedir,-R\n" in text and "accounts = config, database, pam" in text
    assert ctl("import", "ncftpd", str(tmp_path)).returncode == 2


def test_sftpplus(tmp_path):
    path = tmp_path / "server.ini"
    path.write_text(SFTPPLUS)
    text, lost = converted(path, "sftpplus")
    assert set(lost) == {"section", "source_ip_filter", "home_folder_path", "in the result,"}
    # No certificate, which the result says: clear text is not let in instead.
    assert ("[listener outside]\nlisten = 127.0.0.1:2121\npassive_ports = 9000-9099\ntls = control\n") in text
    assert "2222" not in text
    assert ("[group partners]\nenabled = yes\nhome = /srv/${USER}\nlayer = sftpplus allow-list\n    /queue/${USER}/*, allow-full-control\n") in text
    john = text.split("[account johnd]")[1].split("[account")[0]
    # source_ip_filter restricts where he comes from, and is not expressed.
    assert "enabled = no\n" in john and "enabled = yes" not in john
    text = text.replace("tls = control\n", "").replace(john, john.replace("enabled = no\n", ""))
    assert "groups = partners\n" in john and "jail = yes\n" in john and "expires = 2030-01-31 12:30\n" in john
    assert "layer = sftpplus allow-read\n    /inbox/*, allow-full-control\n    e/.*\\.pdf/, allow-write\n" in john
    conf = tmp_path / "made.conf"
    os.makedirs(tmp_path / "johnd" / "inbox")
    for folder in ("johnd", "johnd/inbox"):
        os.chown(tmp_path / folder, 64001, 64001)
    conf.write_text(text.replace("run_as = ftp", "run_as = 64001:64001").replace("/srv/${USER}", f"{tmp_path}/${{USER}}"))
    assert ctl("--config", str(conf), "why", "johnd", "STOR", "/inbox/x").returncode == 0
    assert ctl("--config", str(conf), "why", "johnd", "STOR", "/x.txt").returncode == 0         # all but PDF
    assert ctl("--config", str(conf), "why", "johnd", "DELE", "/x.txt").returncode == 1


def test_sftpplus_services_keep_what_they_restrict(tmp_path):
    path = tmp_path / "server.ini"
    path.write_text("[services/1]\nname = a\nprotocol = ftp\nport = 2121\nsource_ip_filter = allow, 10.0.0.0/8\n"
                    "[services/2]\nname = b\ntype = ftpsi\nport = 990\naddress = ::1\nssl_certificate = /etc/a.pem\n")
    text, lost = converted(path, "sftpplus")
    assert "[listener a]\nlisten = *:2121\ntls = off\nnot_imported = source_ip_filter allow, 10.0.0.0/8: " in text
    assert ("[listener b]\nlisten = [::1]:990\nimplicit_tls = yes\ntls = full\ncertificate = /etc/a.pem\n"
            "private_key = /etc/a.pem\n") in text
    assert lost["source_ip_filter"]["line"] == 5


@pytest.mark.parametrize("text", ["#!/usr/bin/python3\n", "from pyftpdlib.authorizers import DummyAuthorizer\n",
                                  "# ours\nimport os\n", "a.add_user('bob', 'x', '/srv')\n"])
def test_pyftpdlib_programs_are_told_from_lists(tmp_path, text):
    path = tmp_path / "server.py"
    path.write_text(text)
    r = ctl("import", "pyftpdlib", str(path))
    assert r.returncode != 0 and r.stdout == "" and "is a program" in r.stderr and "sallyport-migration(7)" in r.stderr
    path.write_text('user bob "import x" /srv\n')
    assert ctl("import", "pyftpdlib", str(path)).returncode == 0


def test_ftpcluster(tmp_path):
    (tmp_path / ".passwd").write_text("admin:secret-password:0:/u/admin\nroot:another-secret-password:100:/u/root\nbad line\n_:-:1002\n")
    text, lost = converted(tmp_path, "ftpcluster")
    assert lost["lines of .passwd:"]["value"] == "1" and lost["passwords in clear:"]["value"] == "2"
    assert f"passwd_file = {tmp_path}/.passwd\n" in text and "layer = ftpcluster\n" in text and "secret" not in text
    assert ctl("import", "ftpcluster", str(tmp_path / "none")).returncode == 2


def test_ratios_of_pure_ftpd(tmp_path):
    path = tmp_path / "pure-ftpd.conf"
    path.write_text("UserRatio 1 10\nAnonymousRatio 1:5\nNoAnonymous no\n")
    text = json.loads(ctl("import", "pure-ftpd", str(path), "--json").stdout)["configuration"]
    assert "ratio_up = 1\nratio_down = 10\n" in text and "ratio_up = 1\nratio_down = 5\n" in text


@pytest.mark.parametrize("text,layer", [("", "ups +* -ma"), ("AllowOverwrite off\n", "ups +* -ma"), ("AllowOverwrite on\n", "posix1e")])
def test_proftpd_overwrites_when_it_was_switched_on(tmp_path, text, layer):
    """Its default is off."""
    path = tmp_path / "proftpd.conf"
    path.write_text("Port 21\n" + text)
    assert f"\ndefault_layer = {layer}\n" in converted(path, "proftpd")[0]


def test_proftpd_files_that_include_themselves(tmp_path):
    path = tmp_path / "proftpd.conf"
    path.write_text(f"Include {path}\nPort 2121\n")
    text, lost = converted(path, "proftpd")
    assert "listen = *:2121" in text and len(lost) == 1 and "include each other" in str(lost)


@pytest.mark.parametrize("included, closed", [("missing.conf", True), ("outer", True), ("none-*.conf", False)])
def test_proftpd_files_that_were_not_read_open_nothing(tmp_path, included, closed):
    """They may have held a <Limit>; a pattern that finds nothing is no mistake there."""
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/a.conf").write_text("MaxInstances 7\n")
    path = tmp_path / "proftpd.conf"
    path.write_text(f"Port 2121\nInclude {tmp_path}/{included}\n")
    text, lost = converted(path, "proftpd")
    assert ("not_imported = " in text) == closed and included in str(lost)
    assert ("max_sessions = 7" in text) == (included == "outer"), "a directory means its files"


def test_sftpplus_passwords_in_clear_are_no_hashes(tmp_path):
    path = tmp_path / "server.ini"
    path.write_text("[accounts/1]\nname = john\nenabled = yes\npassword = letmein\nhome_folder_path = /srv/john\n")
    text, lost = converted(path, "sftpplus")
    assert "letmein" not in text + str(lost) and "no hash that is understood" in str(lost)
