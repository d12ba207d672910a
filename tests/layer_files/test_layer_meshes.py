"""Layers as .glb: other libraries read them, and each vertex lies where the layers say."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

import depth3d as d3
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.layer_files import save_layer_meshes

NAMES = ["backdrop", "back", "front", "front_edges"]


@pytest.fixture(scope="module")
def path(disc_layers, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "disc.glb"
    d3.save(disc_layers, path, comments=["by a test"])
    return path


@pytest.fixture(scope="module")
def document(path):
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length])


@pytest.fixture(scope="module")
def meshes(path):
    import trimesh

    scene = trimesh.load(path, process=False)
    assert sorted(scene.geometry) == sorted(NAMES)
    return scene.geometry


def pixels_of(vertices, camera):
    """Project vertices of the file (y up, z backward) with the photo's camera; also give 1/z."""
    points = vertices * [1, -1, -1]
    return camera.project(points), 1 / points[:, 2]


def test_trimesh_and_pygltflib_agree_on_what_is_in_it(path, meshes, document):
    from pygltflib import GLTF2

    read = GLTF2().load(str(path))
    assert [node.name for node in read.nodes] == [*NAMES, "photo_camera"]
    assert [material.alphaMode for material in read.materials] == ["OPAQUE", "MASK", "OPAQUE", "MASK"]
    assert all(material.doubleSided for material in read.materials)
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    assert all("KHR_materials_unlit" in material["extensions"] for material in document["materials"])
    assert "by a test" in document["asset"]["extras"]["comments"]
    assert "unit: metres" in document["asset"]["extras"]["comments"]
    for name, mesh, accessor in zip(NAMES, (meshes[n] for n in NAMES), read.meshes, strict=True):
        primitive = accessor.primitives[0]
        assert len(mesh.faces) == read.accessors[primitive.indices].count / 3, name


def test_its_camera_is_the_photos(document, disc_layers):
    height, width = disc_layers.photo.shape[:2]
    lens = document["cameras"][0]["perspective"]
    assert lens["aspectRatio"] == pytest.approx(width / height)
    assert np.tan(lens["yfov"] / 2) == pytest.approx(height / 2 / disc_layers.camera.fy)


@pytest.mark.parametrize("name", ["front", "front_edges"])
def test_vertices_lie_on_one_of_the_two_planes_and_no_triangle_spans_both(meshes, disc_layers, name):
    mesh = meshes[name]
    uv, q = pixels_of(mesh.vertices, disc_layers.camera)
    steps = uv - disc_layers.margin_px
    wall = 0.30 + 0.0004 * steps[:, 0] + 0.0002 * steps[:, 1]
    card = 0.80 - 0.0005 * steps[:, 0] + 0.0003 * steps[:, 1]
    error = np.stack([np.abs(q / wall - 1), np.abs(q / card - 1)])
    # Beyond the sheet it is carried on level, as are patches of a pixel or two.
    inside = ((steps > 0) & (steps < [240, 180])).all(axis=1)
    error_inside = error.min(axis=0)[inside]
    assert np.median(error_inside) < 1e-4
    assert np.percentile(error_inside, 95) < 0.004
    assert error_inside.max() < 0.02
    surface = error.argmin(axis=0)
    assert set(surface) == {0, 1}
    assert (np.ptp(surface[mesh.faces], axis=1) == 0).all()


def test_fronts_face_the_camera(meshes, disc_layers):
    for mesh in meshes.values():
        corners = pixels_of(mesh.vertices, disc_layers.camera)[0][mesh.faces]
        (ax, ay), (bx, by) = (np.moveaxis(corners[:, n] - corners[:, 0], -1, 0) for n in (1, 2))
        assert (ax * by - ay * bx < 0).all()  # counter-clockwise, rows counting down


def test_the_back_is_behind_the_front_and_the_backdrop_behind_both(meshes, disc_layers):
    ceiling = {"back": 1.0, "backdrop": 0.9}
    for name, share in ceiling.items():
        uv, q = pixels_of(meshes[name].vertices, disc_layers.camera)
        steps = uv - disc_layers.margin_px
        wall = 0.30 + 0.0004 * steps[:, 0] + 0.0002 * steps[:, 1]
        inside = ((steps > 0) & (steps < [240, 180])).all(axis=1)
        ratio = (q / wall)[inside] / share
        assert 0.98 < ratio.min() < np.median(ratio) < 0.997
        assert np.percentile(ratio, 95) < 1
        assert ratio.max() < 1.02


