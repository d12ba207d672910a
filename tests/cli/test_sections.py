"""Help by sections: every option once, under its heading."""

import click
import pytest
from click.testing import CliRunner
from depth3d_cli.main import cli
from depth3d_cli.sections import SectionedCommand, section


def test_sections_stand_where_their_first_option_does():
    @click.command(cls=SectionedCommand)
    @click.argument("photo")
    @section("Colour", click.option("--red", help="Redder."), click.option("--blue", help="Bluer."))
    @click.option("--plain")
    @section("Size", click.option("--width"))
    @section("Colour", click.option("--green"))
    def command(**_):
        """Paint."""

    words = CliRunner().invoke(command, ["--help"]).output.split()
    order = ["Options:", "--plain", "--help", "Colour:", "--red", "--blue", "--green", "Size:", "--width"]
    assert [word for word in words if word in order] == order
    assert "photo" not in words


@pytest.mark.parametrize("name", ["mesh", "cloud", "fuse", "bokeh", "matte", "stereo"])
def test_every_option_is_listed_once(name):
    command = cli.get_command(click.Context(cli), name)
    help_text = CliRunner().invoke(cli, [name, "--help"]).output
    assert "\nNetwork:\n" in help_text
    assert "\nCamera:\n" in help_text
    lines = help_text.partition("\nOptions:\n")[2].splitlines()
    listed = [line.split()[0].rstrip(",") for line in lines if line.startswith("  -")]
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert sorted(listed) == sorted([*(option.opts[0] for option in options), "-h"])
