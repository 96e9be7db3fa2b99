"""Typefaces with Latin and Cyrillic letters, from packages under open licences (extra `fonts`)."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import ImageFont

Part = Literal["tuning", "test"]

FAMILIES: dict[Part, tuple[tuple[str, str], ...]] = {
    "tuning": (
        ("matplotlib", "DejaVuSans.ttf"),
        ("matplotlib", "DejaVuSans-Bold.ttf"),
        ("matplotlib", "DejaVuSans-Oblique.ttf"),
        ("matplotlib", "DejaVuSansMono.ttf"),
        ("matplotlib", "DejaVuSansMono-Bold.ttf"),
        ("matplotlib", "DejaVuSerif.ttf"),
        ("matplotlib", "DejaVuSerif-Italic.ttf"),
        ("font_source_sans_pro", "SourceSansPro-Regular.ttf"),
        ("font_source_sans_pro", "SourceSansPro-Light.ttf"),
        ("font_source_sans_pro", "SourceSansPro-Semibold.ttf"),
        ("font_source_serif_pro", "SourceSerifPro-Regular.ttf"),
        ("font_source_serif_pro", "SourceSerifPro-Bold.ttf"),
    ),
    "test": (
        ("font_roboto", "Roboto-Light.ttf"),
        ("font_roboto", "Roboto-Regular.ttf"),
        ("font_roboto", "Roboto-Italic.ttf"),
        ("font_roboto", "Roboto-Bold.ttf"),
        ("ttf_opensans", "OpenSans-Regular.ttf"),
        ("ttf_opensans", "OpenSans-SemiBold.ttf"),
        ("ttf_opensans", "OpenSans-Italic.ttf"),
        ("font_manrope", "Manrope-Regular.ttf"),
        ("font_manrope", "Manrope-Bold.ttf"),
        ("matplotlib", "STIXGeneral.ttf"),
    ),
}
"""Package and file of each face."""


class NotInstalled(Exception):
    """A package of fonts is missing."""


@cache
def path_of(package: str, file: str) -> Path:
    """Where a face lies; NotInstalled says how to get it. The package itself is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled(f"the fonts of `{package}` are missing: pip install 'ictus[fonts]'")
    return next(Path(spec.submodule_search_locations[0]).rglob(file))


@cache
def face(package: str, file: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A face at a size (its em, in pixels)."""
    return ImageFont.truetype(path_of(package, file), size_px)
