"""What a network file system is to one node: a directory of the machine seen through a mount of its own.

Locks are the mount's own, as on NFS with local_lock and on most of FUSE; ahead: by how many seconds the file server's
clock is ahead of everybody else's.
"""
import ctypes
import errno
import os
import struct

from userfs import (CREATE, DESTROY, FLUSH, FSYNC, GETATTR, LOOKUP, MKDIR, OPEN, OPENDIR, READ, READDIR, RELEASE, RELEASEDIR, RENAME,
                    RENAME2, RMDIR, SETATTR, STATFS, UNLINK, WRITE, UserFS, directory, libc)

DIRECT_IO = 1
(MODE, UID, GID, SIZE, ATIME, MTIME, ATIME_NOW, MTIME_NOW) = (1, 2, 4, 8, 16, 32, 128, 256)


class PassFS(UserFS):
    options = ",default_permissions"

    def __init__(self, path, behind, ahead=0):
        super().__init__(path)
        self.ahead = ahead
        self.paths = {1: os.fsencode(behind)}
        self.numbers = {}       # (device, inode): number
        self.files = {}         # number: descriptors that are open
        self.listings = []

    def number(self, path):
        st = os.lstat(path)
        n = self.numbers.setdefault((st.st_dev, st.st_ino), len(self.paths) + 1)
        self.paths[n] = path
        return n

    def status(self, node):
        """A file that has lost its name is still there for whoever has it open."""
        for fd in self.files.get(node, []):
            return os.fstat(fd)
        return os.lstat(self.paths[node])

    def attr(self, node):
        s = self.status(node)
        times = [(ns // 10**9 + self.ahead, ns % 10**9) for ns in (s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns)]
        return struct.pack("<6Q10I", s.st_ino, s.st_size, s.st_blocks, *(t[0] for t in times), *(t[1] for t in times), s.st_mode,
                           s.st_nlink, s.st_uid, s.st_gid, 0, 4096, 0)

    def entry(self, path):
        node = self.number(path)
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.attr(node)

    def opened(self, node, fd):
        self.files.setdefault(node, []).append(fd)
        return struct.pack("<QII", fd, DIRECT_IO, 0)

    def change(self, path, body):
        valid, size = struct.unpack_from("<I", body)[0], struct.unpack_from("<Q", body, 16)[0]
        atime, mtime = struct.unpack_from("<QQ", body, 32)
        mode, uid, gid = struct.unpack_from("<I4xII", body, 68)
        if valid & (UID | GID):
            os.lchown(path, uid if valid & UID else -1, gid if valid & GID else -1)
        if valid & MODE:
            os.chmod(path, mode & 0o7777)
        if valid & SIZE:
            os.truncate(path, size)
        if valid & (ATIME | MTIME) and not valid & (ATIME_NOW | MTIME_NOW):
            st = os.lstat(path)
            os.utime(path, (atime - self.ahead if valid & ATIME else st.st_atime, mtime - self.ahead if valid & MTIME else st.st_mtime))
        elif valid & (ATIME_NOW | MTIME_NOW):
            os.utime(path)

    def move(self, node, directory, flags, names):
        old, new = names.split(b"\0")[:2]
        old, new = self.paths[node] + b"/" + old, self.paths[directory] + b"/" + new
        if libc.renameat2(-100, old, -100, new, flags) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.number(new)

    def answer(self, kind, node, body):
        here = self.paths[node]
        name = here + b"/" + body.split(b"\0")[0]
        if kind == LOOKUP:
            return self.entry(name)
        if kind in (GETATTR, SETATTR):
            if kind == SETATTR:
                self.change(f"/proc/self/fd/{self.files[node][0]}" if self.files.get(node) else here, body)
            return struct.pack("<QII", 0, 0, 0) + self.attr(node)
        if kind == OPEN:
            flags = struct.unpack_from("<I", body)[0] & (os.O_ACCMODE | os.O_APPEND | os.O_TRUNC)
            return self.opened(node, os.open(here, flags))
        if kind in (CREATE, MKDIR):
            flags, mode = struct.unpack_from("<II", body) if kind == CREATE else (0, *struct.unpack_from("<I", body))
            name = here + b"/" + body[16 if kind == CREATE else 8:].split(b"\0")[0]
            fd = os.open(name, flags | os.O_CREAT, mode & 0o7777) if kind == CREATE else os.mkdir(name, mode & 0o7777)
            os.lchown(name, *self.caller)
            return self.entry(name) + (self.opened(self.number(name), fd) if kind == CREATE else b"")
        if kind == READ:
            fd, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(fd, size, offset)
        if kind == WRITE:
            fd, offset, size = struct.unpack_from("<QQI", body)
            return struct.pack("<II", os.pwrite(fd, body[40:40 + size], offset), 0)
        if kind == RELEASE:
            fd = struct.unpack_from("<Q", body)[0]
            self.files[node].remove(fd)
            os.close(fd)
            return b""
        if kind == OPENDIR:
            with os.scandir(here) as found:
                self.listings.append(sorted((e.name, e.inode(), 4 if e.is_dir(follow_symlinks=False) else 8) for e in found))
            return struct.pack("<QII", len(self.listings) - 1, 0, 0)
        if kind == READDIR:
            listing, offset = struct.unpack_from("<QQ", body)
            return directory(self.listings[listing], offset)
        if kind == STATFS:
            return struct.pack("<5Q4I6I", 1 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19, 4096, 255, 4096, 0, *[0] * 6)
        if kind in (UNLINK, RMDIR):
            (os.unlink if kind == UNLINK else os.rmdir)(name)
            return b""
        if kind in (RENAME, RENAME2):
            target, flags = struct.unpack_from("<QI", body) if kind == RENAME2 else (*struct.unpack_from("<Q", body), 0)
            self.move(node, target, flags, body[16 if kind == RENAME2 else 8:])
            return b""
        if kind in (RELEASEDIR, FLUSH, FSYNC, DESTROY):
            return b""
        raise OSError(errno.ENOSYS, "")
