#!/usr/bin/env python3
"""Makes images of every kind that is read, and what other programs read in them.

    scripts/make-codec-fixtures.py small Tests/ImageIOTests/Fixtures/codecs    some dozens, for the tests
    scripts/make-codec-fixtures.py all FOLDER                                  some 500, for
        BEIT_SEG_CODECS=FOLDER swift test -c release --filter CodecGridTests

Needs numpy, Pillow, tifffile, imagecodecs and rasterio (PyPI). The files are written by GDAL (rasterio), tifffile, Pillow,
and for odd bit depths by the few lines below. What is read back by at least one of GDAL and tifffile, and where it can by
Pillow, must be the same; then it is the expectation: NAME.npy, the samples [H, W, bands] as stored, and NAME.rgb.npy,
their RGB: black and white at the ends of what the bits hold, floats from 0 to 1. `manifest.json` names the files with
the largest difference that is allowed (0 but for lossy compression and colour conversions) and the readers that agreed.
"""
import itertools
import json
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from PIL import Image

warnings.filterwarnings("ignore")
Image.MAX_IMAGE_PIXELS = None


class Collection:
    def __init__(self, folder: Path, small: bool):
        self.folder, self.small, self.entries = folder, small, []
        self.random = np.random.default_rng(20261126)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def size(self):
        return (13, 19) if self.small else (45, 83)

    def picture(self, dtype, bands: int, bits: int = 0) -> np.ndarray:
        """[H, W, bands]: a slope with noise, over all that the type holds (floats: −0.2 to 1.2)."""
        height, width = self.size
        y, x, c = np.mgrid[0:height, 0:width, 0:bands]
        value = (np.sin(x / 9 + c) + np.cos(y / 7 - c)) / 4 + 0.5 + self.random.normal(0, 0.05, x.shape)
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            return (value * 1.4 - 0.2).astype(dtype)
        low, high = (0, 2**bits - 1) if bits else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return np.clip(np.round(low + np.clip(value, 0, 1) * (float(high) - float(low))), low, high).astype(dtype)

    def add(self, name: str, samples: np.ndarray, readers: list, bits: int = 0, rgb=None, tolerance: int = 0, **more):
        """`samples` [H, W, bands]; None: only the RGB counts."""
        if rgb is None:
            rgb = full_rgb(samples, bits)
        stem = f"{name}.{more['page']}" if "page" in more else name
        np.save(self.folder / f"{stem}.rgb.npy", rgb.astype(np.uint8))
        if samples is not None:
            np.save(self.folder / f"{stem}.npy", samples)
        self.entries.append(
            {"file": name, "hasSamples": samples is not None, "tolerance": tolerance, "readers": readers, **more})

    def write(self):
        (self.folder / "manifest.json").write_text(
            "[\n" + ",\n".join(json.dumps(entry, sort_keys=True) for entry in self.entries) + "\n]\n")
        kinds = {}
        for entry in self.entries:
            kind = entry["file"].rsplit(".", 1)[1]
            kinds[kind] = kinds.get(kind, 0) + 1
        print(len(self.entries), "images:", kinds)


def full_rgb(samples: np.ndarray, bits: int = 0, inverted: bool = False) -> np.ndarray:
    bands = samples[..., :3] if samples.shape[2] >= 3 else np.repeat(samples[..., :1], 3, axis=2)
    if samples.dtype.kind == "f":
        low, high = 0.0, 1.0
    else:
        information = np.iinfo(samples.dtype)
        low, high = (0.0, 2.0**bits - 1) if bits else (float(information.min), float(information.max))
    value = (bands.astype(np.float64) - low) / (high - low)
    return np.floor(255 * np.clip(1 - value if inverted else value, 0, 1) + 0.5).astype(np.uint8)


