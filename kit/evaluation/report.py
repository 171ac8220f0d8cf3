"""A run's report: one HTML file with its numbers and pictures, which asks nothing of any other file or machine."""

import base64
import html
import pathlib
from dataclasses import dataclass

import numpy as np

from kit import atomic, figures
from kit.evaluation import table
from kit.evaluation.judged import Judged
from kit.figures import canvas

MISTAKES, EXPLAINED = 12, 8
# The policy makes the browser keep the promise that no request leaves the page.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ margin: 0 auto; padding: 1rem; max-width: 70rem; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ color: #1a1a1a; background: #fff; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #bbb; }}
.wide {{ overflow-x: auto; }}
.wide:focus-visible, summary:focus-visible {{ outline: 3px solid #0072b2; outline-offset: 2px; }}
figure {{ margin: 1rem 0; }}
figure img {{ display: block; width: 100%; height: auto; }}
figcaption {{ color: #444; max-width: 45rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }}
tbody th, th.text, td.text {{ text-align: left; }}
thead th {{ border-bottom: 2px solid #666; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; }}
dl div {{ border-left: .35rem solid #0072b2; padding-left: .7rem; }}
dt {{ color: #444; }}
dd {{ margin: 0; font-size: 1.35rem; font-weight: 600; }}
dd small {{ display: block; font-size: .85rem; font-weight: 400; color: #444; }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Shown:
    """A picture of the report.

    Attributes:
        heading: of its section.
        figure: what is drawn.
        alternative: what it shows, for those who do not see it.
        caption: how to read it.
        narrowest: the width in CSS pixels below which it scrolls instead of shrinking further.
        more: HTML after the picture.
    """

    heading: str
    figure: canvas.Figure
    alternative: str
    caption: str
    narrowest: int = 0
    more: str = ""


def write(judged: Judged) -> pathlib.Path:
    """Write `report.html` into the run's folder, whole or not at all, and return its path.

    Grad-CAM of mistakes is in it for a run with a network of its own, not for an ensemble.
    """
    path = judged.run.folder / "report.html"
    atomic.write_text(path, page(judged))
    return path


def page(judged: Judged) -> str:
    """Return the report as HTML."""
    shown = [_mistakes(judged), _explained(judged), _confusion(judged), _calibration(judged), _training(judged)]
    sections = [_overview(judged), _classes(judged), *(_section(one) for one in shown if one)]
    return PAGE.format(title=html.escape(f"{judged.run.name} – {judged.dataset.competition}"), body="\n".join(sections))


def _overview(judged: Judged) -> str:
    scores, metrics = judged.scores, judged.run.metrics()
    wrong = scores.images - round(scores.accuracy * scores.images)
    facts = [
        ("accuracy", f"{scores.accuracy:.2%}", f"± {100 * scores.accuracy_error:.2f}, {wrong:,} wrong"),
        ("log-loss", f"{scores.log_loss:.4f}", "0 is perfect"),
        ("calibration error", f"{scores.calibration_error:.2%}", "ECE, 15 ranges of certainty"),
        (
            "images judged",
            f"{scores.images:,}",
            f"of {len(judged.dataset.train_labels):,}, each by a network not trained on it",
        ),
        ("network", str(metrics["model"]), f"{metrics['parameters']:,} weights"),
        ("training", f"{metrics['fit_seconds']:,.0f} s", f"{metrics['images_per_second']:,.0f} images a second"),
    ]
    cells = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(note)}</small></dd></div>"
        for name, value, note in facts
    )
    sample = ""
    if judged.dataset.source == "sample":
        sample = f"<p><strong>Sample data, not Kaggle's: {html.escape(judged.dataset.origin)}.</strong></p>"
    heading = html.escape(f"{judged.run.name} on {judged.dataset.competition}")
    return f"<h1>{heading}</h1>\n{sample}\n<dl>{cells}</dl>"


def _classes(judged: Judged) -> str:
    columns = ("class", "precision", "recall", "F1", "images", "most often taken for")
    head = "".join(f'<th scope="col"{_text(name)}>{name}</th>' for name in columns)
    rows = []
    for name, row in judged.scores.by_class.iterrows():
        shares = "".join(f"<td>{row[column]:.2%}</td>" for column in ("precision", "recall", "f1"))
        taken = html.escape(row["mistaken_for"] or "none")
        label = html.escape(name)
        rows.append(
            f'<tr><th scope="row">{label}</th>{shares}<td>{row["images"]:,}</td><td class="text">{taken}</td></tr>'
        )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<section><h2>Class by class</h2>{_scrolling('the scores of each class', body)}</section>"


def _confusion(judged: Judged) -> Shown:
    names, counts = judged.rules.class_names, judged.scores.confusion
    off = counts - np.diag(np.diag(counts))
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-off.ravel(), kind="stable")[:3]]
    said = [f"{names[row]} taken for {names[column]}: {off[row, column]}" for row, column in pairs if off[row, column]]
    worst = f"The commonest mistakes: {', '.join(said)}." if said else "There are no mistakes."
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{count}</td>" for count in row)}</tr>'
        for name, row in zip(names, counts, strict=True)
    )
    table_ = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    counted = _scrolling("the counts of the confusion matrix", table_)
    return Shown(
        "Which class is taken for which",
        figures.confusion_matrix(judged.labels, judged.probabilities, names),
        f"Confusion matrix, a row a true class and a column a predicted one. {worst}",
        "A row is a true class, a column a predicted one; what is off the diagonal is wrong.",
        520,
        f"<details><summary>the counts as a table</summary>{counted}</details>",
    )


def _calibration(judged: Judged) -> Shown:
    error = judged.scores.calibration_error
    return Shown(
        "How far its certainty can be trusted",
        figures.calibration(judged.labels, judged.probabilities),
        f"Reliability diagram with a histogram of certainty; the expected calibration error is {error:.2%}.",
        "On the dashed line, 80 % sure means right four times in five. Below it the network is too sure.",
    )


def _mistakes(judged: Judged) -> Shown | None:
    words = table.mistakes(judged, MISTAKES)
    if not words:
        return None
    return Shown(
        "The worst mistakes",
        figures.wrong_predictions(
            judged.images, judged.labels, judged.probabilities, judged.rules.class_names, MISTAKES
        ),
        f"The {len(words)} mistakes with the least probability for the truth: {'; '.join(words)}.",
        "Above each image what it is, beside it the three likeliest classes; the true one is blue.",
        760,
    )


def _explained(judged: Judged) -> Shown | None:
    """Grad-CAM of the first fold's mistakes, by that fold's network, which was not trained on them."""
    paths = judged.run.network_paths()
    if not paths:
        return None
    from kit import recipe
    from kit.training import splits, transfer

    chosen = recipe.from_dict(judged.run.config()["recipe"])
    held_out = splits.splits(judged.dataset.train_labels, chosen)[0][1]
    mine = np.flatnonzero(np.isin(judged.rows, held_out))
    worst = mine[figures.worst_mistakes(judged.labels[mine], judged.probabilities[mine], EXPLAINED)]
    if not len(worst):
        return None
    names, images, labels = judged.rules.class_names, judged.images[worst], judged.labels[worst]
    drawn = figures.grad_cam(transfer.load(paths[0]), images, labels, names)
    predicted = judged.probabilities[worst].argmax(axis=1)
    said = ", ".join(f"{names[label]} taken for {names[other]}" for label, other in zip(labels, predicted, strict=True))
    return Shown(
        "Where it looked when it was wrong",
        drawn,
        f"Grad-CAM heat maps over {len(worst)} mistakes, for the predicted and for the true class: {said}.",
        "Warm places spoke for the class that is named above them (Grad-CAM); below, the single pixels in them (guided "
        "Grad-CAM). The network shown is the first fold's, without test-time augmentation.",
        900,
    )


def _training(judged: Judged) -> Shown | None:
    history = judged.run.folder / "history.csv"
    if not history.exists():
        return None
    import pandas as pd

    told = pd.read_csv(history)
    epochs = int(told["epoch"].max())
    return Shown(
        "How it was trained",
        figures.learning_curves(told),
        f"Learning curves over {epochs} epochs: loss per epoch, accuracy per epoch, accuracy against time.",
        "Training dashed, validation solid; with folds, thin lines are folds and thick ones their mean.",
        900,
    )


def _section(shown: Shown) -> str:
    source = base64.b64encode(canvas.png(shown.figure)).decode()
    width = f' style="min-width: {shown.narrowest}px"' if shown.narrowest else ""
    image = f'<img alt="{html.escape(shown.alternative)}"{width} src="data:image/png;base64,{source}">'
    return (
        f"<section><h2>{html.escape(shown.heading)}</h2><figure>{_scrolling(shown.heading, image)}"
        f"<figcaption>{html.escape(shown.caption)}</figcaption></figure>{shown.more}</section>"
    )


def _scrolling(label: str, inside: str) -> str:
    """Wrap what may be wider than a phone; the keyboard can reach and scroll it."""
    return f'<div class="wide" role="region" aria-label="{html.escape(label)}" tabindex="0">{inside}</div>'


def _text(name: str) -> str:
    return ' class="text"' if name in ("class", "most often taken for") else ""
