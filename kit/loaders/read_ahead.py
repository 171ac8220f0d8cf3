"""Reading that goes on while what was read is worked on."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield `items`, while a thread fetches the next one; of use where fetching is waiting or decompressing."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, iterator, None)
        while (item := ahead.result()) is not None:
            ahead = reader.submit(next, iterator, None)
            yield item
