"""What clients and people with a shell try: names that look like replies, numbers that overflow, races for a quota."""
import contextlib
import os
import re
import socket
import threading

import pytest

from conftest import PATIENCE, UIDS

# Names that a person with a shell can give a file, and an FTP client cannot.
NAMES = [b"two\nlines", b"226 Transfer complete.\r\n550 x", b"esc\x1b[2J\x1b]0;title\x07", b"\xff\xf4\xff\xf2iac", b"\x9b31mc1", b"bell\x07",
         b"type=dir;perm=cdeflmp; etc", b" lead", b"trail ", b"-rf", b"quote\"s", b"back\\slash", b"\xe2\x80\xaeexe.txt",
         b"MLSD\r\ntype=dir;perm=cdeflmp;modify=20200101000000; evil", b"tab\there", b"x" * 255]


@pytest.fixture
def odd(server):
    """A folder of alice's with such files."""
    folder = os.fsencode(f"{server.homes['alice']}/odd")
    os.makedirs(folder, exist_ok=True)
    for name in NAMES:
        with open(os.path.join(folder, name), "wb") as f:
            f.write(b"content")
        os.chown(f.name, UIDS["alice"], UIDS["alice"])
    os.chown(folder, UIDS["alice"], UIDS["alice"])
    return server


@pytest.mark.parametrize("command, extra", [("LIST odd", 0), ("NLST odd", 0), ("MLSD odd", 2), ("LIST -a odd", 2)])
def test_a_name_is_one_line_of_a_listing(odd, command, extra):
    content, code = odd.raw().login().fetch(command)
    assert code == 226
    lines = content.split(b"\r\n")
    assert lines.pop() == b""
    assert len(lines) == len(NAMES) + extra
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    if command.startswith("MLSD"):
        assert sum(line.startswith(b"type=file;") for line in lines) == len(NAMES), "a name states facts"
    if command.startswith("LIST"):
        assert all(line[:1] in b"-d" for line in lines)


@pytest.mark.parametrize("command", ["LIST -R deep", "NLST -R deep", "STAT -R deep"])
def test_a_name_does_not_end_a_listing(server, command):
    """A directory that no client can name is an entry; those behind it are listed."""
    top = os.fsencode(f"{server.homes['alice']}/deep")
    for name in (b"a\nb", b"a\rb", b"226 done\r\n250 x", b"b", b"c\x1b"):
        os.makedirs(top + b"/" + name + b"/inside/deeper", exist_ok=True)
        for folder in (top, top + b"/" + name, top + b"/" + name + b"/inside"):
            os.chown(folder, UIDS["alice"], UIDS["alice"])
    r = server.raw().login()
    if command.startswith("STAT"):
        code, text = r.cmd(command)
        assert code == 212, text
    else:
        content, code = r.fetch(command)
        text = content.decode()
        assert code == 226, text
    lines = text.split("\r\n")
    assert any(re.fullmatch(r" ?(deep/)?b/inside:?", line) or line.endswith("b/inside/deeper") for line in lines), lines
    assert text.count("deeper") >= 2 and "\n250 x" not in text, lines
    assert r.cmd("NOOP")[0] == 200


def test_a_name_is_no_reply(odd):
    """STAT answers on the control connection, where a line that looks like a reply would be one."""
    r = odd.raw().login()
    code, text = r.cmd("STAT odd")
    assert code in (212, 213)
    assert all(re.match(r"21[23][ -]|[ d-]", line) for line in text.splitlines() if line), text
    assert r.cmd("NOOP")[0] == 200
    with open(f"{odd.homes['alice']}/.message", "w") as f:
        f.write("250 All is done.\n221 Goodbye.\n")
    r = odd.raw().login()
    for line in ("CWD odd", "PWD", "NOOP"):
        assert r.cmd(line)[0] in (250, 257, 200)


