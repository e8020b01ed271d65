#!/usr/bin/env python3
"""Makes Tests/AnnotationsTests/Fixtures/tools: small exports of labelling programs, and the masks that the tools' own
libraries make of them.

    python3 -m venv venv && venv/bin/pip install pycocotools labelme supervision opencv-python-headless datumaro \\
        label-studio-sdk
    venv/bin/python scripts/make-annotation-fixtures.py

Each folder holds an export with photos; `expected/` beside it the masks as grey PNGs of class indices (255 is void), in
the order of `classes.txt`. Masks: COCO with pycocotools, Labelme with labelme.utils, YOLO with supervision, CVAT with
datumaro (CVAT's own exporter of masks), Label Studio's brushes with label_studio_sdk.
"""
import base64
import io
import json
import os
import random
import shutil
import sys
import zlib

import numpy as np
from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/AnnotationsTests/Fixtures/tools")
draw = random.Random(3)
SIZES = {"a": (40, 30), "b": (33, 47)}


def folder(*names):
    path = os.path.join(HERE, *names)
    os.makedirs(path, exist_ok=True)
    return path


def photo(path, size):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    Image.fromarray(np.stack([x * 5 % 256, y * 5 % 256, (x + y) * 3 % 256], -1).astype(np.uint8)).save(path)


def write(path, value):
    with open(path, "w") as file:
        if isinstance(value, str):
            file.write(value)
        else:
            json.dump(value, file, indent=1)


def expected(tool, name, mask, classes):
    path = folder(tool + "-expected")
    Image.fromarray(mask.astype(np.uint8)).save(os.path.join(path, name + ".png"), optimize=True)
    write(os.path.join(path, "classes.txt"), "".join(c + "\n" for c in classes))


def corners(size, n=7, scale=0.45):
    cx, cy = draw.uniform(0.2, 0.8) * size[0], draw.uniform(0.2, 0.8) * size[1]
    angles = sorted(draw.uniform(0, 2 * np.pi) for _ in range(n))
    r = [draw.uniform(0.4, 1) * scale * min(size) for _ in range(n)]
    return [[round(cx + d * np.cos(a), 2), round(cy + d * np.sin(a), 2)] for a, d in zip(angles, r)]


def flat(points):
    return [v for p in points for v in p]


def outline_area(numbers):
    p = np.array(numbers).reshape(-1, 2)
    return abs(np.dot(p[:, 0], np.roll(p[:, 1], 1)) - np.dot(p[:, 1], np.roll(p[:, 0], 1))) / 2


def make_coco():
    from pycocotools import mask as api
    from pycocotools.coco import COCO
    categories = [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 90, "name": "tooth brush"}]
    images, annotations, number = [], [], 0
    for place, (name, size) in enumerate(SIZES.items()):
        photo(os.path.join(folder("coco", "photos"), name + ".png"), size)
        images.append({"id": place + 10, "file_name": name + ".png", "width": size[0], "height": size[1]})
        blob = np.zeros((size[1], size[0]), np.uint8)
        blob[5:14, 3:17] = 1
        compressed = api.encode(np.asfortranarray(blob))
        stripe = np.zeros((size[1], size[0]), np.uint8)
        stripe[-6:, 4:-5] = 1
        order = stripe.flatten(order="F")
        counts, last, run = [], 0, 0
        for value in order:
            if value != last:
                counts.append(run)
                last, run = value, 0
            run += 1
        counts.append(run)
        shapes = [
            (2, [flat(corners(size)), flat(corners(size, 4, 0.2))], 0), (7, [flat(corners(size, 5))], 0),
            (90, {"size": [size[1], size[0]], "counts": compressed["counts"].decode()}, 0),
            (7, {"size": [size[1], size[0]], "counts": counts}, 1), (90, [flat(corners(size, 3, 0.25))], 0),
        ]
        for category, segmentation, crowd in shapes:
            number += 1
            annotations.append({"id": number, "image_id": place + 10, "category_id": category, "iscrowd": crowd,
                                "segmentation": segmentation, "area": 1, "bbox": [0, 0, 1, 1]})
    path = os.path.join(folder("coco", "annotations"), "instances.json")
    write(path, {"info": {}, "images": images, "annotations": annotations, "categories": categories})
    coco = COCO(path)
    classes = ["background", "cat", "dog", "tooth brush"]
    index = {2: 1, 7: 2, 90: 3}
    for image in images:
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        found = coco.loadAnns(coco.getAnnIds(image["id"]))

        def area(annotation):
            s = annotation["segmentation"]
            if isinstance(s, dict):
                return float(api.area(coco.annToRLE(annotation)))
            return sum(outline_area(part) for part in s)
        for annotation in sorted(found, key=lambda a: -area(a)):
            mask[coco.annToMask(annotation) > 0] = 255 if annotation["iscrowd"] else index[annotation["category_id"]]
        expected("coco", image["file_name"][:-4], mask, classes)