def check(path: Path, samples: np.ndarray, bits: int = 0, inverted: bool = False) -> list:
    """The readers that see these samples; an error if one sees others."""
    agreed = []
    with rasterio.open(path) as source:
        seen = np.moveaxis(source.read(), 0, 2)
    assert np.array_equal(seen, samples, equal_nan=True), ("GDAL", path)
    agreed.append("GDAL")
    try:
        seen = tifffile.imread(path)
    except Exception:  # what tifffile does not know
        return agreed
    seen = seen[..., None] if seen.ndim == 2 else seen
    if seen.shape != samples.shape:
        seen = np.moveaxis(seen, 0, 2)
    assert np.array_equal(seen, samples, equal_nan=True), ("tifffile", path)
    agreed.append("tifffile")
    if samples.dtype == np.uint8 and samples.shape[2] in (1, 3) and bits in (0, 8) and not inverted:
        try:  # Pillow scales fewer bits up and turns what is inverted
            with Image.open(path) as image:
                pixels = np.asarray(image) if image.mode == {1: "L", 3: "RGB"}[samples.shape[2]] else None
        except Exception:  # bands without a colour, BigTIFF, …
            pixels = None
        if pixels is not None:
            assert np.array_equal(pixels.reshape(samples.shape), samples), ("Pillow", path)
            agreed.append("Pillow")
    return agreed


def gdal(collection: Collection, name: str, samples: np.ndarray, **options):
    path = collection.folder / name
    height, width, bands = samples.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=samples.dtype, **options
    ) as target:
        target.write(np.moveaxis(samples, 2, 0))


LAYOUTS = {
    "strips": {"blockysize": 4}, "strip": {"blockysize": 100000}, "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 32},
}


def gdal_grid(collection: Collection):
    """Types × layouts × interleaving × compressions."""
    types = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
    compressions = ["none", "lzw", "deflate", "zstd", "packbits", "lzma"]
    combinations = list(itertools.product(types, LAYOUTS, ["pixel", "band"], compressions))
    for number, (dtype, layout, interleave, compression) in enumerate(combinations):
        if collection.small and number % 17 != 3:
            continue
        bands = [3, 1, 4, 2, 5][number % 5]
        samples = collection.picture(dtype, bands)
        options = dict(LAYOUTS[layout], interleave=interleave, photometric="rgb" if bands == 3 and number % 2 else "minisblack")
        if compression != "none":
            options["compress"] = compression
        if compression in ("lzw", "deflate", "zstd") and number % 3 == 1:
            options["predictor"] = 3 if dtype.startswith("float") and number % 2 else 2
        if number % 4 == 2:
            options["bigtiff"] = "yes"
        if number % 7 == 5:
            options["endianness"] = "big"
        if options.get("blockysize") == 100000:
            options["blockysize"] = samples.shape[0]
        name = f"gdal-{dtype}-{layout}-{interleave}-{compression}-{bands}.tif"
        gdal(collection, name, samples, **options)
        alphas = 1 if bands in (2, 4) else 0
        readers = check(collection.folder / name, samples)
        collection.add(name, samples, readers, rgb=full_rgb(samples))


