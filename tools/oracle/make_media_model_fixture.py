#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a case of test/fixtures/media-models: what transformers computes with a small random checkpoint that sees or
hears.

    make_media_model_fixture.py NAME OUT        # NAME: a case of a module of media/

Needs torchvision beside tools/oracle/requirements.txt, and timm for perception_lm, fast_vlm and gemma3n. Pictures and
sound are those of make_media_fixtures. OUT gets config.json, preprocessor_config.json, perhaps video_preprocessor_config.json,
weights.json (the recipe of the weights) and

    reference.safetensors    for each prompt i
        i/tokens         int64 [T]     ids, placeholders expanded
        i/media          int64 [N, 5]  of each picture, video or sound: frames (0: a picture, -1: sound), width or
                                       samples, height or rate, seed, its first token
        i/positions      int64 [3, T]  in time, height and width, or as many axes as a model has; absent where they are
                                       those of text
        i/encoded_rows   int64 [E]     the rows of what the encoder gives that follow
        i/encoded        f32 [E, width]
        i/rows, i/logits, i/logits_bf16, i/greedy, i/greedy_margin   as make_family_fixture.py has them
"""

import pathlib
import sys

import torch
import transformers

from media import all_cases
from media.checkpoint import remote_checkpoint, transformers_checkpoint, wrap_thinker
from media.record import record, save_reference


def main():
    name, out = sys.argv[1], pathlib.Path(sys.argv[2])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    case, family = all_cases()[name], name.partition("-")[0]
    if "before" in case:
        case["before"]()
    out.mkdir(parents=True, exist_ok=True)
    own = case.get("checkpoint", transformers_checkpoint)
    fresh = remote_checkpoint(case, out) if "raw" in case else own(case, family, out)
    found = {}
    for i, prompt in enumerate(case["prompts"](case, out)):
        found |= {f"{i}/{key}": value.contiguous() for key, value in record(fresh, prompt).items()}
    if "more" in case:
        found |= case["more"](fresh(), case)
    (out / "model.safetensors").unlink(missing_ok=True)
    if "thinker" in case:
        wrap_thinker(out, family)
    save_reference(out, found, model_type=case.get("computed_as", family))


if __name__ == "__main__":
    main()
