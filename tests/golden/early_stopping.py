"""When Lightning's EarlyStopping stops, for tests/integration/golden_early_stopping.rs.

    python -m venv venv && venv/bin/pip install torch lightning
    venv/bin/python tests/golden/early_stopping.py > tests/golden/early_stopping.json

Random walks of a metric, without NaN, which ours treats differently on purpose. min_delta is given as it is:
Lightning turns its sign for "min" itself.
"""

import json
import random

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping

random.seed(11)


def walk(n):
    value, values = random.uniform(0.5, 2.0), []
    for _ in range(n):
        value = abs(value + random.gauss(-0.02, 0.15))
        # To a digit, so that equal metrics occur.
        values.append(round(value, random.choice([1, 2, 6])))
    return values


cases = []
for _ in range(200):
    mode = random.choice(["min", "max"])
    patience = random.choice([1, 2, 3, 5])
    min_delta = random.choice([0.0, 0.0, 0.05, 0.2])
    values = walk(random.choice([5, 20, 60]))
    callback = EarlyStopping("metric", min_delta=min_delta, patience=patience, mode=mode, verbose=False)
    stops, best = [], []
    lowest = None
    for value in values:
        # In double precision, as ours is.
        stop, _ = callback._evaluate_stopping_criteria(torch.tensor(value, dtype=torch.float64))
        stops.append(bool(stop))
        better = lowest is None or (value < lowest if mode == "min" else value > lowest)
        best.append(better)
        lowest = value if better else lowest
    cases.append(
        {"mode": mode, "patience": patience, "min_delta": min_delta, "values": values, "stops": stops, "best": best}
    )

print(json.dumps({"versions": {"lightning": lightning.__version__, "torch": torch.__version__}, "cases": cases}))
