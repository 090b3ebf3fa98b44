"""Writes schedules.json: what other libraries' schedules give, for tests/integration/golden_schedules.rs.

    pip install torch optax timm transformers keras pytorch_optimizer
    python tests/golden/schedules.py

Every case is one call of another library, as a user would write it, read at every update up to three
past its end, and far past it. Nothing here knows evenkeel. All numbers are f64: torch, timm and
transformers compute in Python, jax and Keras are told to.
"""

import datetime
import json
import math
import os
import pathlib
import platform
import warnings
from importlib.metadata import version

os.environ["KERAS_BACKEND"] = "jax"
warnings.filterwarnings("ignore")

import jax

jax.config.update("jax_enable_x64", True)
import keras

keras.config.set_floatx("float64")
import optax
import torch
import transformers
from pytorch_optimizer.lr_scheduler import REXScheduler
from timm import scheduler as timm
from torch.optim import lr_scheduler as T
from torch.optim.swa_utils import SWALR

FAR = 1000
cases = []


def case(name, call, updates, values, metrics=None):
    assert name not in {c["name"] for c in cases}, name
    values = [float(v) for v in values]
    assert len(values) == len(updates) and all(map(math.isfinite, values)), name
    found = {"name": name, "call": call, "at": list(updates), "value": values}
    if metrics is not None:
        found["metrics"] = [None if math.isnan(m) else m for m in metrics]
    cases.append(found)


def edges(end):
    """Every update up to three past the end, and far past it."""
    return [*range(end + 4), 10 * end + 7, FAR]


def optimizer(lr=0.1, momentum=0.9):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=momentum)


def stepped(make, updates, lr=0.1, key="lr"):
    """A scheduler of torch's kind, stepped from 0 on, and read at these updates."""
    own = optimizer(lr)
    scheduler = make(own)
    seen = {}
    for t in range(max(updates) + 1):
        if t in updates:
            seen[t] = own.param_groups[0][key]
        own.step()
        scheduler.step()
    return [seen[t] for t in updates]


def of_torch(name, call, updates, lr=0.1, key="lr"):
    make = eval(f"lambda o: {call}", {"T": T, "SWALR": SWALR})
    case(f"torch/{name}", call, updates, stepped(make, updates, lr, key))


of_torch("constant", "T.ConstantLR(o, 0.5, 5)", edges(5))
of_torch("linear_up", "T.LinearLR(o, 0.25, 1.0, 8)", edges(8))
of_torch("linear_down", "T.LinearLR(o, 1.0, 0.1, 5)", edges(5))
of_torch("linear_to_zero", "T.LinearLR(o, 1.0, 0.0, 7)", edges(7))
of_torch("linear_of_one", "T.LinearLR(o, 0.1, 1.0, 1)", edges(1))
of_torch("step", "T.StepLR(o, 4, 0.3)", edges(16))
of_torch("step_every_update", "T.StepLR(o, 1, 0.9)", edges(9))
of_torch("multi_step", "T.MultiStepLR(o, [3, 7, 12], 0.5)", edges(12))
of_torch("multi_step_twice_at_once", "T.MultiStepLR(o, [3, 7, 7], 0.5)", edges(7))
of_torch("exponential", "T.ExponentialLR(o, 0.9)", edges(20))
of_torch("exponential_growth", "T.ExponentialLR(o, 1.01)", edges(20))
of_torch("exponential_to_nothing", "T.ExponentialLR(o, 0.0)", edges(3))
of_torch("multiplicative", "T.MultiplicativeLR(o, lambda t: 0.95)", edges(20))
of_torch("lambda", "T.LambdaLR(o, lambda t: 0.5 ** (t // 3))", edges(12))
of_torch("polynomial", "T.PolynomialLR(o, 9, 2.0)", edges(9))
of_torch("polynomial_root", "T.PolynomialLR(o, 9, 0.5)", edges(9))
of_torch("polynomial_of_one", "T.PolynomialLR(o, 1, 1.0)", edges(1))
of_torch("cosine", "T.CosineAnnealingLR(o, 10, 0.01)", edges(10))
of_torch("cosine_to_zero", "T.CosineAnnealingLR(o, 7)", edges(7))
of_torch("cosine_of_one", "T.CosineAnnealingLR(o, 1, 0.02)", edges(1))
of_torch("restarts", "T.CosineAnnealingWarmRestarts(o, 5, 1, 0.001)", edges(26))
of_torch("restarts_doubled", "T.CosineAnnealingWarmRestarts(o, 4, 2, 0.001)", edges(4 * 31))
# Begins at 0, 3, 12, 39, 120 and 363: five restarts deep.
of_torch("restarts_tripled", "T.CosineAnnealingWarmRestarts(o, 3, 3, 0.001)", edges(3 * 121))
of_torch("cyclic", "T.CyclicLR(o, 0.01, 0.2, 4)", edges(24))
of_torch("cyclic_skewed", "T.CyclicLR(o, 0.01, 0.2, 3, 7)", edges(30))
of_torch("cyclic_triangular2", "T.CyclicLR(o, 0.01, 0.2, 4, mode='triangular2')", edges(40))
of_torch("cyclic_exp_range", "T.CyclicLR(o, 0.01, 0.2, 5, 3, mode='exp_range', gamma=0.97)", edges(40))
of_torch("cyclic_momentum", "T.CyclicLR(o, 0.01, 0.2, 4, mode='triangular2', base_momentum=0.8, max_momentum=0.9)",
         edges(24), key="momentum")
