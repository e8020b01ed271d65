#!/usr/bin/env python3
"""Writes the oracle of one training step of the tokenizer: PyTorch's loss and gradients for fixed Gumbel noise.

  make-tokenizer-fixtures.py Tests/ModelsTests/Fixtures/dvae Tests/TrainingTests/Fixtures/tokenizer-step.h5

The first folder holds `encoder_state.h5` and `decoder_state.h5`, DALL-E's state dicts of a small dVAE, and `arrays.h5` with
its pixels. Its last convolutions are scaled, the encoder's by 5 and the decoder's by 0.05, so that likelihood and KL
matter alike. The network is written after openai/DALL-E (`dall_e/encoder.py`, `decoder.py`), the loss after Ramesh et al.,
arXiv:2102.12092, appendix A; all in float64. Written are the scaled `weights/...`, `noise` [B, V, h, w], `temperature`, `kl_weight`, the sums
`log_likelihood` and `divergence`, `loss`, and `gradients/...` of some parameters in PyTorch's order.
"""

import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

SEED, TEMPERATURE, KL_WEIGHT = 2102, 0.4, 6.6
GRADIENTS = [
    "encoder/blocks.input.w", "encoder/blocks.group_2.block_1.id_path.w",
    "encoder/blocks.group_3.block_2.res_path.conv_2.w", "encoder/blocks.output.conv.w", "encoder/blocks.output.conv.b",
    "decoder/blocks.input.w", "decoder/blocks.group_1.block_1.res_path.conv_1.b",
    "decoder/blocks.group_2.block_1.res_path.conv_4.w", "decoder/blocks.output.conv.w", "decoder/blocks.output.conv.b",
]


def state(file):
    with h5py.File(file) as f:
        found = {}
        f.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {k.replace("/", "."): torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in found.items()}


def convolve(weights, name, x):
    w = weights[name + ".w"]
    return F.conv2d(x, w, weights[name + ".b"], padding=(w.shape[-1] - 1) // 2)


def half(weights, x, change):
    blocks = sorted({tuple(k.split(".")[1:3]) for k in weights if ".block_" in k})
    groups = len({g for g, _ in blocks})
    x = convolve(weights, "blocks.input", x)
    for group, block in blocks:
        name = f"blocks.{group}.{block}"
        y = x
        for i in range(1, 5):
            y = convolve(weights, f"{name}.res_path.conv_{i}", F.relu(y))
        if f"{name}.id_path.w" in weights:
            x = convolve(weights, f"{name}.id_path", x)
        x = x + y / len(blocks) ** 2
        if (group, block) == max(b for b in blocks if b[0] == group) and group != f"group_{groups}":
            x = change(x)
    return convolve(weights, "blocks.output.conv", F.relu(x))


def main(folder, output):
    torch.manual_seed(SEED)
    encoder, decoder = (state(folder / f"{part}_state.h5") for part in ("encoder", "decoder"))
    with h5py.File(folder / "arrays.h5") as f:
        x = torch.tensor(f["encoder_input"][()], dtype=torch.float64)
        expected = torch.tensor(f["encoder_logits"][()], dtype=torch.float64)
    logits = half(encoder, x, lambda x: F.max_pool2d(x, 2))
    assert (logits - expected).abs().max() < 1e-4, "the network is not that of the fixture"
    for weights, factor in ((encoder, 5), (decoder, 0.05)):
        for name in ("blocks.output.conv.w", "blocks.output.conv.b"):
            scaled = (weights[name].detach() * factor).float().double()
            weights[name] = scaled.requires_grad_()
    logits = half(encoder, x, lambda x: F.max_pool2d(x, 2))
    # float32, so that the reader sees the very same noise.
    noise = -torch.log(-torch.log(torch.rand(logits.shape).clamp(1e-6, 1 - 1e-6)))
    codes = F.softmax((logits + noise.double()) / TEMPERATURE, dim=1)
    mu, log_scale = half(decoder, codes, lambda x: F.interpolate(x, scale_factor=2)).chunk(2, dim=1)
    density = -math.log(2) - log_scale - torch.log(x * (1 - x)) - (torch.logit(x) - mu).abs() / log_scale.exp()
    q = F.log_softmax(logits, dim=1)
    divergence = (q.exp() * (q + math.log(q.shape[1]))).sum()
    loss = (KL_WEIGHT * divergence - density.sum()) / x.numel()
    loss.backward()
    weights = {f"{half}/{k}": v for half, all in (("encoder", encoder), ("decoder", decoder)) for k, v in all.items()}
    with h5py.File(output, "w") as f:
        f.attrs["source"] = f"scripts/make-tokenizer-fixtures.py, PyTorch {torch.__version__}, seed {SEED}"
        values = {
            "noise": noise, "temperature": torch.tensor([TEMPERATURE]), "kl_weight": torch.tensor([KL_WEIGHT]),
            "log_likelihood": density.sum().reshape(1), "divergence": divergence.reshape(1), "loss": loss.reshape(1),
        }
        for name in (n for n in GRADIENTS if "output" in n):
            values["weights/" + name.replace(".", "/")] = weights[name]
        for name in GRADIENTS:
            values["gradients/" + name.replace(".", "/")] = weights[name].grad
        for name, value in values.items():
            f[name] = value.detach().numpy().astype(np.float32)
    print(f"loss {loss.item():.6f}, log-likelihood {density.sum().item():.3f}, divergence {divergence.item():.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
