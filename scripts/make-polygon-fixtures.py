#!/usr/bin/env python3
"""Makes Tests/AnnotationsTests/Fixtures/polygons.json: random shapes, and which pixels the tools themselves give them.

    python3 -m venv venv && venv/bin/pip install pycocotools pillow labelme opencv-python-headless
    venv/bin/python scripts/make-polygon-fixtures.py                      the fixture
    venv/bin/python scripts/make-polygon-fixtures.py 20000 many.json      many more, for BEIT_SEG_POLYGONS=many.json

Masks are stored as COCO's compressed run-length code, whatever drew them.
"""
import json
import os
import random
import sys

import cv2
import numpy as np
from labelme.utils import shape_to_mask
from pycocotools import mask as coco

count = int(sys.argv[1]) if len(sys.argv) > 1 else 240
output = sys.argv[2] if len(sys.argv) > 2 else os.path.join(
    os.path.dirname(__file__), "../Tests/AnnotationsTests/Fixtures/polygons.json")
draw = random.Random(7)


def code(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def corners(width, height):
    """Around a middle, or anywhere; whole, half or any numbers; also beyond the image, and in flat rows."""
    n = draw.choice([3, 3, 4, 5, 6, 8, 12, 30])
    beyond = draw.choice([0, 0, 0, 5, 40])
    points = []
    if draw.random() < 0.5:
        cx, cy, r = draw.uniform(0, width), draw.uniform(0, height), draw.uniform(1, max(width, height) / 2 + beyond)
        for angle in sorted(draw.uniform(0, 2 * np.pi) for _ in range(n)):
            points.append([cx + r * np.cos(angle) * draw.uniform(0.3, 1), cy + r * np.sin(angle) * draw.uniform(0.3, 1)])
    else:
        points = [[draw.uniform(-beyond, width + beyond), draw.uniform(-beyond, height + beyond)] for _ in range(n)]
    if draw.random() < 0.3:
        for i in range(1, n, 2):
            points[i][draw.randrange(2)] = points[i - 1][draw.randrange(2)]
    if draw.random() < 0.15:
        points.append(points[draw.choice([0, -1])][:])
    if draw.random() < 0.2:
        points = [[x, y * 0.15] for x, y in points]
    step = draw.choice([1, 2, 2, 100, 10000])
    return [[round(x * step) / step, round(y * step) / step] for x, y in points]


def coco_case(width, height):
    parts = [np.array(corners(width, height)).flatten().tolist() for _ in range(draw.choice([1, 1, 1, 2, 3]))]
    rle = coco.merge(coco.frPyObjects(parts, height, width))
    return {"rule": "coco", "outlines": parts, "counts": rle["counts"].decode()}


def labelme_case(width, height):
    kind = draw.choice(["polygon"] * 6 + ["rectangle", "circle", "line", "linestrip", "point"])
    n = {"rectangle": 2, "circle": 2, "line": 2, "point": 1}.get(kind)
    points = corners(width, height)[:n]
    mask = shape_to_mask((height, width), points, kind)
    return {"rule": "labelme", "type": kind, "points": points, "counts": code(mask)}


def opencv_case(width, height):
    points = [[int(x), int(y)] for x, y in corners(width, height)]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.array(points, np.int32)], 1)
    return {"rule": "opencv", "outlines": [np.array(points).flatten().tolist()], "counts": code(mask)}


cases = []
for number in range(count):
    width, height = draw.randint(1, 60), draw.randint(1, 60)
    case = [coco_case, labelme_case, opencv_case][number % 3](width, height)
    cases.append({"width": width, "height": height, **case})
os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
with open(output, "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
