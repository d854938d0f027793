"""A file system that stops answering when it is told to: what a dead network file system looks like.

Files are kept in memory; "big" is a sparse file of 1 GiB.
"""
import errno
import os
import stat
import struct

from userfs import (CREATE, DESTROY, FLUSH, FSYNC, GETATTR, LOOKUP, OPEN, OPENDIR, READ, READDIR, RELEASE, RELEASEDIR, RENAME,
                    RENAME2, SETATTR, STATFS, UNLINK, WRITE, UserFS, directory)


class HangFS(UserFS):
    def __init__(self, path, uid):
        super().__init__(path)
        self.uid = uid
        self.nodes = {1: [stat.S_IFDIR | 0o755, 0, b""]}      # mode, size, content
        self.names = {}
        self.add(b"big", size=1 << 30)

    def add(self, name, mode=stat.S_IFREG | 0o644, size=0):
        node = max(self.nodes) + 1
        self.nodes[node] = [mode, size, b""]
        self.names[name] = node
        return node

    def attr(self, node):
        mode, size, _ = self.nodes[node]
        return struct.pack("<6Q10I", node, size, (size + 511) // 512, 1, 1, 1, 0, 0, 0, mode, 1, self.uid, self.uid, 0, 4096, 0)

    def entry(self, node):
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.attr(node)

    def answer(self, kind, node, body):
        name = body.split(b"\0")[0]
        if kind == LOOKUP:
            if name not in self.names:
                raise OSError(errno.ENOENT, "")
            return self.entry(self.names[name])
        if kind == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attr(node)
        if kind == SETATTR:
            valid, size = struct.unpack_from("<I", body)[0], struct.unpack_from("<Q", body, 16)[0]
            if valid & 1 << 3:
                self.nodes[node][1] = size
            return struct.pack("<QII", 0, 0, 0) + self.attr(node)
        if kind in (OPEN, OPENDIR):
            return struct.pack("<QII", node, 0, 0)
        if kind == CREATE:
            name = body[16:].split(b"\0")[0]
            made = self.add(name)
            return self.entry(made) + struct.pack("<QII", made, 0, 0)
        if kind == READ:
            offset, size = struct.unpack_from("<QI", body, 8)
            return bytes(max(0, min(size, self.nodes[node][1] - offset)))
        if kind == WRITE:
            offset, size = struct.unpack_from("<QI", body, 8)
            self.nodes[node][1] = max(self.nodes[node][1], offset + size)
            return struct.pack("<II", size, 0)
        if kind == READDIR:
            offset = struct.unpack_from("<Q", body, 8)[0]
            return directory([(n, child, 8) for n, child in sorted(self.names.items())], offset)
        if kind == STATFS:
            return struct.pack("<5Q4I6I", 1 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19, 4096, 255, 4096, 0, *[0] * 6)
        if kind == UNLINK:
            self.names.pop(name)
            return b""
        if kind in (RENAME, RENAME2):
            old, new = body[8 if kind == RENAME else 16:].split(b"\0")[:2]
            self.names[new] = self.names.pop(old)
            return b""
        if kind in (RELEASE, RELEASEDIR, FLUSH, FSYNC, DESTROY):
            return b""
        raise OSError(errno.ENOSYS, "")
