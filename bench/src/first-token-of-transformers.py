# SPDX-License-Identifier: Apache-2.0
"""The peer of `--suite media`: for each line on stdin, the milliseconds from a picture's file to the first token."""

import sys
import time

import torch
from PIL import Image
from transformers import Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

path, picture, threads, prompt = sys.argv[1:]
torch.set_num_threads(int(threads))
processor = Qwen2VLImageProcessorPil.from_pretrained(path)
model = Qwen2VLForConditionalGeneration.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
image = model.config.image_token_id
for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        seen = processor(images=[Image.open(picture)], return_tensors="pt")
        count = int(seen["image_grid_thw"].prod()) // 4
        ids = torch.tensor([[id for part in map(int, prompt.split(",")) for id in [part] * (count if part == image else 1)]])
        model.model.rope_deltas = None
        out = model(input_ids=ids, mm_token_type_ids=(ids == image).int(), logits_to_keep=1, **seen)
        out.logits[0, -1].argmax().item()
    print(1000 * (time.perf_counter() - start), flush=True)
