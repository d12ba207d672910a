"""A folder of photos with depth: what belongs together, what the numbers mean, what is refused."""

import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from depth3d.core.depth import DepthMap
from depth3d.errors import FileError, InputError, UnreadableFileError
from depth3d.estimate.preprocess import InputRule
from depth3d.io.depth_files import DEPTH_SUFFIXES, save_depth
from depth3d.train.batches import Mixture, Source
from depth3d.train.folder import FolderSamples

HEIGHT, WIDTH = 12, 16
METRES = np.random.default_rng(0).uniform(0.5, 6.0, (HEIGHT, WIDTH)).astype(np.float32)
METRES[3, 4:7] = np.nan
RELATIVE = np.random.default_rng(1).uniform(0, 9, (HEIGHT, WIDTH)).astype(np.float32)


def put_photo(path, level=90, size_wh=(WIDTH, HEIGHT)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((size_wh[1], size_wh[0], 3), level, np.uint8)
    image[0, 0] = (255, 0, 10)
    cv2.imwrite(str(path), image[..., ::-1])
    return image


def put_depth(path, values=METRES, kind="metric"):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_depth(DepthMap(values, kind), path)


def put_millimetres(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.asarray(values, np.uint16))


def span(values):
    low, high = np.nanpercentile(values, (2, 98))
    return high - low


LAYOUTS = [  # photo, depth, mask
    ("a.png", "a_depth.png", "a_mask.png"),
    ("a.png", "a.depth.npz", "a.mask.png"),
    ("a.rgb.png", "a.depth.png", "a.mask.png"),
    ("a_color.png", "a-disparity.npz", "a-mask.png"),
    ("a.png", "a.npz", "a_mask.png"),
    ("photo.png", "photo_depth.png", "photo_mask.png"),
    ("my_image.png", "my_image_disp.exr", "my_image_mask.png"),
    ("rgb.png", "depth.npz", "mask.png"),
    ("rgb_00045.png", "sync_depth_00045.png", "mask_00045.png"),  # NYU
    ("rgb/Camera_0/rgb_00001.png", "depth/Camera_0/depth_00001.png", "masks/Camera_0/mask_00001.png"),
    ("image-0001.png", "depth-0001.png", "mask-0001.png"),
    ("rgb/image_1.png", "depth/image_1.png", "masks/image_1.png"),
    ("image_1.png", "image_1_depth.png", "image_1_mask.png"),
    ("images/a.png", "groundtruth_depth/a.png", "masks/a.png"),
    ("images/a.png", "gt/a.png", "masks/a.png"),
    ("images/a.png", "depth/a.png", "masks/a.png"),
    ("rgb/a.png", "Depths/a.tif", "mask/a.png"),
    ("photos/a.png", "disparity/a_disparity.npz", "masks/a_mask.png"),
    ("color/kitchen/a.png", "depth/kitchen/a.png", "masks/kitchen/a.png"),
    ("kitchen/rgb/a.png", "kitchen/depth/a.png", "kitchen/masks/a.png"),
    ("kitchen/a.b.png", "kitchen/a.b_depth.png", "kitchen/a.b_mask.png"),
]


@pytest.mark.parametrize(("photo", "depth", "mask"), LAYOUTS)
def test_photo_depth_and_mask_find_each_other(tmp_path, photo, depth, mask):
    image = put_photo(tmp_path / photo)
    is_disparity = "disp" in depth
    put_depth(
        tmp_path / depth, RELATIVE if is_disparity else METRES, "relative" if is_disparity else "metric"
    )
    hidden = np.full((HEIGHT, WIDTH), 255, np.uint8)
    hidden[:, :5] = 0
    (tmp_path / mask).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(tmp_path / mask), hidden)
    samples = FolderSamples(tmp_path)
    assert samples.photos == (tmp_path / photo,)
    assert samples.skipped == ()
    sample = samples.load(0)
    np.testing.assert_array_equal(sample.image, image)
    known = (hidden > 0) & (is_disparity | ~np.isnan(METRES))
    np.testing.assert_array_equal(np.isfinite(sample.target), known)
    truth = RELATIVE if is_disparity else 1 / METRES
    np.testing.assert_allclose(sample.target[known], (truth / span(truth))[known], rtol=4e-3)
    assert not sample.exact.any()
    assert FolderSamples(tmp_path, exact=True).load(0).exact.all()


