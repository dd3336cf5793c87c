"""pass@k: the chance that at least one of k drawn programs passes, estimated from n of which c passed.

Chen et al. 2021 (arXiv 2107.03374), section 2.1: 1 - C(n-c, k) / C(n, k), unbiased; 1 - (1 - c/n)^k is not. It is taken
as a product of n-c-k+1 … n factors, which neither overflows nor cancels. Cost: c multiplications.
"""

from __future__ import annotations

import math


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate.

    Args:
        n: Programs drawn for one problem.
        c: How many of them passed.
        k: How many one may try, at most ``n``.

    Raises:
        ValueError: If not 0 ≤ c ≤ n and 1 ≤ k ≤ n: fewer draws than k estimate nothing.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} passed among {n}: 0 <= c <= n and 1 <= k <= n must hold")
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / drawn for drawn in range(n - c + 1, n + 1))