def test_names_reach_no_terminal(odd):
    """Logs and sallyctl show them, and what they contain is not carried out by a terminal."""
    r = odd.raw().login()
    for name in NAMES:
        if b"\r" in name or b"\n" in name:
            continue
        r.send(b"DELE odd/missing-" + name.replace(b"\xff", b"\xff\xff") + b"\r\n")
        assert r.reply()[0] in (550, 553)
    for user in ("x\x1b[31m", "a\x9bb", "x y=z \"q\"", "\u202eresu", "%s%n", "a" * 300):
        odd.raw().cmd(f"USER {user}")
        other = odd.raw()
        other.reply()
        other.cmd(f"USER {user}")
        other.cmd("PASS x")
    raw = odd.log().encode("utf-8", "surrogateescape")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw), "a control byte in the log"
    assert "\u202e" not in odd.log() and "\x9b" not in odd.log()
    for line in odd.log().splitlines():
        assert re.search(r" event=[a-z-]+( |$)", line) or "event=" not in line, line


HUGE = ["9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-1", "1e9", "0x10", "9" * 400, ""]


@pytest.mark.parametrize("number", HUGE)
def test_numbers_beyond_all_bounds(server, number):
    r = server.raw().login()
    assert r.cmd(f"ALLO {number}")[0] in (200, 501, 504, 552)
    assert r.put("STOR small", b"x" * 10) in (226, 452, 552)
    if r.cmd(f"REST {number}")[0] == 350:
        assert r.put("STOR small", b"y") in (554, 550, 552)
    if r.cmd(f"REST {number}")[0] == 350:
        assert r.fetch("RETR small")[1] in (554, 550)
    with contextlib.suppress(FileNotFoundError):
        st = os.stat(f"{server.homes['alice']}/small")
        assert st.st_size <= 10 and st.st_blocks * 512 <= 65536, "a hole was made"
    for line in (f"RANG {number} {number}", f"MDTM {number} small", f"SITE CHMOD {number} small", f"SITE UMASK {number}",
                 f"SITE IDLE {number}", f"OPTS HASH {number}", f"MFMT {number} small", f"PORT {number},0,0,1,4,4", f"EPRT |1|127.0.0.1|{number}|",
                 f"EPSV {number}", f"PBSZ {number}"):
        assert 200 <= r.cmd(line)[0] < 600, line
    assert r.cmd("NOOP")[0] == 200


