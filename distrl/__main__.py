"""`python -m distrl` is the command `distrl`."""

from distrl.cli import main

if __name__ == "__main__":
    main()
