import gc
import gzip
import hashlib
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest

from tinynn import datasets
from tinynn.data import Dataset
from tinynn.datasets import DatasetError

REAL_DATA = Path(os.environ.get("TINYNN_DATA") or "/nowhere")
NAMES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


def idx(array):
    """An array of unsigned bytes as the content of an IDX file."""
    lengths = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.tobytes()


class Web:
    """A web server of four tiny files at 127.0.0.1 that counts its requests and can go wrong."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.arrays = [
            rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((6, 2, 3), (6,), (4, 2, 3), (4,))
        ]
        self.contents = [idx(a) for a in self.arrays]
        self.bodies = {name: gzip.compress(c) for name, c in zip(NAMES, self.contents, strict=True)}
        self.mode = "fine"
        self.requests = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2]
                web.requests.append(name)
                body = web.bodies[name]
                self.send_response(404 if web.mode == "missing" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if web.mode == "truncated":
                    body = body[: len(body) // 2]
                elif web.mode == "altered":
                    body = body[:-1] + b"?"
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def files(self, url=None):
        md5 = [(hashlib.md5(self.bodies[n]).hexdigest(), hashlib.md5(c).hexdigest())
               for n, c in zip(NAMES, self.contents, strict=True)]  # fmt: skip
        return datasets._idx_files("mnist", url or self.url, *md5)


@pytest.fixture
def web(monkeypatch, tmp_path):
    """`mnist` made of tiny files, an empty cache, no $TINYNN_DATA, and the web reduced to our server."""
    server = Web()
    monkeypatch.setattr(datasets, "_MNIST", server.files())
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("TINYNN_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def folder(web, monkeypatch, tmp_path):
    """$TINYNN_DATA with the four files, compressed otherwise than on the web."""
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, content in zip(NAMES, web.contents, strict=True):
        (folder / name).write_bytes(gzip.compress(content, compresslevel=1, mtime=1))
    monkeypatch.setenv("TINYNN_DATA", str(folder.parent))
    return folder


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def assert_is(web, loaded):
    for part, pixels, labels in zip(loaded, web.arrays[0::2], web.arrays[1::2], strict=True):
        assert part.X.dtype == np.float32
        assert part.y.dtype == np.int64
        np.testing.assert_allclose(part.X, pixels.reshape(len(pixels), 6) / 255, rtol=1e-7)
        np.testing.assert_array_equal(part.y, labels)


def test_folder_comes_first(web, folder, tmp_path):
    assert_is(web, datasets.mnist())
    assert web.requests == cached(tmp_path) == []


def test_download_once_then_from_the_cache(web, tmp_path):
    assert_is(web, datasets.mnist())
    assert web.requests == NAMES
    assert cached(tmp_path) == sorted(NAMES)
    assert_is(web, datasets.mnist())
    assert len(web.requests) == 4


def test_file_missing_in_the_folder_is_downloaded(web, folder, tmp_path):
    (folder / NAMES[3]).unlink()
    assert_is(web, datasets.mnist())
    assert web.requests == cached(tmp_path) == [NAMES[3]]


def test_damaged_file_in_the_cache_is_downloaded_again(web, tmp_path):
    datasets.mnist()
    (tmp_path / "cache" / "tinynn" / "mnist" / NAMES[0]).write_bytes(b"half")
    assert_is(web, datasets.mnist())
    assert web.requests == [*NAMES, NAMES[0]]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # requests leaves the broken connection to gc
@pytest.mark.parametrize("mode", ["missing", "truncated", "altered"])
def test_failed_download_leaves_no_file(web, tmp_path, mode):
    web.mode = mode
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz could not be downloaded") as caught:
        datasets.mnist()
    assert "set TINYNN_DATA to a folder that contains mnist/train-images-idx3-ubyte.gz" in str(caught.value)
    assert cached(tmp_path) == []
    del caught
    gc.collect()
    web.mode = "fine"
    assert_is(web, datasets.mnist())


def test_interrupted_download_keeps_the_files_before(web, tmp_path):
    web.bodies[NAMES[2]] = b"a page that says: please log in"
    with pytest.raises(DatasetError, match=NAMES[2]):
        datasets.mnist()
    assert cached(tmp_path) == sorted(NAMES[:2])


def test_offline(web, monkeypatch, tmp_path):
    web.server.server_close()  # nobody listens at its port any more
    with pytest.raises(DatasetError, match="Connect and try again, or set TINYNN_DATA"):
        datasets.mnist()
    assert cached(tmp_path) == []


def test_without_pooch(web, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetError, match=r'pip install "tinynn\[lessons\]", or set TINYNN_DATA'):
        datasets.mnist()


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "altered", "a folder"])
def test_damaged_file_in_the_folder_is_named_not_skipped(web, folder, damage):
    path = folder / NAMES[2]
    original = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(original[: len(original) // 2])
    elif damage == "not gzip":
        path.write_bytes(web.contents[2])
    elif damage == "altered":
        path.write_bytes(gzip.compress(web.contents[2][:-1] + b"?"))
    else:
        path.mkdir()
    problem = "is not the original" if damage == "altered" else "cannot be read"
    with pytest.raises(DatasetError, match=f"{path} {problem}.*delete it"):
        datasets.mnist()
    assert web.requests == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file"),
        (bytes([0, 0, 8, 3, 0]), "is no IDX file"),
        (bytes([0, 0, 9, 3]) + bytes(12), "is no IDX file of bytes in 3 dimensions"),
        (idx(np.zeros(5, np.uint8)), "is no IDX file of bytes in 3 dimensions"),
        (idx(np.zeros((1, 2, 3), np.uint8)) + b"?", "has 23 bytes; its header promises 22"),
    ],
)
def test_header_is_checked(web, folder, monkeypatch, content, message):
    web.contents[0] = content
    monkeypatch.setattr(datasets, "_MNIST", web.files())
    (folder / NAMES[0]).write_bytes(gzip.compress(content))
    with pytest.raises(DatasetError, match=message):
        datasets.mnist()


def test_digits():
    data = datasets.digits()
    assert repr(data) == "Dataset(X: float64 (1797, 64), y: int64 (1797,))"
    assert (data.X.min(), data.X.max()) == (0, 1)
    assert np.bincount(data.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "tinynn\[lessons\]"'):
        datasets.digits()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("load", "folder", "means", "counts"),
    [
        (datasets.mnist, "mnist", (0.1307, 0.1325), (5923, 980)),
        (datasets.fashion_mnist, "fashion-mnist", (0.2860, 0.2868), (6000, 1000)),
    ],
)
def test_the_real_files(load, folder, means, counts):
    if not (REAL_DATA / folder).is_dir():
        pytest.skip(f"$TINYNN_DATA has no folder {folder}")
    for part, M, mean, count in zip(load(), (60_000, 10_000), means, counts, strict=True):
        assert isinstance(part, Dataset)
        assert repr(part) == f"Dataset(X: float32 ({M}, 784), y: int64 ({M},))"
        assert (part.X.min(), part.X.max()) == (0, 1)
        assert part.X.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-5)
        assert np.bincount(part.y)[0] == count
        assert np.unique(part.y).tolist() == list(range(10))
