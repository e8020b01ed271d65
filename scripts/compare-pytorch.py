#!/usr/bin/env python3
"""Compares beit-seg with the same network in PyTorch: do the numbers agree, and how fast is each?

  compare-pytorch.py make base.h5 --size 224      a checkpoint of random weights
  compare-pytorch.py agree base.h5                logits and features, element by element
  compare-pytorch.py time --threads 2             images/s and peak memory, the two in turn

Needs torch, h5py and numpy, and a release build of beit-seg.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# PyTorch is imported only where it runs: the memory of a child process is counted from its parent's size at the start.

CASES = [("forward", 224, 1), ("forward", 224, 8), ("forward", 512, 1), ("forward", 512, 8), ("training-step", 224, 8), ("pretraining-step", 224, 8)]
SETTINGS_OF_THE_BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def make(options):
    import torch
    from pytorch_beit import Segmenter, configuration, randomize, save

    torch.manual_seed(options.seed)
    config = configuration(options.preset, options.size)
    net = Segmenter(config)
    randomize(net)
    save(net, config, options.model, dict(version="0.1.0", command="compare-pytorch.py make", seed=options.seed))


def agree(options):
    """Both programs in float32 against PyTorch in float64, so that PyTorch's own error is the yardstick."""
    import h5py
    import numpy as np
    import torch
    from pytorch_beit import load

    net, config = load(options.model)
    torch.manual_seed(options.seed)
    pixels = torch.randn(options.batch, 3, *config["backbone"]["image_size"])
    with tempfile.TemporaryDirectory() as folder:
        given, written = f"{folder}/in.h5", f"{folder}/out.h5"
        with h5py.File(given, "w") as file:
            file["pixel_values"] = pixels.numpy()
        subprocess.run([program(options), "logits", "-m", options.model, "-i", given, "-o", written], check=True)
        with h5py.File(written, "r") as file:
            ours = {name: file[name][()] for name in ("features", "logits")}
    single = outputs(net, pixels)
    exact = outputs(load(options.model)[0].double(), pixels.double())

    worst = 0.0
    print(f"{'':10}{'shape':>22}{'':>6}{'max |error|':>14}{'/ max |value|':>15}")
    for name, want in exact.items():
        if ours[name].shape != want.shape:
            sys.exit(f"{name}: beit-seg's shape is {ours[name].shape}, PyTorch's {want.shape}")
        for who, got in (("beit-seg", ours[name]), ("PyTorch", single[name])):
            error = np.abs(got - want).max()  # NaN, if there is one
            relative = error / np.abs(want).max()
            print(f"{name:10}{str(want.shape):>22}  {who:9}{error:9.2e}{relative:15.2e}")
            if who == "beit-seg":
                worst = max(worst, relative) if relative == relative else float("inf")
    if worst > options.tolerance:
        sys.exit(f"beit-seg differs by {worst:.2e} of the largest value, more than {options.tolerance:.0e}")


def outputs(net, pixels):
    import torch

    with torch.inference_mode():
        return dict(features=net.backbone(pixels).numpy(), logits=net(pixels).numpy())


def compare_times(options):
    """Runs the two in turn, so that whatever else the machine does falls on both alike; prints medians."""
    cases = [case for case in CASES if not options.only or ":".join(map(str, case)) in options.only]
    who = ("beit-seg", "PyTorch") if not options.pytorch_only else ("PyTorch",)
    print(f"{'':24}{'images/s':>20}{'':>10}{'peak memory, MiB':>22}")
    print(f"{'pass, size, batch':24}{'beit-seg':>10}{'PyTorch':>10}{'ratio':>10}{'beit-seg':>12}{'PyTorch':>10}")
    for case in cases:
        rates, memory = {name: [] for name in who}, {name: [] for name in who}
        for _ in range(options.turns):
            for name in who:
                rate, peak = measure(command(name, case, options), case)
                rates[name].append(rate)
                memory[name].append(peak)
        rate = {name: statistics.median(values) for name, values in rates.items()}
        mebibytes = {name: f"{max(values) / 2**20:.0f}" for name, values in memory.items()}
        ratio = f"{rate['beit-seg'] / rate['PyTorch']:.2f}" if "beit-seg" in rate else ""
        columns = [f"{rate[name]:.2f}" if name in rate else "" for name in ("beit-seg", "PyTorch")] + [ratio]
        print(f"{'{} {} {}'.format(*case):24}" + "".join(f"{text:>10}" for text in columns)
              + f"{mebibytes.get('beit-seg', ''):>12}{mebibytes['PyTorch']:>10}", flush=True)


