#!/usr/bin/env python3
"""Records the losses of 20 steps of fine-tuning UperNet in PyTorch, for the tests of Training.

  make-upernet-trajectory.py Tests/ModelsTests/Fixtures/upernet Tests/TrainingTests/Fixtures

The backbone is that of scripts/pytorch_beit.py, the decoder is written here; the first weights are those of the fixture.
Before anything is recorded, logits and losses on the fixture's own input, with running and with batch statistics, must be
those that mmsegmentation's network gave. AdamW and the learning rate follow the authors' fine-tuning: layer-wise decay, no
decay for vectors and the cls token, `poly` with warm-up. Everything runs in float64, without dropout.
Three pictures a batch: of two, the batch norm behind the coarsest pooling makes ±1 whatever they are, so that nothing but
rounding is left of its gradients, which AdamW makes large.

Written is upernet-trajectory.h5: pictures [6, 64, 64, 3] uint8 and their labels [6, 64, 64] (255: none), and for each
step the three pictures of its batch, learning rate, loss and gradient norm; at the end the running statistics. The recipe
stands in the attributes.
"""

import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import pytorch_beit

STEPS, BATCH, CLASSES, WIDTH, DEPTH = 20, 3, 6, 16, 4
RECIPE = dict(lr=5e-3, warmup_steps=4, layer_decay=0.7, weight_decay=0.5, auxiliary_weight=0.4, seed=2107)
SHAPE = dict(width=WIDTH, depth=DEPTH, heads=4, mlp_ratio=3, patch_size=16, image_size=[64, 64], layer_scale=0.1,
             norm_eps=1e-12)


