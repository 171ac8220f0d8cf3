"""A page on which one draws or drops a photo, and sees what trained networks make of it.

    kit.demo.launch("first")                  serve it: inline in a notebook, else at 127.0.0.1
    readers.gather(runs)                      runs loaded once, each with the confidence below which it doubts
    answers.read(readers, content, drawn)     an image prepared as `kit.predict` does it, and what each run reads
    corrections.keep(folder, …)               a drawing with its right label, for `kit.train --extra-data`
    space.write(folder, runs)                 the page as a folder for Hugging Face Spaces

Only `page` and `serving` need Gradio, which is optional.
"""

from kit import lazy_imports

_MODULE = {"launch": "serving"}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
