#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the bundled checkpoint examples/models/tiny-shapes, which says what is drawn in a picture.

All pictures are drawn by the code below from a seed; nothing is downloaded.  One CPU thread, fixed seeds: the pictures,
the tokenizer and the order of the batches repeat exactly, the weights to rounding on the same kind of CPU.

    python tools/train_tiny_shapes.py                    # tokenizer, model, pictures, the share of right answers
    python tools/train_tiny_shapes.py --evaluate         # that share again, of the model that is there
    python tools/train_tiny_shapes.py --sample 8         # print captions, write sample-0.png, …
"""

import argparse
import json
import math
import os
import pathlib
import random
import time
from types import SimpleNamespace

import numpy

from train_tiny_stories import MODELS

NAME = "tiny-shapes"
CONTEXT = 256

# ---------------------------------------------------------------------------------------------------------------
# Scenes: groups of (count, colour, shape), each thing at a place of its own.

COLOURS = {"red": (214, 40, 40), "orange": (245, 140, 20), "yellow": (245, 215, 40), "green": (40, 150, 60),
           "blue": (35, 85, 200), "purple": (135, 50, 165)}
SHAPES = ["circle", "square", "triangle"]
NUMBERS = ["", "one", "two", "three", "four", "five"]
MOST = len(NUMBERS) - 1


def scene(rng, most=MOST):
    """Groups in the order of a caption: one kind of things, or two."""
    total = rng.randint(1, most)
    kinds = rng.sample([(shape, colour) for shape in range(len(SHAPES)) for colour in range(len(COLOURS))],
                       rng.randint(1, min(total, 2)))
    first = total if len(kinds) == 1 else rng.randint(1, total - 1)
    counts = [first, total - first][:len(kinds)]
    return [(count, list(COLOURS)[colour], SHAPES[shape]) for count, (shape, colour) in zip(counts, sorted(kinds))]


def caption(groups):
    """What is there, then how many: to count things, a small model must know which."""
    return " ".join(f"{colour.capitalize()} {shape}s: {NUMBERS[count]}." for count, colour, shape in groups)


def draw(rng, groups, width, height):
    """A picture [height, width, 3] in bytes, the things of a scene on a light ground, nowhere on one another; and where
    their middles are: (x, y, colour, shape)."""
    rows, columns = cells(width, height)
    high, wide = height / rows, width / columns
    unit = min(high, wide)
    things = [(colour, shape) for count, colour, shape in groups for _ in range(count)]
    placed = []
    while len(placed) < len(things):
        radius = rng.uniform(0.38, 0.55) * unit
        x = (rng.randrange(columns) + rng.uniform(0.3, 0.7)) * wide
        y = (rng.randrange(rows) + rng.uniform(0.3, 0.7)) * high
        if all(math.hypot(x - a, y - b) > radius + r + 0.08 * unit for a, b, r in placed):
            placed.append((x, y, radius))
        elif rng.random() < 0.01:  # no room: begin anew
            placed.clear()
    ground = [rng.randint(215, 255)] * 3 if rng.random() < 0.6 else [rng.randint(200, 255) for _ in range(3)]
    picture = numpy.empty((height, width, 3), numpy.float32)
    picture[:] = ground
    for (colour, shape), (x, y, radius) in zip(things, placed):
        top, left = max(int(y - radius) - 1, 0), max(int(x - radius) - 1, 0)
        part = picture[top:int(y + radius) + 2, left:int(x + radius) + 2]
        rows = numpy.arange(part.shape[0], dtype=numpy.float32)[:, None] + (top + 0.5 - y)
        columns = numpy.arange(part.shape[1], dtype=numpy.float32) + (left + 0.5 - x)
        inside = covered(shape, rows, columns, radius, rng.uniform(-0.25, 0.25))[..., None]
        ink = [min(max(c + rng.uniform(-20, 20), 0), 255) for c in COLOURS[colour]]
        part += inside * (numpy.array(ink, numpy.float32) - part)
    middles = [(x, y, colour, shape) for (colour, shape), (x, y, _) in zip(things, placed)]
    return (picture + 0.5).astype(numpy.uint8), middles


def cells(width, height):
    """Rows and columns of the blocks that the processor makes of a picture: each holds the middle of one thing, if any."""
    shrink = max(1, math.sqrt(width * height / (LARGEST * BLOCK**2)))
    return int(height / shrink / BLOCK), int(width / shrink / BLOCK)


def covered(shape, y, x, radius, turn):
    """The share of each pixel that lies within a shape of this radius about the origin, turned by an angle."""
    cos, sin = math.cos(turn), math.sin(turn)
    u, v = x * cos + y * sin, y * cos - x * sin
    if shape == "circle":
        beyond = numpy.sqrt(u * u + v * v) - 0.9 * radius
    elif shape == "square":
        beyond = numpy.maximum(abs(u), abs(v)) - radius / math.sqrt(2)
    else:
        beyond = numpy.maximum(v, math.sqrt(0.75) * abs(u) - v / 2) - radius / 2
    return numpy.clip(0.5 - beyond, 0, 1)


# ---------------------------------------------------------------------------------------------------------------
# What the model reads

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
END_OF_TEXT, TURN, END, VISION_START, VISION_END, IMAGE, VIDEO = range(len(SPECIAL))
BATCH = 32
PATCH, MERGE, FRAMES = 12, 2, 2
BLOCK = PATCH * MERGE
MEAN, STD = 0.5, 0.5
# Blocks of the pictures of a batch, and with them the sizes to which other pictures are brought.
LEAST, LARGEST = 15, 25
GRIDS = [(rows, columns) for rows in range(3, 9) for columns in range(3, 9)
         if LEAST <= rows * columns <= LARGEST and max(rows, columns) <= 2 * min(rows, columns)]
QUESTIONS = ["What is this?", "What do you see?", "What is in the picture?", "Describe the picture.", "What is drawn here?",
             "What does the picture show?", "Describe this.", "What can you see here?", "What shapes are there?", ""]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(seed):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rng = random.Random(f"tokenizer {seed}")
    texts = [caption(scene(rng)) for _ in range(4000)] + 100 * [*QUESTIONS, "user\n", "assistant\n"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts, trainer)
    assert [tokenizer.token_to_id(t) for t in SPECIAL] == list(range(len(SPECIAL)))
    return tokenizer


def patches(picture):
    """[patches, 3 * FRAMES * PATCH * PATCH] in f32, block by block, as transformers' Qwen2VLImageProcessor has them."""
    rows, columns = (side // BLOCK for side in picture.shape[:2])
    values = (picture.astype(numpy.float32) / 255 - MEAN) / STD
    cut = values.reshape(rows, MERGE, PATCH, columns, MERGE, PATCH, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    return numpy.repeat(cut.reshape(-1, 3, 1, PATCH * PATCH), FRAMES, 2).reshape(len(cut.reshape(-1, 3 * PATCH * PATCH)), -1)


def prompt_ids(encode, question, count):
    return [TURN, *encode("user\n"), VISION_START, *[IMAGE] * count, VISION_END, *encode(question), END, *encode("\n"),
            TURN, *encode("assistant\n")]


def write_files(tokenizer, path):
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    write = lambda name, value: (path / name).write_text(json.dumps(value, indent=2) + "\n")
    write("tokenizer_config.json", {
        "added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False,
                                          "single_word": False, "special": True} for i, t in enumerate(SPECIAL)},
        "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>",
        "model_max_length": CONTEXT, "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast",
    })
    write("preprocessor_config.json", {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [MEAN] * 3,
        "image_processor_type": "Qwen2VLImageProcessor", "image_std": [STD] * 3, "merge_size": MERGE,
        "patch_size": PATCH, "resample": 3, "rescale_factor": 1 / 255,
        "size": {"longest_edge": LARGEST * BLOCK**2, "shortest_edge": LEAST * BLOCK**2}, "temporal_patch_size": FRAMES,
    })
    # Greedy until somebody asks for a temperature.
    write("generation_config.json", {"do_sample": False, "eos_token_id": [END, END_OF_TEXT], "pad_token_id": END_OF_TEXT})


