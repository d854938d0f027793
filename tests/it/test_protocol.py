"""The protocol over the wire: codes of every verb before and after login, bad lines, transfers that are
interrupted, types, offsets, data connections, and what particular clients are known to send."""
import hashlib
import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import zlib

import pytest

from conftest import PATIENCE, Raw, UIDS, alive, free_port, read_all, wait_for

IAC_IP_DM = b"\xff\xf4\xff\xf2"
BIG = 64 << 20


def home(server, name="", user="alice"):
    return os.path.join(server.homes[user], name)


def write(server, name, content, user="alice"):
    with open(home(server, name, user), "wb") as f:
        f.write(content)
    os.chown(home(server, name, user), UIDS[user], UIDS[user])


def read(server, name):
    with open(home(server, name), "rb") as f:
        return f.read()


def sparse(server, name, size):
    write(server, name, b"")
    os.truncate(home(server, name), size)


@pytest.fixture
def raw(server):
    r = server.raw().login()
    assert r.cmd("TYPE I")[0] == 200
    yield r
    r.close()


def greeted(server):
    r = server.raw()
    assert r.reply()[0] == 220
    return r


# --------------------------------------------------------------------- every verb, before and after login

# line, code before login, code after it
CODES = [
    ("ACCT x", 202, 202), ("ALLO 10", 200, 200), ("ALLO 10 R 10", 200, 200), ("ALLO x", 501, 501), ("ALLO -1", 501, 501),
    ("APPE f", 530, 425), ("APPE", 530, 501), ("AVBL", 530, 213), ("AVBL /", 530, 213),
    ("CDUP", 530, 250), ("XCUP", 530, 250), ("CLNT test 1.0", 200, 200), ("CSID Name=t;", 200, 200), ("CSID", 501, 501),
    ("CWD", 530, 501), ("CWD /", 530, 250), ("CWD missing", 530, 550), ("XCWD /", 530, 250),
    ("DELE", 530, 501), ("DELE missing", 530, 550),
    ("EPRT |1|127.0.0.1|", 530, 501), ("EPRT |3|127.0.0.1|5000|", 530, 522), ("EPSV 2", 530, 522), ("EPSV 9", 530, 522),
    ("EPSV x", 530, 501), ("EPSV", 530, 229), ("EPSV 1", 530, 229),
    ("FEAT", 211, 211), ("HASH missing", 530, 550), ("HELP", 214, 214), ("HELP RETR", 214, 214), ("HELP nonsense", 501, 501),
    ("HOST localhost", 220, 503), ("HOST localhost ", 220, 503), ("HOST localhost:21", 501, 503), ("HOST [::1]", 220, 503),
    ("HOST [::1]:21", 501, 503), ("HOST ::1", 501, 503), ("HOST 127.0.0.1", 220, 503), ("HOST 127.0.0.1:21", 501, 503),
    ("HOST 127.0.0.256", 501, 503), ("HOST a..b", 501, 503), ("HOST -a", 501, 503), ("HOST a b", 501, 503), ("HOST a/b", 501, 503),
    ("HOST .", 501, 503), ("HOST []", 501, 503), ("HOST [127.0.0.1]", 501, 503), ("HOST " + "a" * 64, 501, 503), ("HOST", 501, 503),
    ("LANG EN", 200, 200), ("LANG FR", 504, 504),
    ("LIST", 530, 425), ("MLSD", 530, 425), ("NLST", 530, 425), ("STOU", 530, 425), ("RETR f", 530, 425), ("STOR f", 530, 425),
    ("RETR", 530, 501), ("STOR", 530, 501),
    ("MDTM", 530, 501), ("MDTM missing", 530, 550), ("MFMT", 530, 501), ("MFMT 20200101000000 missing", 530, 550),
    ("MFMT never missing", 530, 501), ("MFF Modify=20200101000000; missing", 530, 550), ("MFF Colour=red; x", 530, 504),
    ("MKD", 530, 501), ("XMKD", 530, 501), ("MLST /", 530, 250), ("MLST missing", 530, 550),
    ("MODE S", 200, 200), ("MODE s", 200, 200), ("MODE B", 504, 504), ("MODE C", 504, 504), ("MODE", 501, 501),
    ("NOOP", 200, 200), ("NOOP anything", 200, 200), ("noop", 200, 200),
    ("OPTS UTF8 ON", 200, 200), ("OPTS UTF8", 200, 200), ("OPTS UTF8 OFF", 200, 200), ("OPTS MLST type;size;", 200, 200),
    ("OPTS MLST", 200, 200), ("OPTS MLST size", 501, 501),
    ("OPTS MLST type;size", 501, 501), ("OPTS MLST ;", 501, 501), ("OPTS MLST type;;size;", 501, 501), ("OPTS MLST ty pe;", 501, 501),
    ("OPTS MLST type; size;", 501, 501), ("OPTS MLST type=1;", 501, 501), ("OPTS MLST nonsense;", 200, 200),
    ("OPTS nonsense", 501, 501), ("OPTS", 501, 501),
    ("PASV", 530, 227), ("PASV ", 530, 227), ("EPSV ", 530, 229), ("EPSV 1 ", 530, 229), ("STAT  ", 211, 211), ("PWD ", 530, 257),
    ("CDUP ", 530, 250), ("FEAT ", 211, 211), ("SYST ", 215, 215), ("HELP ", 214, 214), ("HELP RETR ", 214, 214), ("MLST ", 530, 250),
    ("AVBL ", 530, 213), ("TYPE I ", 200, 200), ("STRU F ", 200, 200), ("MODE S ", 200, 200), ("ALLO 0 ", 200, 200), ("LANG EN ", 200, 200),
    ("OPTS UTF8 ON ", 200, 200), ("PBSZ 0 ", 503, 503), ("ABOR ", 530, 226), ("SITE ", 530, 501), ("REIN ", 220, 220),
    ("PASV x", 530, 501), ("PORT", 530, 501), ("PORT 1,2,3", 530, 501), ("PORT 127,0,0,1,300,1", 530, 501),
    ("PWD", 530, 257), ("XPWD", 530, 257), ("RANG 1 0", 530, 350), ("RANG 5 2", 530, 501), ("REST 0", 530, 350), ("REST 0 ", 530, 350), ("REST 0 x", 530, 501), ("RANG 1 0 ", 530, 350),
    ("REST -1", 530, 501), ("REST x", 530, 501), ("REST 99999999999999999999", 530, 501),
    ("RMD", 530, 501), ("RMD missing", 530, 550), ("XRMD missing", 530, 550), ("RNFR missing", 530, 550), ("RNTO x", 530, 503),
    ("SITE HELP", 530, 214), ("SITE nonsense", 530, 500), ("SITE HELP ", 530, 214), ("SITE UMASK 022 ", 530, 200), ("SITE", 530, 501), ("SIZE", 530, 501), ("SIZE missing", 530, 550),
    ("SIZE /", 530, 550), ("SMNT x", 530, 502), ("STAT", 211, 211), ("STAT /", 530, 212), ("STAT missing", 530, 550),
    ("STRU F", 200, 200), ("STRU f", 200, 200), ("STRU R", 504, 504), ("STRU P", 504, 504), ("SYST", 215, 215),
    ("USER", 501, 501), ("XCRC missing", 530, 550), ("XMD5 missing", 530, 550), ("XSHA missing", 530, 550),
    ("XSHA256 missing", 530, 550), ("XSHA512 missing", 530, 550), ("MD5 missing", 530, 550),
    ("ADAT x", 502, 502), ("MIC x", 502, 502), ("CONF x", 502, 502), ("ENC x", 502, 502),
    ("LPRT 4,4", 530, 502), ("LPSV", 530, 502), ("MFCT 20200101000000 f", 530, 502), ("RNTO missing/x", 530, 503),
    ("NONSENSE", 500, 500), ("\u00e4\u00f6", 500, 500), ("123", 500, 500),
    ("AUTH TLS", (502, 504, 530, 534), (502, 503, 504, 530, 534)), ("PBSZ 0", 503, 503), ("PROT P", (503, 536), (503, 536)),
    ("REIN x", 501, 501), ("REIN", 220, 220), ("ABOR", 530, 226),
]


def fits(code, expected):
    return code in expected if isinstance(expected, tuple) else code == expected


def test_codes_before_login(serve):
    server = serve()
    wrong = []
    r = greeted(server)
    for n, (line, before, _) in enumerate(CODES):
        if n % 8 == 0:
            r.close()
            r = greeted(server)
        code, text = r.cmd(line)
        if not fits(code, before):
            wrong.append(f"{line!r}: {text!r}, not {before}")
            if code == 0:
                r = greeted(server)
    assert not wrong, "\n".join(wrong)


def test_codes_after_login(serve):
    server = serve()
    wrong = []
    for n, (line, _, after) in enumerate(CODES):
        if n % 8 == 0:
            r = server.raw().login()
        if after == 425:
            r.cmd("REST 0")
            r.close()
            r = server.raw().login()
        code, text = r.cmd(line)
        if not fits(code, after):
            wrong.append(f"{line!r}: {text!r}, not {after}")
        if code in (0, 220):
            r.close()
            r = server.raw().login()
    assert not wrong, "\n".join(wrong)


