"""sallyctl import: configurations of other servers, and what is said of the rest."""
import json

import pytest

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
    assert any(x["name"] == "tcp_wrappers" and x["line"] == 34 for x in told["lost"])
    assert "allow_writeable_chroot" in {x["name"] for x in told["unneeded"]}
    s = sections(told["configuration"])
    assert s["server"] | {"accounts": "pam", "default_layer": "posix1e", "umask": "027", "jail": "yes", "pam_service": "vsftpd",
                          "passive_ports": "40000-40999", "passive_address": "203.0.113.7", "max_sessions": "200", "active_port": "20",
                          "max_sessions_per_address": "5", "idle_timeout": "600", "rate_up": "50000", "rate_down": "50000",
                          "home": "/srv/ftp/${USER}/files", "xferlog": "/var/log/vsftpd.xfer", "allowed_users": "alice, bob",
                          "directory_message_file": ".message", "list_owner": "session", "banner": "Welcome"} == s["server"]
    assert s["listener main"]["listen"] == "*:2121"
    assert s["tls"] == {"certificate": "/etc/ssl/ftp.pem", "private_key": "/etc/ssl/ftp.key", "tls": "control", "session_reuse": "never"}
    assert s["class jail-exceptions"] == {"members": "admin, operator", "jail": "no"}
    r = ctl("check", str(ours))
    assert "jail-exceptions" not in r.stdout and "unknown" not in r.stdout


def test_vsftpd_defaults(tmp_path):
    """An empty vsftpd.conf serves anonymous readers only."""
    told, lost, ours = imported(tmp_path, "vsftpd", "")
    s = sections(told["configuration"])
    assert not lost and s["server"]["accounts"] == "anonymous" and s["server"]["jail"] == "no" and s["tls"]["tls"] == "off"
    assert s["account anonymous"] == {"layer": "ups -* +rLC", "jail": "yes"}
    assert ctl("check", str(ours)).returncode == 0


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
    assert lost == {"PureDB", "NoChmod", "CallUploadScript"}
    s = sections(told["configuration"])
    assert s["server"] | {"jail": "yes", "max_sessions": "50", "max_sessions_per_address": "8", "hide_dot_files": "no", "idle_timeout": "15m",
                          "accounts": "database, shadow, anonymous", "list_max_entries": "10000", "list_max_depth": "8", "uid_min": "500",
                          "passive_ports": "30000-50000", "passive_address": "192.0.2.9", "umask": "000", "file_mode": "0644",
                          "dir_mode": "0755", "rate_up": "100K"} == s["server"]
    assert "rate_down" not in s["server"]
    assert s["class everybody"] == {"members": "all", "quota_files": "1000", "quota_bytes": "10M"}
    assert s["account anonymous"]["layer"] == "ups -* +rLC"
    assert s["listener main"]["listen"] == "127.0.0.1:2121"
    assert s["tls"]["tls"] == "control" and s["tls"]["private_key"] == "/etc/ssl/private/pure.pem"


def test_proftpd(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").write_text("TimeoutLogin 33\nRootLogin off\n")
    told, lost, ours = imported(tmp_path, "proftpd", PROFTPD)
    assert lost == {"Directory", "MaxClients", "SomethingElse"}
    s = sections(told["configuration"])
    assert s["server"] | {"umask": "022", "max_sessions": "30", "max_sessions_per_address": "4", "idle_timeout": "600", "stall_timeout": "300",
                          "jail": "yes", "default_layer": "posix1e", "require_valid_shell": "no", "passive_ports": "49152-65534",
                          "passive_address": "ftp.example.org", "banner": "Example files", "rate_down": "102400", "max_file_size": "2G",
                          "accounts": "pam, anonymous", "anonymous_user": "ftp", "login_grace_time": "33"} == s["server"]
    assert s["listener main"]["listen"] == "0.0.0.0:2121"
    assert s["tls"] == {"certificate": "/etc/ssl/p.pem", "private_key": "/etc/ssl/p.key", "tls": "full", "session_reuse": "never"}
    assert s["account anonymous"] == {"layer": "ups -* +rLC", "home": "/srv/pub"}


def test_values_that_we_refuse_are_told(tmp_path):
    told, lost, ours = imported(tmp_path, "vsftpd", "max_per_ip=many\nidle_session_timeout=\x1b[2J\n")
    assert any("many" in x["value"] for x in told["lost"])
    assert "\x1b" not in told["configuration"]


def test_unreadable(tmp_path):
    for server in ("vsftpd", "pure-ftpd", "proftpd"):
        assert ctl("import", server, str(tmp_path / "none")).returncode == 2
