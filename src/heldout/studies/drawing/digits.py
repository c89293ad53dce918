"""How figures and pages of studies write numbers, from 10⁻⁹ to billions."""

from __future__ import annotations

import math

from heldout.report.words import plain_number

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """
    >>> [power_of_ten(exponent) for exponent in (0, 1, -8)]
    ['1', '10', '10⁻⁸']
    """
    return str(10**exponent) if exponent in (0, 1) else f"10{str(exponent).translate(SUPERSCRIPTS)}"


def three_digits(value: float) -> str:
    """
    >>> [three_digits(value) for value in (6.8, 31.304, 1180.97, 9.2024e-9, -0.0237, 0.0)]
    ['6.80', '31.3', '1181', '9.20×10⁻⁹', '−0.0237', '0']
    """
    size = abs(value)
    if size == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    if size < 1e-3:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        text = f"{mantissa}×{power_of_ten(int(exponent))}"
    elif size >= 100:
        text = f"{value:.0f}"
    else:
        text = f"{value:#.3g}"
    return text.replace("-", "−")


def short_count(value: float) -> str:
    """
    >>> [short_count(value) for value in (0, 12, 1000, 38_400, 2_500_000)]
    ['0', '12', '1k', '38.4k', '2.5M']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return plain_number(value)
