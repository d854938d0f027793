"""A file system in user space, served by a thread of the test: kernel protocol 7.31 of FUSE. What it holds is a subclass's affair.

    with SomeFS(path) as fs:
        fs.hang = {READ}        requests of these kinds are taken and never answered
"""
import ctypes
import errno
import os
import struct
import threading

(LOOKUP, FORGET, GETATTR, SETATTR) = (1, 2, 3, 4)
(MKNOD, MKDIR, UNLINK, RMDIR, RENAME) = (8, 9, 10, 11, 12)
(OPEN, READ, WRITE, STATFS, RELEASE, FSYNC) = (14, 15, 16, 17, 18, 20)
(FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR) = (25, 26, 27, 28, 29)
(CREATE, INTERRUPT, DESTROY, BATCH_FORGET, RENAME2) = (35, 36, 38, 42, 45)
SILENT = {FORGET, INTERRUPT, BATCH_FORGET}

libc = ctypes.CDLL(None, use_errno=True)


class UserFS:
    options = ""

    def __init__(self, path):
        self.path, self.hang, self.held, self.unanswered = path, set(), 0, []

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other{self.options}".encode()
        if libc.mount(b"userfs", self.path.encode(), b"fuse.userfs", 0, options) < 0:
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

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, (1 << 20) + 4096)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return
            _, kind, unique, node, *self.caller = struct.unpack_from("<IIQQII", request)
            if kind in self.hang:
                self.unanswered.append(unique)
                self.held += 1
                continue
            if kind in SILENT:
                continue
            try:
                answer, error = self.begin() if kind == INIT else self.answer(kind, node, request[40:]), 0
            except OSError as e:
                answer, error = b"", -e.errno
            self.write(unique, answer, error)

    def begin(self):
        """Requests for one directory come in parallel (FUSE_PARALLEL_DIROPS): one that is held does not hold back the next.
        Locks stay the kernel's, and each mount's own."""
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 17, 1 << 18, 16, 12, 1 << 17, 1, 0, 0, 0, *[0] * 7)

    def answer(self, kind, node, body):
        """What the kernel gets; OSError: it was refused."""
        raise NotImplementedError


def directory(names, offset):
    """Entries (name, inode, type) behind an offset."""
    out = b""
    for i, (name, inode, kind) in enumerate(names):
        if i >= offset:
            out += struct.pack("<QQII", inode, i + 1, len(name), kind) + name + bytes(-len(name) % 8)
    return out
