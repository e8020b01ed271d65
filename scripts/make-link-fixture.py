#!/usr/bin/env python3
"""Writes Tests/CheckpointsTests/Fixtures/external-link.h5: a tokenizer whose encoder is said to lie in another file.

Needs h5py; nothing in it is random. The description is that of a sound model, so that the link alone is at fault.
"""
import json
import pathlib

import h5py

path = pathlib.Path(__file__).parent.parent / "Tests/CheckpointsTests/Fixtures/external-link.h5"
config = {"hidden": 4, "blocks": 1, "groups": 1, "vocabulary": 5, "code_width": 2}
with h5py.File(path, "w", libver=("earliest", "v108")) as file:
    file.attrs["format"] = "beit-seg"
    file.attrs["format_version"] = 1
    file.attrs["task"] = "tokenizer"
    file.attrs["config"] = json.dumps({"tokenizer": config})
    file.attrs["classes"] = "[]"
    file.attrs["preprocessing"] = json.dumps({"mean": [0.5] * 3, "std": [0.5] * 3, "size": [8, 8], "resize": "bilinear"})
    file.attrs["provenance"] = json.dumps({"version": "0.1.0", "command": "make-link-fixture.py"})
    file["model/decoder/blocks/output/conv/b"] = [0.0] * 6
    file["model/encoder"] = h5py.ExternalLink("/etc/passwd", "/")
