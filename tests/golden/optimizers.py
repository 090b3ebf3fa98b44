"""Writes optimizers.json: trajectories of other libraries' optimizers, for tests/integration/golden_optimizers.rs.

    pip install torch optax timm schedulefree
    python tests/golden/optimizers.py

Three tensors, of ranks 2, 1 and 3, take 50 steps along gradients that depend on where they are, so
that an error grows into the next step. All numbers are f64. Nothing here knows evenkeel.
"""

import json
import math
import pathlib
import platform
import warnings
from importlib.metadata import version

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import optax
import schedulefree
import timm.optim
import torch
from timm.optim.adopt import Adopt
from timm.optim.lamb import Lamb
from timm.optim.lars import Lars
from timm.optim.lookahead import Lookahead
from timm.utils.agc import adaptive_clip_grad

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)

STEPS = 50
KEPT = [1, 2, 3, 4, 5, 6, 7, 10, 20, 35, 50]
SHAPES = [(2, 3), (3,), (2, 2, 3)]
cases = []


def start():
    """The tensors before the first step: element i of all of them together is sin(1 + i)."""
    values, at = [], 0
    for shape in SHAPES:
        n = math.prod(shape)
        values.append(torch.tensor([math.sin(1 + at + j) for j in range(n)]).reshape(shape))
        at += n
    return values


def gradient(values, t):
    """At step t, counted from 0: (0.5 + 0.1·(i mod 7))·p + (0.4 + 0.1·(i mod 3))·cos(0.7·t + i)."""
    grads, at = [], 0
    for value in values:
        n = value.numel()
        i = torch.arange(at, at + n, dtype=torch.float64)
        a, b = 0.5 + 0.1 * (i % 7), 0.4 + 0.1 * (i % 3)
        grads.append((a * value.reshape(-1) + b * torch.cos(0.7 * t + i)).reshape(value.shape))
        at += n
    return grads


def keep(name, call, lr, trajectory, evaluated=None):
    rows = [trajectory[t - 1] for t in KEPT]
    case = {"name": name, "call": call, "lr": lr, "at": KEPT, "values": rows}
    if evaluated is not None:
        case["evaluated"] = evaluated
    cases.append(case)


def flat(values):
    return [x for value in values for x in value.detach().reshape(-1).tolist()]


def by_torch(name, call, lr, make, before=None):
    params = [torch.nn.Parameter(value) for value in start()]
    optimizer = make(params)
    free = hasattr(optimizer, "eval")
    if free:
        optimizer.train()
    trajectory = []
    for t in range(STEPS):
        for param, grad in zip(params, gradient([p.detach() for p in params], t)):
            param.grad = grad
        if before:
            before(params)
        optimizer.step()
        trajectory.append(flat(params))
    evaluated = None
    if free:
        optimizer.eval()
        evaluated = flat(params)
    keep(name, call, lr, trajectory, evaluated)


def by_optax(name, call, lr, optimizer):
    params = [jnp.asarray(value.numpy()) for value in start()]
    state = optimizer.init(params)
    trajectory = []
    for t in range(STEPS):
        grads = gradient([torch.tensor(jax.device_get(p)) for p in params], t)
        updates, state = optimizer.update([jnp.asarray(g.numpy()) for g in grads], state, params)
        params = optax.apply_updates(params, updates)
        trajectory.append([float(x) for p in params for x in p.reshape(-1)])
    keep(name, call, lr, trajectory)


def torch_case(name, kind, lr, before=None, **settings):
    said = ", ".join([f"lr={lr}"] + [f"{key}={value}" for key, value in settings.items()])
    call = f"{kind.__module__.split('.')[0]} {kind.__name__}({said})"
    by_torch(name, call, lr, lambda params: kind(params, lr=lr, **settings), before)


O = torch.optim
torch_case("sgd", O.SGD, 0.1)
torch_case("sgd, decay", O.SGD, 0.1, weight_decay=0.2)
torch_case("sgd, maximize", O.SGD, 0.01, weight_decay=0.2, maximize=True)
torch_case("momentum", O.SGD, 0.05, momentum=0.9)
torch_case("momentum, dampening", O.SGD, 0.05, momentum=0.8, dampening=0.3, weight_decay=0.1)
torch_case("nesterov", O.SGD, 0.05, momentum=0.9, nesterov=True)
torch_case("nesterov, decay", O.SGD, 0.03, momentum=0.95, nesterov=True, weight_decay=0.1)
torch_case("momentum, maximize", O.SGD, 0.005, momentum=0.9, maximize=True)

