"""A Debian 12 that nobody has touched: made by debootstrap, kept in the build directory, copied for each use.

What these functions cannot do on this machine is a skip that says why.
"""
import os
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SALLYPORT_BUILD", f"{TOP}/build")
CACHE = f"{BUILD}/newcomer"
SUITE = "bookworm"
PATIENCE = 1800		# seconds for packages to arrive and for the build, on a slow machine


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False, **options)


def apt_sources():
    """The (address, suite) pairs of Debian itself among the sources of this machine, the suite's own first."""
    out = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").stdout
    pairs = {tuple(line.split()[:2]) for line in out.splitlines() if line.endswith(" main")}
    return sorted((p for p in pairs if p[1].startswith(SUITE)), key=lambda p: (p[1] != SUITE, p))


def make_base(top):
    """debootstrap into a directory, with the apt sources of this machine."""
    sources = apt_sources()
    if not sources or sources[0][1] != SUITE:
        pytest.skip(f"this machine has no apt source of {SUITE}")
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is missing; install it with: apt-get install debootstrap")
    shutil.rmtree(f"{top}.part", ignore_errors=True)
    r = run("debootstrap", "--variant=minbase", "--include=git,ca-certificates", SUITE, f"{top}.part", sources[0][0])
    if r.returncode != 0:
        pytest.skip(f"debootstrap fails here: {r.stdout[-300:]}{r.stderr[-300:]}")
    with open(f"{top}.part/etc/apt/sources.list", "w") as f:
        f.writelines(f"deb {address} {suite} main\n" for address, suite in sources)
    with open(f"{top}.part/etc/apt/apt.conf.d/proxy", "w") as f:
        f.writelines(line + "\n" for line in run("apt-config", "dump").stdout.splitlines() if "proxy" in line.lower())
    os.rename(f"{top}.part", top)


def base():
    """The root directory that copies are made of; made now where it is not there yet."""
    os.makedirs(CACHE, exist_ok=True)
    if run("unshare", "--mount", "--pid", "--fork", "true").returncode != 0:
        pytest.skip("no namespaces can be made here")
    if not os.path.isdir(f"{CACHE}/base"):
        make_base(f"{CACHE}/base")
    return f"{CACHE}/base"


def copied(source, name):
    """A copy of a root directory, with this machine's name servers."""
    top = f"{CACHE}/{name}"
    shutil.rmtree(top, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", source, top], check=True)
    shutil.copy("/etc/resolv.conf", f"{top}/etc/resolv.conf")
    return top


def inside(top, folder, *words):
    """A command line for use in a root directory, as root, with a clean environment; everything ends with its first process."""
    # The shell waits, because a program that changes its user would outlive unshare.
    prepare = f"mount --rbind /dev {top}/dev && mount -t proc none {top}/proc && exec chroot {top} " \
              f'env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c \'cd {folder} && "$@"; exit $?\' sh "$@"'
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", prepare, "sh", *words]
