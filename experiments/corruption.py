"""python -m experiments.corruption, by the name that it has always had."""

from experiments.trust.corruption import main

if __name__ == "__main__":
    main()
