# SPDX-License-Identifier: Apache-2.0
"""How a peer that is a Python program answers the benchmark: one line of JSON a request, on the channel of Node's IPC."""

import json
import os
import resource
import socket
import traceback


def random_tokens(count, vocab, seed=1):
    """The token ids that every engine is given; driver.ts makes the same."""
    state = seed
    tokens = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        tokens.append(3 + state % (vocab - 3))
    return tokens


def resident_bytes():
    """Resident bytes of this process, now and at most so far."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[1]) * 4096
    return {"now": now, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def serve(commands):
    """Answers requests one after another until the channel closes. `commands` maps a name to a function of its options."""
    channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
    with channel, channel.makefile("rw") as lines:
        for line in lines:
            request = json.loads(line)
            try:
                command = {**commands, "rss": lambda _: resident_bytes()}[request["command"]]
                reply = {"result": command(request.get("options") or {})}
            except Exception:
                reply = {"error": traceback.format_exc()}
            lines.write(json.dumps({"id": request["id"], **reply}) + "\n")
            lines.flush()
