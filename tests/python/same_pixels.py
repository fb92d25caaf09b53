"""Exits with an error if two pictures differ in size or in any pixel."""

import sys

from PIL import Image

ours, theirs = (Image.open(name).convert("RGB") for name in sys.argv[1:])
if ours.size != theirs.size or ours.tobytes() != theirs.tobytes():
    sys.exit(f"{sys.argv[1]} ({ours.size}) and {sys.argv[2]} ({theirs.size}) differ")