def test_seen_from_the_photos_camera_it_is_the_photo(meshes, disc_layers, psnr):
    """Draw it: pixel by pixel through each small square, far to near, with the alpha that it has."""
    height, width = disc_layers.camera.height, disc_layers.camera.width
    canvas = np.full((height, width, 3), 255.0)
    squares = []
    for order, name in enumerate(NAMES):
        mesh = meshes[name]
        texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGBA"), dtype=np.float64)
        uv, q = pixels_of(mesh.vertices, disc_layers.camera)
        at = mesh.visual.uv * [1, -1] + [0, 1]  # trimesh counts rows from below
        for face in range(0, len(mesh.faces), 8):
            corners = np.unique(mesh.faces[face : face + 8])
            squares.append((order if order < 1 else 1, q[corners].mean(), uv[corners], at[corners], texture))
    for _, _, pixels, at, texture in sorted(squares, key=lambda square: square[:2]):
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        first, last = np.rint(low).astype(int), np.minimum(np.rint(high).astype(int), (width, height))
        x, y = (np.arange(first[axis], last[axis]) + 0.5 for axis in (0, 1))
        scale = (at.max(axis=0) - at.min(axis=0)) / (high - low) * texture.shape[1::-1]
        col, row = (
            (at.min(axis=0)[axis] * texture.shape[1 - axis] + (n - low[axis]) * scale[axis]).astype(int)
            for axis, n in ((0, x), (1, y))
        )
        texels = texture[np.ix_(row, col)]
        share = texels[..., 3:] >= 127.5
        here = np.s_[first[1] : last[1], first[0] : last[0]]
        canvas[here] = np.where(share, texels[..., :3], canvas[here])
    inside = np.s_[disc_layers.margin_px : -disc_layers.margin_px]
    shown = canvas[inside, inside]
    away = np.hypot(*np.meshgrid(np.arange(240) - 109.5, np.arange(180) - 94.5))
    clear = np.abs(away - 48) > 2
    assert psnr(shown[clear], disc_layers.photo[clear]) > 38
    assert psnr(shown, disc_layers.photo) > 30  # the mask has no soft edge


def test_its_pictures_can_be_read(path, document):
    data = path.read_bytes()
    start = 28 + int.from_bytes(data[12:16], "little")
    modes = []
    for image in document["images"]:
        view = document["bufferViews"][image["bufferView"]]
        first = start + view["byteOffset"]
        modes.append(Image.open(io.BytesIO(data[first : first + view["byteLength"]])).mode)
    assert modes == ["RGB", "RGBA", "RGB"]


def test_faces_stay_within_their_bound_and_blending_is_a_choice(disc_layers, tmp_path):
    save_layer_meshes(disc_layers, tmp_path / "few.glb", max_faces=3000, silhouettes="blend")
    from pygltflib import GLTF2

    read = GLTF2().load(str(tmp_path / "few.glb"))
    assert sum(read.accessors[mesh.primitives[0].indices].count for mesh in read.meshes) <= 3 * 3000
    assert [material.alphaMode for material in read.materials] == ["OPAQUE", "BLEND", "OPAQUE", "BLEND"]


def test_what_is_infinitely_far_is_put_far_away(disc_layers, tmp_path):
    from dataclasses import replace

    import trimesh

    sky = np.zeros_like(disc_layers.backdrop.inverse_depth)
    layers = replace(disc_layers, backdrop=replace(disc_layers.backdrop, inverse_depth=sky))
    save_layer_meshes(layers, tmp_path / "sky.glb")
    vertices = trimesh.load(tmp_path / "sky.glb", process=False).geometry["backdrop"].vertices
    nearest = 1 / disc_layers.front.inverse_depth.max()
    assert -vertices[:, 2] == pytest.approx(1000 * nearest, rel=0.02)


def test_bad_options_are_refused(disc_layers, tmp_path):
    with pytest.raises(InputError, match="silhouettes must be 'mask' or 'blend'"):
        save_layer_meshes(disc_layers, tmp_path / "x.glb", silhouettes="soft")
    with pytest.raises(UnsupportedFormatError, match=r"written as \.glb"):
        save_layer_meshes(disc_layers, tmp_path / "x.obj")
    assert list(tmp_path.iterdir()) == []
