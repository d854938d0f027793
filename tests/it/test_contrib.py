"""Samples for other programs of the system, judged by those programs."""
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PATIENCE, TOP

CONTRIB = f"{TOP}/contrib"
# Capabilities that what runs as a service may have.
UNIT = {c for line in open(f"{TOP}/etc/sallyport.service.in") if line.startswith("CapabilityBoundingSet=")
        for c in line.strip().split("=")[1].lower().replace("cap_", "").split()}


def sample(name):
    with open(f"{CONTRIB}/{name}") as f:
        return f.read()


def judge(*command, **options):
    r = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False,
                       **options)
    assert r.returncode == 0, f"{command}: {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}"
    return r.stdout + r.stderr


def need(program, package):
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip(f"{program} is missing; install it with: apt-get install {package}")


def passive_ports():
    """The range of the commented sample, which everything beside it should open."""
    with open(f"{TOP}/etc/sallyport.conf.in") as f:
        return re.search(r"^#passive_ports = (\d+-\d+)$", f.read(), re.M)[1]


# What is let in, seen from a network of its own in which loopback is no exception.
CONNECT = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["nft", "-f", "-"], input=sys.stdin.read(), text=True, check=True)
for port in map(int, sys.argv[1:]):
    for host in ("127.0.0.1", "::1"):
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            try:
                socket.create_connection((host, port), 1 if port % 1000 == 999 else None).close()
                print(host, port, "open")
            except OSError:
                print(host, port, "closed")
"""


def test_nftables(tmp_path):
    """Its own program takes the rules, and the kernel lets in what they say."""
    need("nft", "nftables")
    need("ip", "iproute2")
    if subprocess.run(["unshare", "-n", "nft", "list", "ruleset"], capture_output=True, check=False).returncode != 0:
        pytest.skip("the kernel has no nftables, or none here")
    judge("unshare", "-n", "nft", "-c", "-f", f"{CONTRIB}/nftables/sallyport.nft")
    rules = sample("nftables/sallyport.nft")
    low, high = passive_ports().split("-")
    assert f"define ftp_passive = {low}-{high}\n" in rules and "\t\tiif lo accept\n" in rules
    (tmp_path / "connect.py").write_text(CONNECT)
    ports = ("21", "990", low, high, "2999", "60999")
    with open(tmp_path / "rules", "w+") as f:
        f.write(rules.replace("\t\tiif lo accept\n", ""))
        f.seek(0)
        command = ["unshare", "-n", sys.executable, f"{tmp_path}/connect.py", *ports]
        r = subprocess.run(command, stdin=f, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert r.returncode == 0, r.stderr
    said = dict(line.rsplit(" ", 1) for line in r.stdout.splitlines())
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("the kernel has no IPv6")
    assert said == {f"{host} {port}": "closed" if port in ("2999", "60999") else "open"
                    for port in ports for host in ("127.0.0.1", "::1")}


def test_firewalld():
    """Read by firewalld itself."""
    read = ("import sys; from firewall.core.io.service import service_reader; s = service_reader(sys.argv[2], sys.argv[1]);"
            "s.check_config(s.export_config(), {}); print(sorted(s.ports), s.short)")
    command = ["/usr/bin/python3", "-c", read, f"{CONTRIB}/firewalld", "sallyport.xml"]
    r = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if "No module named 'firewall'" in r.stderr:
        pytest.skip("python3-firewall is missing; install it with: apt-get install python3-firewall")
    assert r.returncode == 0, r.stderr
    assert r.stdout.strip() == f"{sorted([('21', 'tcp'), ('990', 'tcp'), (passive_ports(), 'tcp')])} sallyport"


def test_selinux(tmp_path):
    """The module compiles, with the interfaces of the reference policy, and says what the unit says."""
    need("checkmodule", "checkpolicy")
    if not os.path.exists("/usr/share/selinux/devel/Makefile"):
        pytest.skip("selinux-policy-dev is missing; install it with: apt-get install selinux-policy-dev")
    need("semodule_package", "semodule-utils")
    for end in ("te", "fc", "if"):
        shutil.copy(f"{CONTRIB}/selinux/sallyport.{end}", tmp_path)
    said = judge("make", "-f", "/usr/share/selinux/devel/Makefile", "sallyport.pp", cwd=tmp_path)
    assert "rror" not in said and "arning" not in said, said
    assert os.path.getsize(tmp_path / "sallyport.pp") > 1000
    assert set(re.search(r"self:capability \{([^}]*)\}", sample("selinux/sallyport.te"))[1].split()) == UNIT
    assert f"tcp {passive_ports()}" in sample("selinux/sallyport.te")


def test_selinux_labels_what_is_installed():
    """Each directory of ours, and each program that is no command of the administrator."""
    rows = [line.split("\t")[0] for line in sample("selinux/sallyport.fc").splitlines() if line]
    for path in ("/usr/sbin/sallyportd", "/usr/libexec/sallyport/sallyport-worker", "/usr/libexec/sallyport/sallyport-verifier",
                 "/etc/sallyport/sallyport.conf", "/run/sallyport/control", "/var/lib/sallyport/accounts.db",
                 "/var/log/sallyport/xferlog"):
        assert sum(re.fullmatch(row, path) is not None for row in rows) == 1, path
    assert not any(re.fullmatch(row, "/usr/libexec/sallyport/sallyport-source-pam.so") for row in rows)


def test_packages_install_every_sample():
    """Beside the documentation, where the manual says that they are."""
    folders = [d for d in sorted(os.listdir(CONTRIB)) if os.path.isdir(f"{CONTRIB}/{d}") and d not in ("debian", "rpm")]
    with open(f"{CONTRIB}/debian/sallyport.examples") as f:
        assert f.read().split() == [f"contrib/{d}" for d in folders]
    installed = re.search(r"^%doc (.*)$", sample("rpm/sallyport.spec"), re.M)[1].split()
    assert [d for d in installed if d.startswith("contrib/")] == [f"contrib/{d}" for d in folders]
