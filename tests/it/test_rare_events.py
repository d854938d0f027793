"""Events of the log that no other test brings about."""
import os
import re
import socket
import subprocess

from conftest import BUILD, PATIENCE, UIDS


def test_faults_of_settings_and_files(serve):
    """A place to start in that is not there, messages that are too long, a transfer log that takes nothing."""
    server = serve("start = /no/such\ndirectory_message_file = .message\nxferlog = /dev/full\n"
                   "goodbye_message = " + "${USER} " * 60)
    with open(f"{server.homes['alice']}/.message", "w", encoding="ascii") as f:
        f.write("long " * 20000)
    os.mkdir(f"{server.homes['alice']}/closed")
    with open(f"{server.homes['alice']}/closed/f", "w", encoding="ascii") as f:
        f.write("old")
    os.chown(f"{server.homes['alice']}/closed/f", UIDS["alice"], UIDS["alice"])
    r = server.raw().login()
    server.wait_log("warning event=no-start-directory .*about=/no/such ")
    assert r.cmd("CWD /")[0] == 250
    server.wait_log("warning event=message-cut .*role=agent about=/")
    # The directory takes no new file, but what is in it may be written.
    assert r.put("STOR closed/f", b"new") == 226
    server.wait_log("info event=upload-in-place .*about=/closed/f ")
    server.wait_log("error event=xferlog-not-written ")
    r.close()


def test_an_agent_that_dies_before_the_login(serve):
    server = serve("")
    r = server.raw()
    assert r.reply()[0] == 220
    for pid, name in server.pids().items():
        if name.startswith("sallyport-agen") and os.getppid() != pid:
            os.kill(pid, 9)
    server.wait_log("error event=agent-vanished session=")


def test_a_port_that_another_has(serve):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        low = next(p for p in range(1022, 500, -1) if is_free(p))
        s.close()
    with socket.create_server(("127.0.0.1", low)):
        server = serve(f"active_port = {low}")
        r = server.raw().login()
        with socket.create_server(("127.0.0.1", 0)) as s:
            assert r.cmd(f"EPRT |1|127.0.0.1|{s.getsockname()[1]}|")[0] == 200
            assert r.cmd("NLST")[0] in (150, 425)
            server.wait_log("warning event=active-port-unusable .*error=\"Address already in use\"")


def is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_places_that_are_not_there(serve, tmp_path):
    """What keeps a server from its log or its socket is on standard error, too."""
    for setting, event in (("log", "log-unusable"), ("control_socket", "control-socket")):
        conf = tmp_path / f"{setting}.conf"
        server = serve("")
        server.stop()
        with open(server.conf, encoding="utf-8") as f:
            text = re.sub(rf"(?m)^{setting} = .*$", f"{setting} = /no/such/place", f.read())
        conf.write_text(text)
        r = subprocess.run([f"{BUILD}/sallyportd", "-f", conf, "--libexec", BUILD], capture_output=True, text=True,
                           timeout=PATIENCE)
        assert r.returncode != 0 and f"event={event} about=/no/such/place error=" in r.stderr, r.stderr
