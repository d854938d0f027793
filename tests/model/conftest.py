"""The running server of the black-box tests, for the model: the same names, as if this were that file."""
import importlib.util
import os
import sys

IT = f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/it"
_spec = importlib.util.spec_from_file_location("blackbox", f"{IT}/conftest.py")
blackbox = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(blackbox)
globals().update({k: v for k, v in vars(blackbox).items() if not k.startswith("_")})
sys.path.insert(0, IT)
