#!/usr/bin/env python3
"""Makes Tests/DatasetsTests/Fixtures/photometric.json and scale-crop.json.

    scripts/make-augmentation-fixtures.py [Tests/DatasetsTests/Fixtures]

Colours: OpenCV's 8-bit conversions and Python's colorsys. Photometric distortion, rescaling and the choice of a crop: the
formulas of mmsegmentation 1.2 (`PhotoMetricDistortion`, `RandomResize`, `RandomCrop` in mmseg/datasets/transforms and mmcv's
`rescale_size`), with the random numbers given. Made with OpenCV 5.0 and NumPy 2.
"""
import colorsys
import json
import sys
from pathlib import Path

import cv2
import numpy as np

RNG = np.random.default_rng(20240501)


def convert(image, alpha=1.0, beta=0.0):
    image = image.astype(np.float32) * np.float32(alpha) + np.float32(beta)
    return np.clip(image, 0, 255).astype(np.uint8)


def saturate(image, factor):
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[:, :, 1] = convert(hsv[:, :, 1], alpha=factor)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def turn(image, degrees):
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + degrees) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def distorted(image, brightness, contrast, saturation, hue, contrast_first):
    if brightness is not None:
        image = convert(image, beta=brightness)
    if contrast_first and contrast is not None:
        image = convert(image, alpha=contrast)
    if saturation is not None:
        image = saturate(image, saturation)
    if hue is not None:
        image = turn(image, hue)
    if not contrast_first and contrast is not None:
        image = convert(image, alpha=contrast)
    return image


def photometric():
    ends = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [1, 0, 0], [254, 255, 255]]
    colors = np.array(ends + RNG.integers(0, 256, (192, 3)).tolist(), np.uint8)
    hsv = cv2.cvtColor(colors[None], cv2.COLOR_RGB2HSV)
    hue = [colorsys.rgb_to_hsv(*(c / 255))[:2] for c in colors.astype(float)]
    every = np.array([[h, s, 201] for h in range(180) for s in (0, 77, 255)], np.uint8)
    back = cv2.cvtColor(every[None], cv2.COLOR_HSV2RGB)[0]
    exact = [colorsys.hsv_to_rgb(h / 180, s / 255, v / 255) for h, s, v in every.astype(float)]

    image = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cases = [dict(brightness=None, contrast=None, saturation=None, hue=None, contrast_first=True)]
    for only in ("brightness", "contrast", "saturation", "hue"):
        value = dict(brightness=-31.25, contrast=1.4375, saturation=0.5625, hue=-18)[only]
        cases.append({**cases[0], only: value})
    for first in (True, False):
        cases.append(dict(brightness=20.5, contrast=0.625, saturation=1.46875, hue=17, contrast_first=first))
    for case in cases:
        case["result"] = distorted(image, **case).ravel().tolist()
    return dict(
        colors=colors.ravel().tolist(), hsv=hsv.ravel().tolist(), colorsys_hsv=hue, hsv_in=every.ravel().tolist(),
        rgb_out=back.ravel().tolist(), colorsys_rgb=exact, image=image.ravel().tolist(), cases=cases)


def rescaled(width, height, base, ratio):
    long, short = int(4 * base * ratio), int(base * ratio)  # RandomResize, then mmcv.rescale_size
    factor = min(max(long, short) / max(height, width), min(long, short) / min(height, width))
    return int(width * float(factor) + 0.5), int(height * float(factor) + 0.5)


def varied(labels, cat_max_ratio=0.75, ignore=255):
    found, counts = np.unique(labels, return_counts=True)
    counts = counts[found != ignore]
    return bool(len(counts) > 1 and np.max(counts) / np.sum(counts) < cat_max_ratio)


def scale_crop():
    sizes = []
    for width, height, base in [(500, 375, 224), (333, 500, 64), (2048, 1024, 512), (4000, 300, 512), (7, 5, 16)]:
        for ratio in (0.5, 0.8125, 1.0, 1.34375, 2.0):
            sizes.append([width, height, base, ratio, *rescaled(width, height, base, ratio)])
    masks = []
    for share in (0.0, 0.2, 0.25, 0.26, 0.5, 1.0):
        for void in (0, 40):
            labels = np.where(np.arange(100 - void) < share * (100 - void), 3, 1)
            labels = np.concatenate([labels, np.full(void, 255)])
            labels = RNG.permutation(labels)
            masks.append(dict(labels=labels.tolist(), varied=varied(labels)))
    masks.append(dict(labels=[255] * 100, varied=varied(np.full(100, 255))))
    return dict(sizes=sizes, masks=masks)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "Tests/DatasetsTests/Fixtures")
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in [("photometric", photometric()), ("scale-crop", scale_crop())]:
        (folder / f"{name}.json").write_text(json.dumps(values, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
