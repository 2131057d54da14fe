"""`python -m regulars`: the same command, where the script is not on the path."""

from regulars.cli import app

app()
