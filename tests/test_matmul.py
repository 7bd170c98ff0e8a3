"""Matrix products in pieces equal the plain product."""

import numpy as np
import pytest

from mechanical_ears.matmul import matmul


@pytest.mark.parametrize(
    ("rows", "depth", "columns"),
    [
        (1, 1, 1),
        (7, 5, 3),
        (1000, 120, 192),
        (3, 784, 192),
        (301, 129, 17),
        (2, 300, 1500),
        (2, 3, 50_000),
        (4, 3, 0),
        (4, 0, 3),
        (0, 3, 4),
    ],
)
def test_equals_the_plain_product(rows: int, depth: int, columns: int) -> None:
    random = np.random.default_rng(0)
    left = random.standard_normal((rows, depth)).astype(np.float32)
    right = random.standard_normal((depth, columns)).astype(np.float32)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    product = matmul(left, right)
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, exact, atol=1e-5 * np.abs(exact).max(initial=0) + 1e-4)


def test_memory_layout_does_not_change_the_rounding() -> None:
    random = np.random.default_rng(1)
    left = random.standard_normal((336, 16)).astype(np.float32)
    right = random.standard_normal((16, 144)).astype(np.float32)
    product = matmul(left, right)
    np.testing.assert_array_equal(
        matmul(np.asfortranarray(left), np.asfortranarray(right)), product
    )
