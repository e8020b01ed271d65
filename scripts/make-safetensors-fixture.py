#!/usr/bin/env python3
"""Writes Tests/WeightFilesTests/Fixtures/reference.safetensors with the reference library: what
SafetensorsWriterTests writes as well.

    python3 scripts/make-safetensors-fixture.py reference.safetensors      (needs safetensors and torch)
"""
import math
import sys

import torch
from safetensors.torch import save_file

values = torch.tensor(
    [0, -0.0, 1, -1.5, math.pi, 65519.99, -1e-7, 6e-8, 0.1, 1.00390625, 1.01171875, 2.0 ** -130]).reshape(3, 4)
save_file(
    {
        "z.weight": values.clone(), "é": values.clone(), "a": values.half(), 'b."quoted"/\\': values.bfloat16(),
        "count": (values / 100).round().long(), "aa": values.half(),
    }, sys.argv[1], metadata={"format": "pt"})
