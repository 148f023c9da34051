"""Runs in the peer's Python: evaluates one pickled expression after the other."""

import pickle
import sys

import numpy as np

import compresso


def main():
    while True:
        try:
            source, values = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            result = eval(source, {"compresso": compresso, "np": np, **values})  # noqa: S307
        except Exception as error:
            result = f"raised {type(error).__name__}: {error}"
        pickle.dump(result, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
