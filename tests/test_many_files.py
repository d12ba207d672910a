"""One function over many photos: order, failures, resuming, interruption, batches."""

import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import FileError, InputError, ModelError, OutputExistsError
from depth3d.io.atomic import writing
from depth3d.io.inputs import find_inputs
from depth3d.io.manifest import MANIFEST_NAME, Manifest
from depth3d.many_files import Carry, EndOfRunError, Made, Task, plan_tasks, run_many
from depth3d.network_engine import BatchEngine
from depth3d.ready_photos import ready_photo


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Seven files in two folders, and the working directory above."""
    monkeypatch.chdir(tmp_path)
    for number in range(7):
        path = tmp_path / "p" / ("a" if number % 2 else ".") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"photo {number}")
    return find_inputs("p")


def tasks_of(photos, output="out"):
    return plan_tasks(photos, output, name="{stem}.txt")


def upper(task):
    """Write the photo in capitals."""
    with writing(task.output) as partial:
        partial.write_text(task.input.read_text().upper())
    return Made({"letters": 7}, f"{task.output} done", ("a note",))


def results_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in Path(folder).rglob("*.txt")
        if not path.name.startswith(".")
    }


EXPECTED = {f"{'a/' * (n % 2)}{n}.txt": f"PHOTO {n}" for n in range(7)}


@pytest.mark.parametrize("jobs", [1, 3, 50])
def test_every_photo_is_done_once_and_mirrors_the_folders(photos, jobs):
    results = list(run_many(tasks_of(photos), upper, jobs=jobs))
    assert sorted(str(result.task.input) for result in results) == sorted(str(one.path) for one in photos)
    assert all(result.made.facts == {"letters": 7} and not result.skipped for result in results)
    assert results_in("out") == EXPECTED
    assert not Path("out", MANIFEST_NAME).exists()  # none was asked for


def test_photos_are_under_way_together_but_no_more_than_jobs(photos):
    meeting = threading.Barrier(3, timeout=20)
    under_way, most = [], []

    def meet(task):
        under_way.append(task)
        most.append(len(under_way))
        meeting.wait()  # passes only if three are here at once
        under_way.remove(task)

    assert not any(result.error for result in run_many(tasks_of(photos)[:6], meet, jobs=3))
    assert max(most) == 3


def test_results_come_before_the_last_is_done(photos):
    go_on = threading.Event()

    def wait_for_the_first(task):
        if task.input.stem != "0":
            assert go_on.wait(20)

    results = run_many(tasks_of(photos), wait_for_the_first, jobs=2)
    assert next(results).task.input.stem == "0"
    go_on.set()
    assert len(list(results)) == 6


def test_a_failure_is_told_and_the_rest_goes_on(photos):
    def fail(task):
        if task.input.stem == "2":
            raise InputError("this one is bad")
        if task.input.stem == "3":
            raise KeyError("bug")
        return upper(task)

    results = {result.task.input.stem: result for result in run_many(tasks_of(photos), fail, jobs=2)}
    assert results["2"].reason == "this one is bad"
    assert results["3"].reason == "a bug in depth3d (KeyError: 'bug'); run it alone with -vv"
    assert sorted(results_in("out")) == sorted(set(EXPECTED) - {"2.txt", "a/3.txt"})


@pytest.mark.parametrize("error", [ModelError("no network"), EndOfRunError("no such option")])
def test_what_no_photo_would_change_ends_the_run_and_leaves_nothing(photos, error):
    def fail(task):
        raise error

    with pytest.raises(type(error), match=str(error)):
        list(run_many(tasks_of(photos), fail, jobs=2, manifest=Manifest(Path("out"))))
    assert not Path("out").exists()


def test_nothing_is_begun_where_an_output_may_not_be_replaced(photos):
    Path("out/a").mkdir(parents=True)
    Path("out/a/3.txt").write_text("precious")
    for manifest in (None, Manifest(Path("out"))):
        with pytest.raises(OutputExistsError, match=r"out/a/3\.txt already exists"):
            run_many(tasks_of(photos), upper, manifest=manifest)
    assert results_in("out") == {"a/3.txt": "precious"}
    list(run_many(tasks_of(photos), upper, overwrite=True))
    assert results_in("out") == EXPECTED


def test_an_output_that_is_the_photo_is_refused(photos):
    with pytest.raises(InputError, match="is the input itself"):
        run_many(plan_tasks(photos, "p/{parent}/{name}"), upper, overwrite=True)


def test_an_output_that_is_another_photo_is_refused_under_any_name(photos):
    Path("link").symlink_to("p")
    tasks = [
        Task(Path("p/0.jpg"), (Path("out/0.txt"), Path("link/2.jpg"))),
        Task(Path("p/2.jpg"), (Path("b"),)),
    ]
    with pytest.raises(InputError, match=r"link/2\.jpg is an input, too, and would be written for p/0\.jpg"):
        run_many(tasks, upper, manifest=Manifest(Path("out")), overwrite=True)
    assert not Path("out").exists()


def test_folders_of_a_run_that_is_refused_are_not_left(photos):
    Path("file").write_text("no folder")
    tasks = plan_tasks(photos, "{stem}/a.txt")
    with pytest.raises(FileError, match=r"file is no directory"):
        run_many([*tasks, replace(tasks[0], outputs=(Path("file/a.txt"),))], upper)
    assert sorted(path.name for path in Path().iterdir()) == ["file", "p"]


def resumed(photos, work=upper, options=None, **more):
    manifest = Manifest(Path("out"), options, resume=True)
    return {
        result.task.input.stem: result
        for result in run_many(tasks_of(photos), work, manifest=manifest, jobs=2, **more)
    }


def test_what_is_done_is_skipped_with_what_it_said(photos):
    done = []

    def counted(task):
        done.append(task.input.stem)
        return upper(task)

    resumed(photos, counted)
    assert len(done) == 7
    done.clear()
    again = resumed(photos, counted)
    assert not done
    assert all(
        one.skipped and one.made == Made({"letters": 7}, one.made.summary, ("a note",))
        for one in again.values()
    )
    photos[0].path.write_text("another")  # the photo changed
    Path("out/a/3.txt").unlink()  # this result is gone
    Path("out/4.txt").write_text("PHOTO x")  # this one was changed
    resumed(photos, counted)
    assert sorted(done) == ["0", "3", "4"]
    assert results_in("out") == EXPECTED | {"0.txt": "ANOTHER"}


def test_a_new_photo_is_added(photos):
    resumed(photos[:3])
    new = {name for name, one in resumed(photos).items() if not one.skipped}
    assert new == {one.place.stem for one in photos[3:]}
    assert all(one.skipped for one in resumed(photos).values())
    assert results_in("out") == EXPECTED


def test_other_options_are_refused_before_anything_is_replaced(photos):
    resumed(photos, options={"stride": 1})
    with pytest.raises(OutputExistsError, match=r"made with another stride \(1, and now 2\)"):
        resumed(photos, options={"stride": 2})
    assert not any(one.skipped for one in resumed(photos, options={"stride": 2}, overwrite=True).values())


def test_a_failed_photo_is_tried_again(photos):
    def fail(task):
        raise InputError("not now")

    assert not any(one.made for one in resumed(photos, fail).values())
    assert all(one.made and not one.skipped for one in resumed(photos).values())


def test_a_file_that_was_written_but_not_said_is_written_again(photos):
    manifest = Manifest(Path("out"), resume=True)
    results = run_many(tasks_of(photos), upper, manifest=manifest, jobs=1)
    next(results)
    results.close()  # as after a kill: threads may have written more than the manifest says
    assert all(one.made for one in resumed(photos).values())
    assert results_in("out") == EXPECTED


def test_a_run_that_is_left_ends_soon(photos):
    begun = []

    def slow(task):
        begun.append(task)
        time.sleep(0.1)

    results = run_many(tasks_of(photos), slow, jobs=2)
    next(results)
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 5
    count = len(begun)
    time.sleep(0.3)
    assert len(begun) == count < 7


def test_tasks_and_carries_can_be_pickled(photos):
    task = replace(tasks_of(photos)[0], call={"any": "thing"}, done={"inputs": []})
    carry = Carry(upper, Path("out"))
    assert pickle.loads(pickle.dumps(task)) == task
    assert pickle.loads(pickle.dumps(carry)) == carry


def test_jobs_must_be_positive(photos):
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        run_many(tasks_of(photos), upper, jobs=0)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Five real pictures, the third of which is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    for number in range(5):
        image = np.random.default_rng(number).integers(0, 255, (28, 42, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "p" / f"{number}.png"), image)
    (tmp_path / "p/2.png").write_text("no picture")
    return find_inputs("p")


def test_a_batch_is_repeated_whole_so_that_its_numbers_stay(pictures, tiny_folder):
    estimator = d3.DepthEstimator.from_pretrained(tiny_folder, input_size=28, dtype="float32")
    passes = []
    original = estimator.predict

    def predict(images):
        passes.append(len(images))
        return original(images)

    estimator.predict = predict

    def save(task):
        ready = ready_photo(task.input)
        depth = ready.prediction.depth if ready else estimator(d3.load_image(task.input))
        d3.save(depth, task.output)

    def run():
        tasks = plan_tasks(pictures, "out", name="{stem}.npy")
        engine = BatchEngine(lambda: estimator, 2, jobs=2)
        results = list(run_many(tasks, save, manifest=Manifest(Path("out"), resume=True), engine=engine))
        assert [result.task.input.stem for result in results] == list("01234")
        return [result.task.input.stem for result in results if result.error]

    assert run() == ["2"]
    assert passes == [2, 1, 1]  # the third photo of five is none
    whole = {path.name: path.read_bytes() for path in Path("out").glob("*.npy")}
    assert sorted(whole) == ["0.npy", "1.npy", "3.npy", "4.npy"]
    Path("out/1.npy").unlink()
    passes.clear()
    assert run() == ["2"]
    assert passes == [2, 1]  # the batch of what is missing; and that of the photo that fails
    assert {path.name: path.read_bytes() for path in Path("out").glob("*.npy")} == whole


def test_a_gpu_has_two_batches_under_way(pictures):
    """One is shown while the maps of the other come: both are in the network at once, and stay in order."""
    both = threading.Barrier(2, timeout=20)

    class Source:
        batches_under_way = 2

        def predict(self, images):
            both.wait()
            return [float(image.mean()) for image in images]

    def save(task):
        Path(task.output).write_text(str(ready_photo(task.input).prediction))

    source = Source()
    tasks = [task for task in plan_tasks(pictures, "out", name="{stem}.txt") if task.input.stem != "2"]
    results = list(run_many(tasks, save, engine=BatchEngine(lambda: source, 2, jobs=2)))
    assert [result.error for result in results] == [None] * 4
    for task in tasks:
        assert float(Path(task.output).read_text()) == d3.load_image(task.input).mean()


@pytest.mark.parametrize("raised", [MemoryError(), KeyError("bug")])
def test_what_one_photo_of_a_batch_raises_is_told_of_it_alone(pictures, raised):
    class Source:
        def predict(self, images):
            if any(image[0, 0, 0] == first for image in images):
                raise raised
            return [None for _ in images]

    def save(task):
        ready = ready_photo(task.input)
        if ready:
            ready.prediction  # noqa: B018
        Path(task.output).write_text("done")

    first = d3.load_image("p/1.png")[0, 0, 0]
    tasks = [task for task in plan_tasks(pictures, "out", name="{stem}.txt") if task.input.stem != "2"]
    results = list(run_many(tasks, save, engine=BatchEngine(Source, 4, jobs=2)))
    assert [type(result.error) for result in results] == [type(None), type(raised), type(None), type(None)]


@pytest.mark.parametrize(("batch_size", "jobs"), [(0, 1), (1, 0)])
def test_batches_must_be_positive(batch_size, jobs):
    with pytest.raises(InputError, match="at least 1"):
        BatchEngine(lambda: None, batch_size, jobs)


def test_the_network_is_loaded_once_for_all_threads(tiny_folder, monkeypatch):
    from depth3d import verbs
    from depth3d.estimate import estimator as module

    loads = []
    original = module.load_checkpoint

    def load(*args, **options):
        loads.append(args)
        time.sleep(0.2)
        return original(*args, **options)

    monkeypatch.setattr(module, "load_checkpoint", load)
    given = []
    threads = [
        threading.Thread(target=lambda: given.append(verbs.loaded_estimator(tiny_folder, input_size=42)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert all(one is given[0] for one in given)


def test_results_do_not_depend_on_jobs(pictures, tiny_folder):
    from depth3d import verbs

    def save(task):
        d3.save(verbs.loaded_estimator(tiny_folder, input_size=28)(d3.load_image(task.input)), task.output)

    for jobs in (1, 4):
        list(run_many(plan_tasks(pictures, f"out{jobs}", name="{stem}.npz"), save, jobs=jobs))
    for number in (0, 1, 3, 4):
        assert Path(f"out1/{number}.npz").read_bytes() == Path(f"out4/{number}.npz").read_bytes()


def test_a_task_knows_its_main_output():
    assert Task(Path("1.jpg"), (Path("1.obj"), Path("1.mtl"))).output == Path("1.obj")
