"""Results as text: numbers beside their certified intervals, no digit that the interval does not allow."""

from collections.abc import Sequence

import numpy as np

from distrl._display import OFF, aligned, at_most, beside, enclosed
from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate


def cells(values: FloatArray | None, states: Sequence[int], ends: FloatArray) -> list[str]:
    """`value [low, high]` of some states, `values` of all; the interval alone where there are no values."""
    told = []
    for state, (low, high) in zip(states, ends.tolist(), strict=True):
        told.append(enclosed(low, high) if values is None else beside(float(values[state]), low, high))
    return told


def lines(said: str, columns: dict[str, list[str]]) -> list[str]:
    """A sentence on the intervals, the table, and what a star in it means."""
    starred = any("*" in cell for column in columns.values() for cell in column)
    return ["", said, *aligned(columns), *([OFF] if starred else [])]


def on_intervals(certificate: Certificate | None) -> str:
    """One sentence on what certified intervals are."""
    sure = None if certificate is None else certificate.confidence
    if sure is None:
        return "intervals are certified: the true value is inside, numerical error included"
    return f"intervals are statistical: those of one state hold together with confidence {sure:g}"


def on_certificate(certificate: Certificate, states: Sequence[object]) -> str:
    """One line on the certificate of the worst of `states`, the labels."""
    worst = int(np.argmax(certificate.w1))
    sure = "" if certificate.confidence is None else f" with confidence {certificate.confidence:g}"
    return (
        f"certificate{sure}: W1 to {certificate.of} <= {at_most(certificate.w1[worst])} "
        f"(state {states[worst]!r}, the worst) [{certificate.claim}]"
    )
