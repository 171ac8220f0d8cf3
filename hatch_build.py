"""The dependencies of the package are the lines of requirements.txt, for those who install without building too."""

import pathlib

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Dependencies(MetadataHookInterface):
    """Reads `dependencies` from requirements.txt."""

    def update(self, metadata: dict) -> None:
        """Add the dependencies to the package's metadata."""
        lines = (pathlib.Path(self.root) / "requirements.txt").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]
