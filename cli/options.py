"""The options that several commands share, so that a flag means the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .console import set_verbosity
from .profiling import profile_option
from .sections import section
from .types import FieldOfView, FilePath, NumberPair, Numbers

__all__ = [
    "anchor_options",
    "calibration_options",
    "camera_options",
    "compose",
    "depth_options",
    "edges_option",
    "flying_ramp_options",
    "json_option",
    "metres_options",
    "names_of",
    "network_of",
    "network_options",
    "output_option",
    "overwrite_option",
    "verbosity_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[_Command], _Command]

FILE = FilePath()


def compose(*decorators: _Decorator[Any]) -> _Decorator[Any]:
    """Stack option decorators so that `--help` lists them in the order given."""

    def apply(command: _Command) -> _Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


def names_of(*decorators: _Decorator[Any]) -> frozenset[str]:
    """Name the parameters that options pass to a command."""

    def bare() -> None:
        pass

    compose(*decorators)(bare)
    return frozenset(option.name for option in getattr(bare, "__click_params__", ()) if option.expose_value)


def output_option(help_text: str, *, required: bool = True) -> _Decorator[Any]:
    """`-o/--output`."""
    return click.option(
        "-o", "--output", type=FILE, required=required, metavar="PATH", help=help_text, show_default=False
    )


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that exist.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
edges_option = click.option(
    "--edges",
    type=click.Choice(["snap", "keep"]),
    default="snap",
    help="Move soft edges of the depth to where the photo has them, or believe the depth.",
)

network_options = section(
    "Network",
    click.option(
        "--model", default="auto", metavar="NAME", envvar="DEPTH3D_MODEL", show_envvar=True,
        help="A name of `depth3d models`, a hub id, a directory, or a .pth file. auto is small where it is "
        "cached or can be fetched, else mini.",
    ),
    click.option(
        "--device", default="auto", metavar="DEVICE", envvar="DEPTH3D_DEVICE", show_envvar=True,
        help="auto, cpu, cuda, cuda:1 or mps.",
    ),
    click.option(
        "--dtype", "--precision", "dtype", default="auto",
        type=click.Choice(["auto", "float32", "float16", "bfloat16", "int8"]),
        envvar="DEPTH3D_DTYPE", show_envvar=True,
        help="Number format of the network. int8 is for CPUs without bfloat16, by openvino or onnx.",
    ),
    click.option(
        "--backend", default="auto",
        type=click.Choice(["auto", "torch", "compile", "onnx", "openvino", "tensorrt"]),
        envvar="DEPTH3D_BACKEND", show_envvar=True,
        help="What runs the network. auto: OpenVINO on a CPU where it is installed (mini: never), else "
        "PyTorch.",
    ),
    click.option(
        "--input-size", type=click.IntRange(14, 4096), metavar="PIXELS",
        help="Shorter side at which the network sees the photo; of mini the longer side.  [default: what the "
        "network was made for: 518, mini 384]",
    ),
    click.option(
        "--max-tokens", type=click.IntRange(16, 1 << 20), default=4096, metavar="N",
        help="Bound on the cells of 14 x 14 pixels (mini: 32 x 32) that a photo is seen in: beyond it both "
        "sides shrink alike. 1369 keeps every shape to the work of a square at 518; a large --input-size "
        "needs a larger bound.",
    ),
    click.option(
        "--tta", type=click.Choice(["flip", "multiscale", "flip+multiscale"]),
        help="Average several views of the photo: slower, smoother.",
    ),
    click.option(
        "--refine", default="auto", type=click.Choice(["auto", "guided", "none"]),
        help="guided: sharpen the map's edges by the photo's; auto: for mini only.",
    ),
    click.option(
        "--max-depth-m", type=click.FloatRange(min=0, min_open=True), metavar="M",
        help="Range of a metric .pth file whose name does not tell it.",
    ),
)  # fmt: skip

_NETWORK = ("model", "device", "dtype", "backend", "input_size", "max_tokens", "tta", "refine", "max_depth_m")


def network_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take the values of `network_options` out of a command's options."""
    return {name: options.pop(name) for name in _NETWORK}


