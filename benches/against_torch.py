"""The same models as `cargo bench --bench step`, in PyTorch: clip_grad_norm_ and a fused optimizer.

    python benches/against_torch.py [--threads N] [--seconds S]

Prints one line a case that `--bench step` can be set beside. Run by hand: nothing else needs torch.
"""

import argparse
import platform
import time

import torch

CASES = [
    ("0.04M few", 2, 141),
    ("0.04M many", 100, 20),
    ("4M few", 4, 1024),
    ("4M many", 1000, 64),
    ("25M few", 6, 2048),
    ("25M many", 6144, 64),
]


def median(values):
    return sorted(values)[len(values) // 2]


def measure(optimizer, params, grads, seconds):
    """The median time of one clipped step, with gradients in buffers of their own each time."""
    times, begun = [], time.perf_counter()
    while len(times) < 8 or time.perf_counter() - begun < seconds:
        for param, grad in zip(params, grads):
            param.grad = grad.clone()
        start = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
    return median(times[3:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {arguments.threads} threads, {platform.processor()}")
    print("clip_grad_norm_, fused AdamW (or SGD with momentum), zero_grad\n")

    rules = {
        "adamw": lambda ps: torch.optim.AdamW(ps, lr=1e-4, fused=True),
        "momentum": lambda ps: torch.optim.SGD(ps, lr=1e-4, momentum=0.9, fused=True),
    }
    for rule, make in rules.items():
        for case, count, width in CASES:
            params = [
                torch.nn.Parameter(torch.empty(width, width).uniform_(-0.1, 0.1))
                for _ in range(count)
            ]
            grads = [torch.empty(width, width).normal_(0.0, 0.01) for _ in range(count)]
            taken = measure(make(params), params, grads, arguments.seconds)
            print(f"{rule:<10} {case:<12} {taken * 1e3:10.3f} ms")
            print(f"bench torch_{rule} {case.replace(' ', '_')} theirs={taken:.6e}")


if __name__ == "__main__":
    main()