def gdal_bits(collection: Collection):
    """Few bits, half floats, and what is left out of a sparse file."""
    for bits in [1, 2, 4, 7, 9, 10, 11, 12, 13, 14, 15]:
        for number, (layout, interleave) in enumerate(itertools.product(LAYOUTS, ["pixel", "band"])):
            if collection.small and (bits + number) % 6:
                continue
            bands = 3 if interleave == "band" or number == 2 else 1
            samples = collection.picture("uint8" if bits <= 8 else "uint16", bands, bits)
            options = dict(LAYOUTS[layout], interleave=interleave, nbits=bits, compress="deflate", photometric="minisblack")
            if options.get("blockysize") == 100000:
                options["blockysize"] = samples.shape[0]
            name = f"gdal-{bits}bits-{layout}-{interleave}.tif"
            gdal(collection, name, samples, **options)
            collection.add(name, samples, check(collection.folder / name, samples, bits), bits=bits)
    samples = collection.picture("float32", 1).astype(np.float16)
    tifffile.imwrite(collection.folder / "half.tif", samples[..., 0], compression="zlib")
    collection.add("half.tif", samples.astype(np.float32), ["tifffile"])
    height, width = 64, 48
    samples = np.zeros((height, width, 1), np.uint8)
    samples[:16, 16:32] = 200
    for name, options in {"sparse-tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16}, "sparse-strips": {"blockysize": 16}}.items():
        with rasterio.open(
            collection.folder / f"{name}.tif", "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8",
            sparse_ok=True, compress="lzw", **options
        ) as target:
            target.write(samples[:16, :, 0], 1, window=rasterio.windows.Window(0, 0, width, 16))
        collection.add(f"{name}.tif", samples, check(collection.folder / f"{name}.tif", samples))


def gdal_lossy(collection: Collection):
    for number, (layout, options) in enumerate(
        itertools.product(LAYOUTS, [
            ("jpeg-rgb", 3, {"compress": "jpeg", "photometric": "rgb"}),
            ("jpeg-ycbcr", 3, {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 90}),
            ("jpeg-grey", 1, {"compress": "jpeg"}),
            ("jpeg-band", 3, {"compress": "jpeg", "interleave": "band", "photometric": "minisblack"}),
            ("webp", 3, {"compress": "webp", "photometric": "rgb"}),
        ])):
        kind, bands, options = options
        if collection.small and number % 5 != number // 5:
            continue
        samples = collection.picture("uint8", bands)
        options = dict(LAYOUTS[layout], interleave="pixel") | options
        if layout == "strips":
            options["blockysize"] = 16
        if options.get("blockysize") == 100000:
            options["blockysize"] = samples.shape[0]
        name = f"gdal-{kind}-{layout}.tif"
        gdal(collection, name, samples, **options)
        if kind == "jpeg-ycbcr":  # rasterio's GDAL interpolates colours of fewer pixels otherwise than libjpeg does
            seen, readers = tifffile.imread(collection.folder / name), ["tifffile", "Pillow"]
            with Image.open(collection.folder / name) as image:
                assert np.array_equal(np.asarray(image.convert("RGB")), seen), ("Pillow", name)
        else:
            with rasterio.open(collection.folder / name) as source:
                seen, readers = np.moveaxis(source.read(), 0, 2), ["GDAL"]
        collection.add(name, None, readers, rgb=full_rgb(seen), tolerance=2)


def tifffile_grid(collection: Collection):
    rgb = collection.picture("uint8", 3)
    grey = collection.picture("uint8", 1)[..., 0]
    for byteorder, compression in itertools.product("<>", [None, "zlib", "lzma", "packbits", "zstd", "lzw"]):
        if collection.small and (byteorder == "<") == (compression in (None, "lzw")):
            continue
        name = f"tifffile-{'little' if byteorder == '<' else 'big'}-{compression}.tif"
        tifffile.imwrite(collection.folder / name, rgb, byteorder=byteorder, compression=compression, photometric="rgb")
        collection.add(name, rgb, check(collection.folder / name, rgb))
    for dtype in ["uint8", "uint16"]:
        samples = collection.picture(dtype, 1)
        name = f"inverted-{dtype}.tif"
        tifffile.imwrite(collection.folder / name, samples[..., 0], photometric="miniswhite", rowsperstrip=5)
        collection.add(name, samples, check(collection.folder / name, samples, inverted=True), rgb=full_rgb(samples, inverted=True))
    planar = np.moveaxis(collection.picture("uint16", 3), 2, 0)
    for name, options in {"planar-strips": {"rowsperstrip": 6}, "planar-tiles": {"tile": (16, 16)}}.items():
        tifffile.imwrite(
            collection.folder / f"{name}.tif", planar, photometric="rgb", planarconfig="separate", compression="zlib", **options)
        collection.add(f"{name}.tif", np.moveaxis(planar, 0, 2), check(collection.folder / f"{name}.tif", np.moveaxis(planar, 0, 2)))
    with tifffile.TiffWriter(collection.folder / "pages.tif") as writer:
        for page in [grey, 255 - grey, grey[:7]]:
            writer.write(page, compression="zlib", photometric="minisblack")
        writer.write(grey[::2, ::2], subfiletype=1, photometric="minisblack")
        writer.write(grey[:5, :6], photometric="minisblack")
    for page, samples in enumerate([grey, 255 - grey, grey[:7], grey[:5, :6]], 1):
        collection.add("pages.tif", samples[..., None], ["tifffile"], page=page)
    extra = collection.picture("uint8", 4)
    tifffile.imwrite(collection.folder / "alpha.tif", extra, photometric="rgb", extrasamples=["unassalpha"])
    collection.add("alpha.tif", extra, check(collection.folder / "alpha.tif", extra))


def odd_bits(path: Path, samples: np.ndarray, bits: int, big: bool, compress: bool, photometric: int):
    """A TIFF of one strip, chunky, whose samples are packed."""
    height, width, bands = samples.shape
    rows = []
    for row in samples.reshape(height, -1):
        text = "".join(format(int(value), f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8)))
    data = b"".join(rows)
    if bits == 16 and not big:
        data = samples.astype("<u2").tobytes()
    if compress:
        data = zlib.compress(data)
    order = ">" if big else "<"
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * bands), (259, 3, [8 if compress else 1]),
        (262, 3, [photometric]), (273, 4, [8]), (277, 3, [bands]), (278, 4, [height]), (279, 4, [len(data)]), (284, 3, [1]),
    ]
    data += b"\0" * (len(data) % 2)
    position, extra, entries = 8 + len(data), b"", []
    for tag, kind, values in tags:
        packed = struct.pack(order + ("H" if kind == 3 else "I") * len(values), *values)
        if len(packed) > 4:
            where = position + 2 + 12 * len(tags) + 4 + len(extra)
            extra += packed
            packed = struct.pack(order + "I", where)
        entries.append(struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(order + "I", position)
    path.write_bytes(head + data + struct.pack(order + "H", len(tags)) + b"".join(entries) + b"\0\0\0\0" + extra)


def odd_grid(collection: Collection):
    for bits, big, compress in itertools.product([2, 3, 4, 5, 6, 9, 10, 12, 14, 16], [False, True], [False, True]):
        if collection.small and (bits + big + 2 * compress) % 4:
            continue
        bands = 3 if bits in (2, 4, 5, 10, 12, 16) else 1
        samples = collection.picture("uint8" if bits <= 8 else "uint16", bands, bits)
        name = f"packed-{bits}-{'big' if big else 'little'}{'-deflate' if compress else ''}.tif"
        odd_bits(collection.folder / name, samples, bits, big, compress, 2 if bands == 3 else 1)
        seen = tifffile.imread(collection.folder / name).reshape(samples.shape)
        assert np.array_equal(seen, samples), ("tifffile", name)
        collection.add(name, samples, ["tifffile"], bits=bits)


def pillow_tiffs(collection: Collection):
    height, width = collection.size
    photo = Image.fromarray(collection.picture("uint8", 3))
    folder = collection.folder
    bilevel = photo.convert("1")
    for compression in [None, "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"]:
        name = f"bilevel-{compression}.tif"
        bilevel.save(folder / name, compression=compression)
        stored = np.asarray(Image.open(folder / name).convert("L"))
        collection.add(name, None, ["Pillow"], rgb=np.repeat(stored[..., None], 3, axis=2))
    palette = photo.quantize(50)
    palette.save(folder / "palette.tif", compression="tiff_lzw")
    collection.add(
        "palette.tif", np.asarray(palette)[..., None], ["Pillow"], rgb=np.asarray(palette.convert("RGB")))
    with rasterio.open(folder / "palette.tif") as source:
        assert np.array_equal(source.read(1), np.asarray(palette))
    inks = photo.convert("CMYK")
    inks.putdata([(c, m, y, (c * 3 + x) % 180) for x, (c, m, y, _) in enumerate(inks.getdata())])
    inks.save(folder / "inks.tif", compression="tiff_adobe_deflate")
    collection.add("inks.tif", np.asarray(inks), ["Pillow"], rgb=np.asarray(inks.convert("RGB")), tolerance=1)
    # LibTIFF's own conversion of colours is the reference for what Pillow writes in YCbCr and CIELab without JPEG.
    for mode in ["YCbCr", "LAB"]:
        if mode == "YCbCr":
            photo.convert("YCbCr").save(folder / "ycbcr.tif", compression="tiff_lzw")
            collection.add("ycbcr.tif", None, ["Pillow"], rgb=np.asarray(photo), tolerance=3)
    for orientation in range(1, 9):
        name = f"orientation-{orientation}.tif"
        photo.save(folder / name, tiffinfo={274: orientation})
        stored = np.asarray(photo)
        turned = {
            1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.transpose(1, 0, 2),
            6: np.rot90(stored, -1), 7: np.rot90(stored, 2).transpose(1, 0, 2), 8: np.rot90(stored, 1),
        }[orientation]
        collection.add(name, None, ["Pillow"], rgb=turned)


def maps(collection: Collection):
    """GeoTIFFs and world files, with GDAL's transform and CRS in `maps.json`."""
    folder, entries = collection.folder, []
    north = rasterio.transform.from_origin(431000.5, 5402000.25, 0.5, 0.25)
    turned = north * rasterio.Affine.rotation(30)
    degrees = rasterio.transform.from_origin(13.25, 52.5, 1e-4, 2e-4)
    samples = collection.picture("uint8", 1)
    for name, transform, crs, options in [
        ("utm", north, "EPSG:25833", {}), ("turned", turned, "EPSG:32633", {}), ("degrees", degrees, "EPSG:4326", {}),
        ("nowhere", north, None, {}), ("big", north, "EPSG:3857", {"bigtiff": "yes", "tiled": True, "blockxsize": 16, "blockysize": 16}),
    ]:
        gdal(collection, f"map-{name}.tif", samples, transform=transform, crs=crs, **options)
    with rasterio.open(folder / "map-utm.tif") as source:
        profile = source.profile
    with rasterio.open(folder / "map-point.tif", "w", **profile) as target:
        target.update_tags(AREA_OR_POINT="Point")
        target.write(samples[..., 0], 1)
    Image.fromarray(samples[..., 0]).save(folder / "map-world.png")
    (folder / "map-world.pgw").write_text("0.5\n0.1\n-0.1\n-0.25\n431000.75\n5402000.125\n")
    for path in sorted(folder.glob("map-*.[tp][in][fg]")):
        with rasterio.open(path) as source:
            crs = source.crs.to_epsg() if source.crs else None
            entries.append({"file": path.name, "transform": list(source.transform)[:6], "epsg": crs})
    (folder / "maps.json").write_text("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")


def others(collection: Collection):
    folder = collection.folder
    rgba = Image.fromarray(collection.picture("uint8", 4), "RGBA")
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    bilevel, palette = rgb.convert("1"), rgb.quantize(20)
    pictures = {"rgb": rgb, "grey": grey, "bilevel": bilevel, "palette": palette, "rgba": rgba}

    def add(name, **more):
        image = Image.open(folder / name)
        image.load()
        collection.add(name, None, ["Pillow"], rgb=np.asarray(image.convert("RGBA").convert("RGB") if image.mode in ("RGBA", "PA", "LA") else image.convert("RGB")), **more)

    for kind in ["rgb", "grey", "bilevel", "palette", "rgba"]:
        pictures[kind].save(folder / f"{kind}.bmp")
        add(f"{kind}.bmp")
    for kind, ending in [("rgb", "ppm"), ("grey", "pgm"), ("bilevel", "pbm")]:
        pictures[kind].save(folder / f"{kind}.{ending}")
        add(f"{kind}.{ending}")
    bmps(collection, rgb, palette)
    pnms(collection, rgb, grey, bilevel)
    qualities = [60] if collection.small else [0, 1, 10, 30, 60, 80, 90, 95, 100]
    for quality in qualities:
        for kind, picture in [("rgb", rgb), ("grey", grey.convert("RGB")), ("rgba", rgba)]:
            picture.save(folder / f"{kind}-{quality}.webp", quality=quality)
            add(f"{kind}-{quality}.webp", tolerance=1)
    for kind, picture in [("rgb", rgb), ("grey", grey.convert("RGB")), ("rgba", rgba)]:
        for exact in ([True] if collection.small else [True, False]):
            for method in ([4] if collection.small else [0, 2, 4, 6]):
                name = f"{kind}-lossless-{method}{'-exact' if exact else ''}.webp"
                picture.save(folder / name, lossless=True, exact=exact, method=method)
                add(name)
    if not collection.small:
        for method in [0, 6]:
            for kind, picture in [("rgb", rgb), ("rgba", rgba)]:
                picture.save(folder / f"{kind}-method-{method}.webp", quality=50, method=method)
                add(f"{kind}-method-{method}.webp", tolerance=1)
        for quality in [0, 30]:
            rgba.save(folder / f"rgba-alpha-{quality}.webp", quality=80, alpha_quality=quality)
            add(f"rgba-alpha-{quality}.webp", tolerance=1)
        for width, height in [(1, 1), (1, 23), (29, 1), (17, 16)]:
            for lossless in [False, True]:
                name = f"size-{width}-{height}{'-lossless' if lossless else ''}.webp"
                rgb.resize((width, height)).save(folder / name, quality=90, lossless=lossless)
                add(name, tolerance=0 if lossless else 1)
    exif = Image.Exif()
    exif[274] = 6
    rgb.save(folder / "turned.webp", lossless=True, exif=exif)
    collection.add("turned.webp", None, ["Pillow"], rgb=np.rot90(np.asarray(rgb), -1))


def bmps(collection: Collection, rgb: Image.Image, palette: Image.Image):
    """What Pillow reads and does not write: run lengths, 16 and 32 bits with masks, top-down rows, OS/2."""
    height, width = collection.size
    folder, pixels = collection.folder, np.asarray(rgb).astype(np.uint32)
    indices = np.asarray(palette)
    colors = b"".join(bytes([b, g, r, 0]) for r, g, b in np.array(palette.getpalette()[:60]).reshape(-1, 3))

    def write(name, bits, compression, data, table=b"", masks=b"", top_down=False, core=False):
        if core:
            information = struct.pack("<IHHHH", 12, width, height, 1, bits)
        else:
            information = struct.pack(
                "<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits, compression, len(data), 2835, 2835,
                len(table) // 4, 0)
        offset = 14 + len(information) + len(masks) + len(table)
        head = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
        (folder / name).write_bytes(head + information + masks + table + data)
        image = Image.open(folder / name)
        return np.asarray(image.convert("RGB"))

    def rows(values, size):
        padded = [row.astype(f"<u{size}").tobytes() for row in values]
        return b"".join(row + b"\0" * (-len(row) % 4) for row in padded)

    five = (pixels[..., 0] >> 3) << 10 | (pixels[..., 1] >> 3) << 5 | pixels[..., 2] >> 3
    six = (pixels[..., 0] >> 3) << 11 | (pixels[..., 1] >> 2) << 5 | pixels[..., 2] >> 3
    word = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    for name, bits, compression, values, masks in [
        ("555.bmp", 16, 0, five, b""), ("565.bmp", 16, 3, six, struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
        ("x888.bmp", 32, 0, word, b""), ("b888.bmp", 32, 3, word, struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)),
    ]:
        # Pillow cuts off what this rounds.
        rgb = write(name, bits, compression, rows(values[::-1], bits // 8), masks=masks)
        collection.add(name, None, ["Pillow"], rgb=rgb, tolerance=1 if bits == 16 else 0)
    rgb = write("down.bmp", 32, 0, rows(word, 4), top_down=True)
    collection.add("down.bmp", None, ["Pillow"], rgb=rgb)
    rgb = write("core.bmp", 8, 0, rows(indices[::-1], 1), core=True, table=b"".join(
        colors[i:i + 3] for i in range(0, len(colors), 4)).ljust(768, b"\0"))
    collection.add("core.bmp", indices[..., None], ["Pillow"], rgb=rgb)
    code = b""
    for number, row in enumerate(indices[::-1]):
        x = 0
        while x < width:
            run = 1
            while x + run < width and run < 255 and row[x + run] == row[x]:
                run += 1
            if run == 1 and x + 4 < width and number % 2:
                code += bytes([0, 4, *row[x:x + 4]])
                x += 4
            else:
                code += bytes([run, row[x]])
                x += run
        code += b"\0\0"
    rgb = write("runs.bmp", 8, 1, code + b"\0\1", table=colors.ljust(1024, b"\0"))
    collection.add("runs.bmp", indices[..., None], ["Pillow"], rgb=rgb)
    few = indices % 16
    code = b"".join(
        b"".join(bytes([1, int(value) << 4]) for value in row) + b"\0\0" for row in few[::-1])
    rgb = write("runs4.bmp", 4, 2, code + b"\0\1", table=colors[:64])
    collection.add("runs4.bmp", few[..., None], ["Pillow"], rgb=rgb)
    packed = rows(np.array([[int(a) << 4 | int(b) for a, b in itertools.zip_longest(row[::2], row[1::2], fillvalue=0)] for row in few[::-1]]), 1)
    rgb = write("four.bmp", 4, 0, packed, table=colors[:64])
    collection.add("four.bmp", few[..., None], ["Pillow"], rgb=rgb)


def pnms(collection: Collection, rgb: Image.Image, grey: Image.Image, bilevel: Image.Image):
    height, width = collection.size
    folder, pixels, levels = collection.folder, np.asarray(rgb), np.asarray(grey)
    bits = 1 - np.asarray(bilevel).astype(np.uint8)
    deep = collection.picture("uint16", 3)
    text = lambda values: "\n".join(" ".join(map(str, row)) for row in values.reshape(height, -1)) + "\n"
    files = {
        "text.pbm": (f"P1\n# a comment\n{width} {height}\n" + text(bits)).encode(),
        "tight.pbm": (f"P1 {width} {height}\n" + text(bits).replace(" ", "")).encode(),
        "text.pgm": (f"P2\n{width} {height} # comment\n255\n" + text(levels)).encode(),
        "text.ppm": (f"P3 {width} {height} 255\n" + text(pixels)).encode(),
        "hundred.pgm": f"P5 {width} {height} 100\n".encode() + (levels.astype(int) * 100 // 255).astype(np.uint8).tobytes(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
        image = Image.open(folder / name)
        # Pillow rounds halves to even numbers.
        tolerance = 1 if name == "hundred.pgm" else 0
        collection.add(name, None, ["Pillow"], rgb=np.asarray(image.convert("RGB")), tolerance=tolerance)
    for name, maximum in [("deep.ppm", 65535), ("thousand.ppm", 1000)]:
        values = (deep.astype(np.uint32) * maximum // 65535).astype(np.uint16)
        (folder / name).write_bytes(f"P6\n{width} {height}\n{maximum}\n".encode() + values.astype(">u2").tobytes())
        with rasterio.open(folder / name) as source:  # GDAL reads PNM
            assert np.array_equal(np.moveaxis(source.read(), 0, 2), values)
        rgb = np.floor(values / maximum * 255 + 0.5)
        collection.add(name, values, ["GDAL"], rgb=rgb)
    rgba = collection.picture("uint8", 4)
    (folder / "rgba.pam").write_bytes(
        f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".encode() + rgba.tobytes())
    collection.add("rgba.pam", rgba, [])  # none of the three reads PAM


def main():
    collection = Collection(Path(sys.argv[2]), small=sys.argv[1] == "small")
    for make in [gdal_grid, gdal_bits, gdal_lossy, tifffile_grid, odd_grid, pillow_tiffs, others, maps]:
        make(collection)
    collection.write()


if __name__ == "__main__":
    main()
