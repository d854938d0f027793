"""sallyctl check, sallyportd check-config and reload: would a restart with these files work on this machine?"""
import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import BUILD, ROLE_USERS, UIDS, Server, free_port
from tlsserver import make_cert, run

BOTH = ([f"{BUILD}/sallyctl", "--config"], [f"{BUILD}/sallyportd", "-f"])


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


def ways_to_be_wrong(d):
    """name -> (certificate, key, a word of the message)."""
    for name in ("good", "other"):
        make_cert(d, name)
    made = {"not its key's": ("good.pem", "other.key", "does not belong"), "good": ("good.pem", "good.key", "")}
    req = ["req", "-x509", "-nodes", "-subj", "/CN=x"]
    openssl(*req, "-newkey", "rsa:1024", "-keyout", "weak.key", "-out", "weak.pem", cwd=d)
    made["weak key"] = ("weak.pem", "weak.key", "1024")
    openssl("genrsa", "-aes128", "-passout", "pass:x", "-out", "locked.key", "2048", cwd=d)
    made["passphrase"] = ("good.pem", "locked.key", "passphrase")
    for name, text in (("empty", ""), ("rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")):
        for end in ("pem", "key"):
            with open(f"{d}/{name}.{end}", "w") as f:
                f.write(text)
        made[f"{name} certificate"] = (f"{name}.pem", "good.key", "no certificate")
        made[f"{name} key"] = ("good.pem", f"{name}.key", "no private key")
    # An authority, one below it, and what they issue.
    ca = "[v3]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n[ee]\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n"
    with open(f"{d}/ext", "w") as f:
        f.write(ca)
    openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", cwd=d)
    openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=mid", cwd=d)
    for name, issuer, section, digest in (("mid", "root", "v3", "sha256"), ("leaf", "mid", "ee", "sha256"), ("sha1", "mid", "ee", "sha1")):
        openssl("req", "-nodes", "-newkey", "rsa:2048", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=d)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial", "-days", "30",
                f"-{digest}", "-extfile", "ext", "-extensions", section, "-out", f"{name}.pem", cwd=d)
    for name, parts in (("chain", ("leaf", "mid")), ("broken", ("leaf", "root")), ("forged", ("leaf", "stranger")), ("old-digest", ("sha1", "mid"))):
        with open(f"{d}/{name}.pem", "w") as f:
            f.write("".join(open(f"{d}/{p}.pem").read() for p in parts))
    made["a whole chain"] = ("chain.pem", "leaf.key", "")
    made["broken chain"] = ("broken.pem", "leaf.key", "chain is broken")
    made["an issuer of that name with another key"] = ("forged.pem", "leaf.key", "chain is broken")
    made["weak signature"] = ("old-digest.pem", "sha1.key", "signature")
    # Dates: -not_before of "openssl ca" is the only way in OpenSSL 3.0.
    os.mkdir(f"{d}/db")
    open(f"{d}/db/index", "w").close()
    with open(f"{d}/ca.conf", "w") as f:
        f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=db/index\nnew_certs_dir=db\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
    openssl("req", "-new", "-key", "good.key", "-subj", "/CN=x", "-out", "good.csr", cwd=d)
    for name, begin, end in (("expired", "20200101000000Z", "20210101000000Z"), ("early", "20900101000000Z", "20910101000000Z")):
        openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-selfsign", "-keyfile", "good.key", "-in", "good.csr", "-startdate", begin,
                "-enddate", end, "-out", f"{name}.pem", cwd=d)
    made["expired"] = ("expired.pem", "good.key", "expired")
    made["not yet valid"] = ("early.pem", "good.key", "not valid before")
    return made


DATED = ("expired", "not yet valid")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    d = tmp_path_factory.mktemp("pairs")
    os.chmod(d, 0o755)
    return str(d), ways_to_be_wrong(str(d))


def check(directory, server="", sections="", **users):
    conf = f"{directory}/check.conf"
    lines = "".join(f"{k} = {v}\n" for k, v in (ROLE_USERS | users).items())
    with open(conf, "w") as f:
        listen = "" if "[listener" in sections else f"listen = 127.0.0.1:{free_port()}\n"
        f.write(f"[server]\n{lines}control_socket = {directory}/nobody\n{listen}{server}\n{sections}\n")
    os.chmod(conf, 0o600)
    said = []
    for command in BOTH:
        r = run(*command, conf, "check" if "sallyctl" in command[0] else "check-config")
        said.append((r.returncode, r.stdout.decode()))
    assert said[0] == said[1], "the two differ"
    return said[0]


def test_check_refuses_certificates_that_cannot_serve(pairs, tmp_path):
    d, made = pairs
    for name, (cert, key, word) in made.items():
        code, text = check(tmp_path, "accounts = config", f"[tls]\ncertificate = {d}/{cert}\nprivate_key = {d}/{key}")
        assert (code == 0) == (word == ""), (name, text)
        assert word == "" or any("warning:" not in line and word in line for line in text.splitlines()), (name, text)
    # In a listener's section as well, and not where TLS is off.
    port, wrong = free_port(), f"certificate = {d}/good.pem\nprivate_key = {d}/other.key\n"
    listener = f"[listener a]\nlisten = 127.0.0.1:{port}\n"
    assert check(tmp_path, "accounts = config", listener + wrong + "tls = control")[0] == 78
    assert check(tmp_path, "accounts = config", listener + wrong + "tls = off\n[tls]\ntls = off")[0] == 0


