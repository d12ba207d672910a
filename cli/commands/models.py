"""`depth3d models`."""

from __future__ import annotations

import click

from ..console import note, print_json, print_rows, progress
from ..options import json_option, verbosity_options


@click.group(name="models", invoke_without_command=True, short_help="List the networks and download them.")
@json_option
@verbosity_options
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the networks: kind, size, licence, and whether they are on this machine."""
    if ctx.invoked_subcommand:
        return
    from depth3d.estimate.hub import is_cached
    from depth3d.estimate.registry import MODELS

    cards = [(card, is_cached(card)) for card in MODELS.values()]
    if as_json:
        print_json([card.facts() | {"cached": cached} for card, cached in cards])
        return
    print_rows(
        [("name", "kind", "parameters", "licence", "cached", "hub id")]
        + [
            (
                card.name,
                f"metric, {card.max_depth_m:g} m" if card.max_depth_m else "relative",
                f"{(card.parameters or 0) / 1e6:.1f} M",
                card.licence,
                "yes" if cached else "no",
                card.hub_id or "comes with depth3d",
            )
            for card, cached in cards
        ]
    )


@command.command(name="download", short_help="Fetch a network.")
@click.argument("name")
@verbosity_options
def download(name: str) -> None:
    """Fetch the network NAME into the Hugging Face cache (HF_HOME), and check it."""
    from depth3d.estimate.hub import download as fetch
    from depth3d.estimate.registry import model_card

    card = model_card(name)
    if card.shipped is not None:
        note(f"{card.name} comes with depth3d: there is nothing to fetch")
    if not card.commercial_use:
        note(f"{card.name} is licensed {card.licence}: not for commercial use")
    with progress(f"Fetching {card.hub_id}", card.bytes_to_fetch, in_bytes=True) as advance:
        folder = fetch(card, on_progress=advance)
    click.echo(f"{card.name}: {folder}")
