#!/bin/sh
# Estimate pi with many seeds, as many at once as there are processors: sweep.sh [SEEDS] [POINTS]
# Writes pi.csv (one row a seed, in order) and summary.txt (mean and standard error).
set -eu

seeds=${1:-16}
points=${2:-200000}
here=$(dirname "$0")

echo "sweeping $seeds seeds of $points points on $(nproc) processors"
seq 1 "$seeds" | xargs -P "$(nproc)" -I '{}' python3 "$here/pi.py" '{}' "$points" >unsorted.csv
{
    echo seed,points,estimate
    sort -n unsorted.csv
} >pi.csv
rm unsorted.csv

awk -F, 'NR > 1 { n++; sum += $3; squares += $3 * $3 }
    END {
        mean = sum / n
        spread = squares / n - mean * mean
        printf "pi = %.5f +- %.5f (%d seeds)\n", mean, sqrt((spread > 0 ? spread : 0) / n), n
    }' pi.csv | tee summary.txt
