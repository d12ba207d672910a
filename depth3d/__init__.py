"""depth3d: one photo in, three dimensions out.

The public names load on first use (PEP 562), so that `import depth3d` costs nothing: it loads neither
NumPy nor torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from depth3d._version import __version__

if TYPE_CHECKING:
    from depth3d.calibrate.assumed_range import assume_range as assume_range
    from depth3d.calibrate.board_poses import locate_board as locate_board
    from depth3d.calibrate.boards import Board as Board
    from depth3d.calibrate.calibration import Calibration as Calibration
    from depth3d.calibrate.camera_fit import calibrate_camera as calibrate_camera
    from depth3d.calibrate.fit import calibrate as calibrate
    from depth3d.calibrate.focal_correction import focal_correction as focal_correction
    from depth3d.calibrate.line_pictures import draw_vanishing_lines as draw_vanishing_lines
    from depth3d.calibrate.markers import find_markers as find_markers
    from depth3d.calibrate.network_prior import reference_network as reference_network
    from depth3d.calibrate.next_measurement import NextMeasurement as NextMeasurement
    from depth3d.calibrate.next_measurement import next_measurement as next_measurement
    from depth3d.calibrate.references import Anchor as Anchor
    from depth3d.calibrate.references import CameraHeight as CameraHeight
    from depth3d.calibrate.references import DepthSamples as DepthSamples
    from depth3d.calibrate.references import FarPoint as FarPoint
    from depth3d.calibrate.references import KnownLength as KnownLength
    from depth3d.calibrate.references import KnownSize as KnownSize
    from depth3d.calibrate.references import RangeAnchor as RangeAnchor
    from depth3d.calibrate.shared_fit import calibrate_many as calibrate_many
    from depth3d.calibrate.undistortion import undistort_image as undistort_image
    from depth3d.calibrate.vanishing_points import VanishingPoints as VanishingPoints
    from depth3d.calibrate.vanishing_points import (
        camera_from_vanishing_points as camera_from_vanishing_points,
    )
    from depth3d.calibrate.vanishing_points import find_vanishing_points as find_vanishing_points
    from depth3d.core.camera import Camera as Camera
    from depth3d.core.cloud import PointCloud as PointCloud
    from depth3d.core.depth import DepthKind as DepthKind
    from depth3d.core.depth import DepthMap as DepthMap
    from depth3d.core.lens import ThinLens as ThinLens
    from depth3d.core.lens import circle_of_confusion_px as circle_of_confusion_px
    from depth3d.core.lens import depth_of_field_m as depth_of_field_m
    from depth3d.core.lens import hyperfocal_m as hyperfocal_m
    from depth3d.core.mesh import Mesh as Mesh
    from depth3d.core.resample import resize_depth as resize_depth
    from depth3d.core.scene import RGBD as RGBD
    from depth3d.core.stages import Profile as Profile
    from depth3d.core.stages import profiled as profiled
    from depth3d.depth_films import Depth16Film as Depth16Film
    from depth3d.depth_films import RecordedDepth as RecordedDepth
    from depth3d.diagnosis import doctor as doctor
    from depth3d.errors import Depth3DError as Depth3DError
    from depth3d.estimate.estimator import DepthEstimator as DepthEstimator
    from depth3d.estimate.steady_depth import SteadyDepth as SteadyDepth
    from depth3d.estimate.video_depth import VideoDepth as VideoDepth
    from depth3d.evaluate.error_pictures import error_picture as error_picture
    from depth3d.evaluate.evaluation import Evaluation as Evaluation
    from depth3d.evaluate.evaluation import evaluate as evaluate
    from depth3d.evaluate.protocols import EvaluationProtocol as EvaluationProtocol
    from depth3d.export_files import ExportedModel as ExportedModel
    from depth3d.export_files import export_model as export_model
    from depth3d.inspection import inspect as inspect
    from depth3d.io.camera_files import load_camera as load_camera
    from depth3d.io.depth_files import load_depth as load_depth
    from depth3d.io.geometry_files import load_cloud as load_cloud
    from depth3d.io.images import load_image as load_image
    from depth3d.io.inputs import FoundInput as FoundInput
    from depth3d.io.inputs import find_inputs as find_inputs
    from depth3d.io.manifest import Manifest as Manifest
    from depth3d.io.mesh_files import load_mesh as load_mesh
    from depth3d.io.photo_camera import camera_for as camera_for
    from depth3d.io.previews import colorize_depth as colorize_depth
    from depth3d.io.trajectories import Trajectory as Trajectory
    from depth3d.io.trajectories import load_trajectory as load_trajectory
    from depth3d.io.video_frame import VideoFrame as VideoFrame
    from depth3d.io.video_input import VideoFile as VideoFile
    from depth3d.io.video_input import open_video as open_video
    from depth3d.lift.clouds import point_cloud as point_cloud
    from depth3d.lift.fusion import fuse as fuse
    from depth3d.lift.lithophanes import lithophane as lithophane
    from depth3d.lift.mesh_views import mesh_sheet as mesh_sheet
    from depth3d.lift.mesh_views import sample_surface as sample_surface
    from depth3d.lift.meshes import mesh as mesh
    from depth3d.lift.point_views import contact_sheet as contact_sheet
    from depth3d.lift.point_views import render_points as render_points
    from depth3d.lift.reconstruction import reconstruct as reconstruct
    from depth3d.lift.reliefs import relief as relief
    from depth3d.lift.solids import solid as solid
    from depth3d.lift.unproject import unproject as unproject
    from depth3d.many_files import Made as Made
    from depth3d.many_files import Task as Task
    from depth3d.many_files import TaskResult as TaskResult
    from depth3d.many_files import plan_tasks as plan_tasks
    from depth3d.many_files import run_many as run_many
    from depth3d.measurement import Measurement as Measurement
    from depth3d.measurement import measure as measure
    from depth3d.network_engine import BatchEngine as BatchEngine
    from depth3d.opened_photo import OpenedPhoto as OpenedPhoto
    from depth3d.opened_photo import open_photo as open_photo
    from depth3d.reference_files import samples_from_colmap as samples_from_colmap
    from depth3d.reference_files import samples_from_file as samples_from_file
    from depth3d.render.anaglyph import anaglyph as anaglyph
    from depth3d.render.aperture import Aperture as Aperture
    from depth3d.render.bokeh import BokehMaps as BokehMaps
    from depth3d.render.bokeh import bokeh as bokeh
    from depth3d.render.bokeh import bokeh_maps as bokeh_maps
    from depth3d.render.compositing import cutout as cutout
    from depth3d.render.compositing import replace_background as replace_background
    from depth3d.render.compositing import unmix as unmix
    from depth3d.render.effects import color_splash as color_splash
    from depth3d.render.effects import dim as dim
    from depth3d.render.effects import flash as flash
    from depth3d.render.effects import fog as fog
    from depth3d.render.film import Film as Film
    from depth3d.render.film_look import FilmLook as FilmLook
    from depth3d.render.focus_stack import FocusStack as FocusStack
    from depth3d.render.focus_stack import focus_stack as focus_stack
    from depth3d.render.inpainting import Inpainter as Inpainter
    from depth3d.render.ken_burns import KenBurns as KenBurns
    from depth3d.render.keyframes import Keyframe as Keyframe
    from depth3d.render.keyframes import Keyframes as Keyframes
    from depth3d.render.keyframes import RecordedPath as RecordedPath
    from depth3d.render.layers import layers as layers
    from depth3d.render.matte import depth_matte as depth_matte
    from depth3d.render.miniature import miniature as miniature
    from depth3d.render.parallax import parallax as parallax
    from depth3d.render.paths import Bob as Bob
    from depth3d.render.paths import Circle as Circle
    from depth3d.render.paths import DollyIn as DollyIn
    from depth3d.render.paths import DollyOut as DollyOut
    from depth3d.render.paths import DollyZoom as DollyZoom
    from depth3d.render.paths import FigureEight as FigureEight
    from depth3d.render.paths import Handheld as Handheld
    from depth3d.render.paths import Orbit as Orbit
    from depth3d.render.paths import Spiral as Spiral
    from depth3d.render.paths import Sway as Sway
    from depth3d.render.paths import Zoom as Zoom
    from depth3d.render.rack_focus import FocusKey as FocusKey
    from depth3d.render.rack_focus import rack_focus as rack_focus
    from depth3d.render.refocus import Refocus as Refocus
    from depth3d.render.sheets import Layers as Layers
    from depth3d.render.stereo import StereoPair as StereoPair
    from depth3d.render.stereo import StereoViews as StereoViews
    from depth3d.render.stereo import stereo as stereo
    from depth3d.render.stereo_layouts import quilt as quilt
    from depth3d.render.timing import Timing as Timing
    from depth3d.render.views import ViewRenderer as ViewRenderer
    from depth3d.render.views import render_views as render_views
    from depth3d.verbs import estimate as estimate
    from depth3d.verbs import estimate_video as estimate_video
    from depth3d.verbs import save as save
    from depth3d.video_clouds import CloudFilm as CloudFilm
    from depth3d.video_effects import BokehFilm as BokehFilm
    from depth3d.video_effects import DepthFilm as DepthFilm
    from depth3d.video_files import ConvertedVideo as ConvertedVideo
    from depth3d.video_files import convert_video as convert_video
    from depth3d.video_files import video_frames as video_frames
    from depth3d.video_views import ParallaxFilm as ParallaxFilm
    from depth3d.video_views import StereoFilm as StereoFilm

_HOME_OF = {
    "Anchor": "calibrate.references",
    "Aperture": "render.aperture",
    "BatchEngine": "network_engine",
    "Board": "calibrate.boards",
    "Bob": "render.paths",
    "BokehFilm": "video_effects",
    "BokehMaps": "render.bokeh",
    "Calibration": "calibrate.calibration",
    "Camera": "core.camera",
    "CameraHeight": "calibrate.references",
    "Circle": "render.paths",
    "CloudFilm": "video_clouds",
    "ConvertedVideo": "video_files",
    "Depth16Film": "depth_films",
    "Depth3DError": "errors",
    "DepthEstimator": "estimate.estimator",
    "DepthFilm": "video_effects",
    "DepthKind": "core.depth",
    "DepthMap": "core.depth",
    "DepthSamples": "calibrate.references",
    "DollyIn": "render.paths",
    "DollyOut": "render.paths",
    "DollyZoom": "render.paths",
    "Evaluation": "evaluate.evaluation",
    "EvaluationProtocol": "evaluate.protocols",
    "ExportedModel": "export_files",
    "FarPoint": "calibrate.references",
    "FigureEight": "render.paths",
    "Film": "render.film",
    "FilmLook": "render.film_look",
    "FocusKey": "render.rack_focus",
    "FocusStack": "render.focus_stack",
    "FoundInput": "io.inputs",
    "Handheld": "render.paths",
    "Inpainter": "render.inpainting",
    "KenBurns": "render.ken_burns",
    "Keyframe": "render.keyframes",
    "Keyframes": "render.keyframes",
    "KnownLength": "calibrate.references",
    "KnownSize": "calibrate.references",
    "Layers": "render.sheets",
    "Made": "many_files",
    "Manifest": "io.manifest",
    "Measurement": "measurement",
    "Mesh": "core.mesh",
    "NextMeasurement": "calibrate.next_measurement",
    "OpenedPhoto": "opened_photo",
    "Orbit": "render.paths",
    "ParallaxFilm": "video_views",
    "PointCloud": "core.cloud",
    "Profile": "core.stages",
    "RGBD": "core.scene",
    "RangeAnchor": "calibrate.references",
    "RecordedDepth": "depth_films",
    "RecordedPath": "render.keyframes",
    "Refocus": "render.refocus",
    "Spiral": "render.paths",
    "SteadyDepth": "estimate.steady_depth",
    "StereoFilm": "video_views",
    "StereoPair": "render.stereo",
    "StereoViews": "render.stereo",
    "Sway": "render.paths",
    "Task": "many_files",
    "TaskResult": "many_files",
    "ThinLens": "core.lens",
    "Timing": "render.timing",
    "Trajectory": "io.trajectories",
    "VanishingPoints": "calibrate.vanishing_points",
    "VideoDepth": "estimate.video_depth",
    "VideoFile": "io.video_input",
    "VideoFrame": "io.video_frame",
    "ViewRenderer": "render.views",
    "Zoom": "render.paths",
    "anaglyph": "render.anaglyph",
    "assume_range": "calibrate.assumed_range",
    "bokeh": "render.bokeh",
    "bokeh_maps": "render.bokeh",
    "calibrate": "calibrate.fit",
    "calibrate_camera": "calibrate.camera_fit",
    "calibrate_many": "calibrate.shared_fit",
    "camera_for": "io.photo_camera",
    "camera_from_vanishing_points": "calibrate.vanishing_points",
    "circle_of_confusion_px": "core.lens",
    "color_splash": "render.effects",
    "colorize_depth": "io.previews",
    "contact_sheet": "lift.point_views",
    "convert_video": "video_files",
    "cutout": "render.compositing",
    "depth_matte": "render.matte",
    "depth_of_field_m": "core.lens",
    "dim": "render.effects",
    "doctor": "diagnosis",
    "draw_vanishing_lines": "calibrate.line_pictures",
    "error_picture": "evaluate.error_pictures",
    "estimate": "verbs",
    "estimate_video": "verbs",
    "evaluate": "evaluate.evaluation",
    "export_model": "export_files",
    "find_inputs": "io.inputs",
    "find_markers": "calibrate.markers",
    "find_vanishing_points": "calibrate.vanishing_points",
    "flash": "render.effects",
    "focal_correction": "calibrate.focal_correction",
    "focus_stack": "render.focus_stack",
    "fog": "render.effects",
    "fuse": "lift.fusion",
    "hyperfocal_m": "core.lens",
    "inspect": "inspection",
    "layers": "render.layers",
    "lithophane": "lift.lithophanes",
    "load_camera": "io.camera_files",
    "load_cloud": "io.geometry_files",
    "load_depth": "io.depth_files",
    "load_image": "io.images",
    "load_mesh": "io.mesh_files",
    "load_trajectory": "io.trajectories",
    "locate_board": "calibrate.board_poses",
    "measure": "measurement",
    "mesh": "lift.meshes",
    "mesh_sheet": "lift.mesh_views",
    "miniature": "render.miniature",
    "next_measurement": "calibrate.next_measurement",
    "open_photo": "opened_photo",
    "open_video": "io.video_input",
    "parallax": "render.parallax",
    "plan_tasks": "many_files",
    "point_cloud": "lift.clouds",
    "profiled": "core.stages",
    "quilt": "render.stereo_layouts",
    "rack_focus": "render.rack_focus",
    "reconstruct": "lift.reconstruction",
    "reference_network": "calibrate.network_prior",
    "relief": "lift.reliefs",
    "render_points": "lift.point_views",
    "render_views": "render.views",
    "replace_background": "render.compositing",
    "resize_depth": "core.resample",
    "run_many": "many_files",
    "sample_surface": "lift.mesh_views",
    "samples_from_colmap": "reference_files",
    "samples_from_file": "reference_files",
    "save": "verbs",
    "solid": "lift.solids",
    "stereo": "render.stereo",
    "undistort_image": "calibrate.undistortion",
    "unmix": "render.compositing",
    "unproject": "lift.unproject",
    "video_frames": "video_files",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'depth3d' has no attribute {name!r}")
    value = getattr(import_module(f"depth3d.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps a verb where the room of the same name would take its place when it is imported.

    So `depth3d.estimate` is always the verb, and the room is reached by `from depth3d.estimate import ...`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
