"""References that give no calibration are refused with a sentence that says what to measure."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.calibrate.equations import Equations
from depth3d.calibrate.fit import fit_equations
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

RAYS = [(-0.4, 0.1, 1.0), (0.3, 0.2, 1.0)]
FLOOR = DepthMap(np.repeat(np.linspace(0.5, 9.5, 60)[:, None], 80, axis=1), "relative")


@pytest.mark.parametrize(
    ("d", "z", "sentence"),
    [
        ([5.0], [2.0], r"one reference .* can't fix scale and shift"),
        ([5.0, 5.0], [2.0, 2.0], "much nearer or much farther"),  # one place twice
        ([5.0, 5.2], [2.0, 1.95], "all lie between 1.95 and 2 m"),  # no lever
        ([2.0, 8.0], [1.0, 4.0], "runs against the references"),  # near is small
        ([1.0, 4.0, 8.0], [4.0, 9.0, 1.2], "contradict one another"),  # nothing to side with
        ([1.0, 3.0, 5.0, 7.0, 9.0, 8.0], [9.0, 0.7, 6.0, 11.0, 0.4, 5.0], "contradict|runs against"),
    ],
)
def test_too_little_or_too_contradictory(rows_of, d, z, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_equations(rows_of(d, z), "disparity")


def test_a_contradiction_names_the_reference_and_both_numbers():
    anchors = [d3.Anchor(10, 5, 4.0), d3.Anchor(40, 30, 1.8), d3.Anchor(60, 55, 9.0)]
    with pytest.raises(InputError, match=r"Anchor\(\(60, 55\): z = 9 m\) would be 1\.\d+ m away") as caught:
        d3.calibrate(FLOOR, anchors)
    assert "Anchor((10, 5): z = 4 m)" in str(caught.value)


def test_nothing_known_says_what_to_measure():
    with pytest.raises(InputError, match=r"measure the distance of two points"):
        d3.calibrate(FLOOR, [])


def test_depth_passed_as_disparity_is_recognised(rows_of):
    rng = np.random.default_rng(0)
    z = rng.uniform(1, 6, 8)
    with pytest.raises(InputError, match=r"this map is depth and no disparity.*--depth-kind metric"):
        fit_equations(rows_of(2.5 * z, z * np.exp(rng.normal(0, 0.02, 8))), "disparity")


@pytest.mark.parametrize("seed", range(5))
def test_one_over_disparity_is_told_from_depth(rows_of, seed):
    rng = np.random.default_rng(seed)
    d = rng.uniform(0.5, 8, 8)
    z = np.exp(rng.normal(0, 0.02, 8)) / (0.1 * d + 0.3)
    with pytest.raises(InputError, match=r"this map is 1 / disparity.*give 1 / values$"):
        fit_equations(rows_of(1 / d, z), "disparity")


def test_disparity_passed_as_depth_is_recognised(rows_of):
    z = np.random.default_rng(0).uniform(1, 6, 8)
    with pytest.raises(InputError, match=r"this map is disparity and no depth.*--depth-kind relative"):
        fit_equations(rows_of(3 / z, z), "depth")


def test_an_inverted_map_is_recognised_by_two_references():
    anchors = [d3.Anchor(10, 5, 1.0), d3.Anchor(40, 50, 4.0)]
    with pytest.raises(InputError, match=r"nearer one, Anchor\(\(10, 5\): z = 1 m\).*larger is nearer"):
        d3.calibrate(FLOOR, anchors)


def test_samples_of_another_picture_do_not_fit():
    rng = np.random.default_rng(0)
    uv = rng.uniform([0, 0], [80, 60], (300, 2))
    samples = d3.DepthSamples(uv, rng.uniform(0.5, 20, 300), label="LiDAR")
    with pytest.raises(InputError, match=r"LiDAR.* does not fit the map|can't tell"):
        d3.calibrate(FLOOR, [samples])


def test_one_length_alone_fixes_no_relative_map(rows_of, length_between):
    equations = Equations(rows_of([], []).observations, (length_between((2.0, 6.0), RAYS, 1.0),))
    with pytest.raises(InputError, match="can't fix scale and shift"):
        fit_equations(equations, "disparity")


def test_two_scenes_that_satisfy_the_same_lengths_are_told(rows_of, length_between):
    # A ray's ends: |z1 - z2| small can mean near and flat, or far and steep; lengths along one line repeat.
    along = [(0.0, 0.0, 1.0), (0.02, 0.0, 1.0)]
    d = (2.0, 8.0)
    bound = (length_between(d, along, 2.0), length_between((2.0, 4.0), along, 1.0, reference=1))
    equations = Equations(rows_of([], []).observations, bound)
    with pytest.raises(InputError, match="two different scenes"):
        fit_equations(equations, "disparity")


def test_forms_that_are_none_or_too_rich_are_refused(rows_of):
    rows = rows_of([1.0, 8.0], [4.0, 1.5])
    with pytest.raises(InputError, match="form must be one of"):
        fit_equations(rows, "disparity", form="cubic")
    with pytest.raises(InputError, match="has 4 parameters and there are 2 references"):
        fit_equations(rows, "disparity", form="tilted")


def test_each_refusal_is_one_sentence(rows_of):
    for d, z in (([5.0], [2.0]), ([5.0, 5.2], [2.0, 1.95]), ([2.0, 8.0], [1.0, 4.0])):
        with pytest.raises(InputError) as caught:
            fit_equations(rows_of(d, z), "disparity")
        message = str(caught.value)
        assert "\n" not in message
        assert not message.endswith(".")
        assert ". " not in message
