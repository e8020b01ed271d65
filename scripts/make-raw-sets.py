#!/usr/bin/env python3
"""Sets of raw images from sets of photos, as docs/images.md trains on them.

  scripts/make-raw-sets.py DATA OUT    DATA: the sets nuclei and peanut (images/{train,val}, masks/{train,val})

OUT/cells: 200 photos a split, grey TIFFs of 16 bits with the values of a 12-bit camera, masks as TIFF. OUT/fields: 300 a
split, GeoTIFFs of five bands (blue, green, red, and near infrared twice). OUT/mosaic.tif: 48 tiles of fields, 4096 x 3072.
OUT/stack.tif: pages of cells. From PyPI: numpy, pillow, tifffile, rasterio.
"""
import glob
import os
import shutil
import sys

import numpy as np
import rasterio
import tifffile
from PIL import Image
from rasterio.transform import Affine

DATA, OUT = sys.argv[1:3]
MAP = dict(driver="GTiff", count=5, dtype="uint16", compress="deflate", tiled=True, crs="EPSG:32614")


def photos(name, split, most):
    for path in sorted(glob.glob(f"{DATA}/{name}/images/{split}/*"))[:most]:
        stem = os.path.splitext(os.path.basename(path))[0]
        yield stem, Image.open(path), f"{DATA}/{name}/masks/{split}/{stem}.png"


def cells(split, noise):
    for stem, photo, mask in photos("nuclei", split, 200):
        grey = np.asarray(photo.convert("L")).astype(float)
        counts = np.clip(200 + 8 * grey + noise.normal(0, 8, grey.shape), 0, 4095).astype(np.uint16)
        tifffile.imwrite(f"{OUT}/cells/images/{split}/{stem}.tif", counts, compression="zlib")
        tifffile.imwrite(f"{OUT}/cells/masks/{split}/{stem}.tif", np.asarray(Image.open(mask)).astype(np.uint8))


def write(path, bands, transform):
    with rasterio.open(path, "w", width=bands.shape[2], height=bands.shape[1], transform=transform, **MAP) as file:
        file.write(bands)


def fields(split):
    for place, (stem, photo, mask) in enumerate(photos("peanut", split, 300)):
        red, green, blue = np.asarray(photo.convert("RGB")).transpose(2, 0, 1).astype(np.uint16) * 120
        infrared = (green * 1.2).astype(np.uint16)
        write(f"{OUT}/fields/images/{split}/{stem}.tif", np.stack([blue, green, red, infrared, infrared]),
              Affine(0.01, 0, 5e5 + 10 * place, 0, -0.01, 4e6))
        shutil.copy(mask, f"{OUT}/fields/masks/{split}/{stem}.png")


def tile(path, side=512):
    with rasterio.open(path) as file:
        bands = file.read()
    wider = [(0, max(0, side - length)) for length in bands.shape[1:]]
    return np.pad(bands, [(0, 0), *wider], mode="reflect")[:, :side, :side]


def main():
    noise = np.random.default_rng(1)
    for split in ("train", "val"):
        for name in ("cells", "fields"):
            for kind in ("images", "masks"):
                os.makedirs(f"{OUT}/{name}/{kind}/{split}", exist_ok=True)
        cells(split, noise)
        fields(split)
    for source, name in (("nuclei", "cells"), ("peanut", "fields")):
        shutil.copy(f"{DATA}/{source}/classes.txt", f"{OUT}/{name}")
    paths = sorted(glob.glob(f"{OUT}/fields/images/val/*.tif"))
    rows = [np.concatenate([tile(paths[(8 * row + column) % len(paths)]) for column in range(8)], axis=2) for row in range(6)]
    write(f"{OUT}/mosaic.tif", np.concatenate(rows, axis=1), Affine(0.01, 0, 5e5, 0, -0.01, 4e6))
    pages = [tifffile.imread(path) for path in sorted(glob.glob(f"{OUT}/cells/images/val/*.tif"))[:6]]
    tifffile.imwrite(f"{OUT}/stack.tif", np.stack([page[:256, :256] for page in pages if min(page.shape) >= 256]),
                     photometric="minisblack")


main()
