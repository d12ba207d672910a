"""Pictures of calibration boards, ray-cast through a known lens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth3d.calibrate.boards import Board, BoardView
from depth3d.core.camera import Camera

SUPERSAMPLING = 3
DOT = 0.25  # radius of circles, in squares


def _value(board: Board, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brightness of the board at (x, y) in squares; white paper all around."""
    if board.kind == "chessboard":
        inside = (x > -1) & (x < board.columns) & (y > -1) & (y < board.rows)
        dark = inside & ((np.floor(x) + np.floor(y)) % 2 == 0)
    elif board.kind == "circles":
        row = np.round(y)
        column = 2 * np.round((x - row % 2) / 2) + row % 2
        inside = (row >= 0) & (row < board.rows) & (column >= 0) & (column < 2 * board.columns)
        dark = inside & (np.hypot(x - column, y - row) < DOT)
    else:
        pixels = 32  # a square
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        layout = cv2.aruco.CharucoBoard(
            (board.columns, board.rows), board.square_m, board.marker_m, dictionary
        )
        drawn = layout.generateImage((board.columns * pixels, board.rows * pixels))
        column, row = np.floor(x * pixels).astype(int), np.floor(y * pixels).astype(int)
        inside = (column >= 0) & (column < drawn.shape[1]) & (row >= 0) & (row < drawn.shape[0])
        drawn = drawn[np.clip(row, 0, drawn.shape[0] - 1), np.clip(column, 0, drawn.shape[1] - 1)]
        dark = inside & (drawn < 128)
    return np.where(dark, 30.0, 225.0)


@pytest.fixture(scope="session")
def photograph():
    """Take a picture of a board at a (4, 4) pose in the camera's frame."""

    rays_of: dict[Camera, np.ndarray] = {}

    def take(board: Board, camera: Camera, T: np.ndarray) -> np.ndarray:
        n = SUPERSAMPLING
        if camera not in rays_of:  # interpolated between pixels: off by less than 1e-3 px
            whole = (n * camera.width, n * camera.height)
            rays = cv2.resize(camera.pixel_rays(), whole, interpolation=cv2.INTER_LINEAR)
            rays_of[camera] = rays.astype(np.float32)
        rays = rays_of[camera]
        T = T.astype(np.float32)
        normal, origin = T[:3, 2], T[:3, 3]
        hit = rays * ((normal @ origin) / (rays @ normal))[..., None] - origin
        values = _value(board, hit @ T[:3, 0] / board.square_m, hit @ T[:3, 1] / board.square_m)
        small = values.reshape(camera.height, n, camera.width, n).mean(axis=(1, 3))
        small = cv2.GaussianBlur(small, (0, 0), 0.7)
        return np.repeat(np.rint(small).astype(np.uint8)[..., None], 3, axis=2)

    return take


@pytest.fixture(scope="session")
def poses():
    """Make (4, 4) poses of a board that fills a good part of the picture, tilted in all directions."""

    def make(
        board: Board, camera: Camera, n: int, *, seed: int = 0, tilt_deg: float = 40, fill: float = 0.55
    ):
        rng = np.random.default_rng(seed)
        points = board.points_m
        span = np.ptp(points[:, 0])
        made = []
        for i in range(n):
            angle = 2 * np.pi * i / n
            axis = np.array([np.cos(angle), np.sin(angle), 0.3 * rng.normal()])
            turn = np.radians(tilt_deg) * axis / np.linalg.norm(axis)
            z = span * camera.fx / (fill * camera.width) * rng.uniform(0.9, 1.2)
            uv = camera.size_wh * (0.5 + 0.2 * np.array([np.cos(2.4 * i), np.sin(2.4 * i)]))
            T = np.eye(4)
            T[:3, :3] = cv2.Rodrigues(turn)[0]
            T[:3, 3] = z * camera.rays(uv) - T[:3, :3] @ points.mean(axis=0)
            made.append(T)
        return made

    return make


@pytest.fixture(scope="session")
def project_board():
    """Project a board exactly, with noise of some pixels if asked; points outside the picture are dropped."""

    def see(board: Board, camera: Camera, T: np.ndarray, *, noise_px: float = 0.0, rng=None, name=""):
        points = board.points_m
        uv = camera.project(points @ T[:3, :3].T + T[:3, 3])
        inside = np.all((uv > 0) & (uv < camera.size_wh), axis=1)
        if noise_px:
            uv = uv + noise_px * rng.normal(size=uv.shape)
        return BoardView(points[inside], uv[inside], camera.width, camera.height, name)

    return see