# Peaks at 0.3·20 − 1 = 5, and ends at 19, past which it may not be stepped.
one_cycle = "T.OneCycleLR(o, 1.0, total_steps=20, pct_start=0.3, anneal_strategy='{}', three_phase={})"
of_torch("one_cycle", one_cycle.format("cos", False), range(20))
of_torch("one_cycle_linear", one_cycle.format("linear", False), range(20))
of_torch("one_cycle_three_phases", one_cycle.format("cos", True), range(20))
of_torch("one_cycle_three_phases_linear", one_cycle.format("linear", True), range(20))
of_torch("one_cycle_momentum", one_cycle.format("cos", False), range(20), key="momentum")
of_torch("one_cycle_three_phases_momentum", one_cycle.format("linear", True), range(20), key="momentum")
of_torch("one_cycle_divisors", "T.OneCycleLR(o, 0.5, total_steps=40, pct_start=0.25, div_factor=10, final_div_factor=100)",
         range(40))
of_torch("sequential", "T.SequentialLR(o, [T.LinearLR(o, 0.1, 1.0, 5), T.CosineAnnealingLR(o, 10)], [5])", range(16))
of_torch("sequential_of_three",
         "T.SequentialLR(o, [T.LinearLR(o, 0.1, 1.0, 4), T.ConstantLR(o, 1.0, 1), T.ExponentialLR(o, 0.8)], [4, 9])",
         edges(20))
of_torch("chained", "T.ChainedScheduler([T.ConstantLR(o, 0.5, 6), T.ExponentialLR(o, 0.9)])", edges(12))
of_torch("swa_linear", "SWALR(o, 0.02, 8, 'linear')", edges(8))
of_torch("swa_cosine", "SWALR(o, 0.02, 8, 'cos')", edges(8))

# Falls, plateaus, noise, negative values: what a validation loss can do.
metrics = [math.exp(-k / 6) + 0.02 * math.sin(7 * k) for k in range(30)]
metrics += [0.1 + 0.001 * math.cos(3 * k) for k in range(40)]
rising = [1 - x for x in metrics]
positive_rising = [2 - x for x in metrics]


def fed(make, lr, metrics):
    own = optimizer(lr)
    scheduler = make(own)
    values = []
    for metric in metrics:
        scheduler.step(metric)
        values.append(own.param_groups[0]["lr"])
    return values


def of_plateau(name, call, metrics, lr=0.1):
    make = eval(f"lambda o: {call}", {"T": T, "transformers": transformers})
    case(name, call, range(len(metrics)), fed(make, lr, metrics), metrics)


