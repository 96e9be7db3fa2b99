"""A bundle of the first format as it once answered: it is read, served and explained for ever."""

from pathlib import Path
from typing import Final

BUNDLE_1: Final = Path(__file__).parent / "golden" / "bundle-1"
