"""``python -m realtts``: the command line, also where the script is not on the path."""

from realtts.cli import main

if __name__ == "__main__":
    main()
