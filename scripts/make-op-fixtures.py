#!/usr/bin/env python3
"""Gathers the oracle cases of single operations into the two files that the tests of Ops read.

  make-op-fixtures.py CASES Tests/OpsTests/Fixtures

CASES holds `meta.json` (per case its formula, parameters and tolerances; the seed) and for each case a folder with
`arrays.h5`. Written are `ops.h5`, with every array as `/case/name` in its own type, and `ops.json`, a copy of `meta.json`.
"""

import json
import pathlib
import shutil
import sys

import h5py


def main(cases, output):
    described = json.loads((cases / "meta.json").read_text())["cases"]
    with h5py.File(output / "ops.h5", "w") as gathered:
        for case in sorted(described):
            with h5py.File(cases / case / "arrays.h5", "r") as file:
                if set(file) != set(described[case]["arrays"]):
                    sys.exit(f"{case}: arrays.h5 and meta.json name different arrays")
                for name, array in file.items():
                    gathered[f"{case}/{name}"] = array[()]
    shutil.copyfile(cases / "meta.json", output / "ops.json")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