depth_options = section(
    "Depth",
    click.option(
        "--depth", type=FILE, metavar="FILE",
        help="Use this depth and skip the network: a depth file, or a phone photo that carries depth. For "
        "many photos a folder with maps of their names, or a template: 'maps/{stem}.png'; '{photo}' is what "
        "each carries.",
    ),
    click.option(
        "--depth-kind", type=click.Choice(["relative", "metric"]),
        help="What the numbers of --depth mean; it goes before what the file says.",
    ),
    click.option(
        "--png-scale", type=click.FloatRange(min=0, min_open=True), metavar="UNITS",
        help="Units a metre of a 16-bit PNG given as --depth: 1000, 256 (KITTI) or 5000 (TUM); it goes "
        "before what the file says.  [default: 1000]",
    ),
)  # fmt: skip

anchor_options = compose(
    click.option(
        "--anchor", "anchors", multiple=True, metavar="X,Y,METRES",
        type=Numbers("X,Y,METRES", "320,410,0.82"),
        help="Pixel whose depth z is known: its distance straight ahead, along the optical axis. Repeatable.",
    ),
    click.option(
        "--anchor-range", "anchor_ranges", multiple=True, metavar="X,Y,METRES",
        type=Numbers("X,Y,METRES", "320,410,0.82"),
        help="The same with what a tape or a laser measures: from the lens to the point itself. Repeatable.",
    ),
)  # fmt: skip

calibration_options = compose(
    click.option(
        "--calibration", type=FILE, metavar="FILE",
        help="What depth3d calibrate wrote: turns this depth into metres.",
    ),
    anchor_options,
    click.option(
        "--focal-correct", is_flag=True,
        help="Scale a metric model's depth by the photo's focal length over that of its training pictures. "
        "Helps unusual lenses; one --anchor helps more.",
    ),
    click.option(
        "--force", is_flag=True, help="Apply --calibration even if another model or input size made it."
    ),
)  # fmt: skip
"""Ways to real metres."""

metres_options = section(
    "Metres",
    calibration_options,
    click.option(
        "--assume-range-m", type=NumberPair("NEAR", "FAR"), default="1,5", show_default=False,
        help="Range to assume for relative depth without calibration and anchors.  [default: 1,5 where "
        "metres are needed]",
    ),
)  # fmt: skip

flying_ramp_options = compose(
    click.option(
        "--flying-tolerance", type=float, default=0.03, metavar="SHARE",
        help="Smallest jump in inverse depth between two such surfaces.",
    ),
    click.option(
        "--flying-width-px", type=click.IntRange(1), metavar="PX",
        help="Widest ramp between surfaces: 2 suits a sensor.  [default: 1/28 of the longer side]",
    ),
)  # fmt: skip
"""Which pixels hang between two surfaces; each command says itself what it does to them."""

camera_options = section(
    "Camera",
    click.option(
        "--fov-x-deg", "--fov", type=FieldOfView(), metavar="DEG|auto",
        help="Horizontal field of view in degrees; auto measures it by the vanishing points of straight "
        "edges, where the photo shows a room, houses or furniture, and stops where it can't.",
    ),
    click.option("--focal-px", type=float, metavar="PX", help="Focal length in pixels of the photo."),
    click.option("--focal-35mm", type=float, metavar="MM", help="35-mm equivalent focal length."),
    click.option(
        "--camera", "camera_file", type=FILE, metavar="FILE",
        help="Intrinsics: ours, OpenCV, COLMAP, ROS, Open3D or nerfstudio.",
    ),
)  # fmt: skip


def _on_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> int:
    levels = ctx.meta.setdefault("depth3d.verbosity", {})
    levels[param.name] = value
    set_verbosity(levels.get("verbose", 0) - levels.get("quiet", 0))
    return value


verbosity_options = compose(
    click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_on_verbosity, is_eager=True,
        show_default=False, help="Say more; -vv shows tracebacks.",
    ),
    click.option(
        "-q", "--quiet", count=True, expose_value=False, callback=_on_verbosity, is_eager=True,
        show_default=False, help="Say nothing but errors.",
    ),
    profile_option,
)  # fmt: skip