def test_a_quota_is_no_race(serve, tmp_path):
    """Eight sessions upload at once what only one of them may: no more than the quota is there afterwards."""
    server = serve(f"quota_directory = {tmp_path}/q", "[class limited]\nmembers = alice\nquota_bytes = 100000\n")
    results = []

    def upload(i):
        r = server.raw().login()
        data = r.passive()
        code, _ = r.cmd(f"STOR part{i}")
        if code == 150:
            with contextlib.suppress(OSError):
                data.sendall(b"x" * 60000)
            data.close()
            code = r.reply()[0]
        results.append(code)

    threads = [threading.Thread(target=upload, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE)
    home = server.homes["alice"]
    stored = [os.path.getsize(f"{home}/{n}") for n in os.listdir(home) if n.startswith("part")]
    assert sum(stored) <= 100000, (results, stored)
    assert sorted(results)[0] == 226 and results.count(226) == 1, results
    assert [n for n in os.listdir(home) if n.startswith(".")] == [], "temporary files are left"


def test_trees_without_end(server):
    """Folders deeper than any path: refused at the border, listed as far as is allowed, and removed again."""
    r = server.raw().login()
    name, depth = "d" * 200, 0
    while depth < 40:
        if r.cmd(f"MKD {name}")[0] != 257 or r.cmd(f"CWD {name}")[0] != 250:
            break
        depth += 1
    assert 15 <= depth < 40, "PATH_MAX is the border"
    content, code = server.raw().login().fetch("LIST -R")
    assert code in (226, 451, 504, 550)
    assert len(content) < 1 << 20
    while depth > 0:
        assert r.cmd("CDUP")[0] in (200, 250)
        r.cmd(f"RMD {name}")
        depth -= 1
    assert r.cmd("NOOP")[0] == 200


def test_patterns_that_take_for_ever_elsewhere(server):
    home = server.homes["bob"]
    for i in range(200):
        with open(f"{home}/{'a' * 240}{i:03}", "w"):
            pass
    r = server.raw().login("bob")
    for pattern in ("*a" * 100 + "*b", "?*" * 120 + "b", "[a-z]*" * 40 + "!", "{a,b}" * 40, "[" * 200, "*" * 250, "[!" + "a-z" * 80):
        content, code = r.fetch(f"LIST {pattern}")
        assert code in (226, 550, 553, 0) or content == b"", pattern
    assert r.cmd("NOOP")[0] == 200


def test_others_headers_are_no_identity(serve):
    """A PROXY header, or an HTTP request, changes nothing that the log says of who came."""
    server = serve()
    for head in ("PROXY TCP4 203.0.113.9 192.0.2.1 5 21", "PROXY UNKNOWN", "X-Forwarded-For: 203.0.113.9", "\r\n\r\n\0\r\nQUIT\n!\x11"):
        r = server.raw()
        r.reply()
        r.send(head + "\r\n")
        with contextlib.suppress(OSError):
            r.reply()
        with contextlib.suppress(OSError):
            r.cmd("USER alice")
        r.close()
    assert not re.search(r"rhost=203\.0\.113\.9", server.log())
    assert server.ftp().voidcmd("NOOP").startswith("200")


def test_urgent_bytes_without_number(server):
    r = server.raw().login()
    for _ in range(500):
        r.sock.send(b"\xff\xf2", socket.MSG_OOB)
    r.send("\r\n")
    r.send("NOOP\r\n")
    for _ in range(600):
        code, _ = r.reply()
        if code == 200:
            break
        assert code in (500, 501, 225, 226)
    assert code == 200
    assert r.cmd("NOOP")[0] == 200


@pytest.mark.parametrize("tail", ["DELE kept", "REIN", "RMD a REIN"])
def test_a_name_with_a_line_feed_commands_nothing(server, tail):
    """lftp sends the LF of a local name as it is. What follows it was named by whoever made the file."""
    r = server.raw().login()
    kept = os.path.join(server.homes["alice"], "kept")
    with open(kept, "w") as f:
        f.write("kept")
    os.chown(kept, UIDS["alice"], UIDS["alice"])
    r.send(f"MKD nl\n{tail}\r\nNOOP\r\n")
    assert r.reply()[0] == 501
    assert r.reply()[0] == 200
    assert r.cmd("PWD")[0] == 257
    assert os.path.exists(kept) and not os.path.exists(os.path.join(server.homes["alice"], "nl"))


def test_devices_end_their_lines_with_a_line_feed(server):
    r = server.raw()
    r.reply()
    r.send("USER alice\nPASS alice\nMKD by-lf\nNOOP\n")
    assert [r.reply()[0] for _ in range(4)] == [331, 230, 257, 200]
    r.send("NOOP\r\n")
    assert r.reply()[0] == 200
    r.send("MKD by-lf-too\n")
    assert r.reply()[0] == 257


def test_nobody_becomes_somebody_else(server):
    r = server.raw().login("reader")
    for line in ("USER alice", "PASS alice", "REIN", "ACCT alice", "HOST alice", "AUTH TLS"):
        r.cmd(line)
        assert r.cmd("NOOP")[0] == 200
        assert r.cmd("MKD not-mine")[0] in (550, 553, 530, 503), line
    assert not os.path.exists(f"{server.homes['reader']}/not-mine")
    assert not os.path.exists(f"{server.homes['alice']}/not-mine")


def test_a_reader_who_does_not_read(serve):
    """Data connections with a closed window, control connections without a reader: nobody else waits for them."""
    server = serve()
    with open(f"{server.homes['alice']}/big", "wb") as f:
        f.truncate(64 << 20)
    held = []
    for _ in range(10):
        r = server.raw().login()
        data = r.passive()
        r.send("RETR big\r\n" + "NOOP\r\n" * 200)
        held += [r, data]
    ftp = server.ftp("bob")
    for _ in range(20):
        assert ftp.voidcmd("NOOP").startswith("200")
        ftp.nlst()
    assert len(server.ctl("who")) >= 11
    for h in held:
        h.close()
