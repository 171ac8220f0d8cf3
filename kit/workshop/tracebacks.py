"""Errors that a lesson makes on purpose: the cell magic `%%expected_error`."""


def register() -> None:
    """Let this notebook know `%%expected_error`, if it is run in one."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.register_magic_function(expected_error, "cell")


def expected_error(line: str, cell: str) -> None:
    """Run a cell, show the traceback of its error as ever, and let the notebook go on.

    Where no error comes, since a newer version of Keras allows what this one refuses, that is said.
    """
    from IPython import get_ipython

    result = get_ipython().run_cell(cell)
    if result.success:
        print("No error: this version of Keras allows it.")
    elif isinstance(result.error_in_exec, KeyboardInterrupt):
        raise result.error_in_exec