def test_login_dialogue(server):
    r = greeted(server)
    assert r.cmd("PASS x")[0] == 503
    assert r.cmd("USER alice")[0] == 331
    assert r.cmd("USER bob")[0] == 331
    assert r.cmd("P@SW bob")[0] == 230
    assert r.cmd("PWD")[1].startswith('257 "/"')
    assert r.cmd("USER bob")[0] in (230, 331, 503, 530)
    assert r.cmd("USER alice")[0] in (503, 530)
    assert r.cmd("PASS alice")[0] in (503, 202, 230)
    assert r.cmd("QUIT")[0] == 221
    assert r.reply()[0] == 0


# ----------------------------------------------------------------------------------------------- REIN

def processes_of(server, r):
    peer = "%s:%d" % r.sock.getsockname()
    return next(w["pids"] for w in server.ctl("who") if w["peer"] == peer)


def test_rein_gives_the_same_connection_to_another_session(server):
    write(server, "mine", b"alice's")
    r = server.raw().login("alice")
    for user in ("bob", "alice", "reader", "alice"):
        before = processes_of(server, r)
        assert r.cmd("MKD never")[0] in (257, 550)
        assert r.cmd("TYPE I")[0] == 200 and r.cmd("REST 3")[0] == 350
        code, text = r.cmd("REIN")
        assert code == 220, text
        after = processes_of(server, r)
        assert not set(before.values()) & set(after.values()), "no process serves two logins"
        wait_for(lambda: not any(map(alive, before.values())), "a process of the session before lives on")
        for line, code in (("PWD", 530), ("LIST", 530), ("RETR mine", 530), ("PASS alice", 503), ("SITE HELP", 530)):
            assert r.cmd(line)[0] == code, line
        assert r.cmd(f"USER {user}")[0] == 331 and r.cmd(f"PASS {user}")[0] == 230
        assert ("mine" in r.fetch("NLST")[0].decode()) == (user == "alice")
    assert r.cmd("QUIT")[0] == 221
    r.close()


@pytest.mark.parametrize("rein", [b"REIN\r\n", b"rein \r\n", b"  ReIn\n", IAC_IP_DM + b"REIN\r\n"])
def test_what_is_sent_behind_rein_is_for_the_next_session(server, rein):
    """None of it is lost, and none is carried out by the session that is ending, however it was cut into packets."""
    lines = b"MKD one\r\n" + rein + b"MKD two\r\nUSER bob\r\nPASS bob\r\nMKD three\r\n" + rein + b"USER alice\r\nPASS alice\r\nRMD one\r\n"
    codes = [257, 220, 530, 331, 230, 257, 220, 331, 230, 250]
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(home(server, "three", "bob"))
    for size in (len(lines), 1, 7, 30):
        r = server.raw().login()
        r.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(lines), size):
            r.send(lines[i:i + size])
        assert [r.reply()[0] for _ in codes] == codes, size
        assert os.path.isdir(home(server, "three", "bob")) and not os.path.exists(home(server, "three"))
        assert not os.path.exists(home(server, "two")) and not os.path.exists(home(server, "two", "bob"))
        os.rmdir(home(server, "three", "bob"))
        r.close()


def test_rein_waits_for_the_transfer(server, raw):
    sparse(server, "big", BIG)
    data = raw.passive()
    assert raw.cmd("RETR big")[0] == 150
    raw.send(b"PWD\r\nREIN\r\nUSER bob\r\nPASS bob\r\nMKD behind\r\n")
    assert len(read_all(data)) == BIG
    assert [raw.reply()[0] for _ in range(6)] == [226, 257, 220, 331, 230, 257]
    assert os.path.isdir(home(server, "behind", "bob")) and not os.path.exists(home(server, "behind"))
    os.rmdir(home(server, "behind", "bob"))
    # A client that leaves is not waited for.
    data = raw.passive()
    assert raw.cmd("REIN")[0] == 220
    raw.login_again("alice")
    data = raw.passive()
    assert raw.cmd("RETR big")[0] == 150
    raw.send(b"REIN\r\n")
    raw.sock.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: server.idle(), "a client that left is still served")
    data.close()


def test_rein_in_an_odd_spelling_loses_nothing_in_silence(server):
    """Telnet in the middle of the word: what follows has been read, cannot be given back, and is not carried out either."""
    for during in (False, True):
        r = server.raw().login()
        if during:
            sparse(server, "big", BIG)
            data = r.passive()
            assert r.cmd("RETR big")[0] == 150
        r.send(b"RE\xff\xf1IN\r\nMKD lost\r\n")
        if during:
            read_all(data)
            assert r.reply()[0] == 226
        code, text = r.reply()
        assert code == 421 and "REIN" in text, text
        assert not os.path.exists(home(server, "lost"))
        r.close()


def test_rein_is_counted_as_a_new_client(serve):
    server = serve("max_sessions_per_user = 1\nmax_sessions_per_address = 2\nconnects_per_minute = 6\npenalty_failure = 0")
    r = server.raw().login()
    for _ in range(2):
        assert r.cmd("REIN")[0] == 220
        r.login_again("alice")
    assert server.ctl("status")["sessions"] == 1
    codes = []
    while not codes or codes[-1] == 220:
        codes.append(r.cmd("REIN")[0])
        if codes[-1] == 220:
            r.login_again("alice")
    assert codes[-1] == 421 and len(codes) <= 6, codes
    assert r.reply()[0] == 0
    server.wait_quiet()


def test_rein_while_the_server_drains(serve):
    server = serve()
    r = server.raw().login()
    server.ctl("drain", "10m", "Maintenance.")
    assert r.cmd("REIN")[0] == 421
    assert r.reply()[0] == 0


def test_wrong_password_and_unknown_user_answer_alike(serve):
    server = serve("penalty_failure = 0")
    texts = set()
    for user in ("alice", "nobody-such"):
        r = greeted(server)
        code, text = r.cmd(f"USER {user}")
        assert code == 331
        texts.add(text.replace(user, "X") + r.cmd("PASS wrong")[1].replace(user, "X"))
        r.close()
    assert len(texts) == 1 and "530 " in texts.pop()


def test_help_and_features_are_true(raw):
    """Every verb that HELP names is known, and every line of FEAT works."""
    verbs = re.findall(r"\b[A-Z][A-Z0-9@]{2,7}\b", raw.cmd("HELP")[1].split("\n", 1)[1])
    assert {"RETR", "STOR", "MLSD", "EPSV"} <= set(verbs)
    for verb in verbs:
        assert raw.cmd(f"HELP {verb}")[0] == 214, verb
    text = raw.cmd("FEAT")[1]
    assert text.startswith("211-") and text.endswith("\r\n211 End\r\n")
    features = text.split("\r\n")[1:-2]
    assert all(re.match(r" [^ ]", f) for f in features)
    names = {f.split()[0] for f in features}
    assert {"UTF8", "MLST", "MDTM", "MFMT", "SIZE", "REST", "TVFS", "EPSV", "EPRT", "HASH", "CLNT"} <= names
    assert "AUTH" not in names and "PBSZ" not in names, "TLS is off here"
    tries = {"MDTM": "MDTM /", "MFMT": "MFMT 20200101000000 /", "MLST": "MLST /", "REST": "REST 5", "RANG": "RANG 1 0",
             "HASH": "OPTS HASH SHA-256", "AVBL": "AVBL", "CLNT": "CLNT x", "CSID": "CSID Name=x;", "EPRT": "EPSV",
             "EPSV": "EPSV", "LANG": "LANG en", "UTF8": "OPTS UTF8 ON", "MFF": "MFF Modify=20200101000000; /"}
    for name in names & set(tries):
        assert raw.cmd(tries[name])[0] in (200, 213, 229, 250, 350), name


# -------------------------------------------------------------------------------------------- bad lines

TEXTS = [["one"], ["one", "two"], ["one", "two", "three"], ["230 one", "220 two", "331-three", "220"], ["x" * 600, "y" * 300, "z"],
         ["one", "", "three words", "-", "220-last"]]


@pytest.mark.parametrize("lines", TEXTS)
def test_messages_of_several_lines(serve, lines):
    """The server starts with them (its self-test talks to a session first), and no line in the middle looks like the last."""
    text = "\n\t".join(lines)
    server = serve(f"banner = {text}\nlogin_message = {text}\ngoodbye_message = {text}\ndirectory_message_file = .message")
    os.makedirs(home(server, "d"), exist_ok=True)
    write(server, "d/.message", "\r\n".join(lines).encode())
    r = server.raw()
    told = {220: r.reply(), 331: r.cmd("USER alice"), 230: r.cmd("PASS alice"), 250: r.cmd("CWD d"), 221: r.cmd("QUIT")}
    assert r.reply() == (0, "")
    for code, (got, reply) in told.items():
        parts = reply[:-2].split("\r\n")
        assert got == code and parts[-1].startswith(f"{code} "), reply
        assert len(parts) == 1 or parts[0].startswith(f"{code}-")
        assert not any(re.match(r"\d\d\d", p) for p in parts[1:-1]), reply
        if code not in (331, 250):
            assert [re.sub(rf"^({code}[ -]| (?=\d))", "", p) for p in parts] == lines, reply
    r.close()


def test_an_over_long_line_is_refused_once_and_no_part_is_executed(server, raw):
    for filler in (b"x", b" ", b"\xc3\xa4", b"/"):
        raw.send(b"MKD " + filler * 9000 + b" MKD sneaky\r\nNOOP\r\n")
        assert raw.reply()[0] == 500
        assert raw.reply()[0] == 200
    raw.send(b"\xff\xf1" * 3000 + b"NOOP\r\n")
    assert raw.reply()[0] in (200, 500)
    assert not [n for n in os.listdir(home(server)) if "sneaky" in n]


