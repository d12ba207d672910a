"""Calibration boards, and where their points are in a picture, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.marker_dictionaries import named_dictionary
from depth3d.core.arrays import ImageArray, as_image, frozen
from depth3d.errors import InputError

__all__ = ["Board", "BoardKind", "BoardView", "find_board"]

BoardKind: TypeAlias = Literal["chessboard", "circles", "charuco"]
"""`circles` is OpenCV's asymmetric grid: every second row is shifted by half a spacing."""

_Points: TypeAlias = npt.NDArray[np.float64]

_SEARCH_SIDE_PX = 1600
"""Boards are looked for in a picture of at most this size, and then measured in the whole one."""
_SMALLEST_SIDE_PX = 32
_LARGEST_WINDOW_PX = 40
_FEWEST_CHARUCO_CORNERS = 8  # fewer say less than the six numbers of a pose and the lens take


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """A flat calibration board.

    Attributes:
        kind: `chessboard`, `circles` (asymmetric) or `charuco`.
        columns: Inner corners along a row of a chessboard, circles of a row, or squares of a ChArUco row.
        rows: The same the other way.
        square_m: Side of a square in metres; of circles, half the distance between two of one row, which
            is the distance from row to row. The camera does not depend on it, the boards' poses do.
        marker_m: Side of the markers in a ChArUco board in metres.
        dictionary: Their dictionary, as OpenCV names it.

    Raises:
        InputError: A board that can't be: unknown kind or dictionary, too small, markers too large.
    """

    kind: BoardKind
    columns: int
    rows: int
    square_m: float = 0.025
    marker_m: float | None = None
    dictionary: str = "DICT_6X6_250"

    def __post_init__(self) -> None:
        if self.kind not in get_args(BoardKind):
            raise InputError(f"kind must be one of {get_args(BoardKind)}, got {self.kind!r}")
        if self.columns < 3 or self.rows < 3:
            raise InputError(f"a board must have at least 3x3 points, got {self.columns}x{self.rows}")
        if not 0 < self.square_m < np.inf:
            raise InputError(f"square_m must be positive metres, got {self.square_m!r}")
        if self.kind == "charuco":
            marker = 0.5 * self.square_m if self.marker_m is None else self.marker_m
            if not 0 < marker < self.square_m:
                raise InputError(f"markers must be smaller than squares, got {marker!r} in {self.square_m!r}")
            object.__setattr__(self, "marker_m", float(marker))

    @property
    def points_m(self) -> _Points:
        """(n, 3) points of the board in metres: x along a row, y down, z = 0."""
        columns, rows = self.columns, self.rows
        if self.kind == "charuco":
            columns, rows = columns - 1, rows - 1
        y, x = np.mgrid[:rows, :columns].astype(np.float64)
        if self.kind == "circles":
            x = 2 * x + y % 2
        elif self.kind == "charuco":
            x, y = x + 1, y + 1
        return self.square_m * np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)


@dataclass(frozen=True, slots=True, eq=False)
class BoardView:
    """The points of a board that one picture shows.

    Attributes:
        points_m: (n, 3) metres in the frame of the board, z = 0.
        uv_px: (n, 2) where they are in the picture, pixel centres at +0.5.
        width: Pixels of the picture.
        height: Pixels of the picture.
        name: What to call the picture in reports.
    """

    points_m: _Points
    uv_px: _Points
    width: int
    height: int
    name: str = ""

    def __post_init__(self) -> None:
        for field, sides in (("points_m", 3), ("uv_px", 2)):
            value = frozen(getattr(self, field), name=field, dtype=np.float64, shape=(None, sides))
            object.__setattr__(self, field, value)
        if len(self.points_m) != len(self.uv_px):
            raise InputError(f"{len(self.points_m)} board points can't have {len(self.uv_px)} pixels")
        if not (np.isfinite(self.points_m).all() and np.isfinite(self.uv_px).all()):
            raise InputError("the points of a board must be finite numbers; leave out those that are unseen")

    def __repr__(self) -> str:
        return f"BoardView({self.name or 'unnamed'}: {len(self.uv_px)} points in {self.width}x{self.height})"


def find_board(image: ImageArray, board: Board, *, name: str = "") -> BoardView | None:
    """Find a board in a picture and measure its points to a fraction of a pixel.

    A chessboard's corners are where the gradients around them are orthogonal to the lines from them
    (Foerstner and Guelch, 1987, as `cv2.cornerSubPix` does it), within a window that touches neither a
    neighbour nor a marker: a fixed one spoils small boards. Of circles, it is the centre of mass of their
    darkness, which is that of the circle itself but for a perspective share of r^2 tan(tilt) / f pixels.

    Args:
        image: (H, W, 3) uint8 sRGB.
        board: What to look for. Chessboards and circles must be in the picture as a whole, of a ChArUco
            board a part is enough.
        name: What to call the picture in reports.

    Returns:
        The points, or None where the board is not to be seen.

    Raises:
        InputError: The image is not (H, W, 3) uint8, or OpenCV knows no such dictionary.
    """
    import cv2

    image = as_image(image)
    if min(image.shape[:2]) < _SMALLEST_SIDE_PX:  # OpenCV's windows would not fit
        return None
    gray = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    if board.kind == "charuco":
        points_m, uv = _charuco(gray, board)
    else:
        points_m, uv = board.points_m, _grid(gray, board)
    if uv is None:
        return None
    spread = _spacing(points_m, uv)
    if board.kind == "circles":
        uv = _darkest_centres(gray, uv, 0.5 * spread)
    else:
        uv = _sharp_corners(gray, uv, _free_share(board) * spread)
    # OpenCV counts from the centre of the first pixel.
    return BoardView(points_m, uv.astype(np.float64) + 0.5, width, height, name)


