"""What the command takes where nothing is said: the folder of an installation, and the shop."""

from pathlib import Path

DEFAULT_FOLDER = Path(".regulars")
DEFAULT_SHOP = "demo"