# ---------------------------------------------------------------------------------------------------------------
# Training


def build_model(vocab_size):
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(7)
    config = Qwen2VLConfig(
        text_config=dict(vocab_size=vocab_size, hidden_size=128, intermediate_size=256, num_hidden_layers=3,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=CONTEXT,
                         bos_token_id=END_OF_TEXT, eos_token_id=END, pad_token_id=END_OF_TEXT, initializer_range=0.06,
                         tie_word_embeddings=True,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[4, 6, 6])),
        vision_config=dict(depth=3, embed_dim=128, hidden_size=128, num_heads=4, mlp_ratio=4, patch_size=PATCH,
                           spatial_merge_size=MERGE, temporal_patch_size=FRAMES, initializer_range=0.06),
        image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=VISION_START, vision_end_token_id=VISION_END,
        tie_word_embeddings=True)
    return Qwen2VLForConditionalGeneration._from_config(config, attn_implementation="eager")


def hasten(model):
    """The same mathematics in fewer and larger products, for batches of pictures of one size: thrice as fast on a CPU."""
    import torch
    import torch.nn.functional as F
    from transformers.models.qwen2_vl.modeling_qwen2_vl import apply_rotary_pos_emb_vision

    visual = model.model.visual
    embed = visual.patch_embed
    embed.forward = lambda pixels: F.linear(pixels, embed.proj.weight.flatten(1))

    def attend(module):
        def forward(states, cu_seqlens, position_embeddings, **_):
            pictures = len(cu_seqlens) - 1
            q, k, v = module.qkv(states).view(len(states), 3, module.num_heads, -1).unbind(1)
            q, k = apply_rotary_pos_emb_vision(q, k, *position_embeddings)
            q, k, v = (t.view(pictures, -1, *t.shape[1:]).transpose(1, 2) for t in (q, k, v))
            mixed = (q * module.scaling @ k.transpose(-1, -2)).softmax(-1).to(v.dtype) @ v
            return module.proj(mixed.transpose(1, 2).flatten(2).flatten(0, 1))

        return forward

    for block in visual.blocks:
        block.attn.forward = attend(block.attn)


