"""Every kernel: its values against scikit-learn, its derivatives against PyTorch, and what it refuses."""

import tracemalloc

import numpy as np
import pytest
import sklearn.gaussian_process.kernels as reference
import torch
from sklearn.metrics import pairwise

from tinynn.backend import asarray, to_numpy
from tinynn.kernels import (
    Constant,
    Gaussian,
    Laplacian,
    Linear,
    Matern32,
    Matern52,
    Polynomial,
    Product,
    Sum,
    White,
    get_kernel,
)
from tinynn.kernels.tiles import FEW_FEATURES, TILE

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
MANY, OTHERS = rng.normal(size=(2 * TILE + 7, 3)) + 1000, rng.normal(size=(TILE + 3, 3)) + 1000


# The same kernels for one pair of samples in PyTorch; l is a tensor, so that it can be differentiated.
def gaussian(x, y, l):
    return torch.exp(-((x - y) ** 2).sum() / (2 * l**2))


def matern32(x, y, l):
    a = 3**0.5 * torch.linalg.norm(x - y) / l
    return (1 + a) * torch.exp(-a)


def matern52(x, y, l):
    a = 5**0.5 * torch.linalg.norm(x - y) / l
    return (1 + a + a**2 / 3) * torch.exp(-a)


def laplacian(x, y, l):
    return torch.exp(-(x - y).abs().sum() / l)


def white(x, y, l):
    return 0 * x.sum() * y.sum() * l


def constant(x, y, l):
    return l + 0 * x.sum() * y.sum()


def linear(x, y, l=None):
    return x @ y


def cubic(x, y, l=None):
    return (0.7 * (x @ y) + 1.3) ** 3


LENGTH = {Gaussian: gaussian, Matern32: matern32, Matern52: matern52, Laplacian: laplacian}
# (kernel, the same in PyTorch as a function of x, y and its hyperparameters)
CASES = [(kind(1.7), twin) for kind, twin in LENGTH.items()] + [
    (Linear(), linear),
    (Polynomial(3, 0.7, 1.3), cubic),
    (Polynomial(1, 0.7, 1.3), lambda x, y: 0.7 * (x @ y) + 1.3),
    (Polynomial(2, 1.0, 0.0), lambda x, y: (x @ y) ** 2),
    (Polynomial(7, 0.3, 1.3), lambda x, y: (0.3 * (x @ y) + 1.3) ** 7),
    (Constant(0.4), constant),
    (White(0.4), white),
    (Gaussian(1.7) + Linear(), lambda x, y, l: gaussian(x, y, l) + linear(x, y)),
    (Matern52(1.7) * Polynomial(3, 0.7, 1.3), lambda x, y, l: matern52(x, y, l) * cubic(x, y)),
    (
        0.4 * Gaussian(1.7) * Laplacian(0.9) + Matern52(2.5),
        lambda x, y, c, l1, l2, l3: c * gaussian(x, y, l1) * laplacian(x, y, l2) + matern52(x, y, l3),
    ),
]
KERNELS = [kernel for kernel, _ in CASES]


def in_torch(twin, x, y, theta):
    """The value, d/dx, d2/dx dy' and d/dtheta for one pair."""
    x, y, theta = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, y, theta))
    k = twin(x, y, *theta.exp())
    outputs = torch.autograd.grad(k, [x, theta], create_graph=True, allow_unused=True)
    dx, dtheta = (torch.zeros_like(a) if d is None else d for a, d in zip((x, theta), outputs, strict=True))
    dxdy = [
        torch.zeros_like(y) if d is None else d
        for d in (torch.autograd.grad(c, y, retain_graph=True, allow_unused=True)[0] for c in dx)
    ]
    return k.item(), dx.detach().numpy(), torch.stack(dxdy).numpy(), dtheta.detach().numpy()


@pytest.mark.parametrize(("kernel", "twin"), CASES, ids=[repr(kernel) for kernel in KERNELS])
def test_values_and_derivatives_agree_with_autograd(kernel, twin):
    expected = [[in_torch(twin, x, y, kernel.theta) for y in Y] for x in X]
    for ours, i in [(kernel(X, Y), 0), (kernel.dx(X, Y), 1), (kernel.dxdy(X, Y), 2)]:
        theirs = np.array([[pair[i] for pair in row] for row in expected])
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("kernel", "twin"), CASES, ids=[repr(kernel) for kernel in KERNELS])
def test_derivatives_by_the_hyperparameters_agree_with_autograd(kernel, twin):
    ours = kernel.dtheta(X)
    assert ours.shape == (7, 7, len(kernel.theta))
    theirs = [[in_torch(twin, x, y, kernel.theta)[3] for y in Y] for x in X]
    np.testing.assert_allclose(kernel.dtheta(X, Y), theirs, rtol=1e-10, atol=1e-10)
    for i in range(7):
        for j in range(i):
            theirs = in_torch(twin, X[i], X[j], kernel.theta)[3]
            np.testing.assert_allclose(ours[i, j], theirs, rtol=1e-10, atol=1e-10)
            np.testing.assert_array_equal(ours[j, i], ours[i, j])
    step = 1e-6
    for p, unit in enumerate(np.eye(len(kernel.theta))):
        up, down = (kernel.clone_with_theta(kernel.theta + h * unit).diag(X) for h in (step, -step))
        np.testing.assert_allclose(np.diagonal(ours[:, :, p]), (up - down) / (2 * step), atol=1e-9)


