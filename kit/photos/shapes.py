"""Which connected shapes of ink are drawings, which strokes belong to each, and in what order one reads them."""

from collections.abc import Sequence

import numpy as np

Box = tuple[slice, ...]  # rows, columns
MOST = 50  # shapes that are looked at, the largest
TALL = 0.6  # share of a drawing's height from which a shape is one itself and no stroke of it
AS_TALL = 0.45  # share of the main drawing's height that another one has at least
AS_BOLD = 0.4  # share of its ink's strength
NEAR, NEARER = 0.25, 0.08  # gaps to a stroke, as shares of the drawing's size; the second where the stroke is tall


def drawings(mask: np.ndarray, ink: np.ndarray) -> list[np.ndarray]:
    """Choose the connected shapes that are drawings, each with the strokes nearby that are none themselves.

    The main one has the most ink. A shape that touches the photo's edge, as a table, a finger or the next sheet, is
    chosen only where there is no other. Others are drawings where they are about as tall and as bold as the main one.
    Digits that touch each other are one shape.

    Args:
        mask: (h, w) bool, where ink is.
        ink: (h, w) how much there is.

    Returns:
        (h, w) bool of each, the main one first; none without ink.
    """
    from scipy import ndimage

    marks, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return []
    boxes = ndimage.find_objects(marks)
    masses = ndimage.sum_labels(ink, marks, np.arange(1, count + 1))
    strengths = ndimage.mean(ink, marks, np.arange(1, count + 1))
    large = [int(number) for number in np.argsort(-masses) if masses[number] > 0.02 * masses.max()][:MOST]
    weights = {number: masses[number] * (0.03 if _aside(number, large, boxes, mask.shape) else 1) for number in large}
    main = max(weights, key=lambda number: weights[number])
    free = [number for number in large if weights[number] == masses[number] and masses[number] > 0.04 * masses[main]]
    chosen = [_with_strokes(main, free, boxes)]
    rest = [number for number in free if number not in chosen[0]]
    while rest:
        first = rest[0]
        drawing = _with_strokes(first, rest, boxes)
        rest = [number for number in rest if number not in drawing]
        tall = _height(boxes[first]) >= AS_TALL * max(_height(boxes[number]) for number in chosen[0])
        if tall and strengths[first] > AS_BOLD * strengths[main]:
            chosen.append(drawing)
    return [np.isin(marks, [number + 1 for number in drawing]) for drawing in chosen]


def reading_order(boxes: Sequence[tuple[int, int, int, int]]) -> list[int]:
    """Return the boxes' numbers as one reads: lines from top to bottom, each from left to right.

    A box belongs to the line of the box to its left that it shares most of its height with, so that a line may climb.

    Args:
        boxes: left, top, right, bottom of each.
    """
    lines: list[list[int]] = []
    for number in sorted(range(len(boxes)), key=lambda number: boxes[number][0]):
        shared = [_shared_height(boxes[number], boxes[line[-1]]) for line in lines]
        if shared and max(shared) > 0.4:
            lines[int(np.argmax(shared))].append(number)
        else:
            lines.append([number])
    lines.sort(key=lambda line: float(np.mean([boxes[number][1] + boxes[number][3] for number in line])))
    return [number for line in lines for number in line]


def _shared_height(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """The share of the lower box's height at which both stand."""
    both = min(one[3], other[3]) - max(one[1], other[1])
    return both / max(min(one[3] - one[1], other[3] - other[1]), 1)


def _aside(number: int, large: list[int], boxes: list[Box], shape: tuple[int, ...]) -> bool:
    """Whether a shape touches the photo's edge, or frames another one."""
    rows, columns = boxes[number]
    if min(rows.start, columns.start, shape[0] - rows.stop, shape[1] - columns.stop) <= 0:
        return True
    return any(
        rows.start < boxes[other][0].start
        and boxes[other][0].stop < rows.stop
        and columns.start < boxes[other][1].start
        and boxes[other][1].stop < columns.stop
        and _size(boxes[other]) > 0.3 * _size(boxes[number])
        for other in large
    )


def _with_strokes(main: int, others: list[int], boxes: list[Box]) -> set[int]:
    """Return the shape `main` and those of the others that are strokes of the same digit."""
    middle = boxes[main]
    reach: dict[int, float] = {}
    for number in others:
        tall = _height(boxes[number]) > TALL * _height(middle)
        if not (tall and _beside(boxes[number], middle)):
            reach[number] = (NEARER if tall and _gap(boxes[number][0], middle[0]) else NEAR) * _size(middle)
    chosen, before = {main}, set[int]()
    while chosen != before:  # a stroke may belong by another one that lies between
        before = set(chosen)
        for number, far in reach.items():
            if min(_distance(boxes[number], boxes[other]) for other in before) < far:
                chosen.add(number)
    return chosen


def _beside(box: Box, other: Box) -> bool:
    """Whether a box stands left or right of another one; leaning digits share a little of their widths."""
    both = min(box[1].stop, other[1].stop) - max(box[1].start, other[1].start)
    return both <= 0.3 * min(box[1].stop - box[1].start, other[1].stop - other[1].start)


def _height(box: Box) -> int:
    return box[0].stop - box[0].start


def _size(box: Box) -> int:
    rows, columns = box
    return max(rows.stop - rows.start, columns.stop - columns.start)


def _gap(one: slice, other: slice) -> int:
    return max(one.start - other.stop, other.start - one.stop, 0)


def _distance(one: Box, other: Box) -> float:
    """The gap between two boxes, in pixels; 0 where they overlap."""
    rows, columns = (_gap(a, b) for a, b in zip(one, other, strict=True))
    return float(np.hypot(rows, columns))
