"""A client that says anything, in clear or over TLS, and insists that each answer is one.

Its commands come from verbs.def and sites.def: a row that is added there is tried here.  What it finds wrong is a Finding.
"""
import contextlib
import os
import re
import socket
import ssl
import struct

from conftest import PATIENCE, TOP

ROW = re.compile(r'^(?:VERB|SITE)\((\w+), \w+, (?:([A-Z |]+), )?(ARG_\w+),', re.M)
CHUNK = 1 << 16


class Finding(AssertionError):
    """The server did what it must not."""


class Left(Exception):
    """The session is over, in a way that it may be."""


def table(name):
    """Rows of a table: name -> (states, kind of argument)."""
    with open(f"{TOP}/daemon/worker/{name}") as f:
        return {m[1]: (m[2] or "AFTER", m[3]) for m in ROW.finditer(f.read())}


VERBS, SITES = table("verbs.def"), table("sites.def")
TRANSFERS = {name for name, (states, _) in VERBS.items() if "DATA" in states}
# These have steps of their own; the others are sent as they come.
APART = TRANSFERS | {"QUIT", "REIN", "SITE", "PORT", "EPRT", "RNTO", "REST"}

NAMES = ["a", "b", "f1", "f2", "d", "d/x", "d/e", "d/e/y", "ruled", "ruled/keep", "ruled/new", "closed", "closed/keep", "closed/new", "ln",
         "away", "away/secret", "loop", "none", "none/x", "/", ".", "..", "../outside/secret", "/../../outside/new", "-la", "*", "d/*",
         "[ab]", "sp ace ", " lead", "\u00e9\u00df", "\udcff\udcfe", "q\"uote", "n" * 255, "n" * 300, ".permissions", ".sallyport-0-0",
         "a/b/c/d/e/f/g", "d/", "d//x", "~", "~/a", "a;b", "x=1", "CON", "tab\there"]
TIMES = ["20200101000000", "19700101000000", "20371231235959", "2020", "99999999999999", "20200101000000.123"]
NUMBERS = ["0", "1", "5", "1000", "1000000", "99999999999999999999", "-1", "x", "", "7 "]
WORDS = {
    "USER": ["alice", "nobody", "\u00e9", "x" * 400], "AUTH": ["TLS", "SSL", "X"], "PBSZ": ["0", "x"], "PROT": ["P", "P", "C", "S", "x"],
    "HOST": ["localhost", "localhost:21", "[::1]"], "TYPE": ["A", "I", "I", "L 8", "E", "Q", "I "], "STRU": ["F", "R", "x"],
    "MODE": ["S", "B", "x"], "EPSV": ["", "1", "2", "9", "x", " "],
    "OPTS": ["UTF8 ON", "MLST size;modify;", "MLST type;perm;unique;", "MLST x", "HASH SHA-256", "HASH x", "X"],
    "CLNT": ["model"], "CSID": ["Name=m;"], "LANG": ["EN", "DE", ""], "HELP": ["", "RETR", "SITE", "X"],
}


def path(r):
    name = r.choice(NAMES)
    return r.choice(["", "", "", "/", "./", "d/../"]) + name if r.random() < 0.9 else f"{name}/{r.choice(NAMES)}"


def quoted(r):
    return '"' + path(r).replace('"', '""') + '"'