plateau = "T.ReduceLROnPlateau(o, '{}', {}, {}, {}, '{}', cooldown={}, min_lr={}, eps=0)"
of_plateau("torch/plateau", plateau.format("min", 0.5, 3, 1e-4, "rel", 0, 0), metrics)
of_plateau("torch/plateau_impatient", plateau.format("min", 0.7, 0, 0.05, "rel", 2, 0), metrics)
of_plateau("torch/plateau_absolute", plateau.format("min", 0.5, 2, 0.01, "abs", 3, 0), metrics)
of_plateau("torch/plateau_floor", plateau.format("min", 0.1, 1, 1e-4, "rel", 0, 0.002), metrics)
of_plateau("torch/plateau_max", plateau.format("max", 0.5, 3, 1e-3, "rel", 1, 0), positive_rising)
of_plateau("torch/plateau_max_absolute", plateau.format("max", 0.5, 3, 1e-3, "abs", 1, 0), rising)


def of_optax(name, call, updates):
    schedule = eval(call, {"optax": optax})
    case(f"optax/{name}", call, updates, [schedule(t) for t in updates])


of_optax("constant", "optax.constant_schedule(0.3)", edges(5))
of_optax("linear", "optax.linear_schedule(0.0, 0.1, 8)", edges(8))
of_optax("linear_begun_late", "optax.linear_schedule(0.3, 0.1, 8, 5)", edges(13))
of_optax("polynomial", "optax.polynomial_schedule(1.0, 0.01, 3, 10)", edges(10))
of_optax("polynomial_begun_late", "optax.polynomial_schedule(1.0, 0.01, 0.5, 10, 4)", edges(14))
of_optax("piecewise_constant", "optax.piecewise_constant_schedule(1.0, {4: 0.1, 9: 0.5, 12: 3.0})", edges(12))
of_optax("exponential", "optax.exponential_decay(0.1, 6, 0.5)", edges(24))
of_optax("exponential_floor", "optax.exponential_decay(0.1, 6, 0.5, end_value=0.02)", edges(24))
of_optax("exponential_stairs", "optax.exponential_decay(0.1, 6, 0.5, 4, True, 0.02)", edges(24))
of_optax("exponential_ceiling", "optax.exponential_decay(0.1, 3, 1.5, end_value=0.9)", edges(24))
of_optax("cosine", "optax.cosine_decay_schedule(0.1, 10)", edges(10))
of_optax("cosine_alpha", "optax.cosine_decay_schedule(0.1, 13, 0.2)", edges(13))
of_optax("cosine_exponent", "optax.cosine_decay_schedule(0.1, 13, 0.2, 2.5)", edges(13))
of_optax("piecewise_linear", "optax.piecewise_interpolate_schedule('linear', 1.0, {4: 0.1, 9: 5.0, 12: 0.5})", edges(12))
of_optax("piecewise_cosine", "optax.piecewise_interpolate_schedule('cosine', 1.0, {4: 0.1, 9: 5.0, 12: 0.5})", edges(12))
of_optax("one_cycle", "optax.cosine_onecycle_schedule(20, 1.0)", edges(20))
of_optax("one_cycle_options", "optax.cosine_onecycle_schedule(33, 0.5, 0.4, 10.0, 100.0)", edges(33))
of_optax("one_cycle_linear", "optax.linear_onecycle_schedule(20, 1.0)", edges(20))
of_optax("warmup_constant", "optax.warmup_constant_schedule(0.01, 0.1, 6)", edges(6))
of_optax("warmup_cosine", "optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 20, 0.001)", edges(20))
of_optax("warmup_cosine_without_warmup", "optax.warmup_cosine_decay_schedule(0.0, 0.1, 0, 15)", edges(15))
of_optax("warmup_exponential", "optax.warmup_exponential_decay_schedule(0.0, 0.1, 5, 4, 0.5)", edges(20))
of_optax("restarts", "optax.sgdr_schedule([dict(init_value=0.0, peak_value=p, warmup_steps=2, decay_steps=d, end_value=0.01)"
         " for p, d in [(0.1, 8), (0.05, 12), (0.025, 20)]])", edges(40))
