#!/usr/bin/env python3
"""Compares beit-seg with the programs that weights come from and go to.

    scripts/check-weights.py write transformers|timm|keras SOURCE FILE.h5 [--images N]
        computes the logits of a model that transformers (a folder), timm (a folder or a name with weights) or
        keras-cv-attention-models (NAME:weights.h5) loads, of N random images, and writes pixels and logits:
            beit-seg import SOURCE -o MODEL.h5 --check FILE.h5
    scripts/check-weights.py trips PROGRAM [--only NAME]... [--real] [--keep DIR]
        makes models with random weights, small ones or, with --real, of the published sizes; imports each with its check;
        exports it again in every layout; loads that with transformers, timm, Keras and h5py without a warning, and
        compares the logits. With --real it says seconds and peak memory of the import beside those of the Python load.
        One line a step; exit status 1 if anything was amiss.

Needs torch, transformers, timm, safetensors and h5py; for Keras keras-cv-attention-models and tensorflow.
"""
import argparse
import contextlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np

TOLERANCE = 2e-4


# What other programs compute.

def transformers_model(folder):
    import torch
    import transformers
    config = json.loads((Path(folder) / "config.json").read_text())
    kind = getattr(transformers, config["architectures"][0])
    model = kind.from_pretrained(folder).eval()

    def logits(pixels, mask):
        with torch.no_grad():
            more = {} if mask is None else {"bool_masked_pos": torch.from_numpy(mask).bool()}
            return model(torch.from_numpy(pixels), **more).logits.numpy()
    size = config["image_size"]
    size = [size, size] if isinstance(size, int) else size
    patches = size[0] // config["patch_size"] * (size[1] // config["patch_size"])
    return logits, size, patches if "MaskedImage" in config["architectures"][0] else None


def timm_model(source):
    import timm
    import torch
    name = f"local-dir:{source}" if os.path.isdir(source) else source
    model = timm.create_model(name, pretrained=True).eval()

    def logits(pixels, _):
        with torch.no_grad():
            return model(torch.from_numpy(pixels)).numpy()
    return logits, list(model.patch_embed.img_size), None


def keras_model(source):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    from keras_cv_attention_models import beit
    name, weights = source.split(":", 1)
    with h5py.File(weights) as file:
        root = file["model_weights"] if "model_weights" in file else file
        classes = root["predictions/predictions/bias:0"].shape[0]
        rows = root["block0_attn_pos_emb/block0_attn_pos_emb/positional_embedding:0"].shape[1]
        patch = root["stem_conv/stem_conv/kernel:0"].shape[0]
        heads = root["block0_attn_pos_emb/block0_attn_pos_emb/positional_embedding:0"].shape[0]
        width = root["stem_conv/stem_conv/kernel:0"].shape[3]
        hidden = root["block0_mlp_dense_1/block0_mlp_dense_1/kernel:0"].shape[1]
        depth = sum(1 for layer in root if layer.endswith("_attn_qkv"))
    side = (int(round((rows - 3) ** 0.5)) + 1) // 2 * patch
    model = beit.Beit(
        depth=depth, embed_dim=width, num_heads=heads, patch_size=patch, mlp_ratio=hidden / width,
        input_shape=(side, side, 3), num_classes=classes, classifier_activation=None, pretrained=None, model_name=name)
    model.load_weights(weights, by_name=True)

    def logits(pixels, _):
        return np.asarray(model(pixels.transpose(0, 2, 3, 1)))
    return logits, [side, side], None


MODELS = {"transformers": transformers_model, "timm": timm_model, "keras": keras_model}


def write(model, file, images):
    """Pixels and logits of a model as `import --check` reads them."""
    logits, size, patches = model
    draw = np.random.default_rng(7)
    pixels = draw.standard_normal((images, 3, *size), dtype=np.float32)
    mask = None if patches is None else (draw.random((images, patches)) < 0.4).astype(np.float32)
    with h5py.File(file, "w") as out:
        out["pixel_values"] = pixels
        out["logits"] = logits(pixels, mask).astype(np.float32)
        if mask is not None:
            out["bool_masked_pos"] = mask


# Models with random weights.

