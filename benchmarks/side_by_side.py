"""Joins videos of `launch.py --record` into one labelled GIF, such as docs/pendulum-p.gif.

python benchmarks/side_by_side.py OUT.gif "label=VIDEO.mp4" "label=VIDEO.mp4" …
"""

import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 300  # pixels of a video on the GIF
BAND = 36  # pixels of its label
COLORS = 64  # the drawings of our environments have few


def main(target: str, *labelled: str) -> None:
    """Writes the GIF, at the speed of the first video."""
    labels, files = zip(*(each.split("=", 1) for each in labelled), strict=True)
    videos = [imageio.imread(file) for file in files]
    panels = [
        [panel(label, frame) for frame in video]
        for label, video in zip(labels, videos, strict=True)
    ]
    frames = [Image.fromarray(np.hstack(row)) for row in zip(*panels, strict=False)]
    palette = frames[len(frames) // 2].quantize(COLORS)
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    duration = round(1000 / imageio.immeta(files[0])["fps"])  # ms
    first.save(target, append_images=rest, save_all=True, duration=duration, loop=0)
    print(f"{target}: {len(frames)} frames, {Path(target).stat().st_size / 1000:.0f} kB")


def panel(label: str, frame: np.ndarray) -> np.ndarray:
    """A frame below its label, (BAND + SIDE, SIDE, 3)."""
    picture = Image.new("RGB", (SIDE, BAND + SIDE), "white")
    picture.paste(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.LANCZOS), (0, BAND))
    font = ImageFont.load_default(18)
    ImageDraw.Draw(picture).text((SIDE / 2, BAND / 2), label, "black", font, anchor="mm")
    return np.asarray(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