def command(name, case, options):
    what, size, batch = case
    same = ["--preset", options.preset, "--size", str(size), "--batch", str(batch), "--threads", str(options.threads)]
    if name == "beit-seg":
        return [program(options), "benchmark", "--pass", what, *same, "--json"]
    return [sys.executable, __file__, "run-pytorch", "--pass", what, *same]


def measure(command, case):
    """Images/s that the command reports for the case, and the peak of its resident memory in bytes."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_THE_BLAS}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {child.returncode}")
    rates = [result["images_per_s"] for result in json.loads(text)["results"]
             if (result["pass"], result["size"], result["batch"]) == case]
    if len(rates) != 1:
        sys.exit(f"{' '.join(command)}: {len(rates)} results for {case} instead of one")
    return rates[0], usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_pytorch(options):
    """One measurement, in a process of its own; prints JSON as `beit-seg benchmark` does."""
    import torch
    from pytorch_beit import MaskedImageModel, Segmenter, configuration, randomize

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = configuration(options.preset, options.size)
    net = MaskedImageModel(config["backbone"]) if options.what == "pretraining-step" else Segmenter(config)
    randomize(net)
    pixels = torch.randn(options.batch, 3, options.size, options.size)
    if options.what == "forward":
        step = torch.inference_mode()(lambda: net(pixels))
        net.eval()
    elif options.what == "training-step":
        step = training_step(net, pixels)
    else:
        step = pretraining_step(net, pixels)
    step()
    seconds, end = [], time.perf_counter() + options.seconds
    while len(seconds) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    rate = options.batch / statistics.median(seconds)
    result = {"pass": options.what, "size": options.size, "batch": options.batch, "images_per_s": rate}
    print(json.dumps({"results": [result]}))


def training_step(net, pixels):
    """Forward, cross-entropy of every pixel, backward, AdamW (PyTorch's fastest, the fused one)."""
    import torch

    labels = torch.randint(0, net.decoder.head.out_channels, (len(pixels), *pixels.shape[2:]))
    return update(net, lambda: torch.nn.functional.cross_entropy(net(pixels), labels))


def pretraining_step(net, pixels):
    """Forward with 75 of 196 patches hidden, cross-entropy of their tokens, backward, AdamW."""
    import torch

    patches = (pixels.shape[2] // 16) * (pixels.shape[3] // 16)
    mask = torch.zeros(len(pixels), patches, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(patches)[:round(patches * 75 / 196)]] = True
    tokens = torch.randint(0, net.head.out_features, (int(mask.sum()),))
    return update(net, lambda: torch.nn.functional.cross_entropy(net(pixels, mask), tokens))


def update(net, loss):
    import torch

    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.05, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def program(options):
    built = pathlib.Path(__file__).parent.parent / ".build/release/beit-seg"
    found = options.program or (built if built.exists() else shutil.which("beit-seg"))
    return str(found or sys.exit("no beit-seg found: run `swift build -c release`, or name it with --program"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)

    def mode(name, run, summary, *groups):
        added = modes.add_parser(name, help=summary, parents=groups)
        added.set_defaults(run=run)
        return added

    preset, beit_seg, case = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    preset.add_argument("--preset", choices=["tiny", "small", "base", "large"], default="base")
    beit_seg.add_argument("--program", help="the beit-seg to run (default: the release build, then the PATH)")
    case.add_argument("--pass", dest="what", choices=["forward", "training-step", "pretraining-step"], required=True)
    for name in ("--size", "--batch", "--threads"):
        case.add_argument(name, type=int, required=True)

    one = mode("make", make, "write a checkpoint of random weights, 150 classes", preset)
    one.add_argument("model")
    one.add_argument("--size", type=int, default=224, help="pixels")
    one.add_argument("--seed", type=int, default=0)

    one = mode("agree", agree, "compare logits and features", beit_seg)
    one.add_argument("model")
    one.add_argument("--batch", type=int, default=2)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--tolerance", type=float, default=1e-4, help="largest error, as a share of the largest value")

    one = mode("time", compare_times, "compare speed and memory", preset, beit_seg)
    one.add_argument("--threads", type=int, default=os.cpu_count())
    one.add_argument("--turns", type=int, default=3)
    one.add_argument("--only", nargs="*", help="some cases, such as forward:224:1 or training-step:224:8")
    one.add_argument("--pytorch-only", action="store_true")

    one = mode("run-pytorch", run_pytorch, "one measurement of `time`", preset, case)
    one.add_argument("--seconds", type=float, default=5, help="how long to measure, after one step to warm up")
    return parser.parse_args()


if __name__ == "__main__":
    options = arguments()
    options.run(options)
