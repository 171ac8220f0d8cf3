"""Whether an array holds probabilities."""

import numpy as np

from kit.errors import UserError

ROUNDING = 0.02
"""How far a row of 16-bit probabilities may be from a sum of 1."""


def predicted_rows(probabilities: np.ndarray, shape: tuple[int, int], where: str) -> np.ndarray:
    """Check probabilities, and return which rows hold a prediction.

    Args:
        probabilities: float (n, classes); a row of NaN means that nothing was predicted for it.
        shape: the (n, classes) that they must have.
        where: what errors call them, such as the file's path.

    Returns:
        (n,) bool.

    Raises:
        UserError: another shape, a row that is partly NaN, negative numbers, or rows that do not sum to 1 (logits).
    """
    if probabilities.shape != shape or probabilities.dtype.kind != "f":
        raise UserError(
            f"{where} holds {probabilities.dtype} of shape {probabilities.shape}, but the data have {shape[0]:,} "
            f"images of {shape[1]} classes; train the run again."
        )
    absent = np.isnan(probabilities)
    known = ~absent.any(axis=1)
    broken = ~known & ~absent.all(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = probabilities.sum(axis=1, dtype=np.float64)
        broken |= known & ((probabilities < 0).any(axis=1) | ~(np.abs(sums - 1) <= ROUNDING))
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{where}, row {row}: {np.round(probabilities[row].astype(float), 4).tolist()[:10]} are not probabilities; "
            "train the run again."
        )
    return known
