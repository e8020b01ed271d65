#!/usr/bin/env python3
"""Makes Tests/PredictionTests/Fixtures/regions.json: small masks with what other programs say of their regions.

    pip install numpy scipy shapely pycocotools
    scripts/make-result-fixtures.py [Tests/PredictionTests/Fixtures/regions.json]

Of each class: the sizes of its connected regions (scipy.ndimage.label, pixels that share a side), its run-length code and
box (pycocotools). Of each region its outline: the union of its pixels' squares (shapely), without points on straight
lines, as rings that begin with their least point and turn from x to y.
"""
import json
import sys
from pathlib import Path

import numpy as np
import scipy
import shapely
from pycocotools import mask as coco
from scipy import ndimage
from shapely.geometry import box


def ring(points):
    points = [tuple(int(c) for c in p) for p in points][:-1]
    turn = lambda a, b, c: (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
    kept = [b for a, b, c in zip(points[-1:] + points[:-1], points, points[1:] + points[:1]) if turn(a, b, c) != 0]
    start = kept.index(min(kept))
    return kept[start:] + kept[:start]


def outline(pixels):
    shape = shapely.unary_union([box(x, y, x + 1, y + 1) for y, x in pixels])
    assert shape.geom_type == "Polygon" and shape.is_valid
    shape = shapely.geometry.polygon.orient(shape)  # outer rings counterclockwise, as numbers
    return {"outer": ring(shape.exterior.coords), "holes": sorted(ring(hole.coords) for hole in shape.interiors)}


def facts(values):
    classes = []
    for value in np.unique(values):
        member = values == value
        labels, count = ndimage.label(member)
        code = coco.encode(np.asfortranarray(member.astype(np.uint8)))
        classes.append({
            "index": int(value), "sizes": sorted(int((labels == n + 1).sum()) for n in range(count)),
            "counts": code["counts"].decode(), "box": [int(v) for v in coco.toBbox(code)],
            "outlines": sorted((outline(np.argwhere(labels == n + 1)) for n in range(count)), key=lambda o: o["outer"]),
        })
    return {"width": values.shape[1], "height": values.shape[0], "values": values.ravel().tolist(), "classes": classes}


def masks():
    random = np.random.default_rng(5)
    yield np.array([[3]])
    yield np.array([[0, 1, 0, 1, 1]])
    yield np.array([[0], [1], [0]])
    yield np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]])  # a hole that touches the outside in a corner
    yield np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]])  # two holes that touch each other
    yield np.array([[0, 1], [1, 0]])
    spiral = np.zeros((9, 9), int)
    spiral[0, :] = spiral[:, 8] = spiral[8, :] = spiral[2:, 0] = spiral[2, :7] = spiral[2:7, 6] = spiral[6, 2:7] = 1
    yield spiral
    yield random.integers(0, 2, (12, 17))
    yield random.integers(0, 4, (19, 11))
    smooth = ndimage.gaussian_filter(random.normal(size=(3, 40, 33)), (0, 3, 3)).argmax(0)
    yield smooth
    yield np.where(random.random((30, 41)) < 0.06, 2, np.kron(random.integers(0, 2, (6, 9)), np.ones((5, 5), int))[:30, :41])


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "Tests/PredictionTests/Fixtures/regions.json")
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "shapely": shapely.__version__}
    path.write_text(json.dumps({"made_with": versions, "masks": [facts(m) for m in masks()]}, separators=(",", ":")) + "\n")