class ConvNorm(nn.Module):
    def __init__(self, source, target, kernel):
        super().__init__()
        self.conv = nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(target)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def resize(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class Head(nn.Module):
    SCALES = (1, 2, 3, 6)

    def __init__(self, width, classes):
        super().__init__()
        self.conv_seg = nn.Conv2d(width, classes, 1)
        # Each stands behind a pooling without weights, hence the "1" in its name.
        self.psp_modules = nn.ModuleList(nn.ModuleDict({"1": ConvNorm(width, width, 1)}) for _ in self.SCALES)
        self.bottleneck = ConvNorm((1 + len(self.SCALES)) * width, width, 3)
        self.lateral_convs = nn.ModuleList(ConvNorm(width, width, 1) for _ in range(3))
        self.fpn_convs = nn.ModuleList(ConvNorm(width, width, 3) for _ in range(3))
        self.fpn_bottleneck = ConvNorm(4 * width, width, 3)

    def forward(self, levels):
        top = levels[3]
        pooled = [module["1"](F.adaptive_avg_pool2d(top, scale)) for scale, module in zip(self.SCALES, self.psp_modules)]
        sums = [self.bottleneck(torch.cat([top] + [resize(x, top.shape[2:]) for x in pooled], 1))]
        for level, lateral in reversed(list(zip(levels, self.lateral_convs))):
            sums.insert(0, lateral(level) + resize(sums[0], level.shape[2:]))
        maps = [conv(x) for conv, x in zip(self.fpn_convs, sums)] + sums[3:]
        joined = torch.cat([resize(x, maps[0].shape[2:]) for x in maps], 1)
        return self.conv_seg(self.fpn_bottleneck(joined))


class Auxiliary(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.conv_seg = nn.Conv2d(width, classes, 1)
        self.convs = nn.ModuleList([ConvNorm(width, width, 3)])

    def forward(self, x):
        return self.conv_seg(self.convs[0](x))


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = pytorch_beit.Backbone(SHAPE)
        self.backbone.norm = nn.Identity()
        up = lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2)
        self.backbone.fpn1 = nn.Sequential(up(), nn.BatchNorm2d(WIDTH), nn.GELU(), up())
        self.backbone.fpn2 = nn.Sequential(up())
        self.decode_head = Head(WIDTH, CLASSES)
        self.auxiliary_head = Auxiliary(WIDTH, CLASSES)

    def forward(self, pixels):
        net = self.backbone
        x = net.patch_embed["proj"](pixels)
        grid = x.shape[2:]
        x = torch.cat([net.cls_token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        maps = []
        for block in net.blocks:
            x = block(x)
            maps.append(x[:, 1:].transpose(1, 2).unflatten(2, grid))
        levels = [net.fpn1(maps[0]), net.fpn2(maps[1]), maps[2], F.max_pool2d(maps[3], 2)]
        return self.decode_head(levels), self.auxiliary_head(maps[2])

    def loss(self, pixels, labels):
        main, auxiliary = (F.cross_entropy(resize(x, labels.shape[1:]), labels, ignore_index=255) for x in self(pixels))
        return main + RECIPE["auxiliary_weight"] * auxiliary


def load(net, path):
    with h5py.File(path) as file:
        state = {name: torch.from_numpy(np.asarray(file[name][()])) for name in file}
    net.load_state_dict({name: value.double() if value.is_floating_point() else value for name, value in state.items()})


def check(net, folder):
    """The network must be mmsegmentation's, in evaluation and in training."""
    with h5py.File(folder / "arrays.h5") as file:
        pixels = torch.from_numpy(file["pixel_values"][()]).double()
        labels = torch.from_numpy(file["labels"][()]).long()
        for mode, prefix in [(False, ""), (True, "train_")]:
            net.train(mode)
            logits, loss = net(pixels)[0], net.loss(pixels, labels).item()
            error = np.abs(logits.detach().numpy() - file[prefix + "logits"][()]).max()
            if error > 1e-5 or abs(loss - float(file[prefix + "loss"][()])) > 1e-5:
                sys.exit(f"{folder}: {prefix}logits differ by {error}, the loss is {loss}")


def learning_rate(step):
    """`poly` of power 1 to 0; the warm-up multiplies it, from 1e-6."""
    rate = RECIPE["lr"] * (1 - step / STEPS)
    warmup = RECIPE["warmup_steps"]
    return rate * (1 - (1 - step / warmup) * (1 - 1e-6)) if step < warmup else rate


def layer(name):
    parts = name.split(".")
    if parts[:2] == ["backbone", "blocks"]:
        return int(parts[2]) + 1
    return 0 if parts[1] in ("patch_embed", "cls_token") else DEPTH + 1


def pictures(draw):
    """Smooth colours with noise, and classes that go with them; a frame without a label."""
    smooth = lambda channels: F.interpolate(torch.from_numpy(draw.random((6, channels, 5, 5))), size=64, mode="bicubic",
                                            align_corners=False).permute(0, 2, 3, 1).numpy()
    colours, classes = smooth(3), smooth(CLASSES)
    labels = classes.argmax(3).astype(np.uint8)
    labels[:, :3], labels[:, :, -5:] = 255, 255
    colours = 0.7 * colours + 0.05 * labels.clip(0, CLASSES)[..., None]
    return np.clip(255 * colours + draw.normal(0, 12, colours.shape), 0, 255).astype(np.uint8), labels


def main(source, output):
    torch.use_deterministic_algorithms(True)
    net = Segmenter().double()
    load(net, source / "official.h5")
    check(net, source)
    load(net, source / "official.h5")  # the check has moved the running statistics
    net.train()
    draw = np.random.default_rng(RECIPE["seed"])
    data = {}
    data["pictures"], data["labels"] = pictures(draw)
    data["members"] = np.stack([draw.permutation(6)[:BATCH] for _ in range(STEPS)])

    groups = []
    for name, parameter in net.named_parameters():
        plain = parameter.dim() == 1 or name.endswith("cls_token")
        groups.append(dict(params=[parameter], weight_decay=0.0 if plain else RECIPE["weight_decay"],
                           scale=RECIPE["layer_decay"] ** (DEPTH + 1 - layer(name))))
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8)
    rates, losses, norms = [], [], []
    for step in range(STEPS):
        members = data["members"][step]
        pixels = torch.from_numpy((data["pictures"][members] / 255.0 - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()
        loss = net.loss(pixels, torch.from_numpy(data["labels"][members]).long())
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), float("inf")).item())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step) * group["scale"]
        optimizer.step()
        rates.append(learning_rate(step))
        losses.append(loss.item())
    data.update(rates=np.array(rates), losses=np.array(losses), norms=np.array(norms))
    with h5py.File(output / "upernet-trajectory.h5", "w") as file:
        file.attrs.update(RECIPE, torch=str(torch.__version__))
        for name, array in data.items():
            file[name] = array.astype(np.int32) if array.dtype == np.int64 else array
        for name, buffer in net.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                file["statistics/" + name] = buffer.numpy().astype(np.float32)
    print("losses", *(f"{loss:.4f}" for loss in losses))
    print("norms ", *(f"{norm:.4f}" for norm in norms))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
