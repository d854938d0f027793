"""Two sessions that write to one name at once, every pair of verbs: what was answered 226 is in the file, as if one had come
after the other; an append never replaces; nothing that another session wrote is cut off."""
import ftplib
import io
import itertools
import os
import socket
import tempfile
import threading

import pytest

from conftest import Server
from test_accounts_quota import ctl, start
from tlsserver import running

OLD = b"0123456789" * 10
FIRST, SECOND = b"first-" * 5000, b"second" * 3000
VERBS = ["STOR", "APPE", "REST"]


@pytest.fixture(scope="module", params=["yes", "no"])
def parallel(request):
    s = Server(tempfile.mkdtemp(prefix="sallyport-it-"), f"atomic_uploads = {request.param}")
    s.atomic = request.param == "yes"
    yield s
    s.clean()


def after(verb, old, content):
    """What one upload alone makes of a file."""
    return {"STOR": content, "APPE": old + content, "REST": old[:50] + content, "STOU": old}[verb]


def begin(session, verb, name):
    """The data connection, or None and the refusal."""
    session.cmd("TYPE I")
    data = session.passive()
    if verb == "REST":
        assert session.cmd("REST 50")[0] == 350
    code, _ = session.cmd(f"{'STOR' if verb == 'REST' else verb} {name}")
    if code == 150:
        return data
    data.close()
    assert code == 450, f"{verb}: {code}"
    return None


def end(session, data):
    data.close()
    return session.reply()[0]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("pair", itertools.product(VERBS, VERBS), ids=lambda p: "-".join(p))
def test_pairs(parallel, pair, there):
    if not there and "REST" in pair:
        pytest.skip("REST needs a file that is there")
    path = f"{parallel.homes['alice']}/f"
    for how in ("second inside", "first ends first"):
        with open(path, "wb") as f:
            f.write(OLD)
        os.chown(path, 64111, 64111)
        if not there:
            os.unlink(path)
        a, b = parallel.raw().login(), parallel.raw().login()
        da = begin(a, pair[0], "f")
        da.sendall(FIRST[:11000])
        db = begin(b, pair[1], "f")
        codes = [0, 0]
        if how == "second inside":
            if db:
                db.sendall(SECOND)
                codes[1] = end(b, db)
            da.sendall(FIRST[11000:])
            codes[0] = end(a, da)
        else:
            if db:
                db.sendall(SECOND[:7000])
            da.sendall(FIRST[11000:])
            codes[0] = end(a, da)
            if db:
                db.sendall(SECOND[7000:])
                codes[1] = end(b, db)
        a.close()
        b.close()
        with open(path, "rb") as f:
            found = f.read()
        judge(pair, there or not parallel.atomic, OLD if there else b"", codes, found, how)


def judge(pair, in_place, old, codes, found, how):
    what = [(pair[0], FIRST), (pair[1], SECOND)]
    done = [w for w, c in zip(what, codes) if c == 226]
    assert all(c in (0, 226, 450) for c in codes), (how, codes)
    assert done, (how, codes)
    if len(done) == 2 and pair == ("APPE", "APPE") and in_place:
        # In place the pieces of two appends may alternate, but none is lost.
        assert len(found) == len(old) + len(FIRST) + len(SECOND) and found.startswith(old), how
        return
    if 450 in codes and len(done) == 1 and done[0][0] == "APPE":
        # The other one broke off in the middle: what it left is before or behind, never over what was acknowledged.
        assert done[0][1] in found, (how, codes)
        return
    if 450 in codes:
        # Both wrote at places in the file itself, and one of them knows that it did not work out.
        return
    # Who resumes meant the bytes that were there when they began.
    serial = [after(verb, old, text) for verb, text in done if verb == "REST"]
    for order in itertools.permutations(done):
        content = old
        for verb, text in order:
            content = after(verb, content, text)
        serial.append(content)
    assert found in serial, (how, codes, len(found))


def test_append_only_accounts_replace_nothing(serve):
    s = serve()
    s.stop()
    with open(s.conf) as f:
        conf = f.read().replace("layer = pyftpdlib elradfmwMT", "layer = pyftpdlib ela", 1)
    with open(s.conf, "w") as f:
        f.write(conf)
    s.start()
    a, b = s.raw().login(), s.raw().login()
    for x in (a, b):
        x.cmd("TYPE I")
    data = a.passive()
    assert a.cmd("APPE f")[0] == 150
    data.sendall(b"a" * 1000)
    assert b.put("APPE f", b"b" * 500) == 226
    assert end(a, data) == 226
    with open(f"{s.homes['alice']}/f", "rb") as f:
        assert f.read() == b"b" * 500 + b"a" * 1000


