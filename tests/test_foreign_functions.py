"""Everything public, on an array library other than NumPy, gives NumPy's numbers: one table.

A new public class or function needs a line in CASES, or a reason why it has none. Layers, losses and
optimisers have their lines in cases.py, for test_backend.py.
"""

import importlib
import inspect
import re

import ase
import numpy as np
import pytest
from cases import LAYERS, LOSSES, OPTIMIZERS

from tinynn import (
    data,
    decomposition,
    gradcheck,
    kernels,
    linalg,
    linear_model,
    metrics,
    model_selection,
    molecules,
    preprocessing,
    probability,
    training,
)
from tinynn.backend import asarray, get_array_module, to_numpy
from tinynn.nn import Dense, MeanSquaredError, Sequential, Tanh

MODULES = """
    data decomposition gradcheck kernels linalg linear_model metrics model_selection molecules nn optim
    preprocessing probability training
""".split()  # noqa: SIM905

rng = np.random.default_rng(0)
R = rng.standard_normal((5, 4, 3))
X, X_new = rng.standard_normal((6, 3)), rng.standard_normal((2, 3))
TALL, TARGETS = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
Y, Y_PRED = rng.standard_normal(7), rng.standard_normal(7)
SQUARE = rng.standard_normal((6, 6))
POSITIVE = SQUARE @ SQUARE.T + np.eye(6)
Z = [6, 1, 1, 8]
LABELS, PREDICTED = np.array([0, 2, 1, 1]), np.array([0, 1, 1, 1])
Y_TALL = TARGETS[:, 0]
SCORES = "predict decision_function"
CLASSES = TALL[:, 0].round().clip(-1, 1).astype(int)
E, F = molecules.LennardJones().predict(R + np.arange(12.0).reshape(4, 3))
WATER = [[[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]]
RADIAL = molecules.RadialSymmetryFunctions(Z, eta=[0.5, 2.0], r_s=1.0, cutoff=3.0)
ANGULAR = molecules.AngularSymmetryFunctions(Z, eta=0.1, zeta=[1.0, 3.0], lam=-1.0, cutoff=3.0, per_atom=True)
SWAPS = molecules.permutation_group(Z)


def features(kind):
    return (lambda R: (kind(R), kind.jacobian(R), kind(R[0]), kind.jacobian(R[0]))), R


def potential(kind):
    return (lambda R: (kind.energy(R), kind.forces(R), *kind.predict(R[0]))), R


def kernel(kind, *samples):
    def values(X, Y, W):
        both = kind(X, Y), kind(X), kind.diag(X), kind.dtheta(X), kind.theta_gradient(X, W).tolist()
        if isinstance(kind, molecules.AtomPairKernel):
            return (*both, kind.dx(X, Y))
        return both if X.ndim == 3 else (*both, kind.dx(X, Y), kind.dxdy(X, Y))

    X, Y = samples or (TALL[:6], TALL[6:10])
    return values, X, Y, np.eye(len(X)) + 0.1


def estimator(model, y, methods="predict"):
    """What a model learns from TALL and y, whatever it is asked about X."""

    def results(X, y, X_new):
        model.fit(X, y)
        found = [getattr(model, method)(X_new) for method in methods.split()]
        return *found, *([model.score(X, y)] if hasattr(model, "score") else [])

    return results, TALL, y, X


def transformer(model):
    def results(X, X_new):
        Z = model.fit(X).transform(X_new)
        return Z, *([model.inverse_transform(Z)] if hasattr(model, "inverse_transform") else [])

    return results, TALL, X_new


def network(R, *layers):
    return Sequential(*layers, rng=0, dtype=R.dtype.name, backend=get_array_module(R).__name__)


def network_features(R):
    phi = molecules.NetworkFeatures(network(R, Dense(6, 5), Tanh(), Dense(5, 2)), molecules.inverse_distances)
    return phi(R), phi.jacobian(R)


def energy_and_forces(X, y):
    model = network(X, molecules.EnergyAndForces(Dense(3, 4), Tanh(), Dense(4, 1), n_coordinates=2))
    loss = molecules.EnergyForceLoss(0.5, 2.0)
    value = loss.forward(model.forward(X), y)
    return value, model.backward(loss.backward()), model.grad


def force_field(model):
    def results(R, E, F):
        model.fit(R, E, F, progress=False)
        E_new, F_new = model.predict(R[:2])
        return E_new, F_new, *model.predict(R[0])

    return results, R, E, F


def calculator(R):
    model = molecules.EnergyForceRegressor(alpha=1e-6).fit(
        R, *molecules.LennardJones().predict(R), progress=False
    )
    atoms = ase.Atoms("CHHO", to_numpy(R[0]), calculator=molecules.ModelCalculator(model, Z))
    return atoms.get_potential_energy(), atoms.get_forces()


def audit(R):
    found = molecules.audit_invariance(molecules.CoulombPairPotential(), R)
    assert found.is_invariant()
    return found.scale, found.forces.scale


def gaussian_process(X, y, X_new):
    kind = 2.0 * kernels.Matern52(2.0) + kernels.White(0.1)
    model = kernels.GaussianProcessRegressor(kind, alpha=1e-3, optimizer=None, normalize_y=True).fit(X, y)
    value, gradient = model.log_marginal_likelihood(eval_gradient=True)
    assert model.sample_y(X_new, 3).shape == (*model.predict(X_new).shape, 3)
    return (
        *model.predict(X_new, return_std=True),
        *model.predict(X_new, return_cov=True),
        value,
        gradient.tolist(),
    )


def normal(mean, covariance, x):
    p = probability.MultivariateNormal(mean, covariance)
    q = p.conditional([1, 4], [0.5, -0.5]).marginal([2, 0])
    return p.logpdf(x), p.pdf(x), p.logpdf(x[0]), p.sample(3, rng=0), q.mean, q.covariance


def train(X, y):
    """All of `fit`, and what it hands to its callbacks."""
    history = training.fit(
        model := network(X, Dense(3, 4), Tanh(), Dense(4, 2)),
        data.Dataset(X, y),
        loss=MeanSquaredError(),
        optimizer=OPTIMIZERS["Adam"].build(),
        epochs=3,
        validation=(X, y),
        callbacks=[training.EarlyStopping(2)],
        progress=False,
        rng=0,
    )
    return model.theta, history.train_loss, history.validation_loss


def train_many(X, y):
    """Networks of one shape, as one stack of matrices."""
    models = [network(X, Dense(3, 4), Tanh(), Dense(4, 2)) for _ in range(3)]
    histories = training.fit_many(
        models,
        [data.Dataset(X, y), data.Dataset(2 * X, y), data.Dataset(X, -y)],
        loss=MeanSquaredError(),
        optimizers=[OPTIMIZERS["Adam"].build() for _ in models],
        epochs=2,
        progress=False,
        rngs=range(3),
    )
    return tuple(model.theta for model in models), [history.train_loss for history in histories]


def accumulate(kind):
    def result(X, y):
        rows = kind().extend(linalg.row_blocks(X[:20], y[:20], rows=7)) + kind().update(X[20:], y[20:])
        solution = rows.solve(alpha=0.1)
        return solution.coef, solution.residual_norm

    return result, TALL, TARGETS


def solution(method, **options):
    def result(X, y):
        found = linalg.least_squares(X, y, method, 0.1, fit_intercept=True, **options)
        return found.coef, found.intercept, found.residual_norm

    return result, TALL, TARGETS


def curves(function, **options):
    return (lambda X, y: tuple(function(linear_model.Ridge(), X, y, cv=3, **options))), TALL, TARGETS


CASES = {
    # training and data
    "fit": (train, TALL, TARGETS),
    "fit_many": (train_many, TALL, TARGETS),
    "largest_stable_rate": (training.largest_stable_rate, TALL),
    "Dataset": (lambda X, y: data.Dataset(X, y)[1:4], TALL, CLASSES),
    "DataLoader": (lambda X, y: list(data.DataLoader(data.Dataset(X, y), 8, rng=0)), TALL, CLASSES),
    "split": (lambda X, y: [part[:] for part in data.split(data.Dataset(X, y), rng=0)], TALL, CLASSES),
    # linalg
    "cholesky": (linalg.cholesky, POSITIVE),
    "lu": (linalg.lu, SQUARE),
    "qr": (lambda A: (*linalg.qr(A), *linalg.qr(A, pivoting=True)), TALL),
    "svd": (linalg.svd, TALL),
    "solve_lower": (linalg.solve_lower, POSITIVE, SQUARE),
    "solve_upper": (linalg.solve_upper, POSITIVE, SQUARE[0]),
    "column_means": (linalg.column_means, TALL),
    "row_blocks": (lambda X, y: list(linalg.row_blocks(X, y, rows=9)), TALL, TARGETS),
    "GramAccumulator": accumulate(linalg.GramAccumulator),
    "TSQRAccumulator": accumulate(linalg.TSQRAccumulator),
    **{f"least_squares, {method}": solution(method) for method in linalg.METHODS if method != "sgd"},
    "least_squares, sgd": solution("sgd", rng=0),
    "least_squares, by hand": solution("pivoted_qr", factorization="tinynn"),
    # kernels
    "Gaussian": kernel(kernels.Gaussian(1.3)),
    "Laplacian": kernel(kernels.Laplacian(1.3)),
    "Matern32": kernel(kernels.Matern32(1.3)),
    "Matern52": kernel(kernels.Matern52(1.3)),
    "Linear": kernel(kernels.Linear()),
    "Polynomial": kernel(kernels.Polynomial(3)),
    "Constant": kernel(kernels.Constant(2.0)),
    "White": kernel(kernels.White(2.0)),
    "Sum": kernel(kernels.Sum(kernels.Gaussian(), kernels.White())),
    "Product": kernel(kernels.Product(kernels.Gaussian(), kernels.Linear())),
    "get_kernel": kernel(kernels.get_kernel("rbf", gamma=0.3)),
    "KernelRidge": estimator(kernels.KernelRidge(0.1, kernel="rbf"), TARGETS),
    "KernelRidge, a function": estimator(kernels.KernelRidge(kernel=lambda x, y: float(x @ y)), TARGETS),
    "SVC": estimator(kernels.SVC(), CLASSES, SCORES),
    "GaussianProcessRegressor": (gaussian_process, TALL, TARGETS, X),
    # molecules
    "pair_vectors": (molecules.pair_vectors, R),
    "pair_distances": (molecules.pair_distances, R),
    "pair_distances_gradient": (molecules.pair_distances_gradient, R),
    "Positions": features(molecules.Positions()),
    "positions": features(molecules.positions),
    "Distances": features(molecules.Distances()),
    "distances": features(molecules.distances),
    "InverseDistances": features(molecules.InverseDistances()),
    "inverse_distances": features(molecules.inverse_distances),
    "SortedInverseDistances": features(molecules.SortedInverseDistances()),
    "sorted_inverse_distances": features(molecules.sorted_inverse_distances),
    "coulomb_matrix": (lambda R: molecules.coulomb_matrix(R, Z), R),
    "CoulombMatrix": features(molecules.CoulombMatrix(Z)),
    "CoulombSpectrum": features(molecules.CoulombSpectrum(Z)),
    "RadialSymmetryFunctions": features(RADIAL),
    "AngularSymmetryFunctions": features(ANGULAR),
    "NetworkFeatures": (network_features, R),
    "CoulombPairPotential": potential(molecules.CoulombPairPotential()),
    "LennardJones": potential(molecules.LennardJones()),
    "Morse": potential(molecules.Morse(1.0, 1.0, 1.0)),
    "translate": (molecules.translate, R, np.ones(3)),
    "rotate": (molecules.rotate, R, molecules.random_rotation(3, 0)),
    "rotate, by an angle": (lambda R: molecules.rotate(R, 0.5), R[:, :, :2]),
    "reflect": (molecules.reflect, R),
    "permute": (lambda R: molecules.permute(R, [3, 0, 1, 2], [1, 1, 1, 1]), R),
    "center": (molecules.center, R),
    "identity": (molecules.identity, R),
    "orbit": (lambda R: molecules.orbit(R, molecules.direct_product(SWAPS, molecules.reflection_group())), R),
    "permutation_group": (lambda R: [g(R) for g in molecules.permutation_group(Z)], R),
    "rotation_group": (lambda R: [g(R) for g in molecules.rotation_group(3)], R[:, :, :2]),
    "reflection_group": (lambda R: [g(R) for g in molecules.reflection_group(1)], R),
    "sample_rotations": (lambda R: [g(R) for g in molecules.sample_rotations(3, 2, rng=0)], R),
    "direct_product": (
        lambda R: [g(R) for g in molecules.direct_product(SWAPS, molecules.reflection_group())],
        R,
    ),
    "group_average": (
        lambda R: molecules.group_average(molecules.positions, molecules.reflection_group(2))(R),
        R,
    ),
    "are_equivalent": (
        lambda R: molecules.are_equivalent(R[0], molecules.permute(R[0], [0, 2, 1, 3]), SWAPS),
        R,
    ),
    "audit_invariance": (audit, R),
    "FeatureKernel": kernel(molecules.FeatureKernel(kernels.Gaussian(), molecules.positions), R[:3], R[3:]),
    "AtomPairKernel": kernel(molecules.AtomPairKernel(kernels.Gaussian(0.5), Z), R[:3], R[3:]),
    "SymmetrizedKernel": kernel(
        molecules.SymmetrizedKernel(
            molecules.FeatureKernel(kernels.Gaussian(), molecules.inverse_distances), SWAPS
        ),
        R[:3],
        R[3:],
    ),
    "EnergyAndForces": (energy_and_forces, rng.standard_normal((4, 9)), rng.standard_normal((4, 3))),
    "EnergyForceRegressor": force_field(molecules.EnergyForceRegressor(targets="both", alpha=1e-6)),
    "NeuralForceField": force_field(molecules.NeuralForceField((5,), epochs=2, rng=0)),
    "convert_energy": (lambda E: molecules.convert_energy(E, "kcal/mol"), E),
    # the others
    "StandardScaler": transformer(preprocessing.StandardScaler()),
    "MinMaxScaler": transformer(preprocessing.MinMaxScaler()),
    "PolynomialFeatures": transformer(preprocessing.PolynomialFeatures(3)),
    "PCA": transformer(decomposition.PCA(2)),
    "PCA, by variance": transformer(decomposition.PCA(0.8)),
    "GaussianRandomProjection": transformer(decomposition.GaussianRandomProjection(2, random_state=0)),
    "one_hot": (preprocessing.one_hot, LABELS),
    "LinearRegression": estimator(linear_model.LinearRegression(), TARGETS),
    "Ridge": estimator(linear_model.Ridge(), TARGETS),
    "Lasso": estimator(linear_model.Lasso(0.1), Y_TALL),
    "ElasticNet": estimator(linear_model.ElasticNet(0.1), Y_TALL),
    "LinearSVC": estimator(linear_model.LinearSVC(random_state=0), CLASSES, SCORES),
    "LogisticRegression": estimator(
        linear_model.LogisticRegression(), CLASSES, f"{SCORES} predict_proba predict_log_proba"
    ),
    "LogisticRegression, two classes": estimator(
        linear_model.LogisticRegression(), CLASSES > 0, f"{SCORES} predict_proba predict_log_proba"
    ),
    "r2_score": (metrics.r2_score, Y, Y_PRED),
    "mean_squared_error": (metrics.mean_squared_error, Y, Y_PRED),
    "mean_absolute_error": (metrics.mean_absolute_error, Y, Y_PRED),
    "accuracy": (metrics.accuracy, LABELS, PREDICTED),
    "confusion_matrix": (metrics.confusion_matrix, LABELS, PREDICTED),
    "MultivariateNormal": (normal, np.arange(6.0), POSITIVE, SQUARE),
    "train_test_split": (lambda X, y: model_selection.train_test_split(X, y, random_state=0), TALL, TARGETS),
    "cross_val_score": curves(model_selection.cross_val_score),
    "learning_curve, to the host": curves(model_selection.learning_curve),
    "validation_curve, to the host": curves(
        model_selection.validation_curve, param_name="alpha", param_range=[0.1, 1.0, 10.0]
    ),
    # what works on the host: it takes arrays from anywhere, and returns those of NumPy
    "bond_graph, to the host": (lambda R: molecules.bond_graph(R, [8, 1, 1]), WATER),
    "feasible_permutations, to the host": (lambda R: molecules.feasible_permutations(R, [8, 1, 1]), WATER),
    "generate_permutations, to the host": (molecules.generate_permutations, LABELS + 1),
    "like_atom_generators": (molecules.like_atom_generators, LABELS + 1),
    "ModelCalculator, to the host": (calculator, R),
    "KFold, to the host": (lambda X: list(model_selection.KFold(3).split(X)), TALL),
    "StratifiedKFold, to the host": (
        lambda X, y: list(model_selection.StratifiedKFold(3).split(X, y)),
        TALL,
        CLASSES,
    ),
}
WHY_NOT = {
    "an abstract base": (
        "Layer Loss Optimizer Schedule Callback Kernel DotProductKernel RadialKernel Features PairPotential"
    ),
    "a record of numbers": (
        "History LeastSquaresResult Configurations InvarianceAudit OnTheFlyLog Comparison GradientReport"
    ),
    "takes numbers of Python": (
        "StepDecay ExponentialDecay CosineDecay METHODS pair_indices random_rotation energy_units "
        "johnson_lindenstrauss_min_dim"
    ),
    "used in another line of the table": "EnergyForceLoss EarlyStopping",
    "reads or writes files; below, and in test_backend.py": "read_extxyz write_extxyz Checkpoint",
    "the dynamics of ASE, on the host": "LearningCalculator learn_on_the_fly",
    "refuses arrays that are not NumPy's; below": "check_layer check_tangents check_loss check_model",
}


def public(module):
    """Names of what a module offers; its errors and warnings hold no arrays."""
    own = [name for name, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    kinds = {name: getattr(module, name) for name in names}
    return {name for name, x in kinds.items() if not (inspect.isclass(x) and issubclass(x, Exception))}


def test_everything_public_has_a_case_or_a_reason():
    tables = (
        CASES,
        LAYERS,
        LOSSES,
        OPTIMIZERS,
        *(dict.fromkeys(names.split()) for names in WHY_NOT.values()),
    )
    listed = [{re.match(r"\w+", key)[0] for key in table} for table in tables]
    offered = set().union(*(public(importlib.import_module(f"tinynn.{name}")) for name in MODULES))
    assert offered == set().union(*listed)
    assert len(offered) == sum(map(len, listed))  # each in one table only


def flat(result):
    if isinstance(result, (tuple, list)):
        return [x for part in result for x in flat(part)]
    return [result]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_foreign_library_gives_the_same(name, dtype, device):
    function, *arguments = CASES[name]
    arguments = [np.array(a) for a in arguments]
    arguments = [a.astype(dtype) if a.dtype == np.float64 else a for a in arguments]
    ours = flat(function(*arguments))
    theirs = flat(function(*(asarray(a, device) for a in arguments)))
    home = "numpy" if name.endswith("to the host") else device
    # another library adds up in another order
    tolerance = (
        {"float32": 1e-3, "float64": 1e-8} if device == "cupy" else {"float32": 1e-5, "float64": 1e-10}
    )
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(a, np.ndarray):
            assert get_array_module(b).__name__ == home
            assert (b.dtype, b.shape) == (a.dtype, a.shape)
        scale = np.abs(a).max() if np.size(a) else 0
        np.testing.assert_allclose(to_numpy(b), a, rtol=0, atol=tolerance[dtype] * scale)


def test_files_are_written_from_any_library(device, tmp_path):
    molecules.write_extxyz(tmp_path / "host", Z, R, E, F, energy_unit="eV")
    moved = [asarray(a, device) for a in (np.array(Z), R, E, F)]
    molecules.write_extxyz(tmp_path / "device", *moved, energy_unit="eV")
    assert (tmp_path / "device").read_bytes() == (tmp_path / "host").read_bytes()


def test_gradients_are_checked_on_the_host_only(device):
    model, x, y = network(TALL, Dense(3, 2), Tanh()), asarray(TALL, device), asarray(TARGETS, device)
    moved = network(x, Dense(3, 2), Tanh())
    for check in (
        lambda: gradcheck.check_layer(model.layers[0], x),
        lambda: gradcheck.check_layer(moved.layers[0], TALL),
        lambda: gradcheck.check_tangents(model.layers[1], x),
        lambda: gradcheck.check_loss(MeanSquaredError(), y, y),
        lambda: gradcheck.check_model(model, x, y, MeanSquaredError()),
        lambda: gradcheck.check_model(moved, TALL, TARGETS, MeanSquaredError()),
    ):
        with pytest.raises(TypeError, match="gradients are checked in float64 on NumPy"):
            check()