of_optax("joined", "optax.join_schedules([optax.linear_schedule(0.0, 1.0, 5), optax.constant_schedule(1.0),"
         " optax.exponential_decay(1.0, 3, 0.5)], [5, 11])", edges(24))
of_optax("joined_with_a_phase_of_no_length", "optax.join_schedules([optax.linear_schedule(0.0, 1.0, 5),"
         " optax.constant_schedule(9.0), optax.exponential_decay(1.0, 3, 0.5)], [5, 5])", edges(15))


def of_optax_plateau(name, call, metrics):
    transform = eval(call, {"optax": optax})
    update = jax.jit(lambda state, value: transform.update({"w": 1.0}, state, value=value))
    state, values = transform.init({"w": jax.numpy.ones(())}), []
    for metric in metrics:
        scaled, state = update(state, metric)
        values.append(scaled["w"])
    case(f"optax/{name}", call, range(len(metrics)), values, metrics)


of_optax_plateau("plateau", "optax.contrib.reduce_on_plateau(0.5, 4, 1e-4)", metrics)
of_optax_plateau("plateau_averaged", "optax.contrib.reduce_on_plateau(0.5, 2, 0.0, 1e-3, 1, 4, 0.1)", metrics)


def of_timm(name, call, updates, lr=0.1):
    own = optimizer(lr)
    scheduler = eval(call[:-1] + ", t_in_epochs=False)", {"timm": timm, "o": own})
    values = []
    for t in updates:
        scheduler.step_update(t)
        values.append(own.param_groups[0]["lr"])
    case(f"timm/{name}", call, updates, values)


warm = "warmup_t=5, warmup_lr_init=0.001, warmup_prefix=True"
of_timm("cosine", f"timm.CosineLRScheduler(o, 12, 0.01, {warm})", edges(17))
of_timm("cosine_k_decay", "timm.CosineLRScheduler(o, 12, 0.01, k_decay=1.7)", edges(12))
of_timm("cosine_cycles", "timm.CosineLRScheduler(o, 6, 0.01, cycle_limit=3)", edges(18))
of_timm("cosine_cycles_doubled", "timm.CosineLRScheduler(o, 5, 0.01, cycle_mul=2.0, cycle_limit=5)", edges(155))
of_timm("cosine_cycles_lower", "timm.CosineLRScheduler(o, 5, cycle_mul=2.0, cycle_decay=0.5, cycle_limit=4)", edges(75))
of_timm("polynomial", f"timm.PolyLRScheduler(o, 12, 2.0, 0.01, k_decay=1.5, {warm})", edges(17))
of_timm("tanh", f"timm.TanhLRScheduler(o, 12, lr_min=0.01, {warm})", edges(17))
of_timm("tanh_bounds", "timm.TanhLRScheduler(o, 12, -4.0, 2.0, 0.01)", edges(12))
of_timm("step", f"timm.StepLRScheduler(o, 4, 0.5, {warm})", edges(25))
of_timm("multi_step", f"timm.MultiStepLRScheduler(o, [4, 9], 0.5, {warm})", edges(20))
wsd = "timm.WSDLRScheduler(o, 20, 8, 0.01, warmup_t=5, warmup_lr_init=0.001, {})"
of_timm("wsd", wsd.format("decay_fn='1-sqrt'"), edges(25))
of_timm("wsd_linear", wsd.format("decay_fn='linear'"), edges(25))
of_timm("wsd_cosine", wsd.format("decay_fn='cosine'"), edges(25))
of_timm("wsd_power", wsd.format("decay_fn='power', decay_power=2.0"), edges(25))
of_timm("wsd_exponential", wsd.format("decay_fn='exp', decay_ratio=0.1"), edges(25))
of_timm("wsd_inverse_sqrt", wsd.format("stable_fn='rsqrt', decay_fn='linear'"), edges(25))
of_timm("wsd_power_law", wsd.format("stable_fn='power', stable_power=0.8, stable_timescale=3, decay_fn='exp'"), edges(25))
of_timm("wsd_down_to_its_floor", "timm.WSDLRScheduler(o, 20, 8, 0.09, stable_fn='rsqrt', stable_timescale=2)", edges(20))


