"""`python -m mdmot`."""

from mdmot.cli.main import main

main()
