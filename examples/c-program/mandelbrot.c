/* Draws the Mandelbrot set into a portable grey map: mandelbrot WIDTH HEIGHT FILE */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 255, LARGEST = 16384 };

static unsigned char shade(double re, double im)
{
    double x = 0, y = 0;
    for (int step = 0; step < STEPS; step++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4)
            return (unsigned char)step;
        y = 2 * x * y + im;
        x = xx - yy + re;
    }
    return STEPS;
}

int main(int argc, char **argv)
{
    long width = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
    long height = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    if (width < 1 || height < 1 || width > LARGEST || height > LARGEST) {
        fprintf(stderr, "usage: mandelbrot WIDTH HEIGHT FILE (1 to %d pixels a side)\n", LARGEST);
        return 2;
    }
    FILE *out = fopen(argv[3], "wb");
    if (!out) {
        fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    fprintf(out, "P5\n%ld %ld\n255\n", width, height);
    for (long row = 0; row < height; row++) {
        for (long column = 0; column < width; column++)
            putc(shade(3.0 * column / width - 2.25, 2.4 * row / height - 1.2), out);
        if (row % (height / 10 + 1) == 0) {
            printf("row %ld of %ld\n", row, height);
            fflush(stdout);
        }
    }
    if (fclose(out) != 0) {
        fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    return 0;
}
