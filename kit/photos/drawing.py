"""Find the drawings in a photo, and place each as MNIST's digits were placed."""

import pathlib
from collections.abc import Callable

import numpy as np

from kit.errors import UserError
from kit.photos import paper, shapes
from kit.photos.files import LONGEST

FILLED = 20 / 28  # the share of MNIST's side that a digit's longer side fills
THINNEST, USUAL = 0.11, 0.14  # stroke widths as shares of the digit: below the first, no MNIST digit; the usual one
BULKY = 0.62  # share of a shape's length that no stroke is wide
FAINTEST = 12  # grey levels of 255 between ink and paper


def find(pixels: np.ndarray, path: pathlib.Path) -> list[tuple[np.ndarray, tuple[int, int, int, int]]]:
    """Find the drawings in (h, w, 3) pixels.

    Four models of the paper are tried: the same everywhere, smooth from rim to rim, smooth over all, as each pixel's
    surroundings; each with ink that is darker or lighter. The one that leaves the least unexplained is taken.

    Returns:
        Of each, in the order of reading, its ink, float32 of 0…1, cut out; and its box in `pixels`.
    """
    rim = np.ones(pixels.shape[:2], bool)
    edge = max(pixels.shape[:2]) // 50 + 1
    rim[edge:-edge, edge:-edge] = False
    best: tuple[np.ndarray, list[np.ndarray]] | None = None
    least = 0.9
    models: tuple[Callable[[], np.ndarray], ...] = (
        lambda: np.median(pixels[rim], axis=0),
        lambda: paper.surface(pixels, rim),
        lambda: paper.surface(pixels, np.ones_like(rim)),
        lambda: paper.surroundings(pixels),
    )
    for model in models:
        departure = paper.departure(pixels - model())
        for ink in (departure, -departure):
            drawings = _drawings(ink)
            if drawings and (unexplained := _unexplained(ink, drawings)) < least:
                best, least = (ink, drawings), unexplained
        if least < 0.1:
            break
    found = [] if best is None else [_cut_out(best[0], chosen) for chosen in best[1]]
    whole = [one for one in found if one is not None]
    if not whole:
        raise UserError(f"{path}: no drawing found, it is blank or too faint; draw it darker, or crop it more closely.")
    return [whole[number] for number in shapes.reading_order([box for _, box in whole])]


