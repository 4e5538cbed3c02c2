#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/sentence/: what sentence-transformers makes of texts with small random checkpoints, from the files
beside them to the vectors and scores.  The tokenizers are those of test/fixtures/text/pairs.json.

    make_sentence_fixtures.py               # all cases
    make_sentence_fixtures.py mpnet-mean    # those named

CASE.json: {"config": config.json, "weights": its recipe (seeded_weights.py), "tokenizer": a name in pairs.json,
"files": {PATH: JSON}, "recipes": {FOLDER: recipe of its model.safetensors},
"embedded": [{"text", "options": {"prompt_name" or "prompt"}, "vector"}], "ranked": [{"query", "documents", "scores"}]}
"""

import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer

from make_text_fixtures import CORPUS
from reference import class_of
from seeded_weights import recipe_weights
from tiny_checkpoint import write_tiny
from tiny_config import config_of

ROOT = pathlib.Path(__file__).parents[2] / "test/fixtures"
SEED = 1
TEXTS = ["The dog's door", "", "the woods; the house had a door", CORPUS[0] + " " + CORPUS[1], "schön café 这是一个测试"]
QUERY = "Where does the dog sleep?"

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
BERT = {**SIZES, "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64, "type_vocab_size": 2, "pad_token_id": 0, "vocab_size": 220}
XLM = {**SIZES, "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "hidden_act": "gelu",
       "layer_norm_eps": 1e-5, "max_position_embeddings": 258, "type_vocab_size": 1, "pad_token_id": 1,
       "bos_token_id": 0, "eos_token_id": 2, "vocab_size": 160}
ROBERTA = {**XLM, "architectures": ["RobertaModel"], "model_type": "roberta", "vocab_size": 300}
QWEN3 = {**SIZES, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 16,
         "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": True,
         "vocab_size": 300}
MPNET = {**SIZES, "architectures": ["MPNetForMaskedLM"], "model_type": "mpnet", "hidden_act": "gelu", "layer_norm_eps": 1e-5,
         "max_position_embeddings": 258, "relative_attention_num_buckets": 32, "pad_token_id": 1, "bos_token_id": 0,
         "eos_token_id": 2, "vocab_size": 300}
DISTILBERT = {"architectures": ["DistilBertModel"], "model_type": "distilbert", "activation": "gelu", "dim": 64,
              "hidden_dim": 96, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64, "pad_token_id": 0,
              "vocab_size": 220}
ELECTRA = {**BERT, "model_type": "electra", "embedding_size": 32}
DEBERTA = {**SIZES, "model_type": "deberta-v2", "hidden_act": "gelu", "layer_norm_eps": 1e-7, "max_position_embeddings": 64,
           "max_relative_positions": -1, "norm_rel_ebd": "layer_norm", "pad_token_id": 0, "pooler_hidden_act": "gelu",
           "pooler_hidden_size": 64, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
           "position_buckets": 16, "relative_attention": True, "share_att_key": True, "type_vocab_size": 0,
           "vocab_size": 220}
GEMMA = {**SIZES, "architectures": ["Gemma3TextModel"], "model_type": "gemma3_text", "num_key_value_heads": 1, "head_dim": 16,
         "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 64, "query_pre_attn_scalar": 16,
         "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window": 12,
         "layer_types": ["sliding_attention", "full_attention"], "use_bidirectional_attention": True, "vocab_size": 300}
OLD = "sentence_transformers.models"
MODULES = [{"idx": 0, "name": "0", "path": "", "type": f"{OLD}.Transformer"},
           {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{OLD}.Pooling"}]
DENSE = {"idx": 2, "name": "2", "path": "2_Dense", "type": f"{OLD}.Dense"}
NORMALIZE = {"idx": 3, "name": "3", "path": "3_Normalize", "type": f"{OLD}.Normalize"}


def pooling(*modes, **more):
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {"word_embedding_dimension": 64, **{f"pooling_mode_{name}": name in modes for name in names}, **more}


PROMPTS = {"prompts": {"query": "the dog: ", "passage": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
# As embeddinggemma-300m has them.
GEMMA_PROMPTS = {"prompts": {"query": "task: search result | query: ", "document": "title: none | text: "},
                 "default_prompt_name": None, "similarity_fn_name": "cosine"}
IDENTITY = "torch.nn.modules.linear.Identity"
ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}


def linear(out_features, in_features):
    return {"linear.weight": {"shape": [out_features, in_features], "mean": 0.0, "std": 0.15}}


CASES = {
    "mpnet-mean": (MPNET, "roberta", {
        "modules.json": [*MODULES, NORMALIZE], "1_Pooling/config.json": pooling("mean_tokens"),
        "sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": False}}, {}),
    "distilbert-cls": (DISTILBERT, "bert", {
        "modules.json": [*MODULES, NORMALIZE], "1_Pooling/config.json": pooling("cls_token"),
        "sentence_distilbert_config.json": {"max_seq_length": 24, "do_lower_case": False}}, {}),
    "gemma3_text-dense": (GEMMA, "qwen", {
        "modules.json": [*MODULES, DENSE, {**DENSE, "idx": 3, "name": "3", "path": "3_Dense"},
                         {**NORMALIZE, "idx": 4, "name": "4", "path": "4_Normalize"}],
        "1_Pooling/config.json": pooling("mean_tokens", include_prompt=True),
        "2_Dense/config.json": {"in_features": 64, "out_features": 48, "bias": False, "activation_function": IDENTITY},
        "3_Dense/config.json": {"in_features": 48, "out_features": 24, "bias": False, "activation_function": IDENTITY},
        "sentence_bert_config.json": {"max_seq_length": 64, "do_lower_case": False},
        "config_sentence_transformers.json": GEMMA_PROMPTS},
        {"2_Dense": linear(48, 64), "3_Dense": linear(24, 48)}),
    "eurobert-ranks": ({**QWEN3, **ONE_LABEL, "architectures": ["EuroBertForSequenceClassification"], "model_type": "eurobert",
                        "classifier_pooling": "late", "rms_norm_eps": 1e-5, "pad_token_id": 299, "eos_token_id": 299,
                        "bos_token_id": 298, "tie_word_embeddings": False}, "qwen", {}, {}),
    "deberta-v2-ranks": ({**DEBERTA, **ONE_LABEL, "architectures": ["DebertaV2ForSequenceClassification"]}, "bert", {}, {}),
    "electra-ranks": ({**ELECTRA, **ONE_LABEL, "architectures": ["ElectraForSequenceClassification"],
                       "sbert_ce_default_activation_function": IDENTITY}, "bert", {}, {}),
    "bert-cls": (BERT, "bert", {
        "modules.json": [*MODULES, NORMALIZE], "1_Pooling/config.json": pooling("cls_token"),
        "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": True},
        "config_sentence_transformers.json": PROMPTS}, {}),
    "bert-modes": (BERT, "bert", {
        "modules.json": MODULES, "1_Pooling/config.json": pooling("mean_tokens", "max_tokens", "weightedmean_tokens",
                                                                  include_prompt=False),
        "config_sentence_transformers.json": {**PROMPTS, "default_prompt_name": "query"}}, {}),
    "xlm-roberta-dense": (XLM, "xlm-roberta", {
        "modules.json": [*MODULES, DENSE, NORMALIZE],
        "1_Pooling/config.json": {"embedding_dimension": 64, "pooling_mode": "mean", "include_prompt": True},
        "2_Dense/config.json": {"in_features": 64, "out_features": 24, "bias": True,
                                "activation_function": "torch.nn.modules.activation.Tanh"},
        "sentence_xlm-roberta_config.json": {"max_seq_length": 20}},
        {"2_Dense": {"linear.weight": {"shape": [24, 64], "mean": 0.0, "std": 0.1},
                     "linear.bias": {"shape": [24], "mean": 0.0, "std": 0.3}}}),
    "roberta-bare": (ROBERTA, "roberta", {}, {}),
    "qwen3-last": (QWEN3, "qwen", {
        "modules.json": [*MODULES, NORMALIZE], "1_Pooling/config.json": pooling("lasttoken"),
        "config_sentence_transformers.json": PROMPTS}, {}),
    "qwen3-bare": (QWEN3, "qwen", {}, {}),
    "bert-ranks": ({**BERT, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"},
                    "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.0.1"}},
                   "bert", {}, {}),
    "xlm-roberta-ranks": ({**XLM, "architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"}},
                          "xlm-roberta", {}, {}),
}


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))


def embedded(folder, prompts):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
    options = [{}] + ([{"prompt_name": "query"}, {"prompt": "a key "}] if prompts else [])
    return [{"text": text, "options": option, "vector": [float(f"{x:.8g}") for x in model.encode(text, **option)]}
            for option in options for text in TEXTS]


def ranked(folder):
    model = CrossEncoder(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
    scores = model.predict([(QUERY, text) for text in TEXTS])
    return [{"query": QUERY, "documents": TEXTS, "scores": [float(f"{x:.8g}") for x in scores]}]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizers = json.loads((ROOT / "text/pairs.json").read_text())["tokenizers"]
    (ROOT / "sentence").mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        raw, tokenizer, files, recipes = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            write_tiny(raw, config_of(raw), class_of(raw), folder, SEED, "float32")
            write(folder, {**files, "tokenizer.json": tokenizers[tokenizer]["tokenizer"],
                           "tokenizer_config.json": tokenizers[tokenizer]["config"]})
            made = {path: {"seed": SEED, "dtype": "float32", "tensors": tensors} for path, tensors in recipes.items()}
            for path, recipe in made.items():
                save_file({k: torch.from_numpy(v) for k, v in recipe_weights(recipe).items()},
                          folder / path / "model.safetensors")
            for module in files.get("modules.json", []):
                (folder / module["path"]).mkdir(exist_ok=True)
            case = {"config": json.loads((folder / "config.json").read_text()),
                    "weights": json.loads((folder / "weights.json").read_text()),
                    "tokenizer": tokenizer, "files": files, "recipes": made,
                    "embedded": [] if name.endswith("ranks") else embedded(folder, "config_sentence_transformers.json" in files),
                    "ranked": ranked(folder) if name.endswith("ranks") else []}
        out = ROOT / "sentence" / f"{name}.json"
        out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}"
                                          for k, v in case.items()) + "\n}\n")
        print(f"{out.name}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
