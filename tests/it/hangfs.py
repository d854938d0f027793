"""A file system in user space that stops answering when it is told to: what a dead network file system looks like.

    with HangFS(path) as fs:
        fs.hang = {READ}        requests of these kinds are taken and never answered

Kernel protocol 7.31, spoken by a thread.  Files are kept in memory; "big" is a sparse file of 1 GiB.
"""
import ctypes
import errno
import os
import stat
import struct
import threading

(LOOKUP, FORGET, GETATTR, SETATTR) = (1, 2, 3, 4)
(MKNOD, MKDIR, UNLINK, RMDIR, RENAME) = (8, 9, 10, 11, 12)
(OPEN, READ, WRITE, STATFS, RELEASE, FSYNC) = (14, 15, 16, 17, 18, 20)
(FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR) = (25, 26, 27, 28, 29)
(CREATE, INTERRUPT, DESTROY, BATCH_FORGET, RENAME2) = (35, 36, 38, 42, 45)
SILENT = {FORGET, INTERRUPT, BATCH_FORGET}

libc = ctypes.CDLL(None, use_errno=True)


class HangFS:
    def __init__(self, path, uid):
        self.path, self.uid, self.hang, self.held, self.unanswered = path, uid, set(), 0, []
        self.nodes = {1: [stat.S_IFDIR | 0o755, 0, b""]}      # mode, size, content
        self.names = {}
        self.add(b"big", size=1 << 30)

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"hangfs", self.path.encode(), b"fuse.hangfs", 0, options) < 0:
            number = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(number, os.strerror(number))
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.release()
        libc.umount2(self.path.encode(), 2)

    def release(self):
        """It answers again; what was held fails."""
        self.hang = set()
        while self.unanswered:
            self.write(self.unanswered.pop(), b"", -errno.EIO)

    def write(self, unique, answer, error=0):
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
        except OSError:
            pass        # nobody waits for it any more

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

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, (1 << 20) + 4096)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return
            _, kind, unique, node = struct.unpack_from("<IIQQ", request)
            if kind in self.hang:
                self.unanswered.append(unique)
                self.held += 1
                continue
            if kind in SILENT:
                continue
            try:
                answer, error = self.answer(kind, node, request[40:]), 0
            except OSError as e:
                answer, error = b"", -e.errno
            self.write(unique, answer, error)

    def answer(self, kind, node, body):
        name = body.split(b"\0")[0]
        if kind == INIT:
            # Requests for one directory come in parallel (FUSE_PARALLEL_DIROPS): one that is held does not hold back the next.
            return struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 17, 1 << 18, 16, 12, 1 << 17, 1, 0, 0, 0, *[0] * 7)
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
            out = b""
            for i, (n, child) in enumerate(sorted(self.names.items())):
                if i >= offset:
                    out += struct.pack("<QQII", child, i + 1, len(n), 8) + n + bytes(-len(n) % 8)
            return out
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
