#!/usr/bin/env python3
"""Reads the event files of a run with TensorBoard's own reader and compares them with log.jsonl.

    python3 -m venv VENV && VENV/bin/pip install tensorboard
    VENV/bin/python scripts/check-tensorboard.py RUN            exit status 1 if a value differs
    VENV/bin/python scripts/check-tensorboard.py --fixture FILE  writes the events of Tests/TrainingTests/Fixtures

The fixture is written by TensorBoard's EventFileWriter, of which the version line is left out: it bears the writer's name.
"""
import json
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

STEP = {"loss": "loss", "learning_rate": "lr", "gradient_norm": "grad_norm", "images_per_s": "images_per_s",
        "data_wait": "data_wait"}


def logged(run: Path) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = {}
    for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()):
        metrics = line.get("metrics")
        if metrics is None:
            values = {f"train/{tag}": line[key] for tag, key in STEP.items()}
        else:
            values = {name.replace("val_", "val/", 1) if name.startswith("val_") else name: v for name, v in metrics.items()}
        for tag, value in values.items():
            curves.setdefault(tag, {})[line["step"]] = value
    return curves


def check(run: Path) -> int:
    reader = EventAccumulator(str(run), size_guidance={"scalars": 0})
    reader.Reload()
    expected, failures = logged(run), 0
    tags = reader.Tags()["scalars"]
    for tag in sorted(set(expected) | set(tags)):
        found = [(e.step, e.value) for e in reader.Scalars(tag)] if tag in tags else []
        wanted = sorted(expected.get(tag, {}).items())
        same = [s for s, _ in found] == [s for s, _ in wanted] and all(
            abs(f - w) <= 1e-6 * abs(w) + 1e-37 for (_, f), (_, w) in zip(found, wanted))
        failures += not same
        print(f"{tag}: {len(found)} values" + ("" if same else f", but log.jsonl has {wanted}, TensorBoard {found}"))
    files = sorted(run.glob("events.out.tfevents.*"))
    print(f"{len(files)} event files, file version {reader.file_version}")
    return 1 if failures or not expected or reader.file_version != 2.0 else 0


def fixture(path: Path) -> None:
    def value(tag, x):
        return summary_pb2.Summary.Value(tag=tag, simple_value=x)

    events = [
        event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        event_pb2.Event(
            wall_time=1700000000.5, step=301, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
        event_pb2.Event(
            wall_time=1700000001.75, step=310,
            summary=summary_pb2.Summary(value=[value("train/loss", 0.6931), value("train/learning_rate", 0.0)])),
        event_pb2.Event(
            wall_time=1700000002.125, step=5_000_000_000,
            summary=summary_pb2.Summary(value=[value("val/" + "long name " * 20, -1.5e30)])),
    ]
    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        for event in events:
            writer.add_event(event)
        writer.close()
        data = next(Path(folder).iterdir()).read_bytes()
    length = int.from_bytes(data[:8], "little")  # of the writer's own version line
    path.write_bytes(data[8 + 4 + length + 4:])


if __name__ == "__main__":
    if sys.argv[1] == "--fixture":
        fixture(Path(sys.argv[2]))
    else:
        sys.exit(check(Path(sys.argv[1])))