def of_transformers(name, which, warmup, total, updates, lr=0.1, **kwargs):
    call = f"transformers.get_scheduler('{which}', o, {warmup}, {total}, {kwargs})"
    make = lambda o: transformers.get_scheduler(which, o, warmup, total, kwargs)
    case(f"transformers/{name}", call, updates, stepped(make, updates, lr))


of_transformers("constant", "constant", None, None, edges(5))
of_transformers("constant_with_warmup", "constant_with_warmup", 6, None, edges(6))
of_transformers("linear", "linear", 5, 20, edges(20))
of_transformers("linear_without_warmup", "linear", 0, 12, edges(12))
of_transformers("cosine", "cosine", 5, 20, edges(20))
of_transformers("cosine_with_restarts", "cosine_with_restarts", 4, 24, edges(24), num_cycles=4)
of_transformers("polynomial", "polynomial", 5, 20, edges(20), power=2.0, lr_end=0.001)
of_transformers("inverse_sqrt", "inverse_sqrt", 8, None, edges(40))
of_transformers("inverse_sqrt_timescale", "inverse_sqrt", 8, None, edges(40), timescale=20)
of_transformers("cosine_with_min_lr", "cosine_with_min_lr", 5, 20, edges(20), min_lr=0.01)
of_transformers("cosine_warmup_with_min_lr", "cosine_warmup_with_min_lr", 5, 20, edges(20), min_lr=0.01)
of_transformers("cosine_warmup_with_min_lr_rate", "cosine_warmup_with_min_lr", 5, 20, edges(20), min_lr_rate=0.1,
                warmup_lr_rate=0.2)
of_transformers("wsd", "warmup_stable_decay", 5, 30, edges(30), num_decay_steps=10)
of_transformers("wsd_linear", "warmup_stable_decay", 5, 30, edges(30), num_decay_steps=10, decay_type="linear",
                min_lr_ratio=0.1)
of_transformers("wsd_sqrt", "warmup_stable_decay", 5, 30, edges(30), num_decay_steps=10, decay_type="1-sqrt",
                warmup_type="1-sqrt", min_lr_ratio=0.1)
of_transformers("wsd_cosine_warmup", "warmup_stable_decay", 5, 30, edges(30), num_decay_steps=10, warmup_type="cosine")
of_transformers("wsd_without_stable", "warmup_stable_decay", 5, 15, edges(15), num_decay_steps=10)

greedy = "transformers.get_scheduler('greedy', o, None, None, dict(eps=0, {}))"
for name, options, fed_with in [
    ("greedy", "factor=0.5, patience=2, min_lr=0.001, max_lr=1.0", metrics),
    ("greedy_waiting", "factor=0.7, patience=1, warmup=3, cooldown=2, min_lr=0.001, max_lr=1.0", metrics),
    ("greedy_smoothed", "factor=0.8, patience=2, smooth=True, window_size=5, min_lr=0.001, max_lr=1.0", metrics),
    ("greedy_reset", "factor=0.2, patience=0, reset_start=3, min_lr=0.01, max_lr=0.2", metrics),
    ("greedy_max", "mode='max', threshold=1e-3, threshold_mode='rel', factor=0.5, patience=2, min_lr=0.001, max_lr=1.0",
     positive_rising),
]:
    of_plateau(f"transformers/{name}", greedy.format(options), fed_with)


def of_keras(name, call, updates):
    schedule = eval(call, {"keras": keras.optimizers.schedules})
    case(f"keras/{name}", call, updates, [schedule(t) for t in updates])


