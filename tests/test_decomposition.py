import numpy as np
import pytest
import sklearn.datasets
import sklearn.decomposition
import sklearn.random_projection
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynn.backend import asarray, to_numpy
from tinynn.decomposition import PCA, GaussianRandomProjection, johnson_lindenstrauss_min_dim
from tinynn.estimator import NotFittedError


def load(name):
    return getattr(sklearn.datasets, f"load_{name}")().data


@pytest.mark.parametrize("name", ["digits", "diabetes", "breast_cancer", "wine"])
@pytest.mark.parametrize("n_components", [None, 1, 5, 0.5, 0.99])
def test_pca_agrees_with_scikit_learn_on_real_data(name, n_components):
    X = load(name)
    ours = PCA(n_components).fit(X)
    theirs = sklearn.decomposition.PCA(n_components, svd_solver="full").fit(X)
    assert ours.n_components_ == theirs.n_components_
    # Directions without variance are arbitrary: digits have pixels that are always white.
    real = ours.explained_variance_ > 1e-12 * ours.explained_variance_[0]
    np.testing.assert_allclose(ours.components_[real], theirs.components_[real], atol=1e-8)
    np.testing.assert_allclose(ours.mean_, theirs.mean_)
    for attribute in ("explained_variance_", "explained_variance_ratio_", "singular_values_"):
        mine, reference = getattr(ours, attribute), getattr(theirs, attribute)
        np.testing.assert_allclose(mine, reference, rtol=1e-8, atol=1e-12 * reference[0])
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-9, abs=1e-12)
    scale = np.abs(X).max()
    np.testing.assert_allclose(
        ours.transform(X)[:, real], theirs.transform(X)[:, real], atol=1e-8 * scale, rtol=1e-7
    )
    np.testing.assert_allclose(
        ours.inverse_transform(ours.transform(X)),
        theirs.inverse_transform(theirs.transform(X)),
        atol=1e-9 * scale,
    )


@settings(max_examples=30)
@given(st.integers(2, 10), st.integers(1, 6), st.integers(0, 100))
def test_directions_are_orthonormal_and_coordinates_uncorrelated(M, n, seed):
    X = np.random.default_rng(seed).normal(size=(M, n)) * 10.0 ** np.arange(n)
    pca = PCA().fit(X)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(min(M, n)), atol=1e-12)
    Z = pca.transform(X)
    variance = np.atleast_2d(np.cov(Z.T))
    np.testing.assert_allclose(variance, np.diag(pca.explained_variance_), atol=1e-10 * variance.max())
    assert pca.explained_variance_ratio_.sum() == pytest.approx(1)
    np.testing.assert_allclose(pca.inverse_transform(Z), X, atol=1e-10 * np.abs(X).max())


def test_largest_entry_of_a_direction_is_positive():
    X = load("wine")
    for sign in (1, -1):
        V = PCA().fit(sign * X).components_
        assert (V[np.arange(len(V)), np.abs(V).argmax(axis=1)] > 0).all()


def test_a_fraction_of_the_variance_is_exceeded():
    square = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]  # half of the variance along each
    assert PCA(0.5).fit(square).n_components_ == 2
    assert PCA(0.49).fit(square).n_components_ == 1


def test_equal_samples_have_no_variance():
    pca = PCA().fit(np.ones((3, 2)))
    assert pca.explained_variance_.tolist() == [0, 0]
    assert pca.explained_variance_ratio_.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("n_components", "error", "message"),
    [
        (0, ValueError, "n_components must be at least 1"),
        (14, ValueError, r"n_components is 14; X allows at most min\(M, n\) = 13"),
        (1.0, ValueError, r"n_components must lie in \(0, 1\)"),
        ("mle", TypeError, "n_components must be an integer"),
    ],
)
def test_pca_refuses(n_components, error, message):
    with pytest.raises(error, match=message):
        PCA(n_components).fit(load("wine"))


def test_inverse_transform_checks_the_number_of_components():
    with pytest.raises(NotFittedError):
        PCA(2).inverse_transform(np.ones((1, 2)))
    with pytest.raises(ValueError, match="X has 3 columns; wanted one for each of 2 components"):
        PCA(2).fit(load("wine")).inverse_transform(np.ones((1, 3)))


# Random projection


def test_projection_keeps_distances_as_johnson_and_lindenstrauss_say():
    eps, M, n = 0.3, 60, 3000
    X = np.random.default_rng(7).normal(size=(M, n))  # with the seed of the projection X would be its own
    Z = GaussianRandomProjection(eps=eps, random_state=0).fit_transform(X)
    assert Z.shape == (M, johnson_lindenstrauss_min_dim(M, eps=eps))
    i, j = np.triu_indices(M, 1)
    ratio = ((Z[i] - Z[j]) ** 2).sum(axis=1) / ((X[i] - X[j]) ** 2).sum(axis=1)
    assert (1 - eps < ratio).all()
    assert (ratio < 1 + eps).all()
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    few = GaussianRandomProjection(20, random_state=0).fit_transform(X)
    ratio = ((few[i] - few[j]) ** 2).sum(axis=1) / ((X[i] - X[j]) ** 2).sum(axis=1)
    assert ratio.max() > 1 + eps  # with far fewer directions it is not so


@pytest.mark.parametrize("M", [1, 10, 100_000])
@pytest.mark.parametrize("eps", [0.05, 0.5, 0.9])
def test_number_of_directions(M, eps):
    theirs = sklearn.random_projection.johnson_lindenstrauss_min_dim(M, eps=eps)  # rounded down
    assert johnson_lindenstrauss_min_dim(M, eps=eps) - theirs in (0, 1)


def test_same_seed_same_projection():
    X = np.ones((2, 5))
    first, again, other = (
        GaussianRandomProjection(3, random_state=seed).fit_transform(X) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, ValueError, r"eps=0.1 for 178 samples takes 4442 directions, but X has 13 features"),
        ({"n_components": "all"}, ValueError, 'n_components must be an integer or "auto"'),
        ({"n_components": 0}, ValueError, "n_components must be at least 1"),
        ({"eps": 1.0}, ValueError, "eps must lie in"),
    ],
)
def test_projection_refuses(params, error, message):
    with pytest.raises(error, match=message):
        GaussianRandomProjection(**params).fit(load("wine"))


@pytest.mark.parametrize("transformer", [PCA(2), GaussianRandomProjection(2, random_state=0)], ids=repr)
def test_dtype_and_array_library_are_kept(transformer, device):
    X = load("wine")[:20, :4]
    Z = transformer.fit_transform(X)
    assert transformer.fit_transform(X.astype(np.float32)).dtype == np.float32
    moved = transformer.fit_transform(asarray(X, device))
    np.testing.assert_allclose(to_numpy(moved), Z, atol=1e-9)
    if hasattr(transformer, "inverse_transform"):
        assert to_numpy(transformer.inverse_transform(moved)).shape == X.shape
