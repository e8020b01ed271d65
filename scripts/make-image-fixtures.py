#!/usr/bin/env python3
"""Makes the expected pictures of Tests/ImageIOTests/Fixtures with Pillow.

    scripts/make-image-fixtures.py PHOTO.jpg [Tests/ImageIOTests/Fixtures]

PHOTO is an image of the Oxford-IIIT Pet data set (CC BY-SA 4.0); the fixtures were made with Abyssinian_102.jpg and
Pillow 13.0.0. Written below photo/: the photo as lossless PNG, that PNG resized, colour jittered, and a few JPEGs.
"""
import sys
from pathlib import Path

from PIL import Image, ImageEnhance

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
BOX = (10.25, 3.5, 131.75, 97.0)  # left, top, right, bottom in pixels


def main() -> None:
    source = Path(sys.argv[1])
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "Tests/ImageIOTests/Fixtures") / "photo"
    folder.mkdir(parents=True, exist_ok=True)

    photo = Image.open(source).convert("RGB")
    # Odd and unequal sides, small enough for a repository.
    photo = photo.resize((149, 113), Image.Resampling.LANCZOS)
    photo.save(folder / "photo.png", optimize=True)
    for name, kind in FILTERS.items():
        photo.resize((61, 47), kind).save(folder / f"{name}-down.png", optimize=True)
        photo.resize((163, 131), kind).save(folder / f"{name}-up.png", optimize=True)
        photo.resize((53, 71), kind, box=BOX).save(folder / f"{name}-box.png", optimize=True)
        photo.resize((149, 40), kind).save(folder / f"{name}-vertical.png", optimize=True)
        photo.resize((40, 113), kind).save(folder / f"{name}-horizontal.png", optimize=True)

    small = photo.resize((61, 47), Image.Resampling.BILINEAR)
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    for name, enhancer in enhancers.items():
        for factor in (0.6, 1.4):
            enhancer(small).enhance(factor).save(folder / f"{name}-{factor}.png", optimize=True)

    # Decoders agree to the bit on the whole picture where both are libjpeg-turbo; expected values from Pillow's.
    photo.save(folder / "photo.jpg", quality=90, subsampling=2)
    Image.open(folder / "photo.jpg").save(folder / "photo-decoded.png", optimize=True)
    draft = Image.open(folder / "photo.jpg")
    draft.draft("RGB", (70, 50))  # half size
    draft.save(folder / "photo-decoded-half.png", optimize=True)
    photo.save(folder / "photo-progressive.jpg", quality=90, subsampling=0, progressive=True)


if __name__ == "__main__":
    main()
