"""Accounts from a program that speaks pure-authd's protocol."""
import contextlib
import ftplib
import os
import socket
import threading
import time

import pytest

from conftest import PATIENCE, wait_for
from manual import display_of

UID = 64140


class Handler:
    """Answers each question with what reply(fields) returns."""

    def __init__(self, path, reply):
        self.questions, self.reply = [], reply
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(16)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        data = b""
        while not data.endswith(b"end\n"):
            part = s.recv(4096)
            if not part:
                return
            data += part
        fields = dict(line.split(":", 1) for line in data.decode("utf-8", "surrogateescape").split("\n")[:-2])
        self.questions.append(fields)
        answer = self.reply(fields)
        if answer is None:
            s.recv(1)       # until the server gives up
        else:
            for piece in (answer[:5], answer[5:]):
                with contextlib.suppress(OSError):
                    s.sendall(piece.encode())
                time.sleep(0.01)
        s.close()


@pytest.fixture
def external(serve, tmp_path):
    def start(reply, order="external", timeout=PATIENCE):
        home = tmp_path / "home"
        (home / "in").mkdir(parents=True)
        os.chown(home, UID, UID)
        h = Handler(str(tmp_path / "authd"), reply)
        s = serve(f"accounts = {order}\nexternal_socket = {tmp_path}/authd\nexternal_timeout = {timeout}\n"
                  f"quota_directory = {tmp_path}\npenalty_failure = 0")
        s.handler, s.home = h, home
        return s
    return start


def test_accepted(external, tmp_path):
    extra = "ups:-w\nratio_upload:1\nratio_download:5\nsftpplus:allow-full-control\nlogin_message:hello there\nuser_quota_files:0\nunknown_key:x\n"
    s = external(lambda f: f"auth_ok:1\nuid:{UID}\ngid:{UID}\ndir:{tmp_path}/home/./in\n{extra}end\n")
    f = ftplib.FTP()
    f.connect("127.0.0.1", s.port)
    assert "hello there" in f.login("ann", "p w: x%s")
    assert f.pwd() == "/in"
    assert "home" not in f.nlst("/")
    f.quit()
    q = s.handler.questions[0]
    assert q["account"] == "ann" and q["password"] == "p w: x%s" and q["peer"] == "127.0.0.1" and q["localport"] == str(s.port)
    assert q["localhost"] == "127.0.0.1" and q["encrypted"] == "0"
    assert "syscall-refused" not in s.log()


def test_answer_of_the_manual(external, tmp_path):
    answer, = display_of("sallyport-accounts.5", "test_answer_of_the_manual")
    for ours, theirs in (("2001", str(UID)), ("/srv/ftp/ann/./incoming", f"{tmp_path}/home/./in"), ("/incoming/", "/in/")):
        answer = answer.replace(ours, theirs)
    s = external(lambda f: answer)
    os.chown(s.home / "in", UID, UID)
    f = s.ftp("ann", "x")
    assert f.pwd() == "/in"
    f.mkd("new")
    with pytest.raises(ftplib.error_perm):
        f.mkd("/new")
    f.quit()
    assert "external-answer-malformed" not in s.log()


OK = f"auth_ok:1\nuid:{UID}\ngid:{UID}\ndir:%s\n"


@pytest.mark.parametrize("answer,code", [
    ("auth_ok:-1\nend\n", 530), ("auth_ok:0\nend\n", 530), ("auth_ok:1\nend\n", 530), ("end\n", 530), ("auth_ok:2\nend\n", 530),
    (OK + "uid:0\nend\n", 530), (OK + "uid:x\nend\n", 530), (OK + "dir:relative\nend\n", 530), (OK + "user_quota_size:many\nend\n", 530),
    (OK + "gid:0\nend\n", 530), (OK + "uid:33\nend\n", 530), (OK + "layer:ups +w\nend\n", 230),
    (OK, 421), ("auth_ok:1", 421), ("", 421), (None, 421), ("x" * 70000, 421)])
def test_answers(external, tmp_path, answer, code):
    s = external(lambda f: answer if answer is None or "%" not in answer else answer % f"{tmp_path}/home",
                 timeout=2 if answer is None else PATIENCE)
    r = s.raw()
    r.reply()
    r.cmd("USER ann")
    assert r.cmd("PASS x")[0] == code
    r.close()


def test_unknown_goes_on_and_breakage_does_not(external):
    s = external(lambda f: "auth_ok:0\nend\n", "external, config")
    s.ftp("alice").quit()
    s.handler.sock.shutdown(socket.SHUT_RDWR)
    s.handler.sock.close()
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("alice")
    s.wait_log("account-source-unusable")


def test_one_hangs_others_go_on(external):
    s = external(lambda f: None if f["account"] == "slow" else "auth_ok:0\nend\n", "external, config", timeout=2)
    r = s.raw()
    r.reply()
    r.cmd("USER slow")
    r.send("PASS x\r\n")
    wait_for(lambda: s.ftp("alice").quit())
    assert r.reply()[0] == 421
