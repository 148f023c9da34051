"""Every volume under ``MRI/``, as in the original program."""

from pathlib import Path

from compresso import volumes
from experiments.datasets._base import Dataset, Source
from experiments.datasets._files import FileDataset
from experiments.text import OTHER, printable


class Mri(Source):
    """The files are the user's own."""

    name = "mri"
    title = "MRI"
    group = OTHER

    def datasets(self, directory: Path) -> list[Dataset]:
        """Each file is one; files that differ only in their endings keep these."""
        folder, known = directory / "MRI", tuple(volumes.suffixes())
        paths = [path for path in sorted(folder.glob("*")) if path.name.lower().endswith(known)]
        stems = [path.stem for path in paths]
        names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
        return [
            FileDataset(f"mri/{printable(name)}", path, "", name, self.group)
            for name, path in zip(names, paths, strict=True)
        ]