def test_each_photo_takes_the_depth_of_its_own_name_and_folder(tmp_path):
    for index, name in enumerate(["one/rgb/1", "one/rgb/2", "two/rgb/1", "two/rgb/10"]):
        put_photo(tmp_path / f"{name}.png", level=10 * index)
        put_depth(
            tmp_path / f"{name.replace('rgb', 'depth')}.npz",
            np.full((HEIGHT, WIDTH), 1.0 + index, np.float32),
        )
    samples = FolderSamples(tmp_path, metric=True)
    assert len(samples) == 4
    for index in range(4):
        sample = samples.load(index)
        assert sample.image[5, 5, 0] == 10 * index
        assert (sample.target == 1.0 + index).all()


def test_numbers_do_not_join_what_whole_names_tell_apart(tmp_path):
    for level, name in enumerate(("image_1", "photo_1"), start=1):
        put_photo(tmp_path / "rgb" / f"{name}.png", level)
        put_depth(tmp_path / "depth" / f"{name}.npz", np.full((HEIGHT, WIDTH), float(level), np.float32))
    samples = FolderSamples(tmp_path, metric=True)
    for index in range(2):
        sample = samples.load(index)
        assert (sample.target == sample.image[5, 5, 0]).all()


def test_linked_folders_are_searched_but_not_in_circles(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    put_photo(elsewhere / "rgb" / "a.png")
    put_depth(elsewhere / "depth" / "a.npz")
    for name in ("rgb", "depth"):
        (data / name).symlink_to(elsewhere / name)
    (elsewhere / "rgb" / "again").symlink_to(elsewhere)
    (data / "round").symlink_to(data)
    assert FolderSamples(data).photos == (data / "rgb" / "a.png",)


@pytest.mark.parametrize("suffix", DEPTH_SUFFIXES)
@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_every_format_gives_its_target(tmp_path, suffix, kind):
    put_photo(tmp_path / "a.png")
    truth = METRES if kind == "metric" else RELATIVE
    put_depth(tmp_path / f"a_depth{suffix}", truth, kind)
    silent = kind if suffix in (".npy", ".pfm") else None
    tolerance = {"rtol": 2e-3, "atol": 2e-4} if suffix == ".png" else {"rtol": 2e-6}
    if kind == "metric":
        exact = FolderSamples(tmp_path, metric=True, kind=silent).load(0)
        np.testing.assert_allclose(exact.target, METRES, **tolerance)
        truth = 1 / METRES
    sample = FolderSamples(tmp_path, kind=silent).load(0)
    assert sample.target.dtype == np.float32
    np.testing.assert_allclose(sample.target, truth / span(truth), **tolerance)
    assert span(sample.target) == pytest.approx(1, rel=1e-3)


def test_sensors_millimetres_and_other_scales_are_metres(tmp_path):
    put_photo(tmp_path / "a.png")
    stored = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 20
    put_millimetres(tmp_path / "a_depth.png", stored)
    for scale in (None, 5000):
        target = FolderSamples(tmp_path, metric=True, png_scale=scale).load(0).target
        assert np.isnan(target[0, 0])
        np.testing.assert_allclose(target.ravel()[1:], stored.ravel()[1:] / (scale or 1000), rtol=1e-6)


def test_a_file_that_does_not_say_what_it_holds_is_told_by_its_name_or_by_kind(tmp_path):
    put_photo(tmp_path / "a.png")
    np.save(tmp_path / "a_disparity.npy", RELATIVE)
    np.testing.assert_allclose(FolderSamples(tmp_path).load(0).target, RELATIVE / span(RELATIVE), rtol=1e-5)
    (tmp_path / "a_disparity.npy").rename(tmp_path / "a_depth.npy")
    with pytest.raises(InputError, match=r"a_depth\.npy does not say .* kind='relative' or 'metric'"):
        FolderSamples(tmp_path).load(0)
    target = FolderSamples(tmp_path, metric=True, kind="metric").load(0).target
    np.testing.assert_array_equal(target, RELATIVE)


def test_numbers_of_any_size_reach_the_loss_at_the_same_scale(tmp_path):
    """1/z of a landscape is tiny; the floor that keeps flat maps finite must not take it for one."""
    put_photo(tmp_path / "a.png")
    targets = []
    for unit in (1, 1e4):
        put_depth(tmp_path / "a_depth.npz", METRES * np.float32(unit))
        targets.append(FolderSamples(tmp_path).load(0).target)
    np.testing.assert_allclose(*targets, rtol=1e-5)
    put_depth(tmp_path / "a_depth.npz", np.full((HEIGHT, WIDTH), 4.0, np.float32))
    assert (FolderSamples(tmp_path).load(0).target == 0.25).all()
    put_depth(tmp_path / "a_depth.npz", np.full((HEIGHT, WIDTH), np.nan, np.float32))
    assert np.isnan(FolderSamples(tmp_path).load(0).target).all()


def test_of_several_files_training_takes_the_one_that_it_needs(tmp_path):
    put_photo(tmp_path / "a.png")
    put_depth(tmp_path / "a_disparity.npz", RELATIVE, "relative")
    put_depth(tmp_path / "a_depth.png")
    put_depth(tmp_path / "a_depth.npz")
    np.testing.assert_array_equal(FolderSamples(tmp_path, metric=True).load(0).target, METRES)
    np.testing.assert_allclose(FolderSamples(tmp_path).load(0).target, RELATIVE / span(RELATIVE), rtol=1e-5)


def test_metric_training_refuses_relative_maps_with_advice(tmp_path):
    put_photo(tmp_path / "a.png")
    put_depth(tmp_path / "a_depth.npz", RELATIVE, "relative")
    with pytest.raises(InputError, match=r"a_depth\.npz is relative.*needs metres.*leave --metric out"):
        FolderSamples(tmp_path, metric=True).load(0)


@pytest.mark.parametrize("size_wh", [(8, 6), (31, 23), (160, 120)])
def test_depth_of_another_size_is_resized_without_mixing_near_and_far(tmp_path, size_wh):
    put_photo(tmp_path / "a.png", size_wh=size_wh)
    step = np.where(np.arange(WIDTH) < 7, np.float32(0.5), np.float32(50)) * np.ones((HEIGHT, 1), np.float32)
    put_depth(tmp_path / "a_depth.npz", step)
    target = FolderSamples(tmp_path, metric=True).load(0).target
    assert target.shape == size_wh[::-1]
    # Nearest centre: the edge lies within half a pixel of the coarser grid.
    assert set(np.unique(target)) == {np.float32(0.5), np.float32(50)}
    near = (target == 0.5).sum(axis=1) / size_wh[0]
    assert np.abs(near - 7 / WIDTH).max() <= 0.5 / size_wh[0] + 1e-9


def test_photos_are_turned_upright_and_depth_of_the_lying_picture_is_refused(tmp_path):
    lying = Image.fromarray(np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    lying.save(tmp_path / "a.png", exif=exif)
    put_depth(tmp_path / "a_depth.npz", np.rot90(METRES, -1).copy())
    sample = FolderSamples(tmp_path, metric=True).load(0)
    np.testing.assert_array_equal(sample.image, np.rot90(np.asarray(lying), -1))
    np.testing.assert_array_equal(sample.target, np.rot90(METRES, -1))
    put_depth(tmp_path / "a_depth.npz")
    with pytest.raises(InputError, match=r"a_depth\.npz is 16x12 and its photo, upright, 12x16"):
        FolderSamples(tmp_path).load(0)


def test_photos_without_depth_are_left_out_counted_and_told_once(tmp_path, caplog):
    for name in "abc":
        put_photo(tmp_path / f"{name}.png")
    put_depth(tmp_path / "b_depth.npz")
    put_depth(tmp_path / "z_depth.npz")
    put_photo(tmp_path / "b_depth_preview.png")
    put_photo(tmp_path / ".hidden" / "d.png")
    (tmp_path / "notes.txt").write_text("no picture")
    with caplog.at_level(logging.WARNING, "depth3d"):
        samples = FolderSamples(tmp_path)
    assert samples.photos == (tmp_path / "b.png",)
    assert samples.skipped == (tmp_path / "a.png", tmp_path / "c.png")
    assert [record.getMessage() for record in caplog.records] == [
        f"2 of 3 photos have no depth file and are left out, such as {tmp_path / 'a.png'}"
    ]


def test_a_directory_without_pairs_is_an_error_that_shows_the_layouts(tmp_path):
    with pytest.raises(
        InputError, match=r"has no photo with depth; put a_depth\.png .* beside a\.jpg, or .* rgb/"
    ):
        FolderSamples(tmp_path)
    put_photo(tmp_path / "water_depth.jpg")
    with pytest.raises(InputError, match=r"has no photo with depth \(and 1 without\)"):
        FolderSamples(tmp_path)
    with pytest.raises(InputError, match="nowhere is no directory"):
        FolderSamples(tmp_path / "nowhere")


@pytest.mark.parametrize("broken", ["a.png", "a_depth.npz", "a_mask.png"])
def test_a_damaged_file_is_named(tmp_path, broken):
    put_photo(tmp_path / "a.png")
    put_photo(tmp_path / "a_mask.png")
    put_depth(tmp_path / "a_depth.npz")
    data = (tmp_path / broken).read_bytes()
    (tmp_path / broken).write_bytes(data[: len(data) // 2])
    samples = FolderSamples(tmp_path)
    with pytest.raises(UnreadableFileError, match=broken):
        samples.load(0)
    (tmp_path / broken).unlink()
    with pytest.raises(FileError, match=broken):
        samples.load(0)


@pytest.mark.parametrize(
    ("count", "share", "kept"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.1, 1), (40, 0.25, 10)]
)
def test_a_split_has_every_photo_once(tmp_path, count, share, kept):
    for index in range(count):
        put_photo(tmp_path / f"{index:02}.png")
        put_depth(tmp_path / f"{index:02}_depth.npz", np.full((HEIGHT, WIDTH), 1.0 + index, np.float32))
    samples = FolderSamples(tmp_path, metric=True)
    learned, validation = samples.split(share, seed=3)
    assert len(validation) == kept
    assert sorted(learned.photos + validation.photos) == list(samples.photos)
    assert list(learned.photos) == sorted(learned.photos)
    for part in (learned, validation):
        for index, photo in enumerate(part.photos):
            assert (part.load(index).target == 1.0 + int(photo.stem)).all()
    again = FolderSamples(tmp_path).split(share, seed=3)
    assert again[1].photos == validation.photos
    if count > 9:
        assert samples.split(share, seed=4)[1].photos != validation.photos


def test_what_cannot_be_split_says_so(tmp_path):
    put_photo(tmp_path / "a.png")
    put_depth(tmp_path / "a_depth.npz")
    samples = FolderSamples(tmp_path)
    with pytest.raises(InputError, match="two or more"):
        samples.split()
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(InputError, match="between 0 and 1"):
            samples.split(share)


def test_batches_come_from_a_folder(tmp_path):
    rule = InputRule("exact", (14, 14), 14)
    for index in range(3):
        put_photo(tmp_path / f"{index}.png")
        put_depth(tmp_path / f"{index}_depth.npz")
    batch = Mixture([Source(FolderSamples(tmp_path))], rule, [(14, 14)], batch_size=2)[0]
    assert batch.pixels.shape == (2, 3, 14, 14)
    assert batch.target.isfinite().float().mean() > 0.8


def test_real_folders_are_read(shared_data):
    folder = shared_data.parent / "rgbd" / "hololens"
    if not folder.is_dir():
        pytest.skip(f"the folder of real depth is not here: {folder}")
    found = FolderSamples(folder, metric=True)
    assert len(found) == 12
    for index in range(0, 12, 4):
        sample = found.load(index)
        assert sample.image.shape[:2] == sample.target.shape
        known = np.isfinite(sample.target)
        assert known.mean() > 0.2
        assert 0.1 < np.median(sample.target[known]) < 10
