#!/usr/bin/env python3
"""Writes the small files of Tests/WeightFilesTests/Fixtures/torch/made: what torch.save and pickle.dump make of views,
types, versions and metadata. The values are those of arange, so that the tests know them.

    python3 scripts/make-torch-fixtures.py Tests/WeightFilesTests/Fixtures/torch/made      (needs torch and numpy)
"""
import argparse
import collections
import os
import pathlib
import pickle
import sys
import zipfile

import numpy
import torch

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)


def save(value, name, **options):
    torch.save(value, os.path.join(folder, name), **options)


def numbers(*shape, type=torch.float32):
    count = int(numpy.prod(shape))
    return (torch.arange(count, dtype=torch.float32) / 4 - 1).to(type).reshape(shape)


base = numbers(4, 6)
views = {
    "whole": base, "transposed": base.t(), "columns": base[:, 1:5:2], "tail": base[2:], "row": base[1],
    "permuted": numbers(2, 3, 5).permute(2, 0, 1), "expanded": numbers(3).reshape(3, 1).expand(3, 4),
    "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "last": base[3:, 5:],
}
types = {str(t).removeprefix("torch."): numbers(2, 3, type=t) for t in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16)}
types |= {"int64": torch.arange(3), "bool": torch.tensor([True, False]), "uint16": torch.arange(3).to(torch.uint16)}

for legacy in (False, True):
    mode = {"_use_new_zipfile_serialization": not legacy}
    ending = "-legacy.pth" if legacy else ".pth"
    save(views, "views" + ending, **mode)
    save(types, "types" + ending, **mode)

def turn(source, target):
    """What a big-endian machine would have written: float32 storages alone."""
    with zipfile.ZipFile(os.path.join(folder, source)) as old, zipfile.ZipFile(os.path.join(folder, target), "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/data/" in name:
                data = numpy.frombuffer(data, "<f4").astype(">f4").tobytes()
            new.writestr(name, b"big" if name.endswith("byteorder") else data)


turn("views.pth", "views-big-endian.pth")
for protocol in (3, 4, 5):
    save({"model": views}, f"protocol{protocol}.pth", pickle_protocol=protocol)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 2)
        self.second = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.GELU())
        self.second[0].running_mean.copy_(numbers(2))
        self.first.weight.data.copy_(numbers(2, 3))
        self.first.bias.data.copy_(numbers(2))


module = Tied()
Tied.__module__, Tied.__qualname__ = "torch.nn.modules.made", "Tied"  # a name that the reader knows
fake = type(sys)("torch.nn.modules.made")
fake.Tied = Tied
sys.modules["torch.nn.modules.made"] = fake
for protocol in (3, 5):
    with open(os.path.join(folder, f"module-protocol{protocol}.pkl"), "wb") as file:
        pickle.dump(module, file, protocol=protocol)
save(module, "module.pth")

optimizer = torch.optim.AdamW(module.parameters())
module.first(torch.ones(1, 3)).sum().backward()
optimizer.step()
extras = {
    "args": argparse.Namespace(lr=1e-3, path=pathlib.PurePosixPath("/data/x"), size=torch.Size([3, 4])),
    "counts": collections.defaultdict(list, {"a": [1, 2]}), "when": numpy.float64(0.5), "n": numpy.int64(-7),
    "device": torch.device("cpu"), "dtype": torch.float16, "long": 1 << 80, "negative": -(1 << 40), "set": {1, 2},
    "bytes": b"\x00\xff", "nested": {"deep": ((1, 2.5, None, True),)},
    "history": numpy.arange(4.0),
}
meta = {"CLASSES": ["sky", "tree"], "PALETTE": numpy.array([[1, 2, 3], [4, 5, 6]], dtype=numpy.uint8), "mmseg": "0.30"}
for protocol in (2, 4):
    save({"epoch": 3, "state_dict": module.state_dict(), "optimizer": optimizer.state_dict(), "meta": meta, **extras},
         f"training-protocol{protocol}.pth", pickle_protocol=protocol)
save({"model": {"weight": numbers(2)}, "teacher": {"weight": numbers(3)}}, "two.pth")
save({"optimizer": optimizer.state_dict(), "epoch": 3}, "optimizer.pth")
save(optimizer.state_dict(), "optimizer-bare.pth")
save({"backbone": {"weight": numbers(2)}, "head": {"0": {"bias": numbers(3)}}}, "nested.pth")
save({"epoch": 3}, "nothing.pth")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), os.path.join(folder, "script.pt"))
numpy.savez(os.path.join(folder, "arrays.npz"), weight=numpy.zeros(3))
