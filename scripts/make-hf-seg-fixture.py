#!/usr/bin/env python3
"""Gives the weights of a Hugging Face segmentation model their official names, for the tests of Models.

  make-hf-seg-fixture.py model.safetensors Tests/ModelsTests/Fixtures/hf-seg

Written is official.h5: a flat dump of float32 with the release's names, query, key and value in one matrix.
"""

import json
import pathlib
import struct
import sys

import h5py
import numpy as np

RENAMED = [
    ("beit.embeddings.patch_embeddings.projection", "backbone.patch_embed.proj"),
    ("beit.embeddings.cls_token", "backbone.cls_token"), ("beit.encoder.layer.", "backbone.blocks."),
    ("attention.attention.relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table"),
    ("attention.attention.query.bias", "attn.q_bias"), ("attention.attention.value.bias", "attn.v_bias"),
    ("attention.output.dense", "attn.proj"), ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
    ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("lambda_", "gamma_"), ("classifier", "conv_seg"),
]


def tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        values = file.read()
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            first, end = entry["data_offsets"]
            yield name, np.frombuffer(values[first:end], "<f4").reshape(entry["shape"])


def official(name):
    for theirs, ours in RENAMED:
        name = name.replace(theirs, ours)
    return "backbone." + name if name.startswith("fpn") else name


def main(source, output):
    state = dict(tensors(source))
    for name in [name for name in state if name.endswith("attention.query.weight")]:
        parts = [state.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        state[name.replace("attention.attention.query", "attn.qkv")] = np.concatenate(parts)
    with h5py.File(output / "official.h5", "w") as file:
        for name, value in state.items():
            file[official(name)] = value


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
