"""Runs exported programs one after another in one process, as loading PyTorch takes longer than any of them.

Each line of stdin is JSON: a program, its arguments, and maybe the experts that are chosen (stub_experts.Choices). What it
prints goes to stdout.
"""
import json
import os
import runpy
import sys

import stub_experts

for line in sys.stdin:
    run = json.loads(line)
    program = run["program"]
    folder = os.path.dirname(program)
    sys.argv = [program, *run["arguments"]]
    stub_experts.choices = stub_experts.Choices(run["choices"]) if run.get("choices") else None
    sys.path.insert(0, folder)
    runpy.run_path(program, run_name="__main__")
    sys.stdout.flush()
    sys.path.remove(folder)
    # Each export brings its own modules.
    for name, module in list(sys.modules.items()):
        if os.path.dirname(getattr(module, "__file__", None) or "") == folder:
            del sys.modules[name]
