"""Link floors: which library each program may load, read from its NEEDED entries."""
import os
import re
import subprocess

import pytest

from conftest import BUILD

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


def test_no_program_has_more_rights_than_its_caller():
    for program in MAY:
        assert os.stat(f"{BUILD}/{program}").st_mode & 0o6000 == 0
