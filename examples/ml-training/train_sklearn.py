#!/usr/bin/env python3
# /// script
# requires-python = ">=3.9"
# dependencies = ["scikit-learn>=1.3"]
# ///
"""Train a classifier on handwritten digits with scikit-learn.

The packages come with the environment (`homie.env.yaml`, or this file's own header); the data come with scikit-learn, so
the job needs no network. Writes model.pkl and results.json into the current directory.
"""

import argparse
import json
import pickle
import time

import sklearn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()

    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16, digits, test_size=0.2, random_state=args.seed)
    print(f"scikit-learn {sklearn.__version__}: {len(train_x)} images to learn from, {len(test_x)} to be tested with")
    model = MLPClassifier(hidden_layer_sizes=(32,), random_state=args.seed)
    began = time.monotonic()
    for epoch in range(1, args.epochs + 1):
        model.partial_fit(train_x, train_y, classes=range(10))
        print(f"Epoch {epoch}/{args.epochs} - loss: {model.loss_:.4f}")
    accuracy = model.score(test_x, test_y)
    print(f"{accuracy:.1%} of the test images right")

    with open("model.pkl", "wb") as file:
        pickle.dump(model, file)
    with open("results.json", "w", encoding="utf-8") as file:
        figures = {"accuracy": accuracy, "epochs": args.epochs, "seconds": round(time.monotonic() - began, 2)}
        json.dump(figures | {"sklearn": sklearn.__version__}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