def _grid(gray: Any, board: Board) -> _Points | None:
    """Look for the points of a full board; (n, 2) in OpenCV's pixels."""
    import cv2

    shrink = max(1.0, max(gray.shape) / _SEARCH_SIDE_PX)
    size_wh = (round(gray.shape[1] / shrink), round(gray.shape[0] / shrink))
    small = gray if shrink == 1 else cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA)
    pattern = (board.columns, board.rows)
    if board.kind == "circles":
        found, uv = cv2.findCirclesGrid(small, pattern, flags=cv2.CALIB_CB_ASYMMETRIC_GRID)
        if not found:
            flags = cv2.CALIB_CB_ASYMMETRIC_GRID | cv2.CALIB_CB_CLUSTERING
            found, uv = cv2.findCirclesGrid(small, pattern, flags=flags)
    else:
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
        found, uv = cv2.findChessboardCorners(small, pattern, flags=flags)
        if not found:  # slower, and sees what is blurred or noisy
            found, uv = cv2.findChessboardCornersSB(small, pattern, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
    if not found:
        return None
    scale = np.divide(gray.shape[::-1], small.shape[::-1])
    return np.asarray((uv.reshape(-1, 2) + 0.5) * scale - 0.5, dtype=np.float64)


def _charuco(gray: Any, board: Board) -> tuple[_Points, _Points | None]:
    """Look for the corners of a ChArUco board; those that are seen, in OpenCV's pixels."""
    import cv2

    assert board.marker_m is not None
    dictionary = named_dictionary(board.dictionary)
    size, best_uv, best_ids = (board.columns, board.rows), np.empty((0, 2)), np.empty(0, dtype=int)
    # Boards with an even number of rows have begun with a black corner only since OpenCV 4.6.
    for legacy in (False, True) if board.rows % 2 == 0 else (False,):
        layout = cv2.aruco.CharucoBoard(size, board.square_m, board.marker_m, dictionary)
        layout.setLegacyPattern(legacy)
        uv, ids, _, _ = cv2.aruco.CharucoDetector(layout).detectBoard(gray)
        if uv is not None and ids is not None and len(uv) > len(best_uv):
            best_uv, best_ids = uv.reshape(-1, 2), ids.ravel()
    if len(best_uv) < _FEWEST_CHARUCO_CORNERS:
        return np.empty((0, 3)), None
    return board.points_m[best_ids], np.asarray(best_uv, dtype=np.float64)


def _spacing(points_m: _Points, uv: _Points) -> float:
    """Find the smallest distance in pixels between points that are neighbours on the board."""
    on_board = np.linalg.norm(points_m[:, None] - points_m[None], axis=-1)
    np.fill_diagonal(on_board, np.inf)
    neighbours = on_board < 1.01 * on_board.min()
    return float(np.linalg.norm(uv[:, None] - uv[None], axis=-1)[neighbours].min())


def _free_share(board: Board) -> float:
    """Tell how far around a corner nothing but its own four edges is to be seen, in squares."""
    if board.marker_m is None:
        return 1 / 3
    return min(1 / 3, 0.4 * (1 - board.marker_m / board.square_m))  # of 0.5, for the foreshortening


def _sharp_corners(gray: Any, uv: _Points, reach: float) -> _Points:
    """Refine corners in OpenCV's pixels, each within a window that stays inside the picture."""
    import cv2

    steps = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    to_border = np.minimum(uv, np.array(gray.shape[::-1]) - 1 - uv).min(axis=1)
    sides = np.clip(np.minimum(reach, to_border - 1), 2, _LARGEST_WINDOW_PX).astype(int)
    sharp = uv.copy()
    for side in np.unique(sides):
        start = uv[sides == side].astype(np.float32).reshape(-1, 1, 2)
        window = (int(side), int(side))
        sharp[sides == side] = cv2.cornerSubPix(gray, start, window, (-1, -1), steps).reshape(-1, 2)
    return sharp


def _darkest_centres(gray: Any, uv: _Points, radius: float) -> _Points:
    """Find the centre of mass of what is darker than halfway, around each of some points.

    Args:
        gray: (H, W) uint8.
        uv: (n, 2) first guesses in OpenCV's pixels.
        radius: Half the distance to the nearest neighbour, in pixels.
    """
    height, width = gray.shape
    centres = uv.copy()
    for i, (u, v) in enumerate(uv):
        left, right = max(0, int(u - radius)), min(width, int(u + radius) + 2)
        top, bottom = max(0, int(v - radius)), min(height, int(v + radius) + 2)
        patch = gray[top:bottom, left:right].astype(np.float64)
        y, x = np.mgrid[top:bottom, left:right]
        near = np.hypot(x - u, y - v) <= radius
        # Clipped well below the paper's white, the mass ends at the circle's own blurred rim.
        paper, ink = np.percentile(patch[near], [90, 5])
        mass = np.where(near, np.clip(paper - 0.1 * (paper - ink) - patch, 0, None), 0)
        if mass.sum() > 0:
            centres[i] = (mass * x).sum() / mass.sum(), (mass * y).sum() / mass.sum()
    return centres
