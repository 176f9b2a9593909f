import json
import pickle
import time
from pathlib import Path

import killed_training
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import start
from killed_training import resume, train
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tinynn.nn import Dense, Dropout, Huber, MeanSquaredError, ReLU, Sequential
from tinynn.optim import SGD, Adam
from tinynn.training import Callback, Checkpoint, EarlyStopping, fit


def dropout_states(model):
    layers = [layer for _, layer in model.named_layers() if isinstance(layer, Dropout)]
    return [layer.rng.bit_generator.state for layer in layers]


def bits(model, optimizer, history, early):
    """All that a training leaves behind, to be compared bit for bit."""
    return {
        "theta": model.theta.tobytes(),
        "history": json.dumps(vars(history)),
        "optimizer": {name: x.tobytes() for name, x in optimizer.state_dict().items()},
        "early": (early.best, early.waited, early.best_theta.tobytes()),
        "dropout": dropout_states(model),
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    result = train(tmp_path_factory.mktemp("whole") / "whole.safetensors")
    _, _, history, early = result
    assert len(history.train_loss) < killed_training.EPOCHS  # early stopping had its say
    assert early.waited == 40
    return bits(*result)


class Crash(Callback):
    """Ends the process, so to say, in one epoch; notes the others."""

    def __init__(self, epoch=None):
        self.epoch, self.seen = epoch, []

    def on_epoch_end(self, training):
        if training.epoch == self.epoch:
            raise KeyboardInterrupt
        self.seen.append(training.epoch)


# Interrupted and resumed


def test_killed_at_random_moments_it_resumes_to_the_same_bits(tmp_path, uninterrupted):
    checkpoint = tmp_path / "training.safetensors"
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(4):
        with start(killed_training.__file__, checkpoint) as process:
            seconds.append(rng.uniform(0.01, 0.15))
            time.sleep(seconds[-1])
            process.kill()
    assert bits(*resume(checkpoint)) == uninterrupted, f"killed after {seconds}"


@pytest.mark.parametrize("moment", ["half written", "before renaming"])
def test_killed_while_a_checkpoint_is_written_it_resumes_from_the_one_before(tmp_path, uninterrupted, moment):
    checkpoint = tmp_path / "training.safetensors"
    for kill in (1, 2):
        with start(killed_training.__file__, checkpoint, moment) as process:
            assert process.wait(timeout=30) == -9
        with safe_open(checkpoint, framework="np") as file:
            assert json.loads(file.metadata()["record"])["epoch"] == 3 * kill
        assert len(list(tmp_path.glob(".training.safetensors.*"))) == kill
    assert bits(*resume(checkpoint)) == uninterrupted


@pytest.mark.parametrize(("every", "saved"), [(1, 10), (4, 8), (7, 7)])
def test_after_a_crash_it_goes_on_from_the_last_saved_epoch(tmp_path, uninterrupted, every, saved):
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, every=every, callbacks=[Crash(11)])
    note = Crash()
    assert bits(*resume(checkpoint, every=every, callbacks=[note])) == uninterrupted
    assert note.seen[0] == saved + 1


