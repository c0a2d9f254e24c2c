"""`python -m spamlstm` is `spamlstm`."""

from spamlstm.cli import main

if __name__ == "__main__":
    main()
