#!/usr/bin/env python3
"""Records marginal cross-entropies and their gradients in PyTorch, for the tests of Ops.

  make-marginal-fixture.py Tests/OpsTests/Fixtures

A pixel with label K + g is of one of the classes of group g: its loss is -ln of the sum of their probabilities (Cermelli et
al. 2020, arXiv:2002.00718; Shi et al. 2021, arXiv:2007.03868), its class weight that of the group's named class. With
smoothing s a pixel costs w_y (1 - s) nll + s/K sum_c w_c (-ln p_c), and the mean is the sum of the costs over the sum of w_y.
Where all groups are one class, this must be torch's `cross_entropy` before anything is recorded. float64, stored as float32.

Written is marginal.h5: per case logits [B, h, w, K] (of `projected`: x [B, h, w, C], weight [K, C], bias [K]), labels
[B, height, width] (255: none), smoothing [1], class weights [K], groups [G, K] of 0 and 1, named [G], loss, and the gradients d_*.
"""

import pathlib
import sys

import h5py
import torch
import torch.nn.functional as F

SEED, CLASSES, IGNORE = 2002, 7, 255
GROUPS, NAMED = [[0, 2, 5], [1, 2, 3, 4, 6], [6, 0]], [0, 1, 6]


def marginal(logits, labels, weights, groups, named, smoothing):
    """logits [N, K], labels [N] -> the mean."""
    classes = logits.shape[1]
    members = torch.cat([torch.eye(classes, dtype=torch.bool), groups])[labels.clamp(max=classes + len(groups) - 1)]
    weight = torch.cat([weights, weights[named]])
    valid = labels != IGNORE
    logits, labels, members = logits[valid], labels[valid], members[valid]
    log_p = torch.log_softmax(logits, 1)
    nll = -torch.logsumexp(log_p.masked_fill(~members, -torch.inf), 1)
    cost = (1 - smoothing) * weight[labels] * nll - smoothing / classes * (log_p * weights).sum(1)
    return cost.sum() / weight[labels].sum()


def resized(logits, size):
    x = F.interpolate(logits.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False)
    return x.permute(0, 2, 3, 1).reshape(-1, CLASSES)


def labels_of(count, generator):
    labels = torch.randint(CLASSES + len(GROUPS), (count,), generator=generator)
    labels[::6] = IGNORE
    return labels


def check(groups, weights, generator):
    """Groups of one class are that class."""
    logits, labels = torch.randn(50, CLASSES, generator=generator, dtype=torch.float64), labels_of(50, generator)
    single = torch.zeros_like(groups)
    for row, column in enumerate(NAMED):
        single[row, column] = True
    ours = marginal(logits, labels, weights, single, torch.tensor(NAMED), 0.1)
    plain = torch.tensor([NAMED[label - CLASSES] if CLASSES <= label < IGNORE else label for label in labels.tolist()])
    theirs = F.cross_entropy(logits, plain, weights, ignore_index=IGNORE, label_smoothing=0.1)
    assert abs(ours - theirs) < 1e-12, (ours, theirs)


def main(folder):
    generator = torch.Generator().manual_seed(SEED)
    groups = torch.zeros(len(GROUPS), CLASSES, dtype=torch.bool)
    for row, members in enumerate(GROUPS):
        groups[row, members] = True
    named = torch.tensor(NAMED)
    weights = 0.25 + 2 * torch.rand(CLASSES, generator=generator, dtype=torch.float64)
    check(groups, weights, generator)

    def normal(*shape, scale=3.0):
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).float().double().requires_grad_()

    far = normal(2, 3, 5, CLASSES)
    far.data[:, :, :2, [0, 2, 5]] -= 300  # a group that has all but nothing
    cases = {
        "plain": ([("logits", normal(2, 3, 5, CLASSES))], (3, 5), 0.1),
        "far": ([("logits", far)], (3, 5), 0.0),
        "up": ([("logits", normal(2, 3, 4, CLASSES))], (7, 11), 0.1),
        "down": ([("logits", normal(2, 9, 14, CLASSES))], (4, 5), 0.0),
        "projected": ([("x", normal(2, 4, 3, 5, scale=1)), ("weight", normal(CLASSES, 5, scale=1)),
                       ("bias", normal(CLASSES, scale=1))], (4, 3), 0.0),
    }
    with h5py.File(folder / "marginal.h5", "w") as file:
        file.attrs.update(seed=SEED, torch=str(torch.__version__), source="scripts/make-marginal-fixture.py")
        for name, (inputs, size, smoothing) in cases.items():
            case = file.create_group(name)
            case["smoothing"] = torch.tensor([smoothing])
            values = [value for _, value in inputs]
            logits = values[0] if len(values) == 1 else values[0] @ values[1].T + values[2]
            labels = labels_of(logits.shape[0] * size[0] * size[1], generator)
            loss = marginal(resized(logits, size), labels, weights, groups, named, smoothing)
            loss.backward()
            for part, value in inputs:
                case[part] = value.detach().float()
                case["d_" + part] = value.grad.float()
            case["labels"] = labels.reshape(-1, *size).int()
            case["class_weights"], case["loss"] = weights.float(), loss.detach().float()
            case["groups"], case["named"] = groups.int(), named.int()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
