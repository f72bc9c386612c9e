#!/bin/sh
# Compiles mandelbrot.c where it runs and draws a picture: build.sh [WIDTH] [HEIGHT]
set -eu

if ! command -v cc >/dev/null; then
    echo "this machine's environment has no C compiler (cc); choose another peer with --peer NAME" >&2
    exit 127
fi
cc -std=c99 -O2 -Wall -Wextra -o mandelbrot mandelbrot.c
./mandelbrot "${1:-1200}" "${2:-960}" mandelbrot.pgm
echo "drew mandelbrot.pgm"
