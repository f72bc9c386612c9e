#!/usr/bin/env python3
"""Estimate pi by throwing points at a square: pi.py SEED POINTS prints `seed,points,estimate`."""

import random
import sys


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: pi.py SEED POINTS")
    seed, points = int(sys.argv[1]), int(sys.argv[2])
    throw = random.Random(seed).random
    inside = sum(throw() ** 2 + throw() ** 2 <= 1.0 for _ in range(points))
    print(f"{seed},{points},{4 * inside / points:.6f}")


if __name__ == "__main__":
    main()