def test_check_warns_of_a_missing_intermediate(pairs, tmp_path):
    code, text = check(tmp_path, "accounts = config", f"[tls]\ncertificate = {pairs[0]}/leaf.pem\nprivate_key = {pairs[0]}/leaf.key")
    assert code == 0 and "issuer is neither in the file nor known" in text, text


def test_reload_refuses_what_a_restart_could_not_serve(pairs, tmp_path):
    """The old pair goes on serving, and the reason is told; a certificate whose time is over is a warning."""
    d, made = pairs
    os.chmod(tmp_path, 0o755)
    cert, key = f"{tmp_path}/use.pem", f"{tmp_path}/use.key"

    def use(pair):
        for source, target in zip(pair, (cert, key)):
            shutil.copy(f"{d}/{source}", f"{target}.new")
            os.rename(f"{target}.new", target)

    use(made["a whole chain"])
    server = Server(f"{tmp_path}", "", f"[tls]\ncertificate = {cert}\nprivate_key = {key}")
    try:
        for name, pair in made.items():
            use(pair)
            r = run(f"{BUILD}/sallyctl", "--socket", f"{tmp_path}/control", "reload")
            text = (r.stdout + r.stderr).decode()
            if pair[2] == "":
                assert r.returncode == 0 and "Warning" not in text, (name, text)
                continue
            assert (r.returncode == 0) == (name in DATED), (name, text)
            assert ("Warning: " in text and "clients refuse it" in text) if name in DATED else "use.pem: " in text, (name, text)
            if name not in DATED:
                # What was good is still there, whatever the file holds now.
                r = run("curl", "-sS", "-k", "--ssl-reqd", server.url("/"))
                assert r.returncode == 0, (name, r.stderr)
            use(made["a whole chain"])
            assert run(f"{BUILD}/sallyctl", "--socket", f"{tmp_path}/control", "reload").returncode == 0
    finally:
        server.clean()


def test_check_asks_the_machine(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as program:
        port = taken.getsockname()[1]
        program.bind(f"{tmp_path}/dead")	# nobody listens
        (tmp_path / "db").write_text("no database at all, and longer than a header of SQLite would ever have to be to be read" * 5)
        (tmp_path / "db").chmod(0o600)
        for settings, sections, word in (
                ("accounts = config", f"[listener a]\nlisten = 127.0.0.1:{port}", "in use"),
                ("accounts = config", "[listener a]\nlisten = 203.0.113.77:2121", "no such address"),
                ("accounts = external\nexternal_socket = /nowhere/at/all", "", "external_socket"),
                (f"accounts = external\nexternal_socket = {tmp_path}/dead", "", "external_socket"),
                ("accounts = pam\npam_service = no-such-service", "", "PAM service"),
                (f"accounts = passwd_file\npasswd_file = {tmp_path}/none", "", "passwd_file"),
                (f"accounts = database\naccounts_database = {tmp_path}/db", "", "source database"),
                ("accounts = config\ncontrol_group = nobody-has-this-name", "", "no such group"),
                ("accounts = config\nquota_directory = /nowhere/at/all", "", "quota_directory"),
                ("accounts = config\nxferlog = /nowhere/x.log", "", "/nowhere: No such"),
                (f"accounts = config\nxferlog = {tmp_path}", "", "this is a directory"),
                ("accounts = postgresql\npostgresql = host=/nowhere dbname=x", "", "source postgresql")):
            code, text = check(tmp_path, settings, sections)
            assert code == 78 and any("warning:" not in line and word in line for line in text.splitlines()), (settings, sections, text)
    for user in ("nobody-has-this-name", "root"):
        code, text = check(tmp_path, "accounts = config", worker_user=user)
        assert code == 78 and "worker_user" in text, text


def test_check_warns_of_accounts_below_uid_min(tmp_path):
    account = "[account low]\nrun_as = daemon\nhome = /tmp\npassword = $6$x$y"
    code, text = check(tmp_path, "accounts = config", account)
    assert code == 0 and re.search(r'warning: "low": nobody can log in: its user id 1 is below uid_min', text), text
    assert "uid_min" not in check(tmp_path, "accounts = config\nuid_min = 1", account)[1]


def test_check_tries_expectations(tmp_path):
    os.mkdir(tmp_path / "home")
    os.chown(tmp_path / "home", UIDS["alice"], UIDS["alice"])
    account = f"[account alice]\nrun_as = {UIDS['alice']}:{UIDS['alice']}\nhome = {tmp_path}/home\nlayer = pyftpdlib elr\npassword = $6$x$y"
    for line, good in (("alice RETR /x -> allow", True), ("alice STOR /x -> allow", False), ("alice STOR /x -> maybe", False)):
        (tmp_path / "expect").write_text(line + "\n")
        code, text = check(tmp_path, f"accounts = config\nexpectations = {tmp_path}/expect", account)
        assert (code == 0) == good and ("expect:1" in text) != good, text
