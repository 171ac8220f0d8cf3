"""A digit's image as the strokes of a pen."""

import numpy as np
from PIL import Image, ImageDraw

ENLARGED = 4
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]  # clockwise, from above


def strokes(digit, step=3):
    """Return the middle lines of a digit's strokes: polylines of (x, y), 0…1 of the image's sides.

    Args:
        digit: (h, w) uint8, light on dark.
        step: pixels of the enlarged image between two points.
    """
    size = (digit.shape[1] * ENLARGED, digit.shape[0] * ENLARGED)
    large = np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)) > 110
    left = {(int(y), int(x)) for y, x in np.argwhere(thinned(large))}
    lines = []
    while left:
        ends = [place for place in left if len(beside(place, left)) == 1]
        line = [min(ends or left)]
        left.discard(line[0])
        while following := beside(line[-1], left):
            # Straight on, where lines cross.
            ahead = np.subtract(line[-1], line[max(len(line) - 6, 0)])
            line.append(max(following, key=lambda place: float(np.dot(np.subtract(place, line[-1]), ahead))))
            left.discard(line[-1])
        if len(line) > 4 or not lines:
            smooth = [np.mean(line[max(at - 3, 0) : at + 4], axis=0) for at in range(len(line))]
            smooth[0], smooth[-1] = line[0], line[-1]
            kept = [*smooth[::step], smooth[-1]]
            if np.hypot(*np.subtract(line[0], line[-1])) < 4 and len(line) > 12:
                kept.append(kept[0])  # a loop
            lines.append([(float(x) / size[0], float(y) / size[1]) for y, x in kept])
    return lines


def likeness(digit, lines, width=0.1):
    """The correlation of an image with its strokes, drawn by a pen that is as wide as `width` of the image's side."""
    side = 280
    sheet = Image.new("L", (side, side))
    pen = ImageDraw.Draw(sheet)
    for line in lines:
        points = [(side * x, side * y) for x, y in line]
        pen.line(points, fill=255, width=round(width * side), joint="curve")
    drawn = np.asarray(sheet.resize(digit.shape[::-1], Image.Resampling.BOX), float)
    return np.corrcoef(drawn.ravel(), digit.ravel())[0, 1]


def beside(place, places):
    return [near for y, x in AROUND if (near := (place[0] + y, place[1] + x)) in places]


def thinned(mask):
    """Thin (h, w) bool to lines of one pixel (Zhang and Suen 1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.copy()
        for odd in (False, True):
            near = np.stack([np.roll(mask, (-y, -x), (0, 1)) for y, x in AROUND])
            count, turns = near.sum(0), (~near & np.roll(near, -1, 0)).sum(0)
            up, right, down, left = near[::2]
            ends = ~(up & right & left) & ~(up & down & left) if odd else ~(up & right & down) & ~(right & down & left)
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & ends)
        if (mask == before).all():
            return mask[1:-1, 1:-1]