@pytest.mark.parametrize("there", [True, False])
def test_many_appends_lose_nothing(parallel, there):
    path = f"{parallel.homes['alice']}/many-{there}"
    if there:
        with open(path, "wb"):
            pass
        os.chown(path, 64111, 64111)
    codes = []

    def work(k):
        x = parallel.raw().login()
        x.cmd("TYPE I")
        codes.append(x.put(f"APPE many-{there}", bytes([65 + k]) * 300))
        x.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == [226] * 16
    with open(path, "rb") as f:
        found = f.read()
    assert sorted(found[i:i + 300] for i in range(0, len(found), 300)) == [bytes([65 + k]) * 300 for k in range(16)]


def test_an_append_and_a_file_that_takes_the_name(parallel):
    a, b = parallel.raw().login(), parallel.raw().login()
    for x in (a, b):
        x.cmd("TYPE I")
    data = a.passive()
    assert a.cmd("APPE taken")[0] == 150
    data.sendall(b"appended")
    stored = b.put("STOR taken", b"stored")
    appended = end(a, data)
    with open(f"{parallel.homes['alice']}/taken", "rb") as f:
        found = f.read()
    assert 226 in (stored, appended)
    assert stored != 226 or b"stored" in found
    assert appended != 226 or b"appended" in found


def test_a_resumed_upload_survives_its_old_session(parallel):
    """The old session's end must not cut off what the new one stored."""
    path = f"{parallel.homes['alice']}/resumed"
    with open(path, "wb") as f:
        f.write(OLD)
    os.chown(path, 64111, 64111)
    a, b = parallel.raw().login(), parallel.raw().login()
    old = begin(a, "REST", "resumed")
    old.sendall(b"half")
    new = begin(b, "REST", "resumed")
    new.sendall(b"n" * 5000)
    assert end(b, new) == 226
    old.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert end(a, old) == 426
    with open(path, "rb") as f:
        assert len(f.read()) == 5050


def test_removed_while_written_in_place_is_not_acknowledged(parallel):
    path = f"{parallel.homes['alice']}/removed"
    with open(path, "wb") as f:
        f.write(OLD)
    os.chown(path, 64111, 64111)
    a, b = parallel.raw().login(), parallel.raw().login()
    data = begin(a, "APPE", "removed")
    data.sendall(b"x" * 10)
    assert b.cmd("DELE removed")[0] == 250
    assert end(a, data) == 450


# ------------------------------------------------------------------------------- a refusal in the middle

def send_blindly(session, command, size):
    """As clients that look at the control connection only when they have sent everything."""
    session.cmd("TYPE I")
    data = session.passive()
    assert session.cmd(command)[0] == 150
    data.sendall(b"x" * size)
    data.close()
    return session.reply()


@pytest.mark.parametrize("command", ["STOR new", "APPE old", "STOU"])
def test_the_refusal_is_read(serve, command):
    s = start(serve, "quota_bytes = 100000")
    home = s.homes["alice"]
    x = s.raw().login()
    assert x.put("STOR old", b"o" * 50) == 226
    code, text = send_blindly(x, command, 30 << 20)
    assert code == 552, text
    assert ctl(s, "show", "alice")["bytes"] == 50
    assert os.listdir(home) == ["old"] and os.path.getsize(f"{home}/old") == 50
    assert x.cmd("NOOP")[0] == 200
    x.close()


def test_a_client_that_goes_on_is_served(serve):
    """It has read the refusal, and leaves the data connection open without sending more."""
    s = start(serve, "quota_bytes = 100000")
    x = s.raw().login()
    x.cmd("TYPE I")
    data = x.passive()
    assert x.cmd("STOR new")[0] == 150
    data.sendall(b"x" * 200000)
    assert x.reply()[0] == 552
    assert x.cmd("NOOP")[0] == 200
    data.close()
    x.close()


def test_the_refusal_is_read_under_tls(tmp_path):
    with running(sections="[class limited]\nmembers = alice\nquota_bytes = 100000",
                 server=f"quota_directory = {tmp_path}/q") as s:
        f = s.ftps()
        f.voidcmd("TYPE I")
        data = f.transfercmd("STOR new")
        data.sendall(b"x" * (10 << 20))
        data.close()
        with pytest.raises(ftplib.error_perm, match="552"):
            f.getresp()
        assert f.voidcmd("NOOP").startswith("200")
        assert f.nlst() == []
        f.close()


def test_listings_beside_uploads(server):
    """A listing, and the first upload of a session, remove what dead sessions left, and nothing of a living one."""
    sessions, refused, done = [server.ftp() for _ in range(6)], [], threading.Event()

    def upload(f, number):
        for i in range(60):
            try:
                f.storbinary(f"STOR swept{number}-{i % 10}", io.BytesIO(b"content"))
            except ftplib.Error as e:
                refused.append(str(e))

    def look(f):
        while not done.is_set():
            list(f.mlsd())

    lists = [threading.Thread(target=look, args=(f,)) for f in sessions[3:]]
    uploads = [threading.Thread(target=upload, args=(f, n)) for n, f in enumerate(sessions[:3])]
    for t in lists + uploads:
        t.start()
    for t in uploads:
        t.join()
    done.set()
    for t in lists:
        t.join()
    for f in sessions:
        f.quit()
    assert not refused, refused[:5]