def test_checkpoints_are_saved_every_few_epochs_and_at_the_end(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("tinynn.callbacks.save_checkpoint", lambda path, state: saved.append(state.epoch))
    train(tmp_path / "training.safetensors", epochs=10, every=4)
    assert saved == [4, 8, 10]
    saved.clear()
    _, _, history, _ = train(tmp_path / "training.safetensors", every=50)
    assert saved == [50, len(history.train_loss)]  # ended early


def test_resuming_a_finished_training_changes_nothing(tmp_path, uninterrupted):
    checkpoint = tmp_path / "training.safetensors"
    train(checkpoint)
    content = checkpoint.read_bytes()
    for _ in range(2):
        assert bits(*resume(checkpoint)) == uninterrupted
    assert checkpoint.read_bytes() == content


def test_more_epochs_than_before_are_as_one_training(tmp_path):
    """Though early stopping put the best parameters back at the end of the first part."""
    checkpoint = tmp_path / "training.safetensors"
    first = train(checkpoint, epochs=20)
    assert first[0].theta.tobytes() == first[3].best_theta.tobytes()
    assert first[2].validation_loss[-1] > first[3].best
    whole = train(tmp_path / "whole.safetensors", epochs=30)
    assert bits(*resume(checkpoint, epochs=30)) == bits(*whole)


def test_fewer_epochs_than_before_are_refused(tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    train(checkpoint, epochs=5)
    with pytest.raises(ValueError, match=r"training\.safetensors.* has had 5 epochs already; epochs=4"):
        resume(checkpoint, epochs=4)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_bit_generator_of_numpy_can_be_resumed(tmp_path, kind):
    checkpoint = tmp_path / "training.safetensors"

    def theta(epochs, **kwargs):
        rng = np.random.Generator(getattr(np.random, kind)(5))
        model = Sequential(Dense(1, 3), Dropout(0.5, rng=rng), Dense(3, 1, rng=0))
        data = np.arange(20.0)[:, None], np.arange(20.0)
        options = {"loss": MeanSquaredError(), "optimizer": Adam(), "progress": False, "rng": rng}
        model.theta[:] = 0.1
        fit(model, data, epochs=epochs, callbacks=[Checkpoint(checkpoint)], **options, **kwargs)
        return model.theta.tobytes()

    whole = theta(4)
    theta(2)
    assert theta(4, resume=checkpoint) == whole


def test_a_callback_of_ones_own_is_saved_with_numpy_numbers_and_arrays(tmp_path):
    class Counter(Callback):
        def __init__(self):
            self.count, self.norms = np.int64(0), np.zeros(0)

        def on_epoch_end(self, training):
            self.count += 1
            self.norms = np.append(self.norms, np.linalg.norm(training.model.theta))

        def state_dict(self):
            return vars(self)

        def load_state_dict(self, state):
            vars(self).update(state)

    checkpoint = tmp_path / "training.safetensors"
    whole, first, second = Counter(), Counter(), Counter()
    train(tmp_path / "whole.safetensors", epochs=5, callbacks=[whole])
    train(checkpoint, epochs=2, callbacks=[first])
    resume(checkpoint, epochs=5, callbacks=[second])
    assert second.count == 5
    np.testing.assert_array_equal(second.norms, whole.norms)


def test_a_missing_folder_is_noticed_before_the_training(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        Checkpoint(tmp_path / "missing" / "training.safetensors")
    with pytest.raises(ValueError, match="every must be at least 1"):
        Checkpoint(tmp_path / "training.safetensors", every=0)


# Files that are no checkpoint of this training


class Session:
    """A small training, and a snapshot of all that an error must not change."""

    def __init__(self, checkpoint, layers=(), loss=None, optimizer=None, batch_size=16, M=40, **kwargs):
        layers = layers or (Dense(1, 4), ReLU(), Dropout(0.2), Dense(4, 1))
        self.model = Sequential(*layers, rng=0, dtype=kwargs.pop("dtype", "float32"))
        self.optimizer, self.rng = optimizer or Adam(), np.random.default_rng(1)
        self.early, self.checkpoint = EarlyStopping(), checkpoint
        X = np.linspace(-1, 1, M)[:, None]
        self.kwargs = {
            "train": (X, X**2),
            "validation": (X[:10], X[:10] ** 2),
            "loss": loss or MeanSquaredError(),
            "batch_size": batch_size,
            "callbacks": [self.early, Checkpoint(checkpoint)],
            **kwargs,
        }

    def fit(self, epochs=3, **kwargs):
        options = {"optimizer": self.optimizer, "rng": self.rng, "progress": False}
        return fit(self.model, epochs=epochs, **{**self.kwargs, **options, **kwargs})

    def state(self):
        return pickle.dumps(
            (
                self.model.theta,
                self.model.grad,
                self.optimizer.state_dict(),
                self.rng.bit_generator.state,
                dropout_states(self.model),
                vars(self.early),
            )
        )

    def refuses(self, match, error=ValueError):
        before = self.state()
        with pytest.raises(error, match=match) as caught:
            self.fit(resume=self.checkpoint)
        assert str(self.checkpoint) in str(caught.value)
        assert self.state() == before


@pytest.fixture
def session(tmp_path):
    """After one epoch of its own, beside the checkpoint of a longer training that it could resume."""
    Session(tmp_path / "training.safetensors").fit()
    session = Session(tmp_path / "other.safetensors")
    session.fit(epochs=1)
    session.checkpoint = tmp_path / "training.safetensors"
    return session


def test_the_session_itself_can_be_resumed(session):
    before = session.state()
    history = session.fit(epochs=4, resume=session.checkpoint)
    assert len(history.train_loss) == len(history.validation_loss) == 4
    assert session.optimizer.t == 4 * 3
    assert session.state() != before


def test_the_bar_of_a_resumed_training_counts_all_epochs(session, capsys):
    session.fit(epochs=5, resume=session.checkpoint, progress=True)
    assert "5/5" in capsys.readouterr().err


def test_no_file(session):
    session.checkpoint.unlink()
    session.refuses("there is no file", FileNotFoundError)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_truncated_anywhere(tmp_path_factory, data):
    session = Session(tmp_path_factory.mktemp("cut") / "training.safetensors")
    session.fit(epochs=1)
    content = session.checkpoint.read_bytes()
    session.checkpoint.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    session.refuses("truncated or no safetensors file")


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=300))
def test_random_bytes(tmp_path_factory, content):
    session = Session(tmp_path_factory.mktemp("random") / "training.safetensors")
    session.checkpoint.write_bytes(content)
    session.refuses("truncated or no safetensors file|not a checkpoint")


def test_weights_without_a_training(session):
    session.model.save(session.checkpoint)
    session.refuses("is a safetensors file, but not a checkpoint of tinynn.training.fit")


class Payload:
    """What a pickle can do to its reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_pickle_is_executed(session, tmp_path):
    touched = tmp_path / "touched"
    session.checkpoint.write_bytes(pickle.dumps(Payload(touched)))
    session.refuses("truncated or no safetensors file")
    assert not touched.exists()
    pickle.loads(session.checkpoint.read_bytes())
    assert touched.exists()  # the payload was a live one


def test_a_file_of_torch(session):
    torch = pytest.importorskip("torch")
    torch.save({"0.weight": torch.ones(4, 1)}, session.checkpoint)
    session.refuses("truncated or no safetensors file")


def tamper(checkpoint, key, change):
    """Replace the JSON value under `key` in the file's metadata by ``change(value)``."""
    with safe_open(checkpoint, framework="np") as file:
        metadata = file.metadata()
    metadata[key] = json.dumps(change(json.loads(metadata[key])))
    save_file(load_file(checkpoint), checkpoint, metadata=metadata)


def without(x, key):
    return {k: v for k, v in x.items() if k != key}


def change_generator(record, **change):
    """In the state of the second one, which is a Dropout's."""
    loader, dropout = record["generators"]
    return record | {"generators": [loader, dropout | change]}


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("identity", lambda x: []),
        ("identity", lambda x: "model"),
        ("identity", lambda x: without(x, "loss")),
        ("record", lambda x: 7),
        ("record", lambda x: without(x, "epoch")),
        ("record", lambda x: x | {"epoch": "2"}),
        ("record", lambda x: x | {"epoch": -1}),
        ("record", lambda x: x | {"epoch": 2}),
        ("record", lambda x: x | {"history": None}),
        ("record", lambda x: x | {"history": x["history"] | {"surprise": []}}),
        ("record", lambda x: x | {"history": x["history"] | {"train_loss": ["1.0", "low", "2.0"]}}),
        ("record", lambda x: x | {"generators": x["generators"][:1]}),
        ("record", lambda x: x | {"generators": x["generators"] * 2}),
        ("record", lambda x: change_generator(x, bit_generator="MT19937")),
        ("record", lambda x: change_generator(x, state={"state": -1, "inc": 1})),
        ("record", lambda x: change_generator(x, state={"state": 1})),
        ("record", lambda x: x | {"callbacks": x["callbacks"][:1]}),
        ("record", lambda x: x | {"callbacks": x["callbacks"][1:]}),
        ("record", lambda x: x | {"callbacks": [without(x["callbacks"][0], "best"), {}]}),
    ],
)
def test_a_tampered_header(session, key, change):
    tamper(session.checkpoint, key, change)
    session.refuses("is damaged or does not fit this training|is a damaged checkpoint")