def shake(model):
    """Random values where a fresh model has zeros and ones, so that no two parameters could be exchanged unseen."""
    import torch
    torch.manual_seed(3)
    with torch.no_grad():
        for name, value in list(model.named_parameters()) + list(model.named_buffers()):
            if value.dtype.is_floating_point:
                if name.endswith("running_var"):
                    value.uniform_(0.5, 1.5)
                elif value.dim() < 2 or "table" in name or "token" in name:
                    value.normal_(1 if "norm" in name and name.endswith("weight") else 0, 0.1)
    return model


def transformers_source(kind, folder, **config):
    import transformers
    config = transformers.BeitConfig(**config)
    shake(getattr(transformers, kind)(config)).save_pretrained(folder)
    transformers.BeitImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def timm_source(name, folder, **more):
    import timm
    from timm.models import save_for_hf
    save_for_hf(shake(timm.create_model(name, **more)), folder, model_args=more or None)


SMALL = dict(hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=96, image_size=64,
             patch_size=16, drop_path_rate=0.0)
RELATIVE = dict(use_relative_position_bias=True)
SOURCES = {
    "hf-cls": lambda d: transformers_source("BeitForImageClassification", d, num_labels=7, **RELATIVE, **SMALL),
    "hf-cls-token": lambda d: transformers_source(
        "BeitForImageClassification", d, num_labels=7, use_mean_pooling=False, **RELATIVE, **SMALL),
    "hf-cls-absolute": lambda d: transformers_source(
        "BeitForImageClassification", d, num_labels=7, use_absolute_position_embeddings=True,
        layer_scale_init_value=0.0, **SMALL),
    "hf-mim": lambda d: transformers_source(
        "BeitForMaskedImageModeling", d, vocab_size=128, use_mask_token=True,
        use_shared_relative_position_bias=True, **SMALL),
    # Not with use_mean_pooling=False: transformers 5.24 saves the two norms of that model by their names, and exchanges
    # them when it loads them.
    "hf-seg": lambda d: transformers_source(
        "BeitForSemanticSegmentation", d, num_labels=6, out_indices=[1, 2, 3, 4], auxiliary_channels=16, **RELATIVE,
        **SMALL),
    "timm-cls": lambda d: timm_source(
        "beit_base_patch16_224", d, img_size=64, embed_dim=48, depth=3, num_heads=4, num_classes=9),
    "timm-cls-token": lambda d: timm_source(
        "beit_base_patch16_224", d, img_size=64, embed_dim=48, depth=3, num_heads=4, num_classes=9,
        global_pool="token"),
}
BASE = dict(use_relative_position_bias=True)
REAL = {
    "base-640-ade20k": lambda d: transformers_source(
        "BeitForSemanticSegmentation", d, num_labels=150, image_size=640, out_indices=[3, 5, 7, 11], **BASE),
    "large-640-ade20k": lambda d: transformers_source(
        "BeitForSemanticSegmentation", d, num_labels=150, image_size=640, hidden_size=1024, num_hidden_layers=24,
        num_attention_heads=16, intermediate_size=4096, out_indices=[7, 11, 15, 23], layer_scale_init_value=1e-5,
        **BASE),
    "large-224-timm": lambda d: timm_source("beit_large_patch16_224", d),
    "base-mim": lambda d: transformers_source(
        "BeitForMaskedImageModeling", d, use_mask_token=True, use_shared_relative_position_bias=True),
}
# The layouts that each kind of model has a place in, and who loads them.
LAYOUTS = {"flat": None, "official": None, "huggingface": "transformers", "timm": "timm", "keras": "keras"}


