"""Ratios: what a session may download depends on what it has uploaded."""
import ftplib
import io

import pytest


def get(f, name):
    got = []
    f.retrbinary(f"RETR {name}", got.append)
    return len(b"".join(got))


def put(f, name, n):
    f.storbinary(f"STOR {name}", io.BytesIO(b"x" * n))


def test_downloads_follow_uploads(serve):
    s = serve("", "[class limited]\nmembers = alice\nratio_up = 1\nratio_down = 5")
    with s.ftp("alice") as f:
        put(f, "big", 1000)
        for _ in range(5):
            assert get(f, "big") == 1000
        with pytest.raises(ftplib.error_perm, match="550 .*1:5.* 0 bytes"):
            get(f, "big")
        put(f, "small", 100)
        with pytest.raises(ftplib.error_perm, match="550 .*1:5.* 500 bytes"):
            get(f, "big")
        assert get(f, "small") == 100
    with s.ftp("alice") as f:           # a new session begins with nothing
        with pytest.raises(ftplib.error_perm, match="550"):
            get(f, "small")
    assert "syscall-refused" not in s.log()