@pytest.mark.parametrize("text", ["", "{", "null"])
@pytest.mark.parametrize("key", ["identity", "record"])
def test_metadata_that_are_no_json_object(session, key, text):
    with safe_open(session.checkpoint, framework="np") as file:
        metadata = file.metadata() | {key: text}
    save_file(load_file(session.checkpoint), session.checkpoint, metadata=metadata)
    session.refuses("damaged")


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.pop("theta"),
        lambda x: x.update(theta=x["theta"][:-1]),
        lambda x: x.update(theta=x["theta"] * np.nan),
        lambda x: x.pop("optimizer.t"),
        lambda x: x.pop("optimizer.sum_g"),
        lambda x: x.update({"optimizer.sum_g2": x["theta"][:3]}),
        lambda x: x.update({"optimizer.velocity": x["theta"]}),
    ],
)
def test_tampered_arrays(session, change):
    with safe_open(session.checkpoint, framework="np") as file:
        metadata = file.metadata()
    tensors = load_file(session.checkpoint)
    change(tensors)
    save_file(tensors, session.checkpoint, metadata=metadata)
    session.refuses("is damaged or does not fit this training")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"layers": (Dense(1, 5), Dense(5, 1))},
            r"model: Sequential\(Dense\(1, 4\), .* there, .*Dense\(5, 1",
        ),
        ({"layers": (Dense(1, 4), ReLU(), Dropout(0.3), Dense(4, 1))}, r"Dropout\(0\.2\).* there, .*0\.3"),
        (
            {"layers": (Dense(1, 4, bias=False), ReLU(), Dropout(0.2), Dense(4, 1))},
            "parameters: 13 there, 9 here",
        ),
        ({"dtype": "float64"}, "dtype: float32 there, float64 here"),
        ({"loss": Huber()}, r"loss: MeanSquaredError\(\) there, Huber.* here"),
        ({"optimizer": SGD(0.1)}, r"optimizer: Adam\(.*\) there, SGD\(.*\) here"),
        ({"optimizer": Adam(0.5)}, r"optimizer: Adam\(.*\) there, Adam\(lr=0.5.* here"),
        ({"batch_size": 8}, r"\(batch_size: 16 there, 8 here\)"),
        ({"M": 41}, "samples: 40 there, 41 here"),
        ({"validation": (np.ones((3, 1)), np.ones(3))}, "validation samples: 10 there, 3 here"),
        ({"callbacks": []}, r"callbacks: \['EarlyStopping', 'Checkpoint'\] there, \[\] here"),
        ({"batch_size": 8, "M": 30}, "samples: 40 there, 30 here; .*batch_size: 16 there, 8 here"),
    ],
)
def test_the_checkpoint_of_another_training_says_what_differs(session, other, message):
    Session(session.checkpoint, **other).refuses(f"is the checkpoint of another training .*{message}")


def test_the_state_of_another_rule_of_the_same_name(session):
    Session(session.checkpoint, optimizer=SGD(0.1)).fit()
    other = Session(session.checkpoint, optimizer=SGD(0.1, momentum=0.9))
    other.refuses("momentum=0.0.* there, .*momentum=0.9.* here")


def test_another_kind_of_random_numbers(session):
    other = Session(session.checkpoint)
    other.rng = np.random.Generator(np.random.MT19937(0))
    other.refuses("does not fit this training.*MT19937")