def test_an_endless_line_does_not_grow_the_worker(server):
    r = server.raw().login()
    peer = "%s:%d" % r.sock.getsockname()
    mine = next(w["pids"] for w in server.ctl("who") if w["peer"] == peer).values()
    before = sum(memory(p) for p in mine)
    try:
        for _ in range(160):
            r.send(b"A" * 65536)
    except OSError:
        pass
    assert sum(memory(p) for p in mine) - before < 4 << 20
    r.close()


def memory(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return int(re.search(r"Private_Dirty:\s+(\d+)", f.read()).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


@pytest.mark.parametrize("line", [b"MKD a\0b\r\n", b"MKD a\rb\r\n", b"\0NOOP\r\n", b"MKD \0\r\n"])
def test_nul_and_bare_cr_are_refused(server, raw, line):
    raw.send(line + b"NOOP\r\n")
    assert raw.reply()[0] in (500, 501)
    assert raw.reply()[0] == 200
    assert not [n for n in os.listdir(home(server)) if n in ("a", "ab", "b")]


def test_line_feed_alone_blank_lines_and_leading_blanks(raw):
    raw.send(b"\r\n\n\r\nNOOP\n  PWD\r\nnOoP\r\n")
    assert [raw.reply()[0] for _ in range(3)] == [200, 257, 200]


def test_telnet_sequences_are_taken_out_in_front_of_the_argument(server, raw):
    raw.send(b"\xff\xfb\x06MK\xff\xf1D \xff\xfftelnet\r\n")
    assert raw.reply()[0] == 257
    assert os.path.isdir(os.fsencode(home(server)) + b"/\xfftelnet")
    raw.send(b"\xff\xf4\xff\xf2RMD \xff\xfftelnet\r\n")
    assert raw.reply()[0] == 250


# "mo" and the last letter of CP1251's alphabet; that letter before bytes that are Telnet commands elsewhere; two of them, doubled.
FF_NAMES = [(b"mo\xff.txt", b"mo\xff.txt"), (b"mo\xff", b"mo\xff"), (b"\xff", b"\xff"), (b"m\xff\xf1o", b"m\xff\xf1o"),
            (b"pri\xff\xf2no", b"pri\xff\xf2no"), (b"\xff\xfd\x41", b"\xff\xfd\x41"), (b"a\xff\xffb", b"a\xffb"),
            (b"a\xff\xff\xff\xffb", b"a\xff\xffb"), (b"a\xff\xff\xfd\x42", b"a\xff\xfd\x42")]


@pytest.mark.parametrize("sent,name", FF_NAMES)
def test_no_byte_of_a_name_is_lost(server, raw, sent, name):
    """What was stored is what was sent, and what a client that undoubles reads in replies is the name."""
    top = os.fsencode(home(server, "bytes"))
    os.makedirs(top, exist_ok=True)
    os.chown(top, UIDS["alice"], UIDS["alice"])
    raw.cmd("CWD /bytes")
    data = raw.passive()
    raw.send(b"STOR " + sent + b"\r\n")
    assert raw.file.readline().startswith(b"150 ")
    data.close()
    assert raw.reply()[0] == 226 and os.listdir(top) == [name]
    raw.send(b"MLST " + sent + b"\r\n")
    lines = [raw.file.readline() for _ in range(3)]
    assert lines[1].endswith(b" /bytes/" + name.replace(b"\xff", b"\xff\xff") + b"\r\n"), lines
    raw.send(b"SIZE " + lines[1].split(b" ", 2)[2][:-2] + b"\r\n")
    assert raw.file.readline() == b"213 0\r\n"
    raw.send(b"DELE " + sent + b"\r\n")
    assert raw.reply()[0] == 250 and os.listdir(top) == []
    raw.send(b"MKD " + sent + b"\r\n")
    assert raw.file.readline() == b'257 "/bytes/' + name.replace(b"\xff", b"\xff\xff") + b'" is made.\r\n'
    raw.send(b"CWD " + sent + b"\r\n")
    assert raw.reply()[0] == 250
    assert raw.cmd("PWD")[1].encode("utf-8", "surrogateescape").startswith(b'257 "/bytes/' + name.replace(b"\xff", b"\xff\xff") + b'"')
    assert raw.cmd("CDUP")[0] == 250
    raw.send(b"RMD " + sent + b"\r\n")
    assert raw.reply()[0] == 250


# Every byte that a name can have and a line of commands can carry; 0xFF is doubled in replies, and here.
EVERY_BYTE = bytes(set(range(1, 256)) - set(b"\r\n/"))


@pytest.mark.parametrize("name", [EVERY_BYTE, b"esc\x1b[2Jend", b"\x01", b"del\x7f", b"tab\there", b"c1\x9b31m", b'q"\x1b"', b"\xe2\x80\xaeexe.txt",
                                  b"250 x\x0b250 y"], ids=repr)
def test_names_in_replies_can_be_used(server, raw, name):
    """What a program takes from a reply names the object: it can be sent back as it came, and ends the line that it stands in."""
    top = os.fsencode(home(server, "told"))
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top, exist_ok=True)
    os.chown(top, UIDS["alice"], UIDS["alice"])
    doubled = name.replace(b"\xff", b"\xff\xff")

    def ask(command):
        raw.send(command + b"\r\n")
        lines = [raw.file.readline()]
        while lines[0][3:4] == b"-" and not lines[-1].startswith(lines[0][:3] + b" "):
            lines.append(raw.file.readline())
        assert all(line.endswith(b"\r\n") for line in lines)
        return [line[:-2] for line in lines]

    def path_of(lines):
        return re.fullmatch(rb'257 "(.*)" is .*', lines[0], re.DOTALL)[1].replace(b'""', b'"')

    assert raw.cmd("CWD /told")[0] == 250
    made = path_of(ask(b"MKD " + doubled))
    assert made == b"/told/" + doubled and os.listdir(top) == [name]
    assert ask(b"CWD " + made)[0].startswith(b"250 ")
    assert path_of(ask(b"PWD")) == made
    fact = ask(b"MLST " + made)[1]
    assert fact.split(b" ", 2)[2] == made
    assert ask(b"MFMT 20200102030405 " + made)[0] == b"213 Modify=20200102030405; " + made
    data = raw.passive()
    told = ask(b"STOU " + doubled)[0]
    assert told == b"150 FILE: " + doubled
    data.close()
    assert raw.reply()[0] == 226
    assert ask(b"SIZE " + told[len(b"150 FILE: "):]) == [b"213 0"]
    assert ask(b"HASH " + told[len(b"150 FILE: "):])[0].endswith(b" " + doubled)
    listed = ask(b"STAT " + made)
    assert len(listed) == 3 and listed[1].endswith(b" " + doubled)
    assert ask(b"DELE " + doubled)[0].startswith(b"250 ")
    assert ask(b"RMD " + made)[0].startswith(b"250 ") and os.listdir(top) == []


def test_names_cannot_split_replies(server, raw):
    """A person with a shell can have a line end in a name; then there is no way to say it, and a ? stands for it."""
    top = os.fsencode(home(server, "split"))
    os.makedirs(top + b"/226 done\r\n250 x", exist_ok=True)
    os.symlink(b"226 done\r\n250 x", top + b"/in")
    raw.cmd("CWD /split")
    assert raw.cmd("CWD in")[0] == 250
    for command in ("PWD", "MLST", "STAT .."):
        code, text = raw.cmd(command)
        assert code in (257, 250, 212) and "226 done??250 x" in text, text
    assert raw.cmd("NOOP")[0] == 200
    shutil.rmtree(top)


def test_words_have_no_control_bytes(server, raw):
    """What people read is not carried out by their terminal, whoever chose the name in it."""
    for command in (b"CWD a\x1b[2Jb", b"RETR a\x1b[2Jb", b"OPTS a\x1b[2Jb", b"SITE a\x1b[2Jb", b"HELP a\x1b[2Jb", b"HOST a\x1b[2Jb"):
        raw.send(command + b"\r\n")
        assert "\x1b" not in raw.reply()[1], command


@pytest.mark.parametrize("stored,sent,code", [
    (b"p\xff\xf2w", b"p\xff\xf2w", 230), (b"p\xff\xf2w", b"p\xff\xff\xf2w", 230), (b"p\xff", b"p\xff", 230), (b"pw", b"p\xffw", 530), (b"pw", b"p\xff\xf1w", 530)])
def test_no_byte_of_a_password_is_lost(serve, stored, sent, code):
    digest = subprocess.run(["openssl", "passwd", "-5", "-stdin"], input=stored, capture_output=True, check=True).stdout.decode().strip()
    s = serve(sections="[account bytes]\npassword = %s\nhome = {dir}\nrun_as = 64111:64111\nlayer = pyftpdlib elr" % digest)
    r = greeted(s)
    assert r.cmd("USER bytes")[0] == 331
    r.send(b"PASS " + sent + b"\r\n")
    assert r.reply()[0] == code


def test_other_protocols_are_shown_the_door(serve):
    """They hear why, and a clean end, whatever they still have to say: what is not read would make the end a reset."""
    server = serve("penalty_failure = 0")
    for first in (b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"EHLO x\r\n"):
        r = greeted(server)
        r.send(first + b"Host: x\r\nQUIT\r\n" * 6000)
        assert r.reply() == (421, "421 This is an FTP server.\r\n"), first
        assert r.reply()[0] == 0
        r.close()


def test_who_never_stops_talking_is_not_listened_to_for_ever(serve):
    server = serve("penalty_failure = 0")
    r = greeted(server)
    with pytest.raises(ConnectionError):
        while True:
            r.send(b"GET / HTTP/1.1\r\n" * 1000)
    wait_for(lambda: not server.ctl("who"))
    r.close()


def test_names_keep_their_blanks(server, raw):
    raw.cmd("MKD  leading")
    raw.cmd("MKD trailing ")
    assert {" leading", "trailing "} <= set(os.listdir(home(server)))
    assert raw.cmd("RMD  leading")[0] == 250 and raw.cmd("RMD trailing ")[0] == 250


BLANK_NAMES = [" ", "  ", " x", "x ", " x ", "-a "]


@pytest.mark.parametrize("name", BLANK_NAMES)
def test_names_of_blanks_are_names(server, raw, name):
    """Neither the working directory nor a neighbour stands in for a name of blanks, whether it is there or not."""
    at = f"{home(server)}/blanks"
    os.makedirs(f"{at}/sub")
    os.chown(at, UIDS["alice"], UIDS["alice"])
    with open(f"{at}/x", "w") as f:
        f.write("neighbour")
    raw.cmd("CWD blanks")
    # Missing: every command of programs says so.
    for line in ("MLST {}", "SIZE {}", "MDTM {}", "CWD {}", "RMD {}", "DELE {}", "RNFR {}", "MFMT 20200101000000 {}", "XCRC {}", "XCRC {} 0 1",
                 "HASH {}", "AVBL {}", "MFF Modify=20200101000000; {}", "SITE CHMOD 644 {}", "SITE GETFACL {}", "SITE READLINK {}",
                 "SITE UTIME 20200101000000 {}", "SITE DELDEFACL {}"):
        assert raw.cmd(line.format(name))[0] == 550, line
    for line in ("RETR {}", "MLSD {}"):
        assert raw.fetch(line.format(name))[1] == 550, line
    # A file of that name.
    assert raw.put(f"STOR {name}", b"12345") == 226
    assert sorted(os.listdir(at)) == sorted(["sub", "x", name])
    assert raw.cmd(f"SIZE {name}")[1] == "213 5\r\n" and raw.fetch(f"RETR {name}") == (b"12345", 226)
    code, text = raw.cmd(f"MLST {name}")
    assert code == 250 and text.split("\r\n")[1].endswith(f"; /blanks/{name}") and "type=file" in text, text
    assert raw.cmd(f"XCRC {name}") == raw.cmd(f"XCRC {name} 0 5") and raw.cmd(f"XCRC {name}")[0] == 250
    for line in ("SITE CHMOD 600 {}", "SITE GETFACL {}", "MFMT 20200101000000 {}", "SITE UTIME 20200101000000 {}"):
        assert raw.cmd(line.format(name))[0] in (200, 213), line
    options = "" if name[0] != "-" else "-- "     # of people's commands
    for line in ("LIST {}", "NLST {}"):
        text, code = raw.fetch(line.format(options + name))
        assert code == 226 and text.decode().split("\r\n")[0].endswith(name) and text.count(b"\n") == 1, (line, text)
    code, text = raw.cmd(f"STAT {options}{name}")
    assert code == 213 and text.split("\r\n")[1].endswith(f" {name}"), text
    code, text = raw.cmd(f"RNFR {name}")
    assert code == 350 and raw.cmd(f"RNTO {name}y")[0] == 250 and os.path.exists(f"{at}/{name}y")
    # A directory of that name.
    assert raw.cmd(f"MKD {name}")[0] == 257
    with open(f"{at}/{name}/inner", "w") as f:
        f.write("x")
    for line in (f"LIST {options}{name}", f"NLST {options}{name}", f"MLSD {name}"):
        text, code = raw.fetch(line)
        assert code == 226 and b"inner" in text and b"sub" not in text, (line, text)
    assert raw.cmd(f"STAT {options}{name}")[0] == 212
    assert raw.cmd(f"CWD {name}")[0] == 250 and f'"/blanks/{name}"' in raw.cmd("PWD")[1]
    assert raw.cmd("DELE inner")[0] == 250 and raw.cmd("CDUP")[0] == 250 and raw.cmd(f"RMD {name}")[0] == 250
    raw.cmd("CDUP")
    shutil.rmtree(at)


def test_blanks_without_a_name_are_no_argument(server, raw):
    """LIST, NLST and STAT with nothing but blanks are about the working directory where no such name exists."""
    os.makedirs(f"{home(server)}/only")
    for line in ("LIST ", "LIST  ", "NLST   ", "LIST -a ", "LIST -la  ", "NLST -- ", "MLSD "):
        text, code = raw.fetch(line)
        assert code == 226 and b"only" in text, line
    for line in ("STAT ", "STAT  ", "STAT   "):
        assert raw.cmd(line)[0] == 211, line
    for line, code in (("MLST ", 250), ("MLST  ", 550), ("AVBL ", 213), ("AVBL  ", 550), ("CWD ", 501), ("SIZE ", 501)):
        assert raw.cmd(line)[0] == code, line
    assert raw.fetch("MLSD  ")[1] == 550
    # STOU takes it for the name that is wanted.
    with raw.passive() as data:
        code, text = raw.cmd("STOU  ")
        assert code == 150, text
        data.sendall(b"x")
    assert raw.reply()[0] == 226 and os.path.exists(f"{home(server)}/ ")
    os.unlink(f"{home(server)}/ ")
    os.rmdir(f"{home(server)}/only")


def test_quotes_are_doubled_and_repeated_mkd_is_refused(raw):
    code, text = raw.cmd('MKD say "hi"')
    assert code == 257 and '"/say ""hi"""' in text
    assert raw.cmd('MKD say "hi"')[0] in (521, 550)
    assert raw.cmd('CWD say "hi"')[0] == 250
    assert raw.cmd("PWD")[1].startswith('257 "/say ""hi"""')
    assert raw.cmd("CDUP")[0] == 250
    assert raw.cmd('RMD say "hi"')[0] == 250


# --------------------------------------------------------------------------- in the middle of a transfer

def test_64_commands_in_one_packet(raw):
    raw.send(b"NOOP\r\nPWD\r\n" * 32)
    assert [raw.reply()[0] for _ in range(64)] == [200, 257] * 32


def test_a_thousand_commands_while_nobody_reads(raw):
    raw.send(b"NOOP\r\n" * 1000)
    assert all(raw.reply()[0] == 200 for _ in range(1000))


def test_commands_wait_for_the_end_of_a_transfer(server, raw):
    write(server, "f", b"x" * 1000)
    data = raw.passive()
    raw.send(b"RETR f\r\nNOOP\r\nPWD\r\n")
    assert raw.reply()[0] == 150
    assert len(read_all(data)) == 1000
    assert [raw.reply()[0] for _ in range(3)] == [226, 200, 257]


@pytest.mark.parametrize("form", ["plain", "inline", "urgent"])
@pytest.mark.parametrize("command", ["RETR", "STOR", "LIST"])
def test_abort(server, raw, command, form):
    sparse(server, "big", BIG)
    write(server, "old", b"old content")
    if command == "LIST":
        os.makedirs(home(server, "wide"), exist_ok=True)
        if not os.listdir(home(server, "wide")):
            for i in range(30000):
                os.close(os.open(home(server, f"wide/{i:06d}-{'n' * 100}"), os.O_CREAT | os.O_WRONLY))
    data = raw.passive()
    name = {"RETR": "big", "STOR": "old", "LIST": "wide"}[command]
    assert raw.cmd(f"{command} {name}")[0] == 150
    if command == "STOR":
        data.sendall(b"new")
    else:
        data.recv(100)
    if form == "urgent":
        raw.send(b"\xff\xf4")
        raw.sock.send(b"\xff", socket.MSG_OOB)
        raw.send(b"\xf2ABOR\r\n")
    else:
        raw.send((IAC_IP_DM if form == "inline" else b"") + b"ABOR\r\n")
    codes = [raw.reply()[0], raw.reply()[0]]
    assert codes == [426, 226], codes
    data.close()
    assert raw.cmd("NOOP")[0] == 200
    assert read(server, "old") == b"old content"
    assert raw.fetch("RETR old") == (b"old content", 226)


@pytest.mark.parametrize("lines, codes", [
    ("ABOR ABOR NOOP", [426, 226, 226, 200]), ("ABOR NOOP ABOR", [426, 226, 226, 200]), ("NOOP ABOR ABOR ABOR PWD", [426, 226, 226, 226, 200, 257]),
    ("STAT ABOR STAT ABOR QUIT", [211, 211, 426, 226, 226, 221])])
@pytest.mark.parametrize("command, connects", [("RETR big", True), ("STOR new", True), ("RETR big", False), ("STOR new", False), ("LIST", False)])
def test_each_abor_has_its_reply(server, command, connects, lines, codes):
    """A client that was impatient twice must not take the reply to its second ABOR for that to the next command."""
    sparse(server, "big", BIG)
    raw = server.raw().login()
    data = raw.passive() if connects else raw.cmd("EPSV")
    assert raw.cmd(command)[0] == 150
    raw.send("".join(f"{x}\r\n" for x in lines.split()))
    assert [raw.reply()[0] for _ in codes] == codes
    if "QUIT" not in lines:
        assert raw.cmd("SYST")[0] == 215
        assert raw.fetch("NLST big")[1] == 226
    raw.close()
    del data


def test_abort_without_a_transfer(raw):
    assert raw.cmd("ABOR")[0] == 226
    raw.send(IAC_IP_DM + b"ABOR\r\n")
    assert raw.reply()[0] == 226
    data = raw.passive()
    assert raw.cmd("ABOR")[0] in (225, 226)
    data.close()
    assert raw.cmd("NOOP")[0] == 200


def test_commands_behind_an_abort_are_kept(server, raw):
    sparse(server, "big", BIG)
    data = raw.passive()
    assert raw.cmd("RETR big")[0] == 150
    raw.send(b"ABOR\r\nPWD\r\nNOOP\r\n")
    assert [raw.reply()[0] for _ in range(4)] == [426, 226, 257, 200]
    data.close()


def test_stat_and_quit_in_a_transfer(server):
    sparse(server, "big", BIG)
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    code, text = r.cmd("STAT")
    assert code in (211, 213) and "RETR big" in text, text
    r.send(IAC_IP_DM + b"STAT\r\n")
    assert r.reply()[0] in (211, 213)
    r.send(b"QUIT\r\n")
    assert len(read_all(data)) == BIG
    assert [r.reply()[0] for _ in range(3)] == [226, 221, 0]


# Hundreds of keep-alives, as clients send them by a timer (FluentFTP, basic-ftp), and more of other commands than anybody keeps.
CROWDS = {"keep-alives": [b"NOOP\r\n"] * 3000, "many": [b"MDTM file-%d\r\n" % i for i in range(3000)]}


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("line, code", [("ABOR", 426), (IAC_IP_DM.decode("latin-1") + "ABOR", 426), ("STAT", 211)])
def test_what_is_urgent_is_seen_behind_a_crowd(server, raw, crowd, line, code):
    sparse(server, "big", BIG)
    data = raw.passive()
    assert raw.cmd("RETR big")[0] == 150
    raw.send(b"".join(CROWDS[crowd]) + line.encode("latin-1") + b"\r\n")
    assert raw.reply()[0] == code
    if code == 211:
        assert len(read_all(data)) == BIG
    assert raw.reply()[0] == 226
    codes = [raw.reply()[0] for _ in CROWDS[crowd]]
    assert set(codes) <= ({200} if crowd == "keep-alives" else {550, 450})
    assert codes == sorted(codes, reverse=True), "who finds no room is not passed by others"
    assert raw.cmd("NOOP")[0] == 200
    data.close()


@pytest.mark.parametrize("crowd", CROWDS)
def test_quit_and_the_end_are_seen_behind_a_crowd(server, crowd):
    sparse(server, "big", BIG)
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    r.send(b"".join(CROWDS[crowd]) + b"QUIT\r\nPWD\r\n")
    r.sock.shutdown(socket.SHUT_WR)
    assert len(read_all(data)) == BIG, "a client that said QUIT may leave"
    r.close()
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("RETR big")[0] == 150
    r.send(b"".join(CROWDS[crowd]))
    r.sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: server.idle(), "a client that left is still served")
    with contextlib.suppress(ConnectionError):
        assert len(read_all(data)) < BIG
    r.close()