def make_labelme():
    from labelme.utils import shapes_to_label
    for split, (name, size) in zip(["train", "val"], SIZES.items()):
        photo(os.path.join(folder("labelme", split), name + ".png"), size)
        part = (np.indices((6, 9)).sum(0) % 3 > 0)
        buffer = io.BytesIO()
        Image.fromarray(part.astype(np.uint8) * 255).save(buffer, "PNG")

        def shape(label, points, kind="polygon", **more):
            return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}
        shapes = [
            shape("dog", corners(size)), shape("cat", corners(size, 5)),
            shape("cat", [[3.2, 4.9], [15.5, 12.1]], "rectangle"), shape("__ignore__", [[20, 20], [24, 22]], "circle"),
            shape("Zebra", [[2, 25], [20, 20.5], [30, 28]], "linestrip"), shape("dog", [[30, 8]], "point"),
            shape("cat", [[10, 15], [18, 20]], "mask", mask=base64.b64encode(buffer.getvalue()).decode()),
            shape("dog", [[1, 1], [6, 2]], "line"),
        ]
        write(os.path.join(folder("labelme", split), name + ".json"), {
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name + ".png", "imageData": None,
            "imageHeight": size[1], "imageWidth": size[0]})
        values = {"__ignore__": 255, "Zebra": 1, "cat": 2, "dog": 3}
        for s in shapes:
            if s["shape_type"] == "mask":
                s["mask"] = part
        mask, _ = shapes_to_label((size[1], size[0]), shapes, values)
        expected("labelme", name, mask, ["background", "Zebra", "cat", "dog"])


def make_yolo():
    import supervision as sv
    for split, (name, size) in zip(["train", "val"], SIZES.items()):
        photo(os.path.join(folder("yolo", split, "images"), name + ".png"), size)
        lines = []
        for label in [1, 0, 2, 1]:
            points = flat([[x / size[0], y / size[1]] for x, y in corners(size, 6, 0.4)])
            lines.append(" ".join([str(label)] + [f"{v:.6f}" for v in points]))
        lines.append("2 0.5 0.75 0.2 0.1")
        write(os.path.join(folder("yolo", split, "labels"), name + ".txt"), "\n".join(lines) + "\n")
    write(os.path.join(folder("yolo"), "data.yaml"),
          "# made by hand\ntrain: ../train/images\nval: ../val/images\n\nnc: 3\nnames: ['cat', \"big dog\", tree]\n")
    for split, (name, size) in zip(["train", "val"], SIZES.items()):
        data = sv.DetectionDataset.from_yolo(
            os.path.join(HERE, "yolo", split, "images"), os.path.join(HERE, "yolo", split, "labels"),
            os.path.join(HERE, "yolo", "data.yaml"), force_masks=True)
        _, _, found = next(iter(data))
        mask = np.zeros((size[1], size[0]), np.uint8)
        # Larger outlines first.
        lines = open(os.path.join(HERE, "yolo", split, "labels", name + ".txt")).read().splitlines()
        numbers = [[float(v) for v in line.split()[1:]] for line in lines]
        areas = [n[2] * n[3] if len(n) == 4 else outline_area(n) for n in numbers]
        for place in sorted(range(len(found)), key=lambda i: -areas[i]):
            mask[found.mask[place]] = found.class_id[place] + 1
        expected("yolo", name, mask, ["background", "cat", "big dog", "tree"])


def make_cvat():
    from datumaro import Dataset
    labels = [("car", "#ff0000"), ("road", "#804080"), ("sky", "#4682b4")]
    images = ""
    for place, (name, size) in enumerate(SIZES.items()):
        photo(os.path.join(folder("cvat", "images"), name + ".png"), size)
        text = f'  <image id="{place}" name="{name}.png" width="{size[0]}" height="{size[1]}">\n'
        for z, label in [(2, "car"), (0, "road"), (1, "sky"), (1, "car")]:
            # Quarters: datumaro keeps points in single precision, CVAT in double.
            points = ";".join(f"{round(x * 4) / 4:.2f},{round(y * 4) / 4:.2f}" for x, y in corners(size, 6))
            text += (f'    <polygon label="{label}" source="manual" occluded="0" points="{points}" z_order="{z}">'
                     '<attribute name="note">a &lt; b &amp; c</attribute></polygon>\n')
        text += ('    <box label="sky" source="manual" occluded="0" xtl="3.25" ytl="2.75" xbr="12.75" ybr="9.25" '
                 'z_order="3"></box>\n')
        text += ('    <mask label="road" source="manual" occluded="0" rle="3, 4, 5, 2, 6" left="20" top="11" width="5" '
                 'height="4" z_order="4"></mask>\n')
        images += text + "  </image>\n"
    declared = "".join(f"<label><name>{n}</name><color>{c}</color><type>any</type><attributes></attributes></label>"
                       for n, c in labels)
    path = os.path.join(folder("cvat"), "annotations.xml")
    write(path, '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><task><name>x</name>'
          f'<labels>{declared}</labels></task></meta>\n{images}</annotations>\n')
    import tempfile
    with tempfile.TemporaryDirectory() as place:
        data = Dataset.import_from(HERE + "/cvat", "cvat")
        for step in ["polygons_to_masks", "boxes_to_masks"]:
            data.transform(step)
        data.export(place, "voc_segmentation", save_media=True)
        classes = ["background", "car", "road", "sky"]
        for name in SIZES:
            found = [os.path.join(r, f) for r, _, fs in os.walk(os.path.join(place, "SegmentationClass"))
                     for f in fs if f == name + ".png"]
            picture = np.array(Image.open(found[0]).convert("RGB"))
            mask = np.zeros(picture.shape[:2], np.uint8)
            # Pascal VOC's colours, in the order of the labels.
            for index, color in enumerate([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]):
                mask[(picture == color).all(-1)] = index
            expected("cvat", name, mask, classes)


