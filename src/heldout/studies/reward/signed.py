"""How differences are written: with their sign, and a zero without one."""

from __future__ import annotations


def signed(value: float, digits: int = 2) -> str:
    """
    >>> signed(0.4567), signed(-1.2, 3), signed(-0.001)
    ('+0.46', '−1.200', '0')
    """
    said = f"{value:+.{digits}f}"
    return said.replace("-", "−") if float(said) else "0"
