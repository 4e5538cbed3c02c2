# SPDX-License-Identifier: Apache-2.0
"""How a peer that is a Python program answers the benchmark: one line of JSON a request, on the channel of Node's IPC."""

import json
import os
import resource
import socket
import traceback


VOCAB = 32000


def random_tokens(count, seed=1):
    """The token ids that every engine is given; driver.ts makes the same."""
    state = seed
    tokens = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        tokens.append(3 + state % (VOCAB - 3))
    return tokens


def resident_bytes():
    """Resident bytes of this process, now and at most so far."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[1]) * 4096
    return {"now": now, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def serve(load, step_times):
    """Answers requests one after another until the channel closes.

    `load(options)` loads a model and returns the milliseconds that it took. `step_times(prompts, steps)` returns those of the
    first step of prompts, all at once, and of each of `steps` that follow it.
    """
    commands = {
        "load": load,
        "prefill": lambda options: step_times([random_tokens(options["tokens"])], 0)[0],
        "decode": lambda options: step_times([random_tokens(options["depth"] + 1, 7)], options["steps"])[1:],
        "batch": lambda options: step_times(
            [random_tokens(16, i + 1) for i in range(options["batch"])], options["steps"]
        )[1:],
        "rss": lambda _: resident_bytes(),
    }
    channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
    with channel, channel.makefile("rw") as lines:
        for line in lines:
            request = json.loads(line)
            try:
                reply = {"result": commands[request["command"]](request.get("options") or {})}
            except Exception:
                reply = {"error": traceback.format_exc()}
            lines.write(json.dumps({"id": request["id"], **reply}) + "\n")
            lines.flush()
