"""Prints the literals of src/advise/confidence.rs: exact p-values of scipy's signed-rank test.

    pip install scipy==1.17.1
    python tests/golden/signed_rank.py

Without ties and zeros, where scipy's exact distribution holds. Nothing here knows evenkeel.
"""

from scipy.stats import wilcoxon

CASES = [
    [1, 2, 3, 4, 5],
    # Zea mays, cross- and self-fertilized (Darwin 1876), as in scipy's own documentation.
    [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75],
    [0.5, -1.5, 2.5, -3.5, 4.5, 5.5, 6.5, -7.5],
    [-1, -2, -3, -4, -5, -6, -7, -8, -9, -10],
    [1, -2],
    [3, -1, 2],
]

for case in CASES:
    print(case, wilcoxon(case, method="exact").pvalue)
