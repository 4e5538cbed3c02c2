"""Runs exported programs one after another in one process, as loading PyTorch takes longer than any of them.

Each line of stdin is a JSON list: a program and its arguments. What it prints goes to stdout.
"""
import json
import os
import runpy
import sys

for line in sys.stdin:
    program, *arguments = json.loads(line)
    folder = os.path.dirname(program)
    sys.argv = [program, *arguments]
    sys.path.insert(0, folder)
    runpy.run_path(program, run_name="__main__")
    sys.stdout.flush()
    sys.path.remove(folder)
    # Each export brings its own modules.
    for name, module in list(sys.modules.items()):
        if os.path.dirname(getattr(module, "__file__", None) or "") == folder:
            del sys.modules[name]
