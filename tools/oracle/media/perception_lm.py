# SPDX-License-Identifier: Apache-2.0
"""PerceptionLM, whose tower is timm's."""

import torch

from make_media_fixtures import fitting_processor
from media.base import FRAME_CHANNELS, FRAMES, IMAGE, SQUARES, TEXT, VIDEO, Prompt, each, image, write_frames


class FittingPrompt(Prompt):
    """The whole, then tiles, nothing between them; frames as a square each."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        token = VIDEO if frames else IMAGE
        how = dict(vision_input_type="vanilla", **FRAME_CHANNELS) if frames else {}
        shown = [image(width, height, seed + i) for i in range(max(frames, 1))]
        outs = [self.processor(images=[one], return_tensors="pt", **how)["pixel_values"][0] for one in shown]
        self.pixels[token].append(torch.cat(outs))
        self.place(part, token, self.count * len(self.pixels[token][-1]))

    def inputs(self, more=()):
        names = {IMAGE: "pixel_values", VIDEO: "pixel_values_videos"}
        seen = {names[token]: torch.cat(shown)[None] for token, shown in self.pixels.items() if shown}
        return self.texts(more) | seen

    def encoded(self, model):
        rows = {token: [model.model.get_image_features(one[None]).pooler_output.flatten(0, 1) for one in shown]
                for token, shown in self.pixels.items()}
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()


def prompts(case, out):
    config = case["config"]
    side = config["vision_config"]["model_args"]["img_size"][0]
    processor = fitting_processor(side, 6)
    processor.save_pretrained(out)
    write_frames(out, dict(size=dict(height=side, width=side), **FRAME_CHANNELS))
    count = (side // 14 // config["projector_pooling_ratio"]) ** 2
    return each(FittingPrompt, [*SQUARES, FRAMES], processor, count)


CASES = {}
# A row before those of pictures, means of blocks of patches; the same without, and with another MLP.
CASES["perception_lm"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_id=IMAGE,
                video_token_id=VIDEO,
                projector_pooling_ratio=2, vision_use_cls_token=True,
                vision_config=dict(model_type="timm_wrapper", architecture="vit_pe_lang_large_patch14_448",
                                   model_args=dict(embed_dim=64, depth=2, num_heads=4, img_size=[56, 56],
                                                   ref_feat_shape=[4, 4], global_pool="",
                                                   use_post_transformer_norm=False, init_values=0.1))),
    prompts=prompts, seed=2)
CASES["perception_lm-gigantic"] = CASES["perception_lm"] | dict(
    config=CASES["perception_lm"]["config"] | dict(
        tie_word_embeddings=True, text_config=TEXT | dict(model_type="llama", rope_theta=10000.0,
                                                          tie_word_embeddings=True),
        projector_pooling_ratio=1, vision_use_cls_token=False,
        vision_config=dict(model_type="timm_wrapper", architecture="vit_pe_lang_gigantic_patch14_448",
                           model_args=dict(embed_dim=64, depth=2, num_heads=4, img_size=[28, 28], ref_feat_shape=[2, 2],
                                           global_pool="",
                                           mlp_ratio=1.6))),
    seed=1)
