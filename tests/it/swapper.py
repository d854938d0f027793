"""An attacker for tests: a process that exchanges pairs of names below a folder, as the folder's owner, until it is ended.

    with swapping(top, ("a", "b"), ("c/d", "e")) as swaps:     swaps() is how often so far
"""
import contextlib
import ctypes
import mmap
import os
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
EXCHANGE = 2


def exchange_for_ever(top, pairs, count):
    at = os.open(top, os.O_PATH)
    done, who = 0, os.fstat(at)
    os.setgroups([])
    os.setresgid(*[who.st_gid] * 3)
    os.setresuid(*[who.st_uid] * 3)
    while True:
        for a, b in pairs:
            done += libc.renameat2(at, a, at, b, EXCHANGE) == 0
        count[:8] = struct.pack("=Q", done)


@contextlib.contextmanager
def swapping(top, *pairs):
    count = mmap.mmap(-1, 8)
    pid = os.fork()
    if pid == 0:
        try:
            exchange_for_ever(top, [(os.fsencode(a), os.fsencode(b)) for a, b in pairs], count)
        finally:
            os._exit(1)
    try:
        yield lambda: struct.unpack("=Q", count[:8])[0]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
