"""`depth3d doctor`."""

from __future__ import annotations

import click

from ..console import print_json, print_rows
from ..options import json_option, verbosity_options


@click.command(name="doctor", short_help="Check versions, devices and optional features.")
@json_option
@verbosity_options
def command(as_json: bool) -> None:
    """Check what works here: versions, devices, cached networks, optional features."""
    from depth3d.diagnosis import doctor

    checks = doctor()
    if as_json:
        print_json([{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks])
    else:
        print_rows([("ok" if c.ok else "missing", c.name, c.detail) for c in checks])
