"""Uploads that break off, over TLS: the client has the answer, and the end of the data connection in order."""
import errno
import ftplib
import io
import os
import re
import socket
import ssl
import struct
import subprocess

import pytest
from conftest import ALL, UIDS, password_hash
from passfs import PassFS
from test_clients_tls import need
from tlsserver import TlsServer, run, write
from userfs import WRITE

VERSIONS = [pytest.param(ssl.TLSVersion.TLSv1_2, id="tls1.2"), pytest.param(ssl.TLSVersion.TLSv1_3, id="tls1.3")]
SIZES = [300_000, 2_000_000, 30_000_000]
LIMITS = """[class small]
members = bob
max_file_size = 100k
[class counted]
members = guest
quota_bytes = 100k
[account guest]
password = %s
home = {dir}/home-guest
run_as = 64112:64112
layer = pyftpdlib %s
[account tenant]
password = %s
home = {dir}/home-tenant
run_as = 64111:64111
layer = pyftpdlib %s""" % (password_hash("guest"), ALL, password_hash("tenant"), ALL)
# Whose limit, and what is answered.
REFUSALS = {"disk": ("alice", 452, "space"), "size": ("bob", 552, ""), "quota": ("guest", 552, ""), "system": ("tenant", 552, "quota")}


class QuotaFS(PassFS):
    """Has a quota of its own, as those of the file system are."""
    most = 100_000

    def answer(self, kind, node, body):
        if kind == WRITE and sum(struct.unpack_from("<8xQI", body)) > self.most:
            raise OSError(errno.EDQUOT, "")
        return super().answer(kind, node, body)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Each account has another reason why there is no room."""
    def prepare(directory):
        for name, uid in (("guest", UIDS["bob"]), ("tenant", UIDS["alice"])):
            os.mkdir(f"{directory}/home-{name}")
            os.chown(f"{directory}/home-{name}", uid, uid)

    s = TlsServer(prepare=prepare, server=f"quota_directory = {tmp_path_factory.mktemp('quota')}/q", sections=LIMITS)
    s.homes.update({name: f"{s.dir}/home-{name}" for name in ("guest", "tenant")})
    top = s.homes["alice"] + "/full"
    os.mkdir(top)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0777", "none", top], capture_output=True).returncode != 0:
        s.clean()
        pytest.skip("no tmpfs can be mounted here")
    for user in ("bob", "guest"):
        os.mkdir(f"{s.homes[user]}/full")
        os.chmod(f"{s.homes[user]}/full", 0o777)
    try:
        os.mkdir(f"{s.dir}/behind")
        os.chmod(f"{s.dir}/behind", 0o777)
        with QuotaFS(f"{s.homes['tenant']}/full", f"{s.dir}/behind"):
            yield s
    finally:
        subprocess.run(["umount", "-l", top], check=True)
        s.clean()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("why", REFUSALS)
def test_ftplib_reads_the_answer(tls, why, version, size):
    user, code, text = REFUSALS[why]
    f = tls.ftps(user, context=tls.context(version))
    f.cwd("full")
    for _ in range(2):
        with pytest.raises(ftplib.Error, match=f"^{code}.*{text}"):
            f.storbinary("STOR big", io.BytesIO(b"y" * size))
        assert f.nlst() == []
    f.quit()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("why", REFUSALS)
def test_curl_reads_the_answer(tls, tmp_path, why, version):
    need("curl")
    user, code, _ = REFUSALS[why]
    write(f"{tmp_path}/big", b"y" * 3_000_000)
    r = run("curl", "-sS", "-v", "-k", "--ssl-reqd", f"--tlsv{version}", "--tls-max", version, "-T", f"{tmp_path}/big",
            "--max-time", "30", f"ftp://{user}:{user}@127.0.0.1:{tls.port}/full/", text=True)
    assert r.returncode in (18, 25, 70) and re.search(f"^< {code} ", r.stderr, re.M), r.stderr[-1500:]


@pytest.mark.parametrize("version", ["VERS-TLS1.2", "VERS-TLS1.3"])
@pytest.mark.parametrize("why", REFUSALS)
def test_lftp_reads_the_answer(tls, tmp_path, why, version):
    need("lftp")
    user, code, _ = REFUSALS[why]
    write(f"{tmp_path}/big", b"y" * 3_000_000)
    r = run("lftp", "-c", f"debug 3; set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no; set ftp:ssl-force yes;"
            f"set ftp:ssl-protect-data yes; set ssl:priority NORMAL:-VERS-ALL:+{version};"
            f"open -u {user},{user} 127.0.0.1:{tls.port}; cd full; put {tmp_path}/big", text=True)
    assert r.returncode != 0 and re.search(f"<--- {code} |: {code} ", r.stderr), r.stderr[-1500:]


@pytest.mark.parametrize("protect", [True, False], ids=["tls", "clear"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_upload_that_is_aborted_ends_in_order(tls, version, protect):
    """The client waits for our closing message, and what it had on the way resets nothing."""
    f = tls.ftps("bob", context=tls.context(version))
    if not protect:
        f.prot_c()
    f.cwd("full")
    for _ in range(3):
        data = f.transfercmd("STOR part")
        data.sendall(b"z" * 50_000)
        assert f.abort().startswith("426")
        assert f.getmultiline().startswith("226")
        data.sendall(b"z" * 3000)
        if protect:
            data.unwrap().close()
        else:
            data.close()
        assert f.voidcmd("NOOP").startswith("200")
    # One that keeps its connection is served at once.
    data = f.transfercmd("STOR part")
    data.sendall(b"z" * 50_000)
    f.abort()
    f.getmultiline()
    f.voidcmd("NOOP")
    data.close()
    f.quit()


@pytest.mark.parametrize("begins", [False, True], ids=["waits", "handshakes"])
@pytest.mark.parametrize("version", VERSIONS)
def test_refused_before_it_began(tls, version, begins):
    """Nobody has answered a TLS handshake yet: the client sees the end, no reset, whether it has begun one or sends at once."""
    f = tls.ftps("guest", context=tls.context(version))
    f.storbinary("STOR all", io.BytesIO(b"y" * 102_400))
    for _ in range(2):
        plain = socket.create_connection(f.makepasv(), f.timeout)
        data = tls.context(version).wrap_socket(plain, do_handshake_on_connect=False)
        if begins:
            data.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                data.do_handshake()
            data.settimeout(f.timeout)
        with pytest.raises(ftplib.error_perm, match="^552"):
            f.voidcmd("STOR more")
        with pytest.raises((ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            data.do_handshake()
        data.close()
        assert f.voidcmd("NOOP").startswith("200")
    f.delete("all")
    f.quit()
