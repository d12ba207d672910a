"""Analytic scenes with exact depth, novel views and thin-lens photographs, ray-traced in NumPy.

    scene = still_life()
    camera = default_camera(960, 720, fov_x_deg=50)
    truth = render_rgbd(scene, camera)                                  # photo, exact z, camera
    from_the_left = render_image(scene, camera, look_at((-0.1, 0, 0), (0, 0, 1.2)))
    photograph = render_photograph(scene, camera, ThinLens(0.02), focus_m=1.0)   # linear light

Points and poses are in metres in OpenCV axes: x right, y down, z forward.
"""

from __future__ import annotations

from depth3d.synthetic.photo_texture import Photo
from depth3d.synthetic.poses import look_at, place
from depth3d.synthetic.random_scenes import random_scene
from depth3d.synthetic.render import (
    render_depth,
    render_image,
    render_linear,
    render_photograph,
    render_rgbd,
)
from depth3d.synthetic.scene import Ambient, AreaLight, Material, Scene, Surface, distance_to_surface
from depth3d.synthetic.scenes import (
    bars_scene,
    default_camera,
    floor_scene,
    plane_scene,
    room_scene,
    sphere_scene,
    step_scene,
)
from depth3d.synthetic.shapes import Box, Lathe, Rectangle, Sphere, cylinder
from depth3d.synthetic.still_life import still_life
from depth3d.synthetic.textures import Bricks, Checker, Marble, Plain, Stripes, Wood, linear_rgb

__all__ = [
    "Ambient",
    "AreaLight",
    "Box",
    "Bricks",
    "Checker",
    "Lathe",
    "Marble",
    "Material",
    "Photo",
    "Plain",
    "Rectangle",
    "Scene",
    "Sphere",
    "Stripes",
    "Surface",
    "Wood",
    "bars_scene",
    "cylinder",
    "default_camera",
    "distance_to_surface",
    "floor_scene",
    "linear_rgb",
    "look_at",
    "place",
    "plane_scene",
    "random_scene",
    "render_depth",
    "render_image",
    "render_linear",
    "render_photograph",
    "render_rgbd",
    "room_scene",
    "sphere_scene",
    "step_scene",
    "still_life",
]