def test_a_flood_during_a_transfer_takes_no_memory(server, raw):
    sparse(server, "big", BIG)
    data = raw.passive()
    peer = "%s:%d" % raw.sock.getsockname()
    mine = next(w["pids"] for w in server.ctl("who") if w["peer"] == peer).values()
    assert raw.cmd("RETR big")[0] == 150
    before = sum(memory(p) for p in mine)
    raw.send(b"".join(b"MKD never/%d\r\n" % i for i in range(200000)))
    assert sum(memory(p) for p in mine) - before < 1 << 20
    raw.send(b"ABOR\r\n")
    assert raw.reply()[0] == 426
    data.close()


def test_a_closed_control_connection_breaks_the_transfer_off(server):
    write(server, "kept", b"old")
    r = server.raw().login()
    data = r.passive()
    assert r.cmd("STOR kept")[0] == 150
    data.sendall(b"part")
    r.close()
    try:
        data.recv(1)
    except ConnectionError:
        pass
    data.close()
    assert read(server, "kept") == b"old"


# ------------------------------------------------------------------------- types, offsets, whole files

@pytest.mark.parametrize("form, code", [
    ("A", 200), ("A N", 200), ("AN", 200), ("a n", 200), ("I", 200), ("I N", 200), ("i", 200), ("L 8", 200), ("L8", 200),
    ("l 8", 200), ("E", 504), ("A T", 504), ("A C", 504), ("L 7", 504), ("L", (501, 504)), ("X", (501, 504)), ("", 501)])