def site_line(r):
    """A command of SITE with an argument that it understands, or none does."""
    name = r.choice(sorted(SITES))
    mode = r.choice(["644", "600", "755", "700", "000", "4777", "888"])
    argument = {
        "HELP": lambda: r.choice(["", "CHMOD", "X"]), "CHMOD": lambda: f"{mode} {path(r)}",
        "UMASK": lambda: r.choice(["", "022", "077", "9"]), "UTIME": lambda: f"{r.choice(TIMES)} {path(r)}",
        "IDLE": lambda: r.choice(["", "120", "300", "x"]), "SYMLINK": lambda: f"{quoted(r)} {quoted(r)}",
        "READLINK": lambda: path(r), "CHOWN": lambda: f"{r.choice(['alice', 'root', '0'])} {path(r)}",
        "CHGRP": lambda: f"{r.choice(['root', 'nogroup'])} {path(r)}", "GETFACL": lambda: path(r), "DELDEFACL": lambda: path(r),
        "SETFACL": lambda: f"{r.choice(['u::rwx,g::r-x,o::r-x', 'u::rw-,g::r--,o::---', 'x'])} {path(r)}",
        "WHY": lambda: f"{r.choice(['DELE', 'STOR', 'RETR', 'X'])} {quoted(r)}",
    }.get(name, lambda: r.choice(["x", "x y", ""]))()
    return f"SITE {name} {argument}"


def simple_line(r):
    """A command that has one reply, whatever it is."""
    roll = r.random()
    if roll < 0.03:
        return r.choice(["NONSENSE", "", "\u00e9", "X" * 5000, "RETR\tx", "123 x"]) or "."
    if roll < 0.2:
        return site_line(r)
    if roll < 0.25:
        return r.choice(["PORT 10,0,0,1,4,1", "PORT 127,0,0,1,0,80", "PORT 1,2,3", "EPRT |1|127.0.0.1|22|", "EPRT |2|::1|5000|", "EPRT x",
                         "RNTO z"])
    name = r.choice(sorted(set(VERBS) - APART))
    kind = VERBS[name][1]
    if name in WORDS:
        argument = r.choice(WORDS[name])
    elif name in ("MFMT", "MFF"):
        argument = (r.choice(TIMES) if name == "MFMT" else f"Modify={r.choice(TIMES)};UNIX.mode=640;") + " " + path(r)
    elif kind == "ARG_NUMBER":
        argument = r.choice(NUMBERS) + (" " + r.choice(NUMBERS) if name == "RANG" else "")
    elif kind == "ARG_NONE":
        argument = r.choice(["", "", " ", "x"])
    else:
        argument = path(r) if r.random() < 0.8 else ""
    return f"{name} {argument}" if argument else name