class Trips:
    def __init__(self, program, folder):
        self.program, self.folder, self.failures = program, Path(folder), 0

    def say(self, good, text):
        self.failures += not good
        print(("ok   " if good else "FAIL ") + text, flush=True)

    def run(self, *arguments):
        before = time.monotonic()
        done = subprocess.run(["/usr/bin/time", "-f", "%M", self.program, *map(str, arguments)], capture_output=True,
                              text=True)
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("Command exited")]
        peak = int(lines[-1]) / 1024 if lines and lines[-1].isdigit() else 0
        return done.returncode, done.stdout + "\n".join(lines[:-1]), time.monotonic() - before, peak

    def trip(self, name, make):
        source = self.folder / name
        make(source)
        kind = "timm" if "timm" in name else "transformers"
        before = time.monotonic()
        model = MODELS[kind](str(source))
        loading = time.monotonic() - before
        check, native = self.folder / f"{name}-check.h5", self.folder / f"{name}.h5"
        write(model, check, 2 if "640" not in name else 1)
        code, text, seconds, peak = self.run("import", source, "-o", native, "--check", check)
        found = [line for line in text.splitlines() if line.startswith("check")]
        self.say(code == 0, f"{name}: import {seconds:.1f} s, {peak:.0f} MiB for {native.stat().st_size / 2**20:.0f} MiB "
                 f"(Python {loading:.1f} s); {found[0] if found else text[-300:]}" if code == 0 else f"{name}: {text}")
        if code:
            return
        code, _, seconds, peak = self.run("import", source, "-o", native)
        print(f"     {name}: import alone {seconds:.1f} s, {peak:.0f} MiB", flush=True)
        for layout, reader in LAYOUTS.items():
            self.back(name, native, layout, reader, check)

    def back(self, name, native, layout, reader, check):
        out = self.folder / f"{name}-{layout}"
        if layout in ("flat", "keras"):
            out = out.with_suffix(".h5")
        if layout == "official":
            out = out.with_suffix(".safetensors")
        code, text, seconds, peak = self.run("export", native, "-o", out, "--layout", layout)
        if code == 64 and "cannot be written" in text or "no place for" in text:
            return print(f"     {name}: {layout}: {text.splitlines()[-1].split(': ', 1)[-1]}", flush=True)
        if code:
            return self.say(False, f"{name}: export {layout}: {text}")
        if reader is None:
            return self.again(name, out, layout, check)
        if reader == "keras" and not importlib.util.find_spec("keras_cv_attention_models"):
            return print(f"     {name}: {layout} written; not loaded, keras-cv-attention-models is missing", flush=True)
        heard = []
        handler = logging.Handler()
        handler.emit = lambda record: heard.append(record.getMessage())
        handler.setLevel(logging.WARNING)
        logging.getLogger("transformers").addHandler(handler)
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(open(os.devnull, "w")):
            warnings.simplefilter("always")
            logits, _, _ = MODELS[reader]((f"{layout}:" if layout == "keras" else "") + str(out))
        heard += [str(one.message) for one in caught if "beit" in str(one.message).lower()]
        with h5py.File(check) as file:
            mask = file["bool_masked_pos"][()] if "bool_masked_pos" in file else None
            found, wanted = logits(file["pixel_values"][()], mask), file["logits"][()]
        difference, largest = np.abs(found - wanted).max(), np.abs(wanted).max()
        good = difference <= TOLERANCE * (1 + largest) and not heard
        self.say(good, f"{name}: {layout} in {reader}: largest difference {difference:.2g} of {largest:.3g}, "
                 f"export {seconds:.1f} s, {peak:.0f} MiB {heard or ''}")

    def again(self, name, out, layout, check):
        """What no Python program loads by itself is read back, with what the names do not say."""
        with h5py.File(self.folder / f"{name}.h5") as file:
            config = json.loads(file.attrs["config"])
        known = ["--set", f"backbone.norm_eps={config['backbone']['norm_eps']}", "--set",
                 f"backbone.heads={config['backbone']['heads']}"]
        if "decoder" in config:
            known += ["--set", "decoder.features=" + ",".join(map(str, config["decoder"]["features"]))]
        code, text, _, _ = self.run("import", out, "-o", self.folder / "again.h5", "--check", check, *known)
        found = [line for line in text.splitlines() if line.startswith("check")]
        self.say(code == 0, f"{name}: {layout} again: {found[0] if found else text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True)
    writing = jobs.add_parser("write")
    writing.add_argument("framework", choices=MODELS)
    writing.add_argument("source")
    writing.add_argument("file")
    writing.add_argument("--images", type=int, default=2)
    trips = jobs.add_parser("trips")
    trips.add_argument("program")
    trips.add_argument("--only", action="append")
    trips.add_argument("--real", action="store_true")
    trips.add_argument("--keep", help="a folder for all files; default: a temporary one")
    choice = parser.parse_args()
    if choice.job == "write":
        return write(MODELS[choice.framework](choice.source), choice.file, choice.images)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(choice.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run = Trips(os.path.abspath(choice.program), folder)
        for name, make in (REAL if choice.real else SOURCES).items():
            if not choice.only or name in choice.only:
                run.trip(name, make)
        sys.exit(run.failures > 0)


if __name__ == "__main__":
    main()