def test_forms_of_type(raw, form, code):
    assert fits(raw.cmd(f"TYPE {form}".rstrip())[0], code)


def test_text_is_not_touched_by_default(server):
    write(server, "text", b"a\nb\n")
    r = server.raw().login()
    assert r.cmd("TYPE A")[0] == 200
    assert r.cmd("SIZE text")[1] == "213 4\r\n"
    assert r.fetch("RETR text") == (b"a\nb\n", 226)
    assert r.put("STOR text2", b"a\r\nb\r\n") == 226
    assert read(server, "text2") == b"a\r\nb\r\n"
    r.close()


def test_text_is_converted_where_wanted(serve):
    server = serve("ascii = on")
    write(server, "text", b"a\nb\r\nc")
    r = server.raw().login()
    assert r.cmd("TYPE A")[0] == 200
    assert r.cmd("SIZE text")[0] == 550
    assert r.fetch("RETR text")[0].startswith(b"a\r\nb")
    assert r.put("STOR up", b"a\r\nb\rc\nd\r\n") == 226
    assert read(server, "up") == b"a\nb\rc\nd\n"
    big = b"line\n" * 200000
    write(server, "big", big)
    assert r.fetch("RETR big") == (big.replace(b"\n", b"\r\n"), 226)
    assert r.put("STOR big2", big.replace(b"\n", b"\r\n")) == 226
    assert read(server, "big2") == big
    assert r.cmd("TYPE I")[0] == 200
    assert r.fetch("RETR text") == (b"a\nb\r\nc", 226)
    assert r.cmd("TYPE A")[0] == 200 and r.cmd("REST 0")[0] == 350


def test_offsets(server, raw):
    write(server, "f", b"0123456789")
    raw.cmd("REST 4")
    assert raw.fetch("RETR f") == (b"456789", 226)
    assert raw.fetch("RETR f") == (b"0123456789", 226), "an offset holds for one transfer"
    raw.cmd("REST 10")
    assert raw.fetch("RETR f") == (b"", 226)
    raw.cmd("REST 11")
    assert raw.fetch("RETR f") == (b"", 554)
    raw.cmd("REST 3")
    assert raw.put("STOR f", b"abc") == 226
    assert read(server, "f") == b"012abc"
    raw.cmd("REST 7")
    assert raw.put("STOR f", b"abc") == 554 and read(server, "f") == b"012abc"
    raw.cmd("REST 2")
    assert raw.put("STOU", b"x") == 503
    raw.cmd("REST 1")
    assert raw.put("APPE f", b"XY") == 226 and read(server, "f") == b"0XY", "RFC 3659, 5.3: as STOR"
    raw.cmd("REST 4")
    assert raw.put("APPE f", b"XY") == 554 and read(server, "f") == b"0XY"
    assert raw.put("APPE f", b"Z") == 226 and read(server, "f") == b"0XYZ", "an offset holds for one transfer"
    raw.cmd("REST 3")
    raw.fetch("LIST")
    assert raw.fetch("RETR f") == (b"0XYZ", 226)


@pytest.mark.parametrize("between", ["TYPE I", "TYPE A", "SIZE kept", "CWD /", "NOOP", "PWD", "STRU F", "MDTM kept", "STAT", "ALLO 3"])
def test_an_offset_survives_what_is_no_transfer(server, raw, between):
    write(server, "kept", b"0123456789")
    for order in ("REST between EPSV", "REST EPSV between", "EPSV REST between"):
        data = None
        for step in order.split():
            if step == "EPSV":
                data = raw.passive()
            elif step == "REST":
                assert raw.cmd("REST 4")[0] == 350
            else:
                assert raw.cmd(between)[0] < 300
        assert raw.cmd("RETR kept")[0] == 150
        assert read_all(data) == b"456789", (order, between)
        assert raw.reply()[0] == 226


def test_an_offset_is_not_silently_forgotten_in_ascii_mode(serve):
    server = serve("ascii = on")
    write(server, "f", b"0123456789")
    r = server.raw().login()
    for verb in ("RETR", "STOR", "APPE"):
        assert r.cmd("TYPE I")[0] == 200 and r.cmd("REST 4")[0] == 350 and r.cmd("TYPE A")[0] == 200
        assert r.put(f"{verb} f", b"") == 503
        assert read(server, "f") == b"0123456789"
    assert r.fetch("RETR f") == (b"0123456789", 226)


def test_ranges_and_checksums(server, raw):
    content = os.urandom(100000)
    write(server, "sum", content)
    raw.cmd("RANG 10 19")
    assert raw.fetch("RETR sum") == (content[10:20], 226)
    for name, digest in (("XMD5", hashlib.md5(content)), ("XSHA1", hashlib.sha1(content)), ("XSHA", hashlib.sha1(content)),
                         ("XSHA256", hashlib.sha256(content)), ("XSHA512", hashlib.sha512(content)), ("MD5", hashlib.md5(content))):
        code, text = raw.cmd(f"{name} sum")
        assert code in (213, 250, 251) and digest.hexdigest() in text.lower(), text
    code, text = raw.cmd("XCRC sum")
    assert code == 250 and f"{zlib.crc32(content):08x}" in text.lower()
    code, text = raw.cmd('XCRC "sum" 0 100')
    assert f"{zlib.crc32(content[:100]):08x}" in text.lower(), text
    for algorithm in ("SHA-256", "SHA-512", "SHA-1", "MD5"):
        assert raw.cmd(f"OPTS HASH {algorithm}")[0] == 200
        code, text = raw.cmd("HASH sum")
        assert code == 213 and hashlib.new(algorithm.replace("-", "").lower(), content).hexdigest() in text
        assert re.match(rf"213 {algorithm} 0-\d+ ", text), text
    assert raw.cmd("OPTS HASH nonsense")[0] in (501, 504)
    assert raw.cmd("XMD5 /")[0] in (550, 553)


