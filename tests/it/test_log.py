"""The log itself: what stands in it when operations fail, transfers break off, and its own disk is full."""
import ftplib
import io
import json
import os
import re
import subprocess
import tempfile

import pytest

from conftest import BUILD, wait_for


@pytest.fixture
def log_disk():
    """A file system of its own for the log, and a way to fill and to empty it."""
    top = tempfile.mkdtemp(prefix="sallyport-log-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "none", top], capture_output=True).returncode != 0:
        os.rmdir(top)
        pytest.skip("no tmpfs can be mounted here")
    yield top
    subprocess.run(["umount", "-l", top], check=True)
    os.rmdir(top)


def fill(top):
    with open(f"{top}/filler", "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass


def with_its_log(serve, top, settings):
    """A server that logs into a file, as it does when it is not debugged."""
    s = serve(f"log = {top}/log\n{settings}")
    s.process.terminate()
    s.process.wait()
    s.command.remove("-d")
    s.log_path = f"{top}/log"
    s.start()
    return s


def lines(path):
    """Each line is a whole object of UTF-8, but for the one that was torn when the disk was full."""
    with open(path, "rb") as f:
        return [line.decode() for line in f.read().split(b"\n")[:-1]]


def put(f, name, size=3):
    f.storbinary(f"STOR {name}", io.BytesIO(b"x" * size))


def test_a_full_disk_under_the_log(serve, log_disk):
    s = with_its_log(serve, log_disk, "log_format = json")
    with s.ftp("alice") as f:
        put(f, "before")
        fill(log_disk)
        for i in range(40):
            put(f, f"during{i}")
        os.unlink(f"{log_disk}/filler")
        put(f, "after")
    wait_for(lambda: any("session-end" in x and "alice" in x for x in lines(f"{log_disk}/log")), "the end of the session")
    found, torn = [], 0
    for line in lines(f"{log_disk}/log"):
        try:
            found.append(json.loads(line))
        except ValueError:
            torn += 1
    events = [x["event"] for x in found]
    assert torn <= 1 and "log-gap" in events
    gap = found[events.index("log-gap")]
    assert isinstance(gap["lost"], int) and gap["lost"] > 0
    done = [x["path"] for x in found if x["event"] == "transfer"]
    assert done[0] == "/before" and done[-1] == "/after"
    if not os.path.exists("/dev/log"):
        assert s.errors().count("event=log-unwritable") == 1
    # The count is right: two lines for each upload, of which some still fitted.
    assert sum(x.get("path", "").startswith("/during") for x in found) + gap["lost"] == 80
    m = subprocess.run([f"{BUILD}/sallyctl", "--socket", f"{s.dir}/control", "metrics"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^sallyport_lost_log_lines_total (\d+)", m, re.M).group(1) == str(gap["lost"])


def test_nobody_works_without_records(serve, log_disk):
    s = with_its_log(serve, log_disk, "audit_full = refuse")
    held = s.ftp("alice")
    fill(log_disk)
    with pytest.raises((ftplib.Error, EOFError, OSError)):
        for i in range(200):
            held.voidcmd(f"MKD d{i}")
    with pytest.raises(ftplib.error_temp, match="421"):
        s.ftp("bob")
    os.unlink(f"{log_disk}/filler")
    s.ftp("bob").quit()
    s.wait_log("event=log-gap lost=")


def test_what_the_system_refuses_is_on_record(server):
    with server.ftp("alice") as f:
        os.mkdir(f"{server.homes['alice']}/roots")
        for command, wanted in (("DELE missing", "op=DELE path=/missing kind=missing verdict=allow .*result=failed errno=2 "),
                                ("MKD roots/x", "op=MKD path=/roots/x kind=missing verdict=allow .*result=failed errno=13 "),
                                (f"MKD {'n' * 300}", "op=MKD .*result=failed errno=36 ")):
            with pytest.raises(ftplib.error_perm):
                f.voidcmd(command)
            server.wait_log(wanted)
        os.rmdir(f"{server.homes['alice']}/roots")


def test_transfers_one_by_one(server):
    with server.ftp("alice") as f:
        put(f, "whole", 70000)
        f.retrbinary("RETR whole", lambda block: None)
    server.wait_log("event=transfer .*direction=upload path=/whole bytes=70000 milliseconds=[0-9]+ type=binary complete=yes")
    server.wait_log("event=transfer .*direction=download path=/whole bytes=70000 .* complete=yes")
    r = server.raw().login()
    r.cmd("TYPE I")
    data = r.passive()
    assert r.cmd("STOR cut")[0] == 150
    data.sendall(b"x" * 1000)
    wait_for(lambda: any(os.path.getsize(f"{server.homes['alice']}/{x}") == 1000 for x in os.listdir(server.homes["alice"])), "the bytes")
    r.close()
    server.wait_log("event=transfer .*direction=upload path=/cut bytes=1000 .*complete=no how=session-ended")
    server.wait_log("event=session-end .*transfers=1 incomplete=1 bytes_in=1000 bytes_out=0 how=broken-off")
    data.close()


def quiet_end(f):
    """Says nothing more until the server has ended the session."""
    while f.file.readline():
        pass


@pytest.mark.parametrize("how, settings, words", [
    ("kicked", "", ["kick", "alice"]), ("drained", "", ["drain"]), ("stopped", "", ["stop"]),
    ("idle", "idle_timeout = 1", []), ("timeout", "session_timeout = 1", []), ("ok", "", None)])
def test_how_a_session_ended(serve, how, settings, words):
    server = serve(settings)
    f = server.raw().login("alice")
    if words is None:
        f.cmd("QUIT")
    elif words:
        server.ctl(*words)
    quiet_end(f)
    server.wait_log(f"event=session-end session=\\S+ rhost=127.0.0.1 user=alice transfers=0 bytes_in=0 bytes_out=0 how={how}\n")


@pytest.mark.parametrize("how, words", [("kicked", ["kick", "127.0.0.1"]), ("drained", ["drain"])])
def test_how_a_session_ended_before_its_login(serve, how, words):
    server = serve("")
    f = server.raw()
    f.reply()
    server.ctl(*words)
    quiet_end(f)
    server.wait_log(f"event=session-end session=\\S+ rhost=127.0.0.1 how={how}\n")


def test_a_kick_that_breaks_off_a_transfer(serve):
    """The session was kicked; that its transfer is not complete, the other fields say."""
    server = serve("")
    with open(f"{server.homes['alice']}/long", "wb") as out:
        out.truncate(1 << 30)
    f = server.raw().login("alice")
    data = f.passive()
    assert f.cmd("RETR long")[0] == 150
    data.recv(1)
    server.ctl("kick", "alice")
    server.ctl("kick", "alice")
    quiet_end(f)
    server.wait_log("event=session-end .*user=alice transfers=1 incomplete=1 .*how=kicked\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_sessions_write_to_the_stream_that_is_the_log(serve, stream):
    """As containers want it; what a client does is there, and nothing on the other stream."""
    s = serve(f"[server]\nlog = {stream}")
    s.stop()
    with open(f"{s.dir}/out", "w") as out, open(f"{s.dir}/err", "w") as err:
        command = [word for word in s.command if word != "-d"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as s.process:
            s.wait_ready()
            with s.ftp() as f:
                put(f, "x")
            s.wait_quiet()
            s.process.terminate()
    said = {name: open(f"{s.dir}/{name[3:]}").read() for name in ("stdout", "stderr")}
    for event in ("ready", "login", "transfer", "session-end", "stopping"):
        assert f"event={event}" in said[stream], event
    assert "event=" not in said["stderr" if stream == "stdout" else "stdout"]