torch_case("adam", O.Adam, 0.05)
torch_case("adam, set", O.Adam, 0.1, betas=(0.7, 0.95), eps=1e-3, weight_decay=0.1)
torch_case("adam, amsgrad", O.Adam, 0.1, betas=(0.8, 0.6), amsgrad=True)
torch_case("adam, maximize", O.Adam, 0.01, maximize=True, weight_decay=0.1)
torch_case("adamw", O.AdamW, 0.05)
torch_case("adamw, set", O.AdamW, 0.1, betas=(0.7, 0.95), eps=1e-3, weight_decay=0.2)
torch_case("adamw, amsgrad", O.AdamW, 0.1, betas=(0.8, 0.6), amsgrad=True)
torch_case("nadam", O.NAdam, 0.05)
torch_case("nadam, set", O.NAdam, 0.1, betas=(0.8, 0.9), eps=1e-4, weight_decay=0.1, momentum_decay=0.02)
torch_case("nadam, decoupled", O.NAdam, 0.1, weight_decay=0.1, decoupled_weight_decay=True)
torch_case("radam", O.RAdam, 0.05)
torch_case("radam, set", O.RAdam, 0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)
torch_case("radam, decoupled", O.RAdam, 0.1, betas=(0.9, 0.7), weight_decay=0.1, decoupled_weight_decay=True)
torch_case("adamax", O.Adamax, 0.05)
torch_case("adamax, set", O.Adamax, 0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)

torch_case("adopt", Adopt, 0.02, clip_exp=0.25)
torch_case("adopt, set", Adopt, 0.1, betas=(0.8, 0.95), eps=1e-3, clip_exp=0.25, weight_decay=0.1, decoupled=True)
torch_case("adopt, coupled", Adopt, 0.1, clip_exp=0.25, weight_decay=0.1)
torch_case("adopt, unbounded", Adopt, 0.02, clip_exp=None)
torch_case("cautious adamw", timm.optim.AdamWLegacy, 0.05, weight_decay=0.1, caution=True)
torch_case("lamb", Lamb, 0.05, weight_decay=0.1, eps=1e-6, max_grad_norm=None)
torch_case("lamb, clipped", Lamb, 0.05, weight_decay=0.1, eps=1e-6, max_grad_norm=None, trust_clip=True)
torch_case("lars", Lars, 1.0, momentum=0.9, weight_decay=0.1, trust_coeff=0.02, eps=0.0)
torch_case("lars, nesterov", Lars, 1.0, momentum=0.8, weight_decay=0.1, trust_coeff=0.05, nesterov=True, eps=0.0)
torch_case("schedule-free sgd", schedulefree.SGDScheduleFree, 0.3)
torch_case("schedule-free sgd, set", schedulefree.SGDScheduleFree, 0.3, momentum=0.7, weight_decay=0.1, r=2.0)
torch_case("schedule-free adamw", schedulefree.AdamWScheduleFree, 0.1)
torch_case("schedule-free adamw, set", schedulefree.AdamWScheduleFree, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, r=1.0)

# timm takes the slow weights from after the first k steps; the paper, and optax, from before them.
for name, lr, k, alpha in [("lookahead", 0.05, 6, 0.5), ("lookahead, set", 0.1, 4, 0.8)]:
    call = f"timm Lookahead(torch SGD(lr={lr}, momentum=0.9), alpha={alpha}, k={k}), slow weights first"

    def make(params):
        optimizer = Lookahead(O.SGD(params, lr=lr, momentum=0.9), alpha=alpha, k=k)
        with torch.no_grad():
            for param in params:
                slow = optimizer._base_optimizer.state[param]
                slow["lookahead_slow_buff"] = param.detach().clone()
        return optimizer

    by_torch(name, call, lr, make)

for name, clip, eps in [("agc", 0.1, 1e-3), ("agc, set", 0.02, 0.5)]:
    call = f"timm adaptive_clip_grad(clip_factor={clip}, eps={eps}), then torch SGD(lr=0.5, momentum=0.9)"
    make = lambda params: O.SGD(params, lr=0.5, momentum=0.9)
    before = lambda params: adaptive_clip_grad(params, clip_factor=clip, eps=eps)
    by_torch(name, call, 0.5, make, before)

by_optax("adabelief", "optax.adabelief(0.05)", 0.05, optax.adabelief(0.05, eps=1e-16, eps_root=1e-16))
by_optax(
    "adabelief, set",
    "optax.adabelief(0.1, b1=0.8, b2=0.9, eps=1e-4, eps_root=1e-4)",
    0.1,
    optax.adabelief(0.1, b1=0.8, b2=0.9, eps=1e-4, eps_root=1e-4),
)
by_optax("adam of optax", "optax.adam(0.05)", 0.05, optax.adam(0.05))
by_optax(
    "adamw of optax",
    "optax.adamw(0.05, b2=0.95, weight_decay=0.1)",
    0.05,
    optax.adamw(0.05, b2=0.95, weight_decay=0.1),
)

names = ["torch", "optax", "jax", "timm", "schedulefree", "numpy"]
header = {"python": platform.python_version(), **{name: version(name) for name in names}}
out = pathlib.Path(__file__).with_suffix(".json")
lines = ",\n".join(json.dumps(case) for case in cases)
out.write_text('{"header": ' + json.dumps(header) + ',\n"cases": [\n' + lines + "\n]}\n")
print(f"{len(cases)} cases in {out}, {out.stat().st_size} bytes")