# The pictures beside the checkpoint.
SHOWN = [(320, 240, [(2, "red", "circle"), (1, "blue", "square")]), (250, 330, [(3, "green", "triangle")]),
         (400, 400, [(2, "yellow", "square"), (1, "purple", "square")])]


class Stream:
    """Endless batches of pictures of one size with their captions, and for each block what has its middle there (0: nothing)."""

    def __init__(self, seed, encode):
        self.rng, self.encode = random.Random(f"train {seed}"), encode

    def batch(self, size, most):
        import torch

        rng = self.rng
        rows, columns = rng.choice(GRIDS)
        seen, ids, starts = [], [], []
        kinds = torch.zeros(size, rows, columns, dtype=torch.long)
        for number in range(size):
            groups = scene(rng, most)
            picture, middles = draw(rng, groups, columns * BLOCK, rows * BLOCK)
            seen.append(patches(picture))
            for x, y, colour, shape in middles:
                kind = 1 + SHAPES.index(shape) * len(COLOURS) + list(COLOURS).index(colour)
                kinds[number, int(y / BLOCK), int(x / BLOCK)] = kind
            prompt = prompt_ids(self.encode, rng.choice(QUESTIONS), rows * columns)
            starts.append(len(prompt))
            ids.append([*prompt, *self.encode(caption(groups)), END])
        width = max(map(len, ids))
        tokens, labels = torch.full((size, width), END_OF_TEXT), torch.full((size, width), -100)
        for row, (found, start) in enumerate(zip(ids, starts)):
            tokens[row, :len(found)] = torch.tensor(found)
            labels[row, start - 1:len(found) - 1] = torch.tensor(found[start:])
        return dict(input_ids=tokens, mm_token_type_ids=(tokens == IMAGE).int(),
                    pixel_values=torch.from_numpy(numpy.concatenate(seen)),
                    image_grid_thw=torch.tensor([[1, rows * MERGE, columns * MERGE]] * size)), labels, kinds.flatten()


