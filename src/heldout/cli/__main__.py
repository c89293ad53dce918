"""`python -m heldout.cli` is the command `heldout`."""

from heldout.cli import main

main()
