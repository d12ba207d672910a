"""Files appear whole or not at all."""

import pytest

from depth3d.errors import FileError, OutputExistsError
from depth3d.io.atomic import Together, check_writable, recorded_writes, writing


def test_the_file_appears_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "out.txt"
    with writing(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert (partial.parent, partial.suffix) == (tmp_path, ".txt")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_files_that_are_written_at_the_same_time_do_not_meet(tmp_path):
    paths = [tmp_path / f"{'long' * 10}{name}.txt" for name in "aab"]
    with writing(paths[0]) as first, writing(paths[1]) as second, writing(paths[2]) as third:
        for partial, text in ((first, "1"), (second, "2"), (third, "3")):
            partial.write_text(text)
    assert [path.read_text() for path in paths] == ["1", "1", "3"]  # blocks end in reverse: the first wins


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_a_crash_leaves_the_old_file_and_no_half_one(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def crash():
        with writing(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(error):
        crash()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_a_full_disk_is_one_sentence(tmp_path):
    def fill():
        with writing(tmp_path / "out.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match=r"can't write .*No space left on device; free space"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_files_that_appear_together_do_so_at_once_and_are_recorded(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    paths[1].write_text("old")
    with recorded_writes() as written, Together() as together:
        for path in paths:
            with together.held_back(), writing(path) as partial:
                partial.write_text("new")
        with writing(tmp_path / "alone.txt") as partial:
            partial.write_text("new")
        assert not paths[0].exists()
        assert (paths[1].read_text(), written) == ("old", [tmp_path / "alone.txt"])
        together.appear()
    assert [path.read_text() for path in paths] == ["new", "new"]
    assert written == [tmp_path / "alone.txt", *paths]
    assert len(list(tmp_path.iterdir())) == 3


def test_files_that_do_not_appear_are_gone(tmp_path):
    with Together() as together, together.held_back(), writing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_ours_passes_as_it_is(tmp_path):
    def refuse():
        with writing(tmp_path / "out.txt"):
            raise OutputExistsError("mine")

    with pytest.raises(OutputExistsError, match=r"^mine$"):
        refuse()


def test_existing_files_are_kept_unless_told(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(OutputExistsError, match="already exists; use --overwrite"):
        check_writable(path, overwrite=False)
    assert check_writable(path, overwrite=True) == path
    assert check_writable(str(path), overwrite=True) == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "is a directory; give the name of a file in it"),
        ("no/such/out.txt", "does not exist; create it first"),
        ("n" * 300, "File name too long; choose another name"),
        ("a\0b.ply", "can't hold a NUL"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, sentence):
    with pytest.raises(FileError, match=sentence):
        check_writable(tmp_path / name, overwrite=True)


@pytest.mark.parametrize("stem", ["n" * 251, "漢" * 83, "😀" * 62])
def test_the_temporary_name_fits_wherever_the_name_does(tmp_path, stem):
    path = tmp_path / f"{stem}.txt"  # 252 to 255 bytes: the most that file systems take
    with writing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_suffix_too_long_for_the_temporary_name_is_one_sentence(tmp_path):
    def write():
        with writing(tmp_path / ("a." + "s" * 250)) as partial:
            partial.write_text("new")

    with pytest.raises(FileError, match="File name too long"):
        write()


def test_a_read_only_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # chmod means nothing to the superuser
    with pytest.raises(FileError, match="is not writable; choose another one"):
        check_writable(tmp_path / "out.txt", overwrite=True)


def test_long_names_fit_with_the_temporary_part(tmp_path):
    path = tmp_path / ("n" * 250 + ".txt")
    with writing(path) as partial:
        partial.write_text("x")
    assert path.read_text() == "x"