@pytest.mark.parametrize("kind", LENGTH)
def test_derivative_by_the_length_scale_agrees_with_autograd(kind):
    l = 1.7
    ours = kind(l, "fixed").d_length_scale(X, Y)
    theirs = [[in_torch(LENGTH[kind], x, y, [np.log(l)])[3][0] / l for y in Y] for x in X]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    assert (np.diagonal(kind(l).d_length_scale(X)) == 0).all()


@pytest.mark.parametrize("kernel", [Gaussian(1.7), Matern32(1.7), Matern52(1.7)], ids=repr)
def test_derivatives_where_samples_coincide(kernel):
    """There d2f of Matern32 is infinite, and the derivative all the same the limit of those nearby."""
    assert (kernel.dx(X, X)[range(7), range(7)] == 0).all()
    at = kernel.dxdy(X)[0, 0]
    near = kernel.dxdy(X[:1], X[:1] + 1e-7)[0, 0]
    np.testing.assert_allclose(at, near, atol=1e-5)
    np.testing.assert_allclose(at, np.diag(np.diagonal(at)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Gaussian(2.0), reference.RBF(2.0)),
        (Matern32(2.0), reference.Matern(2.0, nu=1.5)),
        (Matern52(2.0), reference.Matern(2.0, nu=2.5)),
        (Constant(3.0), reference.ConstantKernel(3.0)),
        (White(3.0), reference.WhiteKernel(3.0)),
        (
            2 * Gaussian(2.0) * Matern32() + White(0.1),
            2 * reference.RBF(2.0) * reference.Matern(nu=1.5) + reference.WhiteKernel(0.1),
        ),
        (Gaussian(2.0, "fixed") + Constant(3.0), reference.RBF(2.0, "fixed") + reference.ConstantKernel(3.0)),
        (White(0.3) * Matern52(), reference.WhiteKernel(0.3) * reference.Matern(nu=2.5)),
    ],
    ids=repr,
)
def test_agrees_with_scikit_learn(ours, theirs):
    np.testing.assert_allclose(ours(MANY, OTHERS), theirs(MANY, OTHERS), rtol=0, atol=1e-10)
    K, gradient = theirs(MANY, eval_gradient=True)
    np.testing.assert_allclose(ours(MANY), K, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours.dtheta(MANY), gradient, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(ours.diag(MANY), theirs.diag(MANY))
    np.testing.assert_allclose(ours.theta, theirs.theta)
    np.testing.assert_allclose(ours.bounds, theirs.bounds.reshape(-1, 2))
    W = rng.normal(size=K.shape)
    W += W.T
    expected = np.einsum("ij,ijp->p", W, gradient)
    unread = np.tril(W) + np.triu(np.full_like(W, np.nan), 1)
    np.testing.assert_allclose(ours.theta_gradient(MANY, unread), expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "theirs", "parameters"),
    [
        ("linear", pairwise.linear_kernel, {}),
        ("poly", pairwise.polynomial_kernel, {"gamma": 0.2, "degree": 2, "coef0": 0.5}),
        ("polynomial", pairwise.polynomial_kernel, {"gamma": 0.2}),
        ("rbf", pairwise.rbf_kernel, {"gamma": 0.2}),
        ("gaussian", pairwise.rbf_kernel, {"gamma": 0.2}),
        ("laplacian", pairwise.laplacian_kernel, {"gamma": 0.2}),
    ],
)
@pytest.mark.parametrize("n", [1, 3, FEW_FEATURES + 1])
def test_named_kernels_agree_with_scikit_learn(name, theirs, parameters, n):
    A, B = np.random.default_rng(1).normal(size=(2, 500, n)) + 1
    kernel = get_kernel(name, **parameters)
    np.testing.assert_allclose(kernel(A, B[:300]), theirs(A, B[:300], **parameters), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(kernel(A), theirs(A, **parameters), rtol=1e-9, atol=1e-12)
    assert get_kernel(kernel, gamma=5.0) is kernel


@pytest.mark.parametrize("name", ["matern32", "matern52", "gaussian", "laplacian"])
def test_length_scale_goes_before_gamma(name):
    assert get_kernel(name, length_scale=3.0, gamma=7.0).length_scale == 3.0


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_gram_matrix_is_symmetric_to_the_last_bit_and_positive_semidefinite(kernel):
    K = kernel(MANY - 1000)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_array_equal(np.diagonal(K), kernel.diag(MANY - 1000))
    assert np.linalg.eigvalsh(K).min() > -1e-12 * np.abs(K).max()


def test_no_digits_are_lost_far_from_the_origin():
    far = X + 1e6
    np.testing.assert_allclose(Gaussian(0.5)(far), Gaussian(0.5)(far - 1e6), rtol=1e-12)
    assert (np.diagonal(Gaussian(1e-8)(far)) == 1).all()


def test_white_noise_belongs_to_a_sample_and_not_to_its_place():
    assert (White(0.5)(X) == 0.5 * np.eye(7)).all()
    assert (White(0.5)(X, X) == 0).all()
    assert ((White(0.5) * Gaussian())(X, X) == 0).all()
    assert ((White(0.5) * Linear()).dx(X, X) == 0).all()


def test_features_of_the_polynomial_kernel_carry_binomial_coefficients():
    """(1 + x y)^3 = phi(x)'phi(y) with phi_k = sqrt(binomial(3, k)) x^k; S3 leaves out the root."""
    x, y = X[:, :1], Y[:, :1]
    weights = np.sqrt([1, 3, 3, 1])
    phi_x, phi_y = (weights * a ** np.arange(4) for a in (x, y))
    np.testing.assert_allclose(Polynomial(3)(x, y), phi_x @ phi_y.T, rtol=1e-12, atol=1e-14)


def test_the_gaussian_kernel_is_a_polynomial_of_infinite_degree():
    """What S4 (45) should read."""
    g = 0.3
    terms = sum((2 * g * X @ Y.T) ** k / float(np.prod(np.arange(1.0, k + 1))) for k in range(40))
    left, right = (np.exp(-g * (a * a).sum(axis=1)) for a in (X, Y))
    np.testing.assert_allclose(left[:, None] * right * terms, get_kernel("rbf", gamma=g)(X, Y), rtol=1e-12)


def test_the_gaussian_kernel_is_an_inner_product_of_bell_curves():
    """S3 18.1: the integral over r of exp(-(x - r)^2) exp(-(y - r)^2) = sqrt(pi/2) exp(-(x - y)^2 / 2)."""
    x, y = X[:, 0], Y[:, 0]
    r = np.linspace(-12, 12, 2001)
    bells_x, bells_y = (np.exp(-((a[:, None] - r) ** 2)) for a in (x, y))
    integral = bells_x @ bells_y.T * (r[1] - r[0])
    np.testing.assert_allclose(integral, np.sqrt(np.pi / 2) * Gaussian()(X[:, :1], Y[:, :1]), rtol=1e-12)


def gram_memory(N, n):
    """Peak over size of the result."""
    A = np.random.default_rng(0).normal(size=(N, n))
    kernel = 2 * Gaussian(2.0) * Matern52() + Polynomial(2) + White()
    tracemalloc.start()
    try:
        K = kernel(A)
        return tracemalloc.get_traced_memory()[1] / K.nbytes, K
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("n", "most"), [(5, 1.05), (FEW_FEATURES, 1.15), (FEW_FEATURES + 1, 1.35)])
def test_gram_matrix_needs_no_memory_besides_itself(n, most):
    """But copies of the samples and, for many features, a row of tiles for each of the three parts."""
    ratio, _ = gram_memory(4000, n)
    assert ratio < most


