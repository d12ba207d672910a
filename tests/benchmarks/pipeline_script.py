"""What a user would write to turn a photo into a point cloud: pipeline_script.py MODEL PHOTO CLOUD.ply"""

import math
import sys
import time

import numpy as np
import open3d as o3d
from PIL import Image
from transformers import pipeline

NEAR_M, FAR_M, FOV_X_DEG = 1, 5, 60

model, photo, output = sys.argv[1:]
estimate = pipeline("depth-estimation", model=model)
start = time.perf_counter()
image = Image.open(photo).convert("RGB")
disparity = estimate(image)["predicted_depth"].squeeze().numpy()
share = (disparity - disparity.min()) / (disparity.max() - disparity.min())
z = 1 / (1 / FAR_M + share * (1 / NEAR_M - 1 / FAR_M))
height, width = z.shape
assert (width, height) == image.size
focal_px = width / 2 / math.tan(math.radians(FOV_X_DEG / 2))
rgbd = o3d.geometry.RGBDImage.create_from_color_and_depth(
    o3d.geometry.Image(np.asarray(image)),
    o3d.geometry.Image(z.astype(np.float32)),
    depth_scale=1.0,
    depth_trunc=2.0 * FAR_M,
    convert_rgb_to_intensity=False,
)
camera = o3d.camera.PinholeCameraIntrinsic(
    width, height, focal_px, focal_px, width / 2 - 0.5, height / 2 - 0.5
)
cloud = o3d.geometry.PointCloud.create_from_rgbd_image(rgbd, camera)
o3d.io.write_point_cloud(output, cloud)
print(f'{{"work_s": {time.perf_counter() - start}}}')