def placed(ink: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scale the ink into its box, centred by its mass: (h, w) uint8, light on dark."""
    from PIL import Image
    from scipy import ndimage

    height, width = shape
    longest = max(ink.shape)
    solid = ink > 0.5
    # For a strip, the mean distance to the edge is a quarter of its width.
    stroke = 4 * float(ndimage.distance_transform_edt(np.pad(solid, 1))[1:-1, 1:-1][solid].mean()) if solid.any() else 0
    if stroke < THINNEST * longest:
        wider = (USUAL * longest - stroke) / 2
        margin = int(np.ceil(wider))
        away = ndimage.distance_transform_edt(np.pad(~solid, margin, constant_values=True))
        ink = np.clip(wider + 1 - away, 0, 1)
    scale = FILLED * min(shape) / max(ink.shape)
    rows, columns = (max(1, round(side * scale)) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink.astype(np.float32)).resize((columns, rows), Image.Resampling.BICUBIC))
    small = np.clip(small / max(np.percentile(small[small > 0.3], 80) if (small > 0.3).any() else 1, 0.3), 0, 1)
    mass = small.sum()
    middle = [float((small.sum(1 - axis) * np.arange(small.shape[axis])).sum() / mass) for axis in (0, 1)]
    corner = [
        int(np.clip(round(side / 2 - centre), 0, side - length))
        for side, centre, length in zip(shape, middle, small.shape, strict=True)
    ]
    image = np.zeros((height, width), np.uint8)
    image[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns] = np.round(255 * small)
    return image


def _drawings(ink: np.ndarray) -> list[np.ndarray]:
    """Return where drawings are, (h, w) bool each, the main one first, if the departures `ink`, in grey levels, are."""
    from scipy import ndimage

    smooth, noise = ndimage.gaussian_filter(ink, max(ink.shape) / LONGEST), _noise(ink)
    # Not the very darkest pixel but a few dozen of them: a speck is no stroke.
    few = min(smooth.size // 200 + 1, 30)
    darkest = float(np.partition(smooth.ravel(), -few)[-few])
    if darkest < max(FAINTEST, 5 * noise):
        return []
    return shapes.drawings(_without_rules(smooth > max(0.3 * darkest, 4 * noise)), smooth)


def _noise(ink: np.ndarray) -> float:
    """Return the standard deviation of what changes from pixel to pixel, which bold ink does not."""
    from scipy import ndimage

    return 1.4826 * float(np.median(np.abs(ink - ndimage.gaussian_filter(ink, 1.0))))


def _unexplained(ink: np.ndarray, drawings: list[np.ndarray]) -> float:
    """Return the share of what departs from the paper outside the drawings; more where the main one cannot be strokes.

    What touches the photo's edge, as a table or a shadow, counts less. Strokes do not cover that edge, unless they fill
    the photo, and do not fill the box around them.
    """
    from scipy import ndimage

    chosen, every = drawings[0], np.logical_or.reduce(drawings)
    excess = np.maximum(np.abs(ink) - 0.15 * np.percentile(ink[chosen], 75), 0)
    excess[ndimage.binary_dilation(every, iterations=2 + max(ink.shape) // 100)] = 0
    marks, count = ndimage.label(excess > 0)
    on_edge = np.zeros(count + 1, bool)
    on_edge[np.concatenate([marks[0], marks[-1], marks[:, 0], marks[:, -1]])] = True
    left = float((excess * np.where(on_edge[marks], 0.3, 1)).sum())
    explained = float(np.maximum(ink[every], 0).sum())
    edge = float(np.concatenate([chosen[0], chosen[-1], chosen[:, 0], chosen[:, -1]]).mean())
    ((rows, columns),) = ndimage.find_objects(chosen.astype(np.uint8))
    fills = (rows.stop - rows.start) * (columns.stop - columns.start) / chosen.size
    return left / (left + explained) + edge * (2.5 - 1.5 * fills) + 0.5 * _is_bulky(chosen)


def _is_bulky(chosen: np.ndarray) -> bool:
    """Whether a shape is a sheet or a blob rather than strokes."""
    from scipy import ndimage

    ((rows, columns),) = ndimage.find_objects(chosen.astype(np.uint8))
    sides = rows.stop - rows.start, columns.stop - columns.start
    full = chosen[rows, columns].mean() > 0.72 and min(sides) > 0.4 * max(sides)
    width = 2 * float(ndimage.distance_transform_edt(np.pad(chosen[rows, columns], 1)).max())
    return bool(full or width > BULKY * max(sides))


def _cut_out(ink: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]] | None:
    """Return the chosen shape's ink, 0…1 with soft edges, and its box: left, top, right, bottom; None for noise."""
    from scipy import ndimage

    near = ndimage.binary_dilation(chosen, iterations=2 + max(ink.shape) // 200)
    # What is fainter than the paper's own noise would draw a grey veil around the digit.
    noise = _noise(ink)
    full = float(np.percentile(ink[chosen], 75))
    if full <= 0:
        return None
    soft = np.clip((ink * near - 2 * noise - 0.08 * full) / (0.8 * full), 0, 1)
    if soft.max() <= 0.1:
        return None
    rows, columns = np.flatnonzero((soft > 0.1).any(1)), np.flatnonzero((soft > 0.1).any(0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return soft[top:bottom, left:right], (left, top, right, bottom)


def _without_rules(mask: np.ndarray) -> np.ndarray:
    """Remove lines that run through the whole photo, as on ruled paper, and close the gaps in the strokes."""
    from scipy import ndimage

    kept = mask.copy()
    for axis in (0, 1):
        through = mask.mean(1 - axis) > 0.97
        lines, count = ndimage.label(through)
        thickest = int(np.bincount(lines[through]).max()) if count else 0
        if not count or thickest > 0.05 * len(through):
            continue
        here = ndimage.binary_dilation(through)
        cut = kept & ~np.expand_dims(here, 1 - axis)
        bridge = np.ones((thickest + 3, 1) if axis == 0 else (1, thickest + 3), bool)
        kept = cut | (ndimage.binary_closing(cut, bridge) & np.expand_dims(here, 1 - axis))
    return kept if kept.sum() >= 0.2 * mask.sum() else mask