class Talk:
    """One connection after another, as one user."""

    def __init__(self, server, user, home, r):
        self.server, self.user, self.home, self.r = server, user, home, r
        self.sock = self.file = None
        self.said, self.steps = [], 0

    # ------------------------------------------------------------------ replies

    def line(self):
        try:
            text = self.file.readline()
        except socket.timeout as e:
            raise Finding(f"no reply to {self.said[-3:]}") from e
        except OSError:
            return b""
        if text and not text.endswith(b"\r\n"):
            raise Finding(f"half a line: {text[:100]!r} after {self.said[-3:]}")
        if re.search(rb"[\0-\x08\x0b-\x1f\x7f]", text[:-2]):
            raise Finding(f"control bytes in a reply: {text[:200]!r} after {self.said[-3:]}")
        return text

    def reply(self):
        """The next reply: code and all lines. Left at an end that was announced."""
        first = text = self.line()
        if not first:
            raise Finding(f"the connection ends without a word after {self.said[-3:]}")
        m = re.match(rb"([1-5][0-5]\d)([ -])[^\r\n]", first)
        if not m:
            raise Finding(f"no reply: {first[:100]!r} after {self.said[-3:]}")
        while m[2] == b"-" and not text.startswith(m[1] + b" "):
            text = self.line()
            if not text:
                raise Finding(f"a reply without its end: {first[:100]!r}")
            if re.match(rb"\d{3} ", text) and not text.startswith(m[1] + b" "):
                raise Finding(f"{text[:100]!r} within a reply of {m[1]!r}")
            first += text
        code = int(m[1])
        if code == 421:
            raise Left(first.decode("utf-8", "replace"))
        return code, first.decode("utf-8", "surrogateescape")

    def send(self, *lines):
        self.said = (self.said + [line[:80] for line in lines])[-20:]
        data = b"".join(line.encode("utf-8", "surrogateescape").replace(b"\xff", b"\xff\xff") + b"\r\n" for line in lines)
        try:
            self.sock.sendall(data)
        except socket.timeout as e:
            raise Finding(f"nothing is read after {self.said[-3:]}") from e
        except OSError as e:
            self.reply()
            raise Finding(f"broken after {self.said[-3:]}: {e}") from e

    def cmd(self, line):
        self.send(line)
        return self.reply()

    def must(self, line, *codes):
        code, text = self.cmd(line)
        if code not in codes:
            raise Finding(f"{line!r}: {text!r} after {self.said[-6:]}")
        return text

    # -------------------------------------------------------------- connections

    def connect(self):
        while self.sock is None:
            try:
                self.connect_once()
            except Left:
                self.leave("close")

    def connect_once(self):
        self.sock = socket.create_connection(("127.0.0.1", self.server.port), PATIENCE)
        self.file = self.sock.makefile("rb")
        self.secure = self.protect = False
        if self.reply()[0] != 220:
            raise Finding("no greeting")
        if self.r.random() < 0.4:
            self.must("AUTH TLS", 234)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
            self.file, self.context, self.secure = self.sock.makefile("rb"), context, True
        self.log_in()

    def log_in(self):
        self.must(f"USER {self.user}", 331)
        code, text = self.cmd(f"PASS {self.user}")
        # A tenant may lock itself out, by SITE CHMOD of its root.
        if code == 530 and "home" in text and not os.stat(self.home).st_mode & 0o100:
            os.chmod(self.home, 0o755)
            raise Left(text)
        if code != 230:
            raise Finding(f"PASS: {text!r} after {self.said[-6:]}")
        if self.secure and self.r.random() < 0.7:
            self.must("PBSZ 0", 200)
            self.must("PROT P", 200)
            self.protect = True
        self.must("TYPE I", 200)

    def reset(self, sock):
        """The end of a connection as the sudden death of a client's machine leaves it."""
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def leave(self, how):
        try:
            if how == "quit":
                self.must("QUIT", 221)
                if self.line():
                    raise Finding("more after 221")
        finally:
            if self.sock is not None:
                self.file.close()
                (self.reset if how == "reset" else socket.socket.close)(self.sock)
                self.sock = None

    # -------------------------------------------------------------------- steps

    def simple(self):
        line = simple_line(self.r)
        code, _ = self.cmd(line)
        if line.startswith("PROT ") and code == 200:
            self.protect = line.endswith("P")
        if line.startswith("AUTH ") and code == 234:
            raise Finding("AUTH after the login")

    def burst(self):
        lines = [line for line in (simple_line(self.r) for _ in range(self.r.randrange(2, 12)))
                 if not line.startswith(("PROT", "AUTH", "X" * 100))]
        if lines:
            self.send(*lines)
        for _ in lines:
            self.reply()

    def rename(self):
        code, _ = self.cmd(f"RNFR {path(self.r)}")
        between = self.r.choice([None, None, None, "NOOP", "PWD", "TYPE I"])
        if between is not None:
            self.cmd(between)
        after, text = self.cmd(f"RNTO {path(self.r)}")
        if (code != 350 or between in ("PWD", "TYPE I")) != (after == 503):
            raise Finding(f"RNFR {code}, {between}, RNTO {text!r}")

    def rein(self):
        if self.secure:
            self.must("REIN", 502)
            return
        self.must("REIN", 220)
        self.log_in()

    def come_again(self):
        self.leave(self.r.choice(["quit", "reset", "close"]))
        self.connect()

    def data_way(self):
        """EPSV, PASV or EPRT: a function that gives the connection once the transfer has begun; None: refused."""
        if self.r.random() < 0.2:
            s = socket.create_server(("127.0.0.1", 0))
            s.settimeout(PATIENCE)
            if self.cmd(f"EPRT |1|127.0.0.1|{s.getsockname()[1]}|")[0] != 200:
                s.close()
                return None, None
            return (lambda: s.accept()[0]), s.close
        verb = self.r.choice(["EPSV", "EPSV", "PASV"])
        code, text = self.cmd(verb)
        if code not in (227, 229):
            return None, None
        n = [int(x) for x in re.findall(r"\d+", text)]
        s = socket.create_connection(("127.0.0.1", n[-2] * 256 + n[-1] if verb == "PASV" else n[-1]), PATIENCE)
        return (lambda: s), s.close

    def transfer(self):
        connection, close = self.data_way()
        if connection is None:
            return
        try:
            if self.r.random() < 0.2:
                self.cmd(f"REST {self.r.choice(NUMBERS)}")
            verb = self.r.choice(sorted(TRANSFERS))
            argument = path(self.r) if VERBS[verb][1] == "ARG_PATH" or self.r.random() < 0.6 else ""
            code, text = self.cmd(f"{verb} {argument}" if argument else verb)
            if code != 150:
                if code < 400:
                    raise Finding(f"{verb}: {text!r}")
                return
            self.carry_out(connection(), verb in ("STOR", "STOU", "APPE"))
        finally:
            close()

    def carry_out(self, data, upload):
        ending = self.r.choices(["orderly", "abort", "abort in a crowd", "reset", "vanish", "chat"], [60, 8, 6, 8, 6, 12])[0]
        try:
            data.settimeout(PATIENCE)
            if self.protect:
                data = self.context.wrap_socket(data, session=self.sock.session)
        except OSError:
            # TLS on the data connection was refused: the reply says so.
            return self.final()
        if ending == "orderly":
            self.move(data, upload)
            return self.final()
        if ending.startswith("abort"):
            crowd = [] if ending == "abort" else ["NOOP"] * self.r.randrange(100, 400)
            self.some(data, upload)
            self.send(*crowd, "ABOR")
            codes = sorted(self.reply()[0] for _ in range(len(crowd) + 2))
            data.close()
            if codes.count(200) != len(crowd) or 226 not in codes:
                raise Finding(f"ABOR: {codes}")
            return None
        if ending == "reset":
            self.some(data, upload)
            self.reset(data)
            return self.final()
        if ending == "vanish":
            self.some(data, upload)
            self.leave("reset")
            self.reset(data)
            return self.connect()
        lines = ["NOOP"] * self.r.randrange(1, 80) + ["STAT"]
        self.send(*lines)
        self.move(data, upload)
        codes = [self.reply()[0] for _ in range(len(lines) + 1)]
        if codes.count(200) != len(lines) - 1 or codes.count(211) != 1:
            raise Finding(f"chat in a transfer: {codes}")
        return None

    def final(self):
        code, text = self.reply()
        if code not in (226, 250) and code < 400:
            raise Finding(f"the end of a transfer: {text!r}")

    def some(self, data, upload):
        """A part of it; the other side may have ended."""
        with contextlib.suppress(OSError):
            if upload:
                data.sendall(os.urandom(self.r.choice((1, 1000, 100000))))
            else:
                data.recv(1000)

    def move(self, data, upload):
        with contextlib.suppress(OSError):
            if upload:
                data.sendall(b"m" * self.r.choice((0, 1, 5, 1000, 30000, 300000)))
                if self.protect:
                    data.unwrap()
            else:
                while data.recv(CHUNK):
                    pass
        data.close()

    STEPS = [(simple, 40), (burst, 10), (transfer, 30), (rename, 8), (rein, 3), (come_again, 5)]

    def run(self, steps, over):
        """So many steps, unless the time is over first."""
        kinds, weights = zip(*self.STEPS)
        self.connect()
        while self.steps < steps and not over():
            self.steps += 1
            try:
                self.r.choices(kinds, weights)[0](self)
                self.must("NOOP", 200)
            except Left:
                self.leave("close")
                self.connect()
        self.leave("quit")