def test_appe_stou_and_rename(server, raw):
    assert raw.put("APPE app", b"one") == 226 and raw.put("APPE app", b"two") == 226
    assert read(server, "app") == b"onetwo"
    data = raw.passive()
    code, text = raw.cmd("STOU")
    name = re.match(r"150 FILE: (\S+)", text).group(1)
    data.sendall(b"unique")
    data.close()
    assert code == 150 and raw.reply()[0] in (226, 250)
    assert read(server, name) == b"unique"
    assert raw.cmd(f"RNFR {name}")[0] == 350 and raw.cmd("RNTO renamed")[0] == 250
    assert raw.cmd("RNTO again")[0] == 503
    assert raw.cmd("DELE renamed")[0] == 250
    assert not os.path.exists(home(server, "renamed"))


@pytest.mark.parametrize("line, code", [
    ("NOOP", 250), ("NOOP x", 250), ("PWD", 503), ("TYPE I", 503), ("STAT", 503), ("ABOR", 503), ("CWD /", 503), ("SIZE from", 503),
    ("RNFR missing", 503), ("NONSENSE", 503), ("RNTO", 503), ("HELP", 503), ("SITE UMASK", 503), ("EPSV", 503), ("LIST", 503),
    ("MKD a\0b", 503), ("X" * 9000, 503), ("REST 0", 503), ("OPTS UTF8 ON", 503), ("USER alice", 503)])
def test_what_may_come_between_rnfr_and_rnto(server, raw, line, code):
    write(server, "from", b"x")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(home(server, "to"))
    assert raw.cmd("RNFR from")[0] == 350
    raw.cmd(line)
    assert raw.cmd("RNTO to")[0] == code
    assert os.path.exists(home(server, "to")) == (code == 250)


def test_times_and_facts(server, raw):
    write(server, "t", b"x")
    assert raw.cmd("MFMT 20010203040506 t")[1].startswith("213 Modify=20010203040506; ")
    assert raw.cmd("MDTM t")[1] == "213 20010203040506\r\n"
    assert raw.cmd("MDTM 20020304050607 t")[0] in (213, 253)
    assert raw.cmd("MDTM t")[1] == "213 20020304050607\r\n"
    assert raw.cmd("MDTM 20021304050607 t")[0] in (501, 550)
    write(server, "20020304050607 t", b"x")
    assert raw.cmd("MDTM 20020304050607 t")[0] in (213, 253)
    assert raw.cmd("MFF Modify=20030405060708;UNIX.mode=600; t")[0] == 213
    assert os.stat(home(server, "t")).st_mode & 0o777 == 0o600
    assert raw.cmd("MDTM t")[1] == "213 20030405060708\r\n"
    text = raw.cmd("MLST t")[1]
    assert re.search(r"\r\n [^ ]*;modify=20030405060708;[^ ]* /t\r\n250 ", text, re.I), text
    assert raw.cmd("OPTS MLST size;")[1].startswith("200 MLST OPTS size;")
    assert raw.cmd("MLST t")[1].split("\r\n")[1].lower() == " size=1; /t"
    assert raw.cmd("OPTS MLST type;size")[0] == 501
    assert raw.cmd("MLST t")[1].split("\r\n")[1].lower() == " size=1; /t", "what is refused changes nothing"
    assert raw.cmd("OPTS MLST")[1] == "200 MLST OPTS\r\n"


def test_site_commands(server, raw):
    write(server, "s", b"x")
    assert raw.cmd("SITE CHMOD 640 s")[0] == 200 and os.stat(home(server, "s")).st_mode & 0o777 == 0o640
    assert raw.cmd("SITE CHMOD 999 s")[0] == 501
    # What came of it is told, not what was asked for.
    assert raw.cmd("SITE CHMOD 4751 s") == (200, "200 Mode changed to 0751: set-id and sticky bits cannot be changed here.\r\n")
    assert raw.cmd("SITE CHMOD 640 s") == (200, "200 Mode changed.\r\n")
    assert raw.cmd("SITE CHMOD 4777 s")[0] in (501, 504, 550, 200) and os.stat(home(server, "s")).st_mode & 0o7000 == 0
    assert raw.cmd("SITE UMASK")[0] == 200
    assert raw.cmd("SITE UMASK 077")[0] == 200
    assert raw.put("STOR masked", b"x") == 226 and os.stat(home(server, "masked")).st_mode & 0o077 == 0
    assert raw.cmd("SITE UTIME 20010203040506 s")[0] in (200, 213) and raw.cmd("MDTM s")[1] == "213 20010203040506\r\n"
    assert raw.cmd("SITE UTIME s 20020203040506 20030203040506 20040203040506 UTC")[0] in (200, 213)
    assert raw.cmd("MDTM s")[1] == "213 20030203040506\r\n"
    assert raw.cmd("SITE IDLE")[0] == 200 and raw.cmd("SITE IDLE 60")[0] == 200 and raw.cmd("SITE IDLE x")[0] == 501
    assert raw.cmd("SITE IDLE 999999999")[0] in (200, 501, 504)
    code, text = raw.cmd("SITE HELP")
    for name in re.findall(r"\b[A-Z]{4,10}\b", text.split("\n", 1)[1]):
        if name not in ("SITE", "HELP", "END"):
            assert raw.cmd(f"SITE HELP {name}")[0] == 214, name


# ------------------------------------------------------------------------------------- data connections

def pasv(r):
    code, text = r.cmd("PASV")
    assert code == 227, text
    n = [int(i) for i in re.search(r"\((\d+(?:,\d+){5})\)", text).group(1).split(",")]
    return ".".join(map(str, n[:4])), n[4] * 256 + n[5]


def test_replies_of_passive_mode(server, raw):
    host, port = pasv(raw)
    assert host == "127.0.0.1" and 20000 <= port <= 45000
    assert re.match(r"229 .*\(\|\|\|\d+\|\)", raw.cmd("EPSV")[1])


def test_connect_before_or_after_the_command(server, raw):
    write(server, "f", b"content")
    address = pasv(raw)
    raw.send("RETR f\r\n")
    time.sleep(0.1)
    with socket.create_connection(address) as data:
        assert raw.reply()[0] == 150 and data.recv(100) == b"content"
    assert raw.reply()[0] == 226


@pytest.mark.parametrize("line, code", [("RETR missing", 550), ("STOR missing/f", 553), ("MLSD missing", 550), ("STOR", 501)])
def test_a_refused_transfer_closes_its_port(server, raw, line, code):
    """Net::FTP of Perl connects after the command, and begins TLS before it reads the reply: an open port would let it wait in vain."""
    write(server, "f", b"content")
    address = pasv(raw)
    with socket.create_connection(address, PATIENCE) as data:
        assert raw.cmd(line)[0] == code
        try:
            assert data.recv(1) == b""
        except ConnectionResetError:
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, PATIENCE)
    assert raw.cmd("RETR f")[0] == 425
    with socket.create_connection(pasv(raw), PATIENCE) as data:
        assert raw.cmd("RETR f")[0] == 150 and data.recv(100) == b"content"
    assert raw.reply()[0] == 226


def test_a_passive_port_nobody_comes_to(serve):
    server = serve("data_timeout = 1s")
    write(server, "f", b"content")
    r = server.raw().login()
    pasv(r)
    r.send("RETR f\r\n")
    codes = [r.reply()[0]]
    if codes[0] == 150:
        codes.append(r.reply()[0])
    assert codes[-1] in (425, 426), codes
    assert r.fetch("RETR f") == (b"content", 226)
    r.close()


def test_epsv_all_is_for_ever(raw):
    assert raw.cmd("EPSV ALL")[0] == 200
    assert raw.cmd("EPSV 9")[0] == 522
    for line in ("PASV", "PORT 127,0,0,1,200,1", "EPRT |1|127.0.0.1|51201|"):
        assert raw.cmd(line)[0] in (501, 503), line
    assert raw.fetch("NLST")[1] == 226


@pytest.mark.parametrize("line, code, target, reason", [
    ("PORT 10,0,0,1,200,1", 501, "10.0.0.1:51201", "foreign-address"),
    ("PORT 127,0,0,2,200,1", 501, "127.0.0.2:51201", "foreign-address"),
    ("PORT 127,0,0,1,0,22", 501, "127.0.0.1:22", "port-below-1024"),
    ("EPRT |1|10.0.0.1|5000|", 501, "10.0.0.1:5000", "foreign-address"),
    ("EPRT |1|127.0.0.1|80|", 501, "127.0.0.1:80", "port-below-1024"),
    ("EPRT |2|::1|5000|", 522, "[::1]:5000", "foreign-address"),
    ("EPRT |2|2001:db8::1|25|", 522, "[2001:db8::1]:25", "foreign-address"),
    ("PORT 0,0,0,0,200,1", 501, "0.0.0.0:51201", "foreign-address")])
