"""What trained networks lose in integers: whole test sets, by target, width and recipe; nothing trained again.

    python bench/bench_quantize.py [--targets loihi,fpga] [--bits 8,4,3] [--recipes best,max] [NAME ...]

Prints a table in Markdown. The networks are the examples and, where the folder `shared` is beside the checkout, MNIST
and the trained networks of the corpus. Digits are calibrated on training images, others on the first test samples.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.trained import cases, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks; all if none are given")
    parser.add_argument("--targets", default="loihi,fpga")
    parser.add_argument("--bits", default="8,4,3")
    parser.add_argument("--recipes", default="best,max")
    chosen = parser.parse_args()
    bits = [int(each) for each in chosen.bits.split(",")]
    columns = [
        (target, recipe, width)
        for target in chosen.targets.split(",")
        for recipe in chosen.recipes.split(",")
        for width in bits
    ]
    print("| network | float | " + " | ".join(f"{t} {r} {w}" for t, r, w in columns) + " |")
    print("| --- " * (2 + len(columns)) + "|")
    for case in cases():
        if chosen.names and case.name not in chosen.names:
            continue
        found = [losses(case, target, width, recipe) for target, recipe, width in columns]
        shown = ["refused" if each is None else f"{each:+.2f}" for each in found]
        print(f"| {case.name} | {case.float_accuracy:.2f} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
