"""Writes lr_finder.json: what fastai's learning rate finder says to curves, for tests/integration/golden_lr_finder.rs.

    pip install torch fastai
    python tests/golden/lr_finder.py

Two kinds of curves. The *recorded* ones are fastai's own `Learner.lr_find` on small problems, with the loss
of each batch beside its smoothed loss. The *made* ones are formulas with noise from Python's generator.
Each rule of fastai is called as `lr_find` calls it, on what is left after its own trimming, and the place
of its answer in that is written down; `null` where the rule fails. Nothing here knows evenkeel.
"""

import datetime
import json
import math
import pathlib
import platform
import random
from importlib.metadata import version

import torch
from fastai.basics import Callback, DataLoader, DataLoaders, Learner
from fastai.callback.schedule import LRFinder, minimum, slide, steep, valley
from fastai.optimizer import SGD, Adam

RULES = {"valley": valley, "slide": slide, "minimum": minimum, "steep": steep}
curves = []


def place(name, rates, losses, num_it):
    try:
        rate, _ = RULES[name](rates, losses, num_it)
    except (IndexError, RuntimeError, ValueError):
        return None
    if name == "minimum":
        rate *= 10
    found = min(range(len(rates)), key=lambda i: abs(math.log(rates[i].item() / rate)))
    assert abs(rates[found].item() / rate - 1) < 1e-4, (name, rate)
    return found


def written(name, rates, smooth, num_it, raw=None):
    # As in `Learner.lr_find`, but in f64: where slopes are equal, their order would be one of rounding.
    seven = lambda values: torch.tensor([float(f"{x:.7g}") for x in values], dtype=torch.float64)
    rates, smooth = seven(rates), seven(smooth)
    trimmed = rates[num_it // 10 : -5], smooth[num_it // 10 : -5]
    nan = torch.nonzero(torch.isnan(trimmed[1].view(-1)))
    if len(nan) > 0:
        trimmed = trimmed[0][: min(nan)], trimmed[1][: min(nan)]
    answers = {rule: place(rule, *trimmed, num_it) for rule in RULES}
    # An infinity has no place in JSON.
    plain = lambda t: [x if math.isfinite(x) else None for x in t.tolist()]
    case = {
        "name": name,
        "updates": num_it,
        "rates": rates.tolist(),
        "smooth": plain(smooth),
        "trimmed": len(trimmed[0]),
        "index": answers,
        "loss": raw and seven(raw).tolist(),
    }
    curves.append(case)
    print(name, len(rates), answers)


class Raw(Callback):
    """Keeps the loss of each batch, which fastai's recorder only smooths."""

    order = 49

    def __init__(self):
        self.losses = []

    def after_batch(self):
        self.losses.append(self.learn.loss.item())


def recorded(name, model, loss, data, opt, num_it, start=1e-7, end=10.0):
    random.seed(3)
    torch.manual_seed(3)
    train = DataLoader(data, bs=16, shuffle=True)
    raw = Raw()
    learner = Learner(DataLoaders(train, train), model, loss_func=loss, opt_func=opt, cbs=[raw])
    finder = LRFinder(start_lr=start, end_lr=end, num_it=num_it)
    with learner.no_bar(), learner.no_logging():
        learner.fit(num_it // len(train) + 1, cbs=finder)
    recorder = learner.recorder
    # The pass over the validation set is not a part of the sweep.
    written(name, recorder.lrs, recorder.losses, num_it, raw.losses[: len(recorder.losses)])


def problems():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(320, 8, generator=generator)
    y = torch.sin(x @ torch.randn(8, 1, generator=generator)) + 0.1 * torch.randn(320, 1, generator=generator)
    classes = (x @ torch.randn(8, 4, generator=generator)).argmax(dim=1)
    net = lambda out: torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, out))
    norm = lambda out: torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Linear(32, out)
    )
    mse, entropy = torch.nn.MSELoss(), torch.nn.CrossEntropyLoss()
    torch.manual_seed(1)
    recorded("regression by descent", net(1), mse, list(zip(x, y)), SGD, 100)
    recorded("regression by Adam", net(1), mse, list(zip(x, y)), Adam, 100)
    recorded("classes by descent", net(4), entropy, list(zip(x, classes)), SGD, 100)
    recorded("classes by Adam", norm(4), entropy, list(zip(x, classes)), Adam, 200)
    recorded("large columns", net(1), mse, list(zip(30 * x, y)), SGD, 100)
    shuffled = classes[torch.randperm(320, generator=generator)]
    recorded("labels of chance", net(4), entropy, list(zip(x, shuffled)), Adam, 100)
    recorded("few updates", net(1), mse, list(zip(x, y)), Adam, 30, 1e-5, 1.0)


def smoothed(raw, beta=0.98):
    val, out = 0.0, []
    for k, loss in enumerate(raw, 1):
        val = beta * val + (1 - beta) * loss
        out.append(val / (1 - beta**k))
    return out


def made():
    n = 100
    rates = [1e-7 * (1e8) ** (k / n) for k in range(n)]
    fall = lambda rate, at: 2.3 - 1.6 / (1 + (at / rate))
    burst = lambda rate, at: min((rate / at) ** 2, 30.0)
    rng = random.Random(5)
    noisy = lambda sigma: rng.gauss(0.0, sigma)
    formulas = {
        "smooth, with a divergence": lambda r: fall(r, 1e-3) + burst(r, 0.3),
        "smooth, without one": lambda r: fall(r, 1e-3),
        "a little noise": lambda r: fall(r, 1e-3) + burst(r, 0.3) + noisy(0.05),
        "much noise": lambda r: fall(r, 1e-3) + burst(r, 0.3) + noisy(2.0),
        "flat": lambda r: 2.3,
        "flat, with noise": lambda r: 2.3 + noisy(0.1),
        "rising": lambda r: 2.3 + 0.2 * math.log10(r / 1e-7) + 0.02 * math.log10(r / 1e-7) ** 2,
        "rising, with noise": lambda r: 2.3 + 0.2 * math.log10(r / 1e-7) + 0.02 * math.log10(r / 1e-7) ** 2 + noisy(0.1),
        "two valleys": lambda r: fall(r, 1e-5) + 0.5 * math.exp(-((math.log10(r) + 3) ** 2)) - 0.3 / (1 + 0.01 / r) + burst(r, 1.0),
        "negative": lambda r: fall(r, 1e-3) + burst(r, 0.3) - 5.0,
    }
    for name, formula in formulas.items():
        raw = [formula(rate) for rate in rates]
        written(name, rates, raw, n, raw)
        written(f"{name}, smoothed", rates, smoothed(raw), n, raw)
    # One that breaks before its end.
    raw = [fall(rate, 1e-3) if rate < 0.05 else math.nan for rate in rates]
    written("NaN at the end", rates, raw, n)
    written("very short", rates[:22], [2.0 - 0.01 * k for k in range(22)], 20)


problems()
made()
header = {
    "written": str(datetime.date.today()),
    "python": platform.python_version(),
    "fastai": version("fastai"),
    "torch": version("torch"),
}
path = pathlib.Path(__file__).with_name("lr_finder.json")
path.write_text("{\"header\": " + json.dumps(header) + ",\n\"curves\": [\n" + ",\n".join(map(json.dumps, curves)) + "\n]}\n")
