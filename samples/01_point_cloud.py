"""From a photo and its depth to a coloured point cloud in metres.

`open_photo` brings three things together: the upright picture, its depth, and the camera. Here the depth
comes from a file; leave `depth` out and the network is asked instead.
"""

from pathlib import Path

import depth3d as d3

DATA = Path(__file__).parent / "data"
OUT = Path("out")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    opened = d3.open_photo(DATA / "still_life.png", depth=DATA / "still_life_depth.png")
    print(opened.scene)

    # Points that hang between a near and a far surface are removed; the table stays whole.
    cloud = d3.point_cloud(opened.scene, normals=True)
    print(cloud)

    d3.save(cloud, OUT / "still_life.ply", comments=opened.comments)
    d3.save(cloud[::4], OUT / "still_life_blender_mm.ply", frame="blender", unit="mm")
    d3.save(d3.contact_sheet(cloud), OUT / "still_life_views.png")


if __name__ == "__main__":
    main()
