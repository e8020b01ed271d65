#!/usr/bin/env python3
"""Makes the expected pictures of Tests/ImageIOTests/Fixtures with Pillow.

    scripts/make-image-fixtures.py PHOTO.jpg [Tests/ImageIOTests/Fixtures]

PHOTO is an image of the Oxford-IIIT Pet data set (CC BY-SA 4.0); the fixtures were made with Abyssinian_102.jpg and
Pillow 13.0.0. Written below photo/: the photo as lossless PNG, that PNG resized, colour jittered, and a few JPEGs.
"""
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FILL = (128, 120, 7)
BOX = (10.25, 3.5, 131.75, 97.0)  # left, top, right, bottom in pixels


def operations(small: Image.Image, folder: Path) -> None:
    """What RandAugment is made of, beside the enhancers above."""
    # Washed out, for there to be something to stretch.
    pale = small.point(lambda value: 60 + value * 2 // 5)
    pale.save(folder / "pale.png", optimize=True)
    dim = [value + 70 if value < 128 else value for value in range(256)]
    affine = {"shear-x": (1, 0.23, 0, 0, 1, 0), "shear-y": (1, 0, 0, -0.31, 1, 0), "translate": (1, 0, 7.4, 0, 1, -11.3)}
    pictures = {
        "autocontrast": ImageOps.autocontrast(pale), "equalize": ImageOps.equalize(pale),
        "invert": ImageOps.invert(small), "posterize-3": ImageOps.posterize(small, 3),
        "solarize-90": ImageOps.solarize(small, 90), "solarize-add-70": small.point(dim * 3),
        "sharpness-0.3": ImageEnhance.Sharpness(small).enhance(0.3),
        "sharpness-1.8": ImageEnhance.Sharpness(small).enhance(1.8),
        "rotate-27.5": small.rotate(27.5, resample=Image.Resampling.BICUBIC, fillcolor=FILL),
        "rotate--8": small.rotate(-8, resample=Image.Resampling.BICUBIC, fillcolor=FILL),
    }
    for name, matrix in affine.items():
        pictures[name] = small.transform(
            small.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC, fillcolor=FILL)
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png", optimize=True)


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
        # Rows that shrink much more than columns: since Pillow 13 the vertical pass comes first.
        photo.resize((140, 40), kind).save(folder / f"{name}-flat.png", optimize=True)
        photo.resize((170, 60), kind).save(folder / f"{name}-wide.png", optimize=True)
        photo.resize((131, 47), kind, box=BOX).save(folder / f"{name}-flat-box.png", optimize=True)

    small = photo.resize((61, 47), Image.Resampling.BILINEAR)
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    for name, enhancer in enhancers.items():
        for factor in (0.6, 1.4):
            enhancer(small).enhance(factor).save(folder / f"{name}-{factor}.png", optimize=True)
    operations(small, folder)

    # Decoders agree to the bit on the whole picture where both are libjpeg-turbo; expected values from Pillow's.
    photo.save(folder / "photo.jpg", quality=90, subsampling=2)
    Image.open(folder / "photo.jpg").save(folder / "photo-decoded.png", optimize=True)
    draft = Image.open(folder / "photo.jpg")
    draft.draft("RGB", (70, 50))  # half size
    draft.save(folder / "photo-decoded-half.png", optimize=True)
    photo.save(folder / "photo-progressive.jpg", quality=90, subsampling=0, progressive=True)


if __name__ == "__main__":
    main()
