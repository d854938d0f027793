"""passive_address with host names: looked up outside the sessions, never fatal."""
import contextlib
import os
import re
import socket
import subprocess

import pytest

from conftest import BUILD, PATIENCE, Raw, wait_for


def pasv(r):
    code, text = r.cmd("PASV")
    assert code == 227, text
    n = re.search(r"\((\d+),(\d+),(\d+),(\d+),", text)
    return ".".join(n.groups())


def told(server):
    """The address that a fresh session tells."""
    r = server.raw().login()
    address = pasv(r)
    r.passive().close()
    r.close()
    return address


def reload(server):
    r = subprocess.run([f"{BUILD}/sallyctl", "--config", server.conf, "reload"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.fixture
def name_service(open_build):
    """Programs whose sallyctl resolve answers what is in a file."""
    answers = f"{open_build}/answers"
    os.rename(f"{open_build}/sallyctl", f"{open_build}/sallyctl.real")
    with open(f"{open_build}/sallyctl", "w") as f:
        f.write(f'#!/bin/sh\n[ "$1" = resolve ] || exec {open_build}/sallyctl.real "$@"\nexec cat {answers}\n')
    os.chmod(f"{open_build}/sallyctl", 0o755)

    def answer(text):
        with open(f"{answers}.new", "w") as f:
            f.write(text)
        os.rename(f"{answers}.new", answers)

    return open_build, answer


def test_a_name_is_told_as_address(serve, name_service):
    build, answer = name_service
    answer("ftp.example.test 192.0.2.55 2001:db8::55\n")
    server = serve("passive_address = 192.0.2.0/24 = 192.0.2.1, * = ftp.example.test", args=("--libexec", build))
    wait_for(lambda: told(server) == "192.0.2.55")
    # Another answer counts from the next time on that it is asked for: here at a reload.
    answer("ftp.example.test 192.0.2.66 -\n")
    reload(server)
    wait_for(lambda: told(server) == "192.0.2.66")
    # No answer, or nonsense: the last good one stays.
    for bad in ("", "sallyctl resolve: ftp.example.test: Temporary failure\n", "other.example.test 192.0.2.9 -\n", "x" * 100000,
                "ftp.example.test\n", "\n\n \n"):
        answer(bad)
        before = server.log().count("passive-address-unresolved")
        reload(server)
        wait_for(lambda: server.log().count("passive-address-unresolved") > before)
        assert told(server) == "192.0.2.66"
    # Only IPv6: clients that come by IPv4 are told what they are connected to.
    answer("ftp.example.test - 2001:db8::55\n")
    reload(server)
    wait_for(lambda: told(server) == "127.0.0.1")


def test_in_a_listener_section(serve, name_service):
    build, answer = name_service
    answer("one.example.test 192.0.2.1 -\ntwo.example.test 192.0.2.2 -\n")
    server = serve(listener="passive_address = 10.0.0.0/8 = one.example.test, * = two.example.test",
                   args=("--libexec", build))
    wait_for(lambda: told(server) == "192.0.2.2")


@contextlib.contextmanager
def started_by_inetd(server, build):
    """A client that a server of its own serves, as inetd starts it."""
    server.stop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = Raw(listener.getsockname()[1], PATIENCE)
        conn, _ = listener.accept()
    command = [f"{build}/sallyportd", "-f", server.conf, "--libexec", build, "-i"]
    with subprocess.Popen(command, stdin=conn, stdout=conn, stderr=conn) as p:
        conn.close()
        yield client
        client.close()
        assert p.wait(PATIENCE) == 0


def test_started_by_inetd(serve, name_service):
    """Its client is the first and the last: it waits for the names, and for an answer that is none."""
    build, answer = name_service
    server = serve("passive_address = ftp.example.test")
    for text, told in (("ftp.example.test 192.0.2.55 -\n", "192.0.2.55"), ("", "127.0.0.1"), ("nonsense\n", "127.0.0.1")):
        answer(text)
        with started_by_inetd(server, build) as client:
            assert pasv(client.login()) == told


def test_inetd_without_a_name_service(serve, open_build):
    """sallyctl cannot be executed, or does not answer: the client is served all the same."""
    server = serve("passive_address = ftp.example.test")
    for script in (None, "#!/bin/sh\nexec sleep 1000\n"):
        os.remove(f"{open_build}/sallyctl")
        with open(f"{open_build}/sallyctl", "w") as f:
            f.write(script or "\0")
        os.chmod(f"{open_build}/sallyctl", 0o755)
        with started_by_inetd(server, open_build) as client:
            assert pasv(client.login()) == "127.0.0.1"


def test_a_name_that_nobody_knows(serve):
    server = serve("passive_address = no-such-host.invalid")
    server.wait_log(r'passive-address-unresolved name=no-such-host.invalid reason="[^"]+" hint=')
    for _ in range(10):
        assert told(server) == "127.0.0.1"
    assert server.ctl("status")["crashes"] == 0 and server.ctl("bans") == []
    r = server.raw().login()
    assert r.fetch("LIST")[1] == 226
    r.close()


def test_what_lasts_is_said_once(serve, name_service):
    """Neither for each try nor for each transfer; EPSV, which tells no address, is not concerned."""
    build, answer = name_service
    answer("ftp.example.test ! Name or service not known\n")
    server = serve("passive_address = ftp.example.test", args=("--libexec", build))
    server.wait_log('event=passive-address-unresolved name=ftp.example.test reason="Name or service not known" hint=')
    r = server.raw().login()
    for _ in range(3):
        r.passive().close()
    assert "event=passive-address " not in server.log()
    assert pasv(r) == "127.0.0.1"
    r.close()
    r = server.raw().login()
    for _ in range(3):
        assert pasv(r) == "127.0.0.1"
        r.cmd("EPRT |1|127.0.0.1|2000|")        # the next PASV asks the agent again
    r.close()
    server.wait_quiet()
    assert len(re.findall("event=passive-address-unresolved .*role=agent .*name=ftp.example.test", server.log())) == 1
    # A name that has left the configuration is asked for no more; while a reload may still fail, the old names are asked, too.
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text.replace("passive_address = ftp.example.test", "passive_address = other.example.test"))
    reload(server)
    server.wait_log("passive-address-unresolved name=other.example.test")
    answer("ftp.example.test 192.0.2.1 -\nother.example.test 192.0.2.2 -\n")
    reload(server)
    server.wait_log("event=passive-address name=other.example.test ipv4=192.0.2.2")
    assert "name=ftp.example.test ipv4" not in server.log()


def test_a_name_of_this_machine(serve):
    server = serve("passive_address = localhost")
    server.wait_log("event=passive-address .*name=localhost ipv4=127.0.0.1")
    assert told(server) == "127.0.0.1"


def test_who_asks_owns_nothing():
    r = subprocess.run(["strace", "-f", "-e", "trace=setresuid,connect,socket", f"{BUILD}/sallyctl", "resolve", "localhost"],
                       capture_output=True, text=True) if os.path.exists("/usr/bin/strace") else None
    if r is None or "setresuid" not in r.stderr:
        pytest.skip("strace is not there or may not trace")
    assert r.stdout.startswith("localhost ")
    assert r.stderr.index("setresuid(65534") < r.stderr.index("socket(") if "socket(" in r.stderr else True


def test_resolve_wants_names():
    r = subprocess.run([f"{BUILD}/sallyctl", "resolve"], capture_output=True, text=True)
    assert r.returncode == 64 and "resolve NAME..." in r.stderr and r.stdout == "", r


def test_check_and_doctor_try_it(tmp_path):
    conf = tmp_path / "conf"
    conf.write_text("[server]\nlisten = 127.0.0.1:1\npassive_address = no-such-host.invalid\n")
    r = subprocess.run([f"{BUILD}/sallyctl", "--config", conf, "check"], capture_output=True, text=True)
    assert r.returncode == 0 and "no-such-host.invalid" in r.stdout, r.stdout + r.stderr
    assert f'{conf}:3: warning: "passive_address": no-such-host.invalid cannot be looked up' in r.stdout, r.stdout
    # Two listeners have it from one line.
    with open(conf, "a") as f:
        f.write("[listener a]\nlisten = 127.0.0.1:1\n[listener b]\nlisten = 127.0.0.1:2\n")
    for command in ("check", "doctor"):
        r = subprocess.run([f"{BUILD}/sallyctl", "--config", conf, command], capture_output=True, text=True)
        assert r.stdout.count("no-such-host.invalid cannot") == 1, r.stdout
    r = subprocess.run([f"{BUILD}/sallyctl", "--config", conf, "--json", "doctor"], capture_output=True, text=True)
    assert "no-such-host.invalid cannot be looked up" in r.stdout, r.stdout
    conf.write_text("[server]\nlisten = 127.0.0.1:1\npassive_address = localhost\n")
    r = subprocess.run([f"{BUILD}/sallyctl", "--config", conf, "check"], capture_output=True, text=True)
    assert "localhost" not in r.stdout, r.stdout
