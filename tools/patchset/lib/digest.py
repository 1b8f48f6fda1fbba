# SPDX-License-Identifier: GPL-2.0-only
"""What a result depends on, as one name; results that are kept under it."""
import hashlib


def of(*parts):
    """A digest of texts and of files (name, content)."""
    sum_ = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part.read_bytes()
        sum_.update(b"%d:" % len(data) + data)
    return sum_.hexdigest()[:32]


def of_tree(tree, paths, *parts):
    """A digest of files below `tree`, and of other parts."""
    named = [item for path in sorted(paths) for item in (path, tree / path)]
    return of(*parts, *named)


class Passed:
    """Which digests have passed before."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def __contains__(self, digest):
        return (self.directory / digest).exists()

    def clear(self):
        """What passed before has been overwritten."""
        for path in self.directory.iterdir():
            path.unlink()

    def add(self, digest, text):
        (self.directory / digest).write_text(text + "\n")
