"""A monitor that attacks the listener: the listener drops that session and serves on."""
import os
import socket

import pytest

from conftest import BUILD, PATIENCE, wait_for


@pytest.fixture
def libexec(tmp_path):
    """A folder in which the monitor is the hostile one."""
    if not os.path.exists(f"{BUILD}/hostile-monitor"):
        pytest.skip("hostile-monitor is not built (make check)")
    for name in ("worker", "agent", "keeper"):
        os.symlink(f"{BUILD}/sallyport-{name}", tmp_path / f"sallyport-{name}")
    os.symlink(f"{BUILD}/sallyport-monitor", tmp_path / "sallyport-monitor")
    os.symlink(f"{BUILD}/sallyctl", tmp_path / "sallyctl")
    return tmp_path


def test_listener_survives_its_monitors(serve, libexec):
    server = serve("never_ban = 127.0.0.0/8", args=("--libexec", str(libexec)))
    # The self-test is over; from the next generation on the monitors are hostile.
    os.unlink(libexec / "sallyport-monitor")
    os.symlink(f"{BUILD}/hostile-monitor", libexec / "sallyport-monitor")
    server.process.send_signal(1)
    server.wait_log("event=reloaded")
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as s:
            try:
                while s.recv(1000):
                    pass
            except ConnectionResetError:
                pass
        assert server.process.poll() is None, server.errors()
    assert "protocol-violation peer=monitor" in server.log() + server.errors()
    # And with a good monitor again everything is as before.
    os.unlink(libexec / "sallyport-monitor")
    os.symlink(f"{BUILD}/sallyport-monitor", libexec / "sallyport-monitor")
    server.process.send_signal(1)
    wait_for(lambda: server.ftp("alice").voidcmd("NOOP").startswith("200"), "not served again")
