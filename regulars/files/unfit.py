"""What is wrong with a row."""


class Unfit(Exception):
    """What is wrong with a row: `path` leads into the mapping; neither repeats anything of the row."""

    def __init__(self, path: str, reason: str, record: object = None) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason
        self.record = record  # of several, the one at fault, where it is one
