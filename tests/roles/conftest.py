"""The running server of the black-box tests, for the tests of its processes."""
import importlib.util
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What that one imports lies beside it.
sys.path.append(f"{TOP}/tests/it")
_spec = importlib.util.spec_from_file_location("blackbox", f"{TOP}/tests/it/conftest.py")
blackbox = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(blackbox)

BUILD, Server, ROLE_USERS, UIDS = blackbox.BUILD, blackbox.Server, blackbox.ROLE_USERS, blackbox.UIDS
server, serve, wait_for, exists = blackbox.server, blackbox.serve, blackbox.wait_for, blackbox.exists
collect_ignore_glob = getattr(blackbox, "collect_ignore_glob", [])
