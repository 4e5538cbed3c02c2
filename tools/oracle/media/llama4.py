# SPDX-License-Identifier: Apache-2.0
"""Llama 4."""

from transformers.modeling_outputs import MoeCausalLMOutputWithPast

from make_media_fixtures import canvas_processor
from media.base import BELOW, BESIDE, END, IMAGE, START, TEXT, WHOLE, PixelPrompt, image, side_of
from media.llava import square_prompts


class CanvasPrompt(PixelPrompt):
    """Squares of a canvas, and the whole behind a token of its own."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"].flatten(0, -4).float())
        rows, columns = out["aspect_ratios"][0].tolist()
        self.begin(part)
        self.add([START])
        for row in range(rows if rows * columns > 1 else 0):
            for column in range(columns):
                self.add([IMAGE] * (self.count // 4) + [BESIDE if column + 1 < columns else BELOW])
        self.add([WHOLE] + [IMAGE] * (self.count // 4) + [END])

    def encoded(self, model):
        seen = model.get_image_features(self.inputs()["pixel_values"]).last_hidden_state
        return model.multi_modal_projector(seen.flatten(0, 1)).float()


def prompts(case, out):
    return square_prompts(canvas_processor(side_of(case), 4), case, out, CanvasPrompt)


def without_outputs():
    """The class of 5.24 asks what its model of text gives for something that this does not have."""
    MoeCausalLMOutputWithPast.image_outputs = None


CASES = {}
# Squares of 56 pixels, four tokens each, and the whole behind them; chunks end within pictures.
CASES["llama4"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, intermediate_size=48, intermediate_size_mlp=96,
                                        attention_chunk_size=12,
                                        no_rope_layer_interval=3, num_local_experts=4, moe_layers=[1, 2],
                                        floor_scale=16),
                image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END,
                vision_config=dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=56, patch_size=14, projector_input_dim=48, projector_output_dim=48,
                                   vision_output_dim=48)),
    before=without_outputs, prompts=prompts, seed=1)
