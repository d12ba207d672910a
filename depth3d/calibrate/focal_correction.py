"""`focal_correction`: what a metric network's distances miss when the lens is not that of its training."""

from __future__ import annotations

from depth3d.calibrate.calibration import Calibration
from depth3d.core.camera import Camera
from depth3d.errors import InputError

__all__ = ["focal_correction"]

_TRAINED_SIDE_PX = 518
"""The shorter side at which the networks see a picture."""

_CAMERAS = {
    # Name: focal length and shorter side of the training pictures, in pixels.
    "indoor": (886.81, 768),
    "outdoor": (725.0087, 375),
}
_ALSO_CALLED = {"hypersim": "indoor", "vkitti": "outdoor"}

_MISFIT_REL = 0.15
"""What metric networks are off by on scenes unlike their training, beside the lens."""


def focal_correction(model: str, camera: Camera, *, input_size: int = _TRAINED_SIDE_PX) -> Calibration:
    """Make the calibration that scales a metric network's depth by the ratio of two focal lengths.

    A network sees how many pixels a thing fills, and not through which lens: a door of h metres at z fills
    f h / z of its pixels, and a network trained through one lens alone says z' = f_trained h / pixels. So
    z / z' = f / f_trained, both at the size at which the network sees the picture. It is an option, since
    networks also learn what rooms look like: it helps lenses much wider or longer than that of training, and
    a single measured distance does better.

    The indoor checkpoints of Depth Anything V2 were trained on Hypersim, whose pictures have f = 886.81 px
    at 1024x768, which is 598 px with a shorter side of 518; the outdoor ones on Virtual KITTI 2, with
    f = 725.0087 px at 1242x375, which is 1001 px (`metric_depth/dataset` of their repository; Roberts et al.,
    "Hypersim", 2021; Cabon et al., "Virtual KITTI 2", 2020). A phone of 26 mm comes to 0.87 indoors.

    Args:
        model: Name of the checkpoint; `indoor` or `hypersim`, `outdoor` or `vkitti` in it say which it is.
        camera: The photo's.
        input_size: Shorter side in pixels at which the network saw it.

    Returns:
        A calibration of the form `scale` for the network's metric map, with the focal length's own sigma.

    Raises:
        InputError: The name says neither, or the size is not positive.
    """
    if input_size <= 0:
        raise InputError(f"input_size must be a positive number of pixels, got {input_size!r}")
    words = {**{word: word for word in _CAMERAS}, **_ALSO_CALLED}
    trained = {kind for word, kind in words.items() if word in model.lower()}
    if len(trained) != 1:
        raise InputError(
            f"a focal correction is known for networks trained on Hypersim or Virtual KITTI, got {model!r}; "
            "name one such as metric-indoor-small or metric-outdoor-small"
        )
    kind = trained.pop()
    focal, side = _CAMERAS[kind]
    seen_px = camera.fx * input_size / min(camera.size_wh)
    trained_px = focal * _TRAINED_SIDE_PX / side
    scale = seen_px / trained_px
    sigma = scale * (camera.sigma_rel or 0.0)
    return Calibration(
        scale,
        0.0,
        "focal correction",
        covariance=((sigma**2,),),
        model=model,
        input_size=input_size,
        form="scale",
        space="depth",
        misfit_rel=_MISFIT_REL,
        notes=(
            f"scaled by {scale:.3f}, as the network saw {seen_px:.0f} px of focal length and was trained "
            f"({kind}) on {trained_px:.0f} px; nothing was measured",
        ),
    )