of_keras("polynomial", "keras.PolynomialDecay(0.1, 10, 0.01, 2.0)", edges(10))
of_keras("polynomial_cycle", "keras.PolynomialDecay(0.1, 10, 0.01, 2.0, cycle=True)", edges(40))
of_keras("inverse_time", "keras.InverseTimeDecay(0.1, 4, 0.5)", edges(20))
of_keras("inverse_time_stairs", "keras.InverseTimeDecay(0.1, 4, 0.5, staircase=True)", edges(20))
of_keras("piecewise", "keras.PiecewiseConstantDecay([4, 9], [1.0, 0.5, 0.1])", edges(12))
of_keras("cosine_with_warmup", "keras.CosineDecay(0.01, 15, 0.1, warmup_target=0.1, warmup_steps=5)", edges(20))
of_keras("restarts", "keras.CosineDecayRestarts(0.1, 5, t_mul=2.0, m_mul=0.5, alpha=0.1)", edges(5 * 31))


def rex(total, high, low, updates):
    own = optimizer()
    scheduler = REXScheduler(own, total, high, low)
    # The constructor takes the first step.
    seen = [scheduler.get_lr(), *(scheduler.step() for _ in range(max(updates)))]
    case("pytorch_optimizer/rex", f"REXScheduler(o, {total}, {high}, {low})", updates, [seen[t] for t in updates])


rex(14, 0.1, 0.002, edges(14))

# Where ours are meant to differ, for tests/integration/golden_differences.rs: the calls as ours would be made.
agreeing, cases = cases, []


def by_epoch(name, call, updates):
    own = optimizer()
    scheduler = eval(call, {"T": T, "o": own})
    values = []
    for t in updates:
        scheduler.step(t)
        values.append(own.param_groups[0]["lr"])
    case(f"torch/{name}", call, updates, values)


of_torch("linear_of_none", "T.LinearLR(o, 0.25, 1.0, 0)", edges(0))
of_torch("cosine", "T.CosineAnnealingLR(o, 10, 0.01)", edges(10))
of_torch("one_cycle", "T.OneCycleLR(o, 1.0, total_steps=20, pct_start=0.33)", range(20))
by_epoch("restarts_by_epoch", "T.CosineAnnealingWarmRestarts(o, 1, 3, 0.001)", edges(121))
of_optax("linear_of_none", "optax.linear_schedule(0.0, 0.1, 0)", edges(0))
of_optax("polynomial_of_none", "optax.polynomial_schedule(1.0, 0.01, 3, 0)", edges(0))
of_optax_plateau("plateau", "optax.contrib.reduce_on_plateau(0.5, 4, 1e-4)", metrics)
of_timm("multi_step", "timm.MultiStepLRScheduler(o, [4, 9], 0.5)", edges(9))
of_timm("restarts_tripled", "timm.CosineLRScheduler(o, 1, 0.01, cycle_mul=3.0, cycle_limit=9)", edges(121))
of_transformers("cosine", "cosine", 5, 20, edges(20))
of_keras("piecewise", "keras.PiecewiseConstantDecay([4, 9], [1.0, 0.5, 0.1])", edges(12))
# Both are told a loss below 0 that gets worse, and then NaN.
worse = [-1.0 + 0.00001 * i for i in range(8)] + [math.nan] * 4
of_plateau("torch/plateau_below_0", plateau.format("min", 0.5, 2, 1e-4, "rel", 0, 0), worse[:8])
of_plateau("torch/plateau_nan", plateau.format("min", 0.5, 1, 1e-4, "rel", 0, 0), [1.0, 0.9, *worse[8:]])
differences, cases = cases, agreeing

packages = ["torch", "optax", "jax", "timm", "transformers", "keras", "pytorch_optimizer"]
header = {
    "command": "python tests/golden/schedules.py",
    "date": datetime.date.today().isoformat(),
    "python": platform.python_version(),
    **{name: version(name) for name in packages},
}
out = pathlib.Path(__file__).with_suffix(".json")
rows = lambda all: "[\n" + ",\n".join(json.dumps(c) for c in all) + "\n]"
body = f'"cases": {rows(cases)},\n"differences": {rows(differences)}'
out.write_text('{"header": ' + json.dumps(header) + ",\n" + body + "}\n")
print(f"{len(cases)} cases, {len(differences)} differences, {out.stat().st_size} bytes in {out}")
