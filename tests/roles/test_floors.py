"""Link floors: which library each program may load, read from its NEEDED entries."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, TOP

COMMON = {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libcap.so.2", "libseccomp.so.2",
          # only in builds with sanitizers
          "libasan.so.8", "libubsan.so.1", "libm.so.6"}
MAY = {
    "sallyportd": {"libevent_core-2.1.so.7", "libinih.so.1"},
    "sallyport-monitor": {"libpam.so.0", "libcrypt.so.1", "libsqlite3.so.0", "libpq.so.5", "libsodium.so.23",
                          "libinih.so.1"},
    "sallyport-worker": {"libssl.so.3", "libcrypto.so.3", "libz.so.1"},
    "sallyport-agent": {"libpcre2-8.so.0", "libacl.so.1", "libinih.so.1"},
    "sallyport-keeper": {"libcrypto.so.3"},
    "sallyport-verifier": {"libcrypto.so.3", "libinih.so.1"},
}


def needed(program):
    text = subprocess.run(["readelf", "-d", f"{BUILD}/{program}"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))


@pytest.mark.parametrize("program", MAY)
def test_libraries(program):
    extra = needed(program) - MAY[program] - COMMON
    assert not extra, f"{program} links {', '.join(sorted(extra))}"


@pytest.mark.parametrize("program", [*MAY, "sallyctl"])
def test_hardening(program):
    text = subprocess.run(["readelf", "-lWd", f"{BUILD}/{program}"], capture_output=True, text=True, check=True).stdout
    assert "GNU_RELRO" in text and "BIND_NOW" in text
    assert re.search(r"GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW ", text), "the stack is executable"
    assert "DYN (" in subprocess.run(["readelf", "-hW", f"{BUILD}/{program}"], capture_output=True, text=True).stdout


def hardened():
    """Was the build configured with hardening, and not for a debugger?"""
    with open(f"{BUILD}/config.status") as f:
        return "-D_FORTIFY_SOURCE=2" in f.read()


@pytest.mark.skipif(not hardened(), reason="built without hardening")
@pytest.mark.parametrize("program", [*MAY, "sallyctl"])
def test_compiled_in(program):
    """Canaries and checked copies. No path that libraries are looked for in."""
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", f"{BUILD}/{program}"], capture_output=True, text=True, check=True).stdout
    assert "__stack_chk_fail" in symbols
    assert len(re.findall(r"_chk@", symbols)) > 5, "no fortified function is called"
    dynamic = subprocess.run(["readelf", "-Wd", f"{BUILD}/{program}"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic)


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not hardened(), reason="built without hardening")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="marks of x86")
@pytest.mark.parametrize("path", [*(f"{BUILD}/{p}" for p in MAY), f"{BUILD}/sallyctl", *sorted(glob.glob(f"{BUILD}/*.so"))],
                         ids=os.path.basename)
def test_marks_of_cet(path):
    """Our functions begin with the mark, and the note says so: without it nobody looks at marks, neither in a program nor in a
    module, which would switch it off for the program that loads it."""
    assert re.search(r"x86 feature: IBT, SHSTK", readelf("-n", path))
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    first = dict(re.findall(r"^0*([0-9a-f]+) <[^>]+>:\n\s*[0-9a-f]+:\s*(\w+)", code, re.M))
    # What is called from other files may be called through a pointer; of static functions the compiler knows.
    ours = re.findall(r"0*([0-9a-f]+)\s+\d+ FUNC\s+GLOBAL\s+\S+\s+\d+ (\w+)$", readelf("-s", path), re.M)
    unmarked = {name for at, name in ours if first[at] != "endbr64"} - {"_start", "_init", "_fini"}
    assert len(ours) > 5 and not unmarked


@pytest.mark.skipif(shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin") is None, reason="no AppArmor")
def test_apparmor_profile():
    """It is understood; and it knows every capability that a role begins with, and no other."""
    profile = f"{TOP}/contrib/apparmor/usr.sbin.sallyportd"
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin")
    r = subprocess.run([parser, "-Q", "-K", profile], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    with open(profile) as f:
        named = set(re.findall(r"^  capability (\w+),$", f.read(), re.M))
    with open(f"{TOP}/etc/sallyport.service.in") as f:
        unit = {c.lower() for c in re.findall(r"CAP_(\w+)", " ".join(re.findall(r"^CapabilityBoundingSet=.*$", f.read(), re.M)))}
    roles = subprocess.run([f"{BUILD}/sallyportd", "print-roles"], capture_output=True, text=True, check=True).stdout
    listener = set(re.findall(r"cap_(\w+)", re.search(r"^listener .*?live .*?$", roles, re.M | re.S)[0]))
    assert named == unit == listener


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_unit_is_rated(tmp_path):
    """What systemd thinks of the unit's walls: it may not get worse unnoticed."""
    unit = tmp_path / "sallyport.service"
    with open(f"{TOP}/etc/sallyport.service.in") as f:
        unit.write_text(f.read().replace("@bindir@", "/usr/bin").replace("@sbindir@", "/usr/sbin"))
    r = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=60", str(unit)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout[-600:] + r.stderr


def test_no_program_has_more_rights_than_its_caller():
    for program in MAY:
        assert os.stat(f"{BUILD}/{program}").st_mode & 0o6000 == 0