@pytest.mark.slow
def test_gram_matrix_of_20000_samples():
    ratio, K = gram_memory(20000, 20)
    assert ratio < 1.02
    assert (K[:50, -50:] == K[-50:, :50].T).all()


def test_sums_and_products_read_as_written():
    kernel = np.float64(2) * Gaussian() * 3 + Linear() + 1
    assert isinstance(kernel, Sum)
    expected = 6 * Gaussian()(X) + Linear()(X) + 1
    np.testing.assert_allclose(kernel(X), expected)
    np.testing.assert_allclose((1 + Linear())(X), Linear()(X) + 1)
    assert eval(repr(kernel)).theta.tolist() == kernel.theta.tolist()
    with pytest.raises(TypeError, match="unsupported operand"):
        Gaussian() * None
    assert kernel.set_params(k2__value=5.0).k2.value == 5.0


def test_clone_with_theta_changes_what_is_free():
    kernel = Constant(2.0, "fixed") * Gaussian(3.0) + White(0.1)
    new = kernel.clone_with_theta(np.log([5.0, 0.2]))
    assert new.k1.k1.value == 2.0
    np.testing.assert_allclose(new.theta, np.log([5.0, 0.2]))
    np.testing.assert_allclose(kernel.theta, np.log([3.0, 0.1]))
    with pytest.raises(ValueError, match=r"theta has shape \(1,\); wanted \(2,\)"):
        kernel.clone_with_theta([0.0])