def test_bounce_is_refused(server, line, code, target, reason):
    """And on record, with the client, the session and the target."""
    r = server.raw().login()
    had = len(server.log())
    got, text = r.cmd(line)
    assert got == code and (code != 522 or "(1)" in text), text
    wait_for(lambda: [x for x in server.log()[had:].splitlines() if all(
        part in x.replace('"', "") for part in ("warning event=data-target-refused ", f" address={target} reason={reason}", "rhost=127.0.0.1", "session="))])
    assert r.cmd("LIST")[0] == 425
    r.close()


def test_data_from_a_stranger_is_not_taken(server, raw):
    write(server, "secret", b"secret")
    address = pasv(raw)
    stranger = socket.create_connection(address, PATIENCE, ("127.0.0.2", 0))
    raw.send("RETR secret\r\n")
    got = b""
    try:
        got = stranger.recv(100)
    except OSError:
        pass
    assert got == b""
    with socket.create_connection(address, PATIENCE) as data:
        assert raw.reply()[0] == 150 and data.recv(100) == b"secret"
    assert raw.reply()[0] == 226
    stranger.close()


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("count", [9, 200])
def test_strangers_do_not_fill_the_queue(server, raw, count, held):
    """They find the port before the client has connected. The log tells of it, in few lines however many they are."""
    address, had, strangers = pasv(raw), len(server.log()), []
    for _ in range(count):
        strangers.append(socket.create_connection(address, PATIENCE, ("127.0.0.2", 0)))
        if not held:
            strangers[-1].close()
    with socket.create_connection(address, PATIENCE) as data:
        raw.send("STOR f\r\n")
        assert raw.reply()[0] == 150
        data.sendall(b"mine")
    assert raw.reply()[0] == 226
    with open(f"{server.homes['alice']}/f", "rb") as f:
        assert f.read() == b"mine"
    for s in strangers:
        s.close()
    lines = wait_for(lambda: [x for x in server.log()[had:].splitlines() if "event=data-stranger" in x])
    assert len(lines) <= 3 and "address=127.0.0.2:" in lines[0] and "count=1" in lines[0]


def test_strangers_who_try_all_ports_keep_nobody_from_data(serve):
    """They need not know the port: a range of eight is tried over and over."""
    low = 46000 + os.getpid() % 200 * 8
    server, done = serve(f"never_ban = 127.0.0.0/8\npassive_ports = {low}-{low + 7}"), threading.Event()

    def spray():
        while not done.is_set():
            tries = []
            for port in range(low, low + 8):
                for _ in range(20):
                    s = socket.socket()
                    s.setblocking(False)
                    s.bind(("127.0.0.2", 0))
                    s.connect_ex(("127.0.0.1", port))
                    tries.append(s)
            done.wait(0.02)
            for s in tries:
                s.close()

    thread = threading.Thread(target=spray)
    thread.start()
    try:
        for i in range(10):
            r = server.raw().login()
            address = pasv(r)
            with socket.create_connection(address, PATIENCE) as data:
                r.send(f"STOR f{i}\r\n")
                assert r.reply()[0] == 150
                data.sendall(b"mine")
            assert r.reply()[0] == 226
            r.close()
    finally:
        done.set()
        thread.join()


def test_abor_closes_what_was_connected_early(server, raw):
    """RFC 959, 4.1.3.  The port goes on, and what connects then is served; so it is with PORT in place of the port."""
    write(server, "f", b"content")
    for line in ("ABOR", "PORT 127,0,0,1,200,200"):
        address = pasv(raw)
        with socket.create_connection(address, PATIENCE) as early:
            assert raw.cmd(line)[0] in (226, 200)
            assert early.recv(1) == b""
    address = pasv(raw)
    assert raw.cmd("ABOR")[0] == 226
    with socket.create_connection(address, PATIENCE) as data:
        raw.send("RETR f\r\n")
        assert raw.reply()[0] == 150 and data.recv(100) == b"content"
    assert raw.reply()[0] == 226


def test_a_client_from_another_address_is_told(serve):
    server = serve("data_timeout = 1")
    r = server.raw().login()
    address = pasv(r)
    with socket.create_connection(address, PATIENCE, ("127.0.0.2", 0)) as other:
        other.settimeout(PATIENCE)
        assert r.cmd("STOR f")[0] == 150
        assert other.recv(1) == b""
        code, text = r.reply()
        assert code == 425 and "(1)" in text and "from your address" in text
    r.close()


@pytest.mark.parametrize("form", ["PORT", "EPRT"])
def test_active_mode(server, raw, form):
    write(server, "f", b"content")
    with socket.create_server(("127.0.0.1", 0)) as s:
        s.settimeout(PATIENCE)
        port = s.getsockname()[1]
        line = f"PORT 127,0,0,1,{port >> 8},{port & 255}" if form == "PORT" else f"EPRT |1|127.0.0.1|{port}|"
        assert raw.cmd(line)[0] == 200
        raw.send("RETR f\r\n")
        with s.accept()[0] as data:
            assert raw.reply()[0] == 150 and data.recv(100) == b"content"
        assert raw.reply()[0] == 226
    assert raw.cmd(line)[0] == 200
    code = raw.cmd("RETR f")[0]
    assert (raw.reply()[0] if code == 150 else code) in (425, 426), "nobody listens there any more"
    assert raw.cmd("NOOP")[0] == 200


def test_either_way_of_data_connections_can_be_switched_off(serve):
    accounts = "".join(f"[account {name}]\npassword = {{CLEAR}}{name}\nhome = {{dir}}\nrun_as = nobody\n{way}_mode = no\n"
                       for name, way in (("calls", "active"), ("waits", "passive")))
    server = serve(sections=accounts)
    r = server.raw().login("calls")
    for line in ("PORT 127,0,0,1,200,1", "EPRT |1|127.0.0.1|51201|"):
        code, text = r.cmd(line)
        assert code == 502 and "Active mode" in text, text
    assert r.cmd("LIST")[0] == 425
    features = r.cmd("FEAT")[1]
    assert " EPSV" in features and " EPRT" not in features
    assert r.fetch("NLST")[1] == 226
    r = server.raw().login("waits")
    for line in ("PASV", "EPSV", "EPSV 1", "EPSV ALL"):
        code, text = r.cmd(line)
        assert code == 502 and "Passive mode" in text, text
    features = r.cmd("FEAT")[1]
    assert " EPSV" not in features and " EPRT" in features
    with socket.create_server(("127.0.0.1", 0)) as s:
        s.settimeout(PATIENCE)
        assert r.cmd(f"EPRT |1|127.0.0.1|{s.getsockname()[1]}|")[0] == 200
        r.send("NLST\r\n")
        s.accept()[0].close()
        assert [r.reply()[0], r.reply()[0]] == [150, 226]


def link_local():
    """An IPv6 address that means something on one link only, and that link's number; None: this machine has none."""
    with contextlib.suppress(OSError), open("/proc/net/if_inet6") as f:
        for line in f:
            word = line.split()
            if word[0].startswith("fe80"):
                address = ":".join(word[0][i:i + 4] for i in range(0, 32, 4))
                return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address)), int(word[1], 16)
    return None


def test_eprt_on_a_link(serve):
    if link_local() is None:
        pytest.skip("no interface has a link-local address")
    address, scope = link_local()
    port = free_port("::1")
    server = serve(sections=f"[listener six]\nlisten = [::]:{port}\n")
    write(server, "f", b"content")
    r = Raw.__new__(Raw)
    r.sock = socket.socket(socket.AF_INET6)
    r.sock.settimeout(PATIENCE)
    r.sock.connect((address, port, 0, scope))
    r.file = r.sock.makefile("rb")
    r.login()
    for written in (address, address + "%en0"):
        with socket.socket(socket.AF_INET6) as s:
            s.bind((address, 0, 0, scope))
            s.listen()
            s.settimeout(PATIENCE)
            code, text = r.cmd(f"EPRT |2|{written}|{s.getsockname()[1]}|")
            assert code == 200, text
            r.send("RETR f\r\n")
            with s.accept()[0] as data:
                assert r.reply()[0] == 150 and data.recv(100) == b"content"
            assert r.reply()[0] == 226
    assert r.cmd("EPRT |2|fe80::dead:beef|5000|")[0] == 501
    r.close()


def six():
    try:
        return free_port("::1")
    except OSError:
        return 0


def test_ipv6(serve):
    port = six()
    if not port:
        pytest.skip("there is no ::1 here")
    server = serve(sections=f"[listener six]\nlisten = [::1]:{port}\n")
    write(server, "f", b"content")
    r = Raw.__new__(Raw)
    r.sock = socket.create_connection(("::1", port), PATIENCE)
    r.file = r.sock.makefile("rb")
    r.login()
    code, text = r.cmd("PASV")
    assert code == 425 and "EPSV" in text, text
    assert r.cmd("EPSV 1")[0] == 522
    data_port = int(re.search(r"\|\|\|(\d+)\|", r.cmd("EPSV 2")[1]).group(1))
    with socket.create_connection(("::1", data_port), PATIENCE) as data:
        assert r.cmd("RETR f")[0] == 150 and data.recv(100) == b"content"
    assert r.reply()[0] == 226
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as s:
        s.settimeout(PATIENCE)
        assert r.cmd(f"EPRT |2|::1|{s.getsockname()[1]}|")[0] == 200
        r.send("RETR f\r\n")
        with s.accept()[0] as data:
            assert r.reply()[0] == 150 and data.recv(100) == b"content"
        assert r.reply()[0] == 226
    code, text = r.cmd("EPRT |1|127.0.0.1|5000|")
    assert code == 522 and "(2)" in text, text
    r.close()