def export(model, path):
    import torch
    from safetensors.torch import save_file

    half = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(half, path / "model.safetensors.tmp", metadata={"format": "pt"})
    os.replace(path / "model.safetensors.tmp", path / "model.safetensors")
    os.chmod(path / "model.safetensors", 0o644)
    model.config.save_pretrained(path)


def train(tokenizer, args):
    import torch
    import torch.nn.functional as F

    path = args.out / NAME
    write_files(tokenizer, path)
    model = build_model(tokenizer.get_vocab_size())
    hasten(model)
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    count = sum(p.numel() for p in model.parameters())
    # What the encoder says of a block must tell what is there: learned beside captions, this is found sooner. It is not kept.
    torch.manual_seed(8)
    visual = model.model.visual
    probe = torch.nn.Linear(model.config.text_config.hidden_size, 1 + len(SHAPES) * len(COLOURS))
    is_matrix = lambda n, p: p.dim() == 2 and "embed" not in n
    matrices = [p for n, p in model.named_parameters() if is_matrix(n, p)]
    rest = [p for n, p in model.named_parameters() if not is_matrix(n, p)] + list(probe.parameters())
    optimizers = [(torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0), 1.5e-3),
                  (torch.optim.Muon(matrices, lr=1.0, momentum=0.95, weight_decay=0.01), 0.015)]
    stream = Stream(args.seed, encode)
    print(f"{count} parameters", flush=True)

    def stage(name, steps, loss_of):
        begin, running = time.time(), None
        for step in range(1, steps + 1):
            done = step / steps
            scale = min(1.0, step / 40, 0.02 + (1 - done) / 0.6)
            for optimizer, peak in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = peak * scale
            loss = loss_of(done)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, _ in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
            if step % 20 == 0:
                print(f"{name} {step} loss {running:.4f} {time.time() - begin:.0f} s, {time.process_time():.0f} s of a "
                      "processor", flush=True)
            if step % 200 == 0 or step == steps:
                export(model, path)
                right = evaluate(model, encode, args.seed, 200)
                print(f"{name} {step}: {right:.1%} of held-out pictures described rightly", flush=True)

    def captions(inputs, labels):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(**inputs, use_cache=False).logits
        return F.cross_entropy(logits[labels >= 0].float(), labels[labels >= 0])

    def whole(done):
        inputs, labels, kinds = stream.batch(BATCH, min(MOST, 1 + int(done * 20)))
        seen = []
        hook = visual.register_forward_hook(lambda _, __, out: seen.append(out.pooler_output))
        loss = captions(inputs, labels)
        hook.remove()
        return loss + 3 * F.cross_entropy(probe(seen[0].float()), kinds)

    # Captions of pictures that the encoder has seen. Two of three batches are old ones.
    kept, choice = [], random.Random(f"kept {args.seed}")

    def words(_):
        if len(kept) < 20 or choice.random() < 1 / 3:
            inputs, labels, _ = stream.batch(BATCH, MOST)
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                rows = visual(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
            kept.append((inputs, labels, rows))
        else:
            inputs, labels, rows = choice.choice(kept)
        model.model.get_image_features = lambda *_, **__: SimpleNamespace(pooler_output=(rows,))
        loss = captions(inputs, labels)
        del model.model.get_image_features
        return loss

    stage("all", args.steps, whole)
    visual.requires_grad_(False)
    stage("words", args.word_steps, words)


def evaluate(model, encode, seed, pictures):
    """The share of pictures, of another seed than those of the training, whose greedy caption is right word for word."""
    import torch

    stream = Stream(f"held-out {seed}", encode)
    right = 0
    model.eval()
    with torch.no_grad():
        for _ in range(pictures // 10):
            inputs, labels, _ = stream.batch(10, MOST)
            right += described(model(**inputs, use_cache=False).logits, labels).sum().item()
    model.train()
    return right / pictures


def described(logits, labels):
    """Which captions are right: greedy decoding gives one whose every token is the best one behind those before it."""
    return ((logits.argmax(-1) == labels) | (labels < 0)).all(-1)


class Describer:
    """The checkpoint as others load it: transformers' own class and processor, float32, pictures of any size."""

    def __init__(self, path, tokenizer):
        import torch
        from transformers import Qwen2VLForConditionalGeneration
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        self.encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        self.tokenizer, self.processor = tokenizer, Qwen2VLImageProcessorPil.from_pretrained(path)
        self.model = Qwen2VLForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()

    def inputs(self, picture, more=()):
        import torch
        from PIL import Image

        seen = self.processor(images=[Image.fromarray(picture)], return_tensors="pt")
        prompt = prompt_ids(self.encode, QUESTIONS[0], int(seen["image_grid_thw"].prod()) // MERGE**2)
        ids = torch.tensor([[*prompt, *more]])
        return dict(input_ids=ids, mm_token_type_ids=(ids == IMAGE).int(), **seen), len(prompt)

    def is_right(self, picture, groups):
        import torch

        answer = [*self.encode(caption(groups)), END]
        inputs, start = self.inputs(picture, answer)
        with torch.no_grad():
            logits = self.model(**inputs, use_cache=False).logits[0, start - 1:-1]
        return logits.argmax(-1).tolist() == answer

    def answer(self, picture):
        inputs, start = self.inputs(picture)
        out = self.model.generate(**inputs, do_sample=False, max_new_tokens=32, eos_token_id=END)
        return self.tokenizer.decode(out[0, start:].tolist())


def finish(path, tokenizer, seed, pictures=1000):
    """Says how well the checkpoint describes pictures of other sizes, and writes some of them with its answers."""
    from PIL import Image

    describer, rng = Describer(path, tokenizer), random.Random(f"sizes {seed}")
    right, by_count = 0, {}
    for _ in range(pictures):
        groups = scene(rng)
        found = describer.is_right(draw(rng, groups, rng.randint(240, 400), rng.randint(240, 400))[0], groups)
        right += found
        seen = by_count.setdefault(sum(count for count, *_ in groups), [0, 0])
        seen[0] += found
        seen[1] += 1
    counts = ", ".join(f"{count}: {good / all:.1%}" for count, (good, all) in sorted(by_count.items()))
    print(f"{right / pictures:.1%} of {pictures} pictures of 240 to 400 pixels a side; by how many things: {counts}", flush=True)
    folder, answers = path / "pictures", {}
    folder.mkdir(exist_ok=True)
    for number, (width, height, groups) in enumerate(SHOWN, 1):
        picture, _ = draw(rng, groups, width, height)
        answers[f"{number}.png"] = describer.answer(picture)
        Image.fromarray(picture).save(folder / f"{number}.png", optimize=True)
        print(f"{number}.png: {caption(groups)} {answers[f'{number}.png']}", flush=True)
    (folder / "answers.json").write_text(json.dumps(answers, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1200, help="of encoder and words together")
    parser.add_argument("--word_steps", type=int, default=3000, help="of words alone")
    parser.add_argument("--evaluate", action="store_true", help="train nothing, but finish what is in the folder")
    parser.add_argument("--sample", type=int, help="only draw this many pictures and print their captions")
    args = parser.parse_args()
    if args.sample:
        from PIL import Image

        rng = random.Random(args.seed)
        for i in range(args.sample):
            groups = scene(rng)
            Image.fromarray(draw(rng, groups, 320, 240)[0]).save(f"sample-{i}.png")
            print(i, caption(groups))
        return
    import torch

    torch.set_num_threads(1)
    tokenizer = train_tokenizer(args.seed)
    if not args.evaluate:
        train(tokenizer, args)
    finish(args.out / NAME, tokenizer, args.seed)


if __name__ == "__main__":
    main()
