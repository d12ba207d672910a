"""`python -m depth3d_cli`."""

from .main import main

main()
