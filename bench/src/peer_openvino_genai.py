# SPDX-License-Identifier: Apache-2.0
"""OpenVINO GenAI as a peer: its pipeline for many requests, on a model that optimum-intel converts and NNCF quantises.

pip install openvino-genai==2026.4.1 optimum-intel==2.2.0 nncf==3.4.0
"""

import gc
import os
import time

import numpy
import openvino
import openvino_genai
from peer_engine import serve

BITS = {"w8a16": 8, "w8a8_dynamic": 8, "w4a16": 4, "w4a8_dynamic": 4}
pipeline = None


def convert(model, quantize):
    """Writes the converted model beside the checkpoint, once, and returns where. The group of 4 bits is ours, 64."""
    folder = f"{model}-openvino-{quantize or 'bf16'}"
    if not os.path.exists(os.path.join(folder, "openvino_model.xml")):
        from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

        bits = BITS.get(quantize)
        how = {"load_in_8bit": False}
        if bits is not None:
            how = {"quantization_config": OVWeightQuantizationConfig(bits=bits, sym=True, group_size=64 if bits == 4 else -1)}
        OVModelForCausalLM.from_pretrained(model, export=True, compile=False, **how).save_pretrained(folder)
        gc.collect()
    return folder


def load(options):
    global pipeline
    folder = convert(options["model"], options.get("quantize"))
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.max_num_batched_tokens = 512
    scheduler.max_num_seqs = options["sequences"]
    scheduler.cache_size = 2
    scheduler.enable_prefix_caching = False
    start = time.perf_counter()
    pipeline = openvino_genai.ContinuousBatchingPipeline(
        folder, scheduler, "CPU", {"INFERENCE_NUM_THREADS": options["threads"]}
    )
    return 1000 * (time.perf_counter() - start)


def step_times(prompts, steps):
    """Milliseconds of the first step of the prompts, all at once, and of each of `steps` that follow it."""
    config = openvino_genai.GenerationConfig(max_new_tokens=steps + 1, ignore_eos=True, do_sample=False)
    handles = [
        pipeline.add_request(i, openvino.Tensor(numpy.array([prompt], dtype=numpy.int64)), config)
        for i, prompt in enumerate(prompts)
    ]
    times = []
    fresh = 0
    start = time.perf_counter()
    while pipeline.has_non_finished_requests():
        pipeline.step()
        fresh += sum(len(handle.read()) for handle in handles if handle.can_read())
        # A long prompt takes several steps, which together are the first.
        if fresh >= len(prompts):
            now = time.perf_counter()
            times.append(1000 * (now - start))
            start = now
            fresh = 0
    return times


serve(load, step_times)
