#!/usr/bin/env python3
"""Makes Tests/DatasetsTests/Fixtures/shards: tar archives of every form that is read, and what Python reads in them.

    scripts/make-shard-fixtures.py Tests/DatasetsTests/Fixtures/shards

Needs numpy, Pillow and webdataset 1.0.2 (PyPI). `webdataset.tar` is written by webdataset's TarWriter, the others by
Python's tarfile. `members.json` has of each archive the regular files that tarfile finds, in its order: name, where the
contents begin, size and the SHA-256 of the contents; of `webdataset.tar` also the samples as webdataset reads them.
"""
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

LONG = "folder-with-a-long-name/" * 9 + "photo-in-it.jpg"  # more than ustar's 100 + 155
MIDDLE = "folder-with-a-long-name/" * 5 + "photo-in-it.jpg"  # more than 100: in two parts


def photo(number: int, format: str) -> bytes:
    y, x = np.mgrid[0:8, 0:12]
    values = np.stack([x * 20, y * 30, np.full_like(x, number * 40)], -1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, format, **({"quality": 90} if format == "JPEG" else {}))
    return out.getvalue()


def mask(number: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 12), number % 2, np.uint8)).save(out, "PNG")
    return out.getvalue()


def write(path: Path, format: int, names: list[str], **pax) -> None:
    with tarfile.open(path, "w", format=format) as archive:
        folder = tarfile.TarInfo("cats")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for number, name in enumerate(names):
            data = photo(number, "JPEG" if name.endswith("jpg") else "PNG")
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.pax_headers = dict(pax)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("cats/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, names[0]
        archive.addfile(link)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "ustar.tar", tarfile.USTAR_FORMAT, ["cats/0.jpg", "./cats/1.png", MIDDLE])
    write(folder / "gnu.tar", tarfile.GNU_FORMAT, ["cats/0.jpg", MIDDLE, LONG])
    # Numbers that pax has as text: a time with a fraction and an owner beyond the octal digits stand before the path.
    write(folder / "pax.tar", tarfile.PAX_FORMAT, ["cats/ä.jpg", MIDDLE, LONG], mtime="1.5", comment="x" * 700)
    with webdataset.TarWriter(str(folder / "webdataset.tar"), mtime=0) as writer:
        for number in range(4):
            writer.write({"__key__": f"set/{number:03}", "jpg": photo(number, "JPEG"), "seg.png": mask(number),
                          "cls": number % 2, "json": {"label": number % 2}})
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            found[path.name] = [
                {"name": member.name.removeprefix("./"), "offset": member.offset_data, "size": member.size,
                 "sha256": hashlib.sha256(archive.extractfile(member).read()).hexdigest()}
                for member in archive if member.isreg()]
    samples = webdataset.WebDataset(str(folder / "webdataset.tar"), shardshuffle=False)
    found["samples"] = [{"key": sample["__key__"], "endings": sorted(k for k in sample if not k.startswith("__")),
                         "cls": sample["cls"].decode()} for sample in samples]
    (folder / "members.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
