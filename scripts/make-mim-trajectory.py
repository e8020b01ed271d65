#!/usr/bin/env python3
"""Records the losses of 20 steps of masked image modeling in PyTorch, for the tests of Training.

  make-mim-trajectory.py Tests/ModelsTests/Fixtures/hf-mim Tests/TrainingTests/Fixtures

The network is that of scripts/pytorch_beit.py with one bias table for all blocks and a mask token, its first weights are
those of hf-mim. Before anything is recorded, its loss on hf-mim's own input must be the one that Hugging Face computed.
AdamW, clipping and the learning rate follow the authors' pre-training: no decay for vectors and the cls token, decay for
the mask token and the bias table; linear warm-up with both ends, then a cosine. Everything runs in float64.

Written is mim-trajectory.h5: pictures [8, 32, 32, 3] uint8, and for each step the two pictures of its batch, mask,
tokens, learning rate, loss and gradient norm before clipping; the recipe stands in the attributes.
"""

import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import pytorch_beit

STEPS, BATCH, PATCHES, WORDS = 20, 2, 16, 128
RECIPE = dict(lr=5e-3, min_lr=1e-4, warmup_steps=4, weight_decay=0.5, clip_grad=2.0, seed=2106)
SHAPE = dict(width=48, depth=3, heads=4, mlp_ratio=2, patch_size=8, image_size=[32, 32], layer_scale=0.1, norm_eps=1e-12)


class MaskedImageModel(nn.Module):
    """Pixels [B, 3, 32, 32] and a mask [B, N] -> logits [B, N, V]."""

    def __init__(self):
        super().__init__()
        self.backbone = pytorch_beit.Backbone(SHAPE)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, SHAPE["width"]))
        self.lm_head = nn.Linear(SHAPE["width"], WORDS)
        table = self.backbone.blocks[0].attn.relative_position_bias_table
        for block in self.backbone.blocks:
            block.attn.relative_position_bias_table = table  # one parameter, which all blocks share

    def forward(self, pixels, mask):
        net = self.backbone
        x = net.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x = torch.where(mask[:, :, None], self.mask_token, x)
        x = torch.cat([net.cls_token.expand(len(x), -1, -1), x], dim=1)
        for block in net.blocks:
            x = block(x)
        return self.lm_head(net.norm(x)[:, 1:])

    def loss(self, pixels, mask, tokens):
        """`tokens`: those of the hidden patches, row-major."""
        return F.cross_entropy(self(pixels, mask)[mask], tokens)


def load(net, path):
    """Reads a flat state dict with official names."""
    table = "rel_pos_bias.relative_position_bias_table"
    own = {"mask_token", "lm_head.weight", "lm_head.bias"}
    with h5py.File(path) as file:
        state = {name: torch.from_numpy(file[name][()]).double() for name in file}
    shared = state.pop(table)
    renamed = {(name if name in own else "backbone." + name): value for name, value in state.items()}
    for index in range(SHAPE["depth"]):
        renamed[f"backbone.blocks.{index}.attn.relative_position_bias_table"] = shared
    net.load_state_dict(renamed)


def normalized(pictures):
    return torch.from_numpy((pictures / 255.0 - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()


def check(net, folder):
    """The network must be Hugging Face's."""
    with h5py.File(folder / "arrays.h5") as file:
        pixels, mask, labels = (torch.from_numpy(file[name][()])
                                for name in ("pixel_values", "bool_masked_pos", "labels"))
        want = float(file["loss"][()])
    found = net.loss(pixels.double(), mask.bool(), labels).item()
    if abs(found - want) > 1e-5:
        sys.exit(f"{folder}: the loss is {found}, Hugging Face's is {want}")


def learning_rate(step):
    peak, low, warmup = RECIPE["lr"], RECIPE["min_lr"], RECIPE["warmup_steps"]
    if step < warmup:
        return peak * step / (warmup - 1)
    return low + (peak - low) / 2 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


def pictures(draw):
    """Smooth colours with noise: neighbours are alike, as in photos."""
    coarse = torch.from_numpy(draw.random((8, 3, 4, 4)))
    smooth = F.interpolate(coarse, size=32, mode="bicubic", align_corners=False).permute(0, 2, 3, 1).numpy()
    return np.clip(255 * smooth + draw.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)


def main(source, output):
    torch.use_deterministic_algorithms(True)
    net = MaskedImageModel().double()
    load(net, source / "official.h5")
    check(net, source)
    draw = np.random.default_rng(RECIPE["seed"])
    data = dict(pictures=pictures(draw))
    data["members"] = np.stack([draw.permutation(8)[:BATCH] for _ in range(STEPS)])
    data["masks"] = np.stack([[draw.permutation(PATCHES) < draw.integers(5, 9) for _ in range(BATCH)]
                              for _ in range(STEPS)]).astype(np.uint8)
    words = draw.integers(0, WORDS, (8, PATCHES))  # each picture has its tokens
    data["tokens"] = words[data["members"]]

    named = dict(net.named_parameters())  # a shared parameter once
    plain = [p for name, p in named.items() if p.dim() == 1 or name.endswith("cls_token")]
    decayed = [p for name, p in named.items() if not (p.dim() == 1 or name.endswith("cls_token"))]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=RECIPE["weight_decay"]), dict(params=plain, weight_decay=0.0)],
        lr=0.0, betas=(0.9, 0.999), eps=1e-8)
    rates, losses, norms = [], [], []
    for step in range(STEPS):
        pixels = normalized(data["pictures"][data["members"][step]])
        mask = torch.from_numpy(data["masks"][step]).bool()
        loss = net.loss(pixels, mask, torch.from_numpy(data["tokens"][step])[mask])
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), RECIPE["clip_grad"]).item())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
        rates.append(learning_rate(step))
        losses.append(loss.item())
    data.update(rates=np.array(rates), losses=np.array(losses), norms=np.array(norms))
    with h5py.File(output / "mim-trajectory.h5", "w") as file:
        file.attrs.update(RECIPE, torch=str(torch.__version__))
        for name, array in data.items():
            file[name] = array.astype(np.int32) if array.dtype == np.int64 else array
    print("losses", *(f"{loss:.4f}" for loss in losses))
    print("norms ", *(f"{norm:.4f}" for norm in norms))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