def make_label_studio():
    from label_studio_sdk.converter.brush import encode_rle
    from pycocotools import mask as api
    tasks = []
    for place, (name, size) in enumerate(SIZES.items()):
        photo(os.path.join(folder("label-studio", "photos"), name + ".png"), size)
        brush = np.zeros((size[1], size[0]), np.uint8)
        brush[4:19, 8:21] = 255
        brush[8:12, 12:16] = 0
        rgba = np.stack([brush] * 4, -1)
        points = [[x / size[0] * 100, y / size[1] * 100] for x, y in corners(size)]
        common = {"original_width": size[0], "original_height": size[1], "image_rotation": 0, "from_name": "tag",
                  "to_name": "image"}
        result = [
            {"id": "p", "type": "polygonlabels", "value": {"points": points, "closed": True, "polygonlabels": ["dog"]},
             **common},
            {"id": "b", "type": "brushlabels",
             "value": {"format": "rle", "rle": encode_rle(rgba.flatten()), "brushlabels": ["cat"]}, **common},
            {"id": "r", "type": "rectanglelabels", "value": {"x": 10, "y": 80, "width": 30.0, "height": 15,
                                                            "rotation": 0, "rectanglelabels": ["road"]}, **common},
        ]
        tasks.append({"id": place, "data": {"image": f"/data/upload/3/0123abcd-{name}.png"},
                      "annotations": [{"id": 9, "was_cancelled": True, "result": []}, {"id": 1, "result": result}]})
        w, h = size
        polygon = flat([[x / 100 * w, y / 100 * h] for x, y in points])
        x0, y0, x1, y1 = w * 0.1, h * 0.8, w * 0.4, h * 0.95
        box = [x0, y0, x1, y0, x1, y1, x0, y1]
        mask = np.zeros((h, w), np.uint8)
        mask[api.decode(api.merge(api.frPyObjects([polygon], h, w))) > 0] = 2
        mask[brush > 0] = 1
        mask[api.decode(api.merge(api.frPyObjects([box], h, w))) > 0] = 3
        expected("label-studio", name, mask, ["background", "cat", "dog", "road"])
    write(os.path.join(folder("label-studio"), "export.json"), tasks)


def make_supervisely():
    import cv2
    classes = [{"title": "dog", "shape": "polygon", "color": "#0F8A8A"}, {"title": "cat", "shape": "bitmap",
                                                                           "color": "#F6FF00"}]
    write(os.path.join(folder("supervisely"), "meta.json"), {"classes": classes, "tags": []})
    for split, (name, size) in zip(["train", "val"], SIZES.items()):
        photo(os.path.join(folder("supervisely", split, "img"), name + ".png"), size)
        outer = [[int(x), int(y)] for x, y in corners(size, 8, 0.8)]
        inner = [[int(x), int(y)] for x, y in corners(size, 4, 0.15)]
        part = (np.indices((7, 11)).sum(0) % 4 > 0)
        buffer = io.BytesIO()
        picture = Image.fromarray(part.astype(np.uint8) * 255, "P")
        picture.putpalette([0, 0, 0, 255, 255, 255])
        picture.save(buffer, "PNG", transparency=0, bits=8)
        data = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
        write(os.path.join(folder("supervisely", split, "ann"), name + ".png.json"), {
            "description": "", "tags": [], "size": {"height": size[1], "width": size[0]}, "objects": [
                {"id": 1, "classTitle": "dog", "geometryType": "polygon",
                 "points": {"exterior": outer, "interior": [inner]}},
                {"id": 2, "classTitle": "cat", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [4, 9]}},
                {"id": 3, "classTitle": "dog", "geometryType": "rectangle",
                 "points": {"exterior": [[20, 3], [28, 7]], "interior": []}}]})
        area = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(area, [np.array(outer, np.int32)], 1)
        cv2.fillPoly(area, [np.array(inner, np.int32)], 0)
        mask = np.zeros((size[1], size[0]), np.uint8)
        mask[area > 0] = 1
        mask[9:16, 4:15][part] = 2
        mask[3:8, 20:29] = 1
        expected("supervisely", name, mask, ["background", "dog", "cat"])


tools = sys.argv[1:] or ["coco", "labelme", "cvat", "yolo", "label_studio", "supervisely"]
for tool in tools:
    for end in ["", "-expected"]:
        shutil.rmtree(os.path.join(HERE, tool.replace("_", "-") + end), ignore_errors=True)
    draw.seed(3)
    globals()["make_" + tool]()