# ------------------------------------------------------------------------- what clients are known to send

# An opening, line by line, with the codes that the client goes on with.
CLIENTS = {
    "FileZilla": [("AUTH TLS", (502, 504, 530, 534)), ("AUTH SSL", (502, 504, 530, 534)), ("USER alice", 331), ("PASS alice", 230),
                  ("SYST", 215), ("FEAT", 211), ("CLNT FileZilla", 200), ("OPTS UTF8 ON", 200), ("PWD", 257), ("TYPE I", 200),
                  ("PASV", 227)],
    "Windows Explorer": [("USER alice", 331), ("PASS alice", 230), ("opts utf8 on", 200), ("syst", 215), ("site help", 214),
                         ("PWD", 257), ("noop", 200), ("CWD /", 250), ("TYPE A", 200), ("PASV", 227)],
    "basic-ftp": [("USER alice", 331), ("PASS alice", 230), ("FEAT", 211), ("TYPE I", 200), ("STRU F", 200), ("OPTS UTF8 ON", 200),
                  ("EPSV", 229)],
    "camera": [("USER alice", 331), ("PASS alice", 230), ("CWD cam", 550), ("MKD cam", 257), ("CWD cam", 250), ("CWD day", 550),
               ("MKD day", 257), ("CWD day", 250), ("TYPE I", 200), ("ALLO 1000", 200), ("PASV", 227)],
    "scanner": [("USER alice", 331), ("PASS alice", 230), ("TYPE A N", 200), ("STRU F", 200), ("MODE S", 200), ("ACCT x", 202),
                ("XPWD", 257), ("REST 0", 350), ("TYPE L 8", 200)],
    "lftp": [("FEAT", 211), ("USER alice", 331), ("PASS alice", 230), ("OPTS UTF8 ON", 200),
             ("OPTS MLST type;size;modify;UNIX.mode;UNIX.owner;UNIX.group;", 200), ("CLNT lftp/4.9.2", 200), ("PWD", 257),
             ("TYPE I", 200), ("ALLO 4096", 200), ("REST 0", 350)],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("pipelined", [False, True])
def test_openings(serve, client, pipelined):
    server = serve()
    r = greeted(server)
    lines = CLIENTS[client]
    if pipelined:
        r.send("".join(line + "\r\n" for line, _ in lines))
    for line, code in lines:
        got, text = r.reply() if pipelined else r.cmd(line)
        assert fits(got, code), (line, text)
    r.close()


def test_listings_fit_the_parsers_of_clients(server, raw):
    write(server, "parsed", b"x" * 1234)
    os.makedirs(home(server, "a folder"), exist_ok=True)
    shape = re.compile(rb"[-dlrwxst]{10} +\d+ [^ ]+ +[^ ]+ +\d+ [A-Z][a-z]{2} [ \d]\d (\d\d:\d\d| \d{4}) [^\r\n]+")
    for command in ("LIST", "LIST -a", "LIST -la", "LIST -lR", "LIST -Z", "STAT ."):
        if command.startswith("STAT"):
            text = raw.cmd(command)[1].encode().split(b"\r\n")[1:-2]
            lines = [line.lstrip(b" ") for line in text]
        else:
            content, code = raw.fetch(command)
            assert code == 226
            lines = content.split(b"\r\n")[:-1]
        assert any(line.endswith(b" parsed") for line in lines), command
        bad = [line for line in lines if line and not line.endswith(b":") and not shape.fullmatch(line)]
        assert not bad, (command, bad[:3])
    content, code = raw.fetch("MLSD")
    lines = content.decode(errors="replace").split("\r\n")[:-1]
    assert code == 226 and all(re.fullmatch(r"([\w.]+=[^;]*;)+ .+", line) for line in lines)
    assert re.search(r"type=file;", content.decode(errors="replace"), re.I)


def test_sizes_in_150(server, raw):
    write(server, "sized", b"x" * 4321)
    data = raw.passive()
    code, text = raw.cmd("RETR sized")
    assert code == 150 and re.search(r"\(4321 bytes\)", text), text
    read_all(data)
    assert raw.reply()[0] == 226


def test_globs_and_empty_listings(server, raw):
    os.makedirs(home(server, "empty"), exist_ok=True)
    write(server, "glob-1.c", b"")
    write(server, "glob-2.c", b"")
    assert raw.fetch("LIST empty") == (b"", 226) and raw.fetch("NLST empty") == (b"", 226)
    assert sorted(raw.fetch("NLST glob-*.c")[0].split()) == [b"glob-1.c", b"glob-2.c"]
    assert raw.fetch("NLST none-*.x")[1] in (226, 550)
    assert raw.fetch("LIST missing")[1] in (450, 550)
    assert raw.fetch("MLSD glob-1.c")[1] == 501


def test_options_of_listings(server, raw):
    """What clients write in front of and behind options, options with wild cards, and names that look like options."""
    os.makedirs(home(server, "opt/sub"), exist_ok=True)
    os.makedirs(home(server, "opt/ -a"), exist_ok=True)
    for name in ("opt/1.c", "opt/2.c", "opt/-z", "opt/ -a/in"):
        write(server, name, b"")
    assert raw.cmd("CWD opt")[0] == 250
    every, files = {" -a", "-z", "1.c", "2.c", "sub"}, {"1.c", "2.c"}
    rows = [
        ("", every), ("-a", every | {".", ".."}), ("-a ", every | {".", ".."}), ("-a  ", every | {".", ".."}), ("-la   ", every | {".", ".."}),
        (" -la", every | {".", ".."}), ("  -l  ", every), (" -a", {"in"}), ("-l --", every), ("-- ", every), ("-A", every), ("-1", every),
        ("-a *.c", files), ("-la *.c", files), ("-d *.c", files), ("-ad *", every), ("-R *.c", files), ("-d", {"."}), ("-d sub", {"sub"}),
        ("-z", {"-z"}), ("-- -z", {"-z"}), ("./-z", {"-z"}), ("-a sub", {".", ".."}), ("-Xq", every),
    ]
    for argument, names in rows:
        for verb in ("LIST", "NLST"):
            got, code = raw.fetch(f"{verb} {argument}")
            lines = [x[56:] if verb == "LIST" else os.path.basename(x) for x in got.decode().split("\r\n") if x]
            assert code == 226 and sorted(lines) == sorted(names), (verb, argument, got)


def test_active_from_a_low_port(serve):
    """The monitor, which is not root any more, binds it; more than one session at a time uses it."""
    low = next(p for p in range(1023, 600, -1) if not_in_use(p))
    server = serve(f"active_port = {low}")
    first, second = server.raw().login(), server.raw().login()
    for r in (first, second, first):
        with socket.create_server(("127.0.0.1", 0)) as s:
            assert r.cmd(f"EPRT |1|127.0.0.1|{s.getsockname()[1]}|")[0] == 200
            s.settimeout(PATIENCE)
            r.send("NLST\r\n")
            data, (host, port) = s.accept()
            assert (host, port) == ("127.0.0.1", low)
            data.close()
            assert r.reply()[0] == 150
            assert r.reply()[0] in (226, 426)
    assert "syscall-refused" not in server.log()


def not_in_use(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_pipelined_login_as_another_account(server):
    """Who sends USER and PASS together must not take the second reply for the login of the account that was refused."""
    raw = server.raw().login()
    raw.send("USER bob\r\nPASS bob\r\nPWD\r\n")
    assert [raw.reply()[0] for _ in range(3)] == [530, 503, 257]
    # For the account itself both go on working.
    raw.send("USER alice\r\nPASS x\r\nUSER bob\r\nUSER alice\r\nPASS x\r\n")
    assert [raw.reply()[0] for _ in range(5)] == [331, 230, 530, 331, 230]


def test_who_shows_a_transfer_that_stands_still(server):
    raw = server.raw().login()
    data = raw.passive()
    assert raw.cmd("STOR slow")[0] == 150
    data.sendall(b"x")
    started = time.monotonic()
    wait_for(lambda: [w for w in server.ctl("who") if w["user"] == "alice" and w["activity"] == "STOR slow"])
    # The first note comes after 0.3 s; without it nothing would be known for five.
    assert time.monotonic() - started < 4
    data.close()
    assert raw.reply()[0] == 226
    wait_for(lambda: [w for w in server.ctl("who") if w["user"] == "alice" and w["activity"] == ""])


@pytest.mark.parametrize("setting", ["quota_bytes", "max_file_size"])
@pytest.mark.parametrize("verb", ["STOR", "APPE", "STOU"])
def test_552_names_the_limit(serve, tmp_path, setting, verb):
    server = serve(f"quota_directory = {tmp_path}/q", f"[class limited]\nmembers = alice\n{setting} = 100000\n")
    raw = server.raw().login()
    data = raw.passive()
    assert raw.cmd(f"{verb} big" if verb != "STOU" else verb)[0] == 150
    with contextlib.suppress(OSError):
        data.sendall(b"x" * 200000)
        data.close()
    assert raw.reply() == (552, f"552 Transfer aborted: the account's limit is reached ({setting}).\r\n")
    server.wait_log(f"event=transfer .*how=limit-reached limit={setting}")
    # Announced, it is refused before.
    raw.cmd("ALLO 200000")
    raw.passive().close()
    code, text = raw.cmd("STOR big")
    assert code == 552 and setting in text, text
