"""POSIX ACLs over FTP, on files of a real file system."""
import ftplib
import io
import os
import subprocess

import pytest

from conftest import UIDS


def facl(*args):
    return subprocess.run(args, capture_output=True, text=True)


@pytest.fixture
def session(server):
    path = f"{server.homes['alice']}/f"
    with open(path, "w") as f:
        f.write("old")
    os.chown(path, UIDS["alice"], UIDS["alice"])
    os.chmod(path, 0o640)
    folder = f"{server.homes['alice']}/d"
    os.makedirs(folder, exist_ok=True)
    os.chown(folder, UIDS["alice"], UIDS["alice"])
    if facl("setfacl", "-b", path).returncode != 0:
        pytest.skip("no ACLs on this file system")
    facl("setfacl", "-b", "-k", folder)
    with server.ftp("alice") as f:
        yield f, path, folder


def code(ftp, command):
    try:
        return int(ftp.sendcmd(command)[:3])
    except ftplib.Error as e:
        return int(str(e)[:3])


def shown(path, *options):
    return facl("getfacl", "-cnp", *options, path).stdout.split()


def test_set_and_get(session):
    ftp, path, _ = session
    assert code(ftp, "SITE SETFACL u::rw,u:7:r,g::r,m::r,o::- /f") == 200
    assert shown(path) == ["user::rw-", "user:7:r--", "group::r--", "mask::r--", "other::---"]
    assert "user:7:r--" in ftp.sendcmd("SITE GETFACL /f")
    assert code(ftp, "SITE SETFACL u::rw,u:7:rw,g::r,m::r,o::- /f") == 200
    assert "#effective:r--" in ftp.sendcmd("SITE GETFACL -e /f")
    assert code(ftp, f"SITE SETFACL u::rw,u:{UIDS['bob']}:rw,g::r,m::rw,o::- f") == 200


@pytest.mark.parametrize("text", ["u::rw,u:7:r,g::r,o::-", "u::rw,u:7:r,u:7:rw,g::r,m::rw,o::-", "u::rwz,g::r,o::-", "u::6,g::4,o::4",
                                  "u::rw,u:99999999999:r,g::r,m::r,o::-", "u::rw,g::r", "u::rw,u:nosuchname:r,g::r,m::r,o::-", "x"])
def test_bad_texts_change_nothing(session, text):
    ftp, path, _ = session
    before = shown(path)
    assert code(ftp, f"SITE SETFACL {text} /f") in (501, 504, 550)
    assert shown(path) == before


def test_default_acl_acts_on_new_files(session):
    ftp, path, folder = session
    assert code(ftp, "SITE SETFACL default u::rwx,u:7:rwx,g::rx,m::rwx,o::- /d") == 200
    assert "default:user:7:rwx" in shown(folder)
    assert "user:7:rwx" in ftp.sendcmd("SITE GETFACL default /d")
    ftp.storbinary("STOR /d/new", io.BytesIO(b"x"))
    assert shown(f"{folder}/new")[:2] == ["user::rw-", "user:7:rwx"] and "mask::rw-" in shown(f"{folder}/new")
    ftp.mkd("/d/sub")
    assert "default:user:7:rwx" in shown(f"{folder}/sub")
    assert code(ftp, "SITE DELDEFACL /d") == 200 == code(ftp, "SITE DELDEFACL /d")
    ftp.storbinary("STOR /d/late", io.BytesIO(b"x"))
    assert "user:7:rwx" not in shown(f"{folder}/late")
    assert code(ftp, "SITE SETFACL default u::rwx,g::rx,o::- /f") in (501, 504, 550, 553)


def test_replaced_file_keeps_its_acl(session):
    ftp, path, _ = session
    assert code(ftp, "SITE SETFACL u::rw,u:7:rw,g::r,m::rw,o::- /f") == 200
    before = shown(path)
    inode = os.stat(path).st_ino
    ftp.storbinary("STOR /f", io.BytesIO(b"new content"))
    with open(path) as f:
        assert f.read() == "new content"
    assert shown(path) == before
    assert os.stat(path).st_ino != inode, "the upload was not atomic"


def test_chmod_moves_the_mask_only(session):
    ftp, path, _ = session
    code(ftp, "SITE SETFACL u::rw,u:7:rw,g::rw,m::rw,o::- /f")
    assert code(ftp, "SITE CHMOD 640 /f") == 200
    assert "user:7:rw-" in shown(path)
    assert "mask::r--" in shown(path) and "group::rw-" in shown(path)


def test_rights_decide(server):
    with server.ftp("reader") as ftp:
        assert code(ftp, "SITE SETFACL u::rw,g::r,o::- /") == 550
        assert code(ftp, "SITE DELDEFACL /") == 550
        assert ftp.sendcmd("SITE GETFACL /").startswith("2")


def test_auto_mask(serve):
    server = serve("acl_auto_mask = yes")
    path = f"{server.homes['alice']}/f"
    with open(path, "w") as f:
        f.write("x")
    os.chown(path, UIDS["alice"], UIDS["alice"])
    with server.ftp("alice") as ftp:
        assert code(ftp, "SITE SETFACL u::rw,u:7:rw,g::r,o::- /f") == 200
    assert "mask::rw-" in shown(path)
