"""Clipped gradients by optax and numpy, for tests/integration/golden_clips.rs.

    python -m venv venv && venv/bin/pip install numpy optax
    venv/bin/python tests/golden/clips.py > tests/golden/clips.json
"""

import json

import jax
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
np.random.seed(7)

# Twelve gradients of one 4 by 3 tensor, of very different sizes; every fifth is 0 but for one element.
grads = []
for k in range(12):
    g = np.random.standard_normal((4, 3)) * 10.0 ** np.random.uniform(-2, 2)
    if k % 5 == 4:
        g[:] = 0.0
        g[1, 2] = 3.0
    grads.append(g.astype(np.float32).astype(np.float64))
# A column of zeros: what begins at 0.
params = np.random.standard_normal((4, 3)).astype(np.float32).astype(np.float64)
params[:, 1] = 0.0


def run(transform):
    state = transform.init(params)
    out = []
    for g in grads:
        clipped, state = transform.update(jax.numpy.asarray(g), state, jax.numpy.asarray(params))
        out.append(np.asarray(clipped).ravel().tolist())
    return out


def power(p, c):
    return [(g * min(1.0, c / np.linalg.norm(g.ravel(), ord=p))).ravel().tolist() for g in grads]


def autoclip(norms, p):
    """The authors' loop (github.com/pseeth/autoclip): the norm joins, then the percentile bounds it."""
    history, out = [], []
    for n in norms:
        history.append(n)
        out.append(min(n, float(np.percentile(history, p))))
    return out


norms = [float(np.linalg.norm(g)) for g in grads]
print(json.dumps({
    "versions": f"optax {optax.__version__}, jax {jax.__version__}, numpy {np.__version__}",
    "params": params.ravel().tolist(),
    "grads": [g.ravel().tolist() for g in grads],
    "value": run(optax.clip(0.5)),
    "agc": run(optax.adaptive_grad_clip(0.1, eps=1e-3)),
    "global_norm": run(optax.clip_by_global_norm(0.7)),
    "norm_1": power(1, 0.7),
    "norm_3": power(3, 0.7),
    "norm_inf": power(np.inf, 0.7),
    "norms": norms,
    "percentile_40": autoclip(norms, 40.0),
}, indent=1))
