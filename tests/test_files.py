import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinynn.files import check_folder, load_tensors, replace_file, save_tensors


def write(text):
    def into(path):
        with open(path, "w") as file:
            file.write(text)

    return into


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


def test_a_new_file_and_a_replaced_one(old):
    new = old.with_name("new.txt")
    for path in (old, new, str(new)):
        replace_file(path, write("text"))
        assert old.with_name(os.path.basename(path)).read_text() == "text"
    assert sorted(os.listdir(old.parent)) == ["file.txt", "new.txt"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_litter(old, error):
    def fail(path):
        write("half of the te")(path)
        raise error

    with pytest.raises(type(error)):
        replace_file(old, fail)
    assert old.read_text() == "old"
    assert os.listdir(old.parent) == ["file.txt"]


def test_a_failure_while_renaming_leaves_no_litter(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        replace_file(tmp_path / "folder", write("text"))
    assert os.listdir(tmp_path) == ["folder"]


def test_an_error_after_the_renaming_is_not_hidden(old, monkeypatch):
    rename = os.replace

    def rename_and_fail(source, target):
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", rename_and_fail)
    with pytest.raises(KeyboardInterrupt):
        replace_file(old, write("new"))
    assert old.read_text() == "new"


def test_the_old_file_is_whole_until_the_new_one_is(old):
    def look(path):
        write("new")(path)
        assert old.read_text() == "old"
        assert os.path.dirname(path) == str(old.parent)  # a rename across disks would not be atomic

    replace_file(old, look)
    assert old.read_text() == "new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "file.txt", write("text"))
        assert os.umask(umask) == umask  # left as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == mode


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "missing" / "file.txt"
    for refuse in (check_folder, lambda path: replace_file(path, write("text"))):
        with pytest.raises(FileNotFoundError, match=r"there is no folder '.*missing' to put 'file.txt' into"):
            refuse(path)
    check_folder(tmp_path / "file.txt")
    check_folder("file.txt")


@settings(deadline=None, max_examples=30)
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(lambda s: s != "__metadata__"),
        hnp.arrays(st.sampled_from(["f4", "f8", "i8"]), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)),
        max_size=3,
    ),
    metadata=st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=2),
)
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path_factory, arrays, metadata):
    path = tmp_path_factory.mktemp("tensors") / "arrays.safetensors"
    save_tensors(path, arrays, metadata)
    loaded, text = load_tensors(path)
    assert text == metadata
    assert loaded.keys() == arrays.keys()
    for name, a in arrays.items():
        assert (loaded[name].dtype, loaded[name].shape) == (a.dtype, a.shape)
        assert loaded[name].tobytes() == a.tobytes()


def test_views_and_transposes_are_saved_as_they_look(tmp_path):
    a = np.arange(12.0).reshape(3, 4)
    save_tensors(tmp_path / "a", {"transpose": a.T, "columns": a[:, ::2]})
    loaded, _ = load_tensors(tmp_path / "a")
    np.testing.assert_array_equal(loaded["transpose"], a.T)
    np.testing.assert_array_equal(loaded["columns"], a[:, ::2])


def test_what_cannot_be_loaded_is_named(tmp_path):
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            load_tensors(missing)
    path = tmp_path / "a.safetensors"
    for content in (b"", b"{}", b"PK\x03\x04", bytes(100), b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.safetensors' is truncated or no safetensors file"):
            load_tensors(path)


@pytest.mark.parametrize("taught", [False, True], ids=["NumPy", "NumPy with ml_dtypes"])
def test_a_dtype_that_numpy_lacks_is_named(tmp_path, taught):
    if taught:
        pytest.importorskip("ml_dtypes")
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ValueError, match="no safetensors file of NumPy arrays"):
        load_tensors(path)