@pytest.mark.parametrize(
    "kernel",
    [*KERNELS, *(kind(np.float64(1.7)) for kind in LENGTH), Polynomial(3, np.float64(0.7), np.float64(1.3))],
    ids=repr,
)
def test_float32_stays_float32(kernel):
    x, y = X.astype(np.float32), Y.astype(np.float32)
    for ours, exact in [
        (kernel(x, y), kernel(X, Y)),
        (kernel(x), kernel(X)),
        (kernel.diag(x), kernel.diag(X)),
        (kernel.dx(x, y), kernel.dx(X, Y)),
        (kernel.dxdy(x, y), kernel.dxdy(X, Y)),
        (kernel.dtheta(x), kernel.dtheta(X)),
    ]:
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, exact, atol=2e-5 * max(1, np.abs(exact).max(initial=0)))


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_on_another_array_library(kernel, device):
    x, y = asarray(X, device), asarray(Y, device)
    for ours, expected in [
        (kernel(x, y), kernel(X, Y)),
        (kernel(x), kernel(X)),
        (kernel.diag(x), kernel.diag(X)),
        (kernel.dx(x, y), kernel.dx(X, Y)),
        (kernel.dxdy(x, y), kernel.dxdy(X, Y)),
        (kernel.dtheta(x), kernel.dtheta(X)),
    ]:
        np.testing.assert_allclose(to_numpy(ours), expected, rtol=1e-12, atol=1e-14)
    W = np.eye(7) + 0.1
    ours = kernel.theta_gradient(x, asarray(W, device))
    np.testing.assert_allclose(ours, kernel.theta_gradient(X, W), rtol=1e-10)


@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        (Gaussian(0), ValueError, r"length_scale must lie in \(0, inf\); got 0"),
        (Matern32(-1.0), ValueError, "length_scale must lie in"),
        (Matern52(np.nan), ValueError, "length_scale must lie in"),
        (Laplacian("1"), TypeError, "length_scale must be a number"),
        (White(-1), ValueError, "noise_level must lie in"),
        (Constant(0), ValueError, "value must lie in"),
        (Polynomial(0), ValueError, "degree must be at least 1"),
        (Polynomial(1.5), TypeError, "degree must be an integer"),
        (Polynomial(2, gamma=0), ValueError, "gamma must lie in"),
        (Polynomial(2, coef0=-1), ValueError, "coef0 must lie in"),
        (Gaussian(1.0, (2, 1)), ValueError, "length_scale_bounds must be .* 0 < low <= high"),
        (Gaussian(1.0, (1, np.inf)), ValueError, "length_scale_bounds must be .* 0 < low <= high"),
        (Gaussian(1.0, None), ValueError, "length_scale_bounds must be .*; got None"),
        (Gaussian(1.0, ("1", "2")), TypeError, "length_scale_bounds must be a number; got '1'"),
        (Gaussian(1.0, "free"), ValueError, 'length_scale_bounds must be .* or "fixed"; got'),
        (Linear() + Gaussian(-1), ValueError, "length_scale must lie in"),
        (Product(Linear(), 3.0), TypeError, "k2 must be a Kernel; got 3.0"),
    ],
    ids=repr,
)
def test_parameters_out_of_their_range(kernel, error, message):
    for call in (kernel, kernel.diag, kernel.dx, kernel.dxdy, kernel.dtheta):
        with pytest.raises(error, match=message):
            call(X)


@pytest.mark.parametrize(
    ("X", "Y", "error", "message"),
    [
        (X[:, 0], None, ValueError, "X has 1 dimensions"),
        (X[:0], None, ValueError, "X is empty"),
        (np.where(X > 0, np.nan, X), None, ValueError, "X contains .* NaN"),
        (X, np.full((2, 3), np.inf), ValueError, "Y contains 6 inf"),
        (X, Y[:, :2], ValueError, r"X has samples of shape \(3,\) but Y of \(2,\)"),
        (X, Y * 1j, ValueError, "Y is complex"),
    ],
)
def test_samples_that_are_none(X, Y, error, message):
    for call in (Gaussian(), Gaussian().dx, Gaussian().dxdy, Gaussian().d_length_scale):
        with pytest.raises(error, match=message):
            call(X, Y)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"kernel must be a Kernel or one of .*'matern52'.*; got 'sigmoid'"):
        get_kernel("sigmoid")
    with pytest.raises(ValueError, match="gamma must lie in"):
        get_kernel("rbf", gamma=-1)
