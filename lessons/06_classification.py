# %% [markdown]
# # Lesson 6: Which class, and how sure?
#
# Is the tumour benign or malignant, which vineyard does the wine come from, which digit is this? A
# class is not a number, and a straight line is a poor answer. But a straight line that is bent into
# a probability is a good one: logistic regression for two classes, softmax regression for more. It
# is the last layer of nearly every network that classifies.
#
# After this lesson you can
# * turn a linear score into a probability, draw the decision boundary, and say how far a sample is
#   from it,
# * write the cross-entropy and its gradient in matrix form, and explain why it and not the square,
# * say why no formula gives the best θ, when there is none at all, and what Newton's method does,
# * scale features, and add products of them where no line separates the classes.
#
# It builds on lesson 1 (loss, gradient descent, its largest rate) and lesson 2 (design matrix,
# Newton's method, condition number). "The slides" are those of the lecture that this lesson follows
# (S4 in the comments of the library) and, in places, corrects; their equations are quoted by number.
# M is the number of samples, n that of features, X' is X transposed, ∘ multiplies element by
# element. The last column of a design matrix holds ones, its θ is the bias b; w are the others.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine, make_moons

from tinynn.backend import asarray, to_numpy
from tinynn.datasets import DatasetError, digits, mnist
from tinynn.gradcheck import check_loss
from tinynn.linear_model import LinearRegression, LogisticRegression, Ridge
from tinynn.linear_model.logistic import Objective, gradient_descent, newton
from tinynn.metrics import accuracy
from tinynn.model_selection import train_test_split
from tinynn.nn import BinaryCrossEntropy, CrossEntropy, Dense, MeanSquaredError, Sequential, Sigmoid
from tinynn.nn.activations import sigmoid, softmax, softplus
from tinynn.optim import Adam, CosineDecay
from tinynn.preprocessing import PolynomialFeatures, StandardScaler, one_hot
from tinynn.results import ResultsTable
from tinynn.training import fit

# %% [markdown]
# **Knobs.** Change them and run again. A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU; for so small problems that is slower
M_SAMPLES = 200  # two clouds in the plane: enough to see them overlap
STEPS = 3000  # quick: 1000; of gradient descent: what scaled features need, far too few for the others
SEEDS = (0, 1, 2, 3, 4)  # quick: (0,); independent splits of the real data into 70 % and 30 %
MNIST = "TINYNN_DATA" in os.environ  # quick: False; True downloads what is missing (12 MB)
MNIST_EPOCHS = 10  # passes over the 60,000 images

# %% [markdown]
# ## 1. How does a score become a probability?
#
# Linear regression answers with the score z = x'θ, any number. A probability lies between 0 and 1,
# so the score is bent by the *sigmoid*, whose slope is known from its value:
#
#     σ(z) = 1 / (1 + exp(-z))  (26),      σ'(z) = σ(z) (1 - σ(z))  (27)
#
# The probability of class 1 is p = σ(x'θ) (31), that of class 0 is 1 - p. For all samples at once,
# one a row of X (28), p = σ(Xθ) (30) instead of Xθ (29). We predict class 1 if p ≥ 1/2, which is
# z ≥ 0. *Predict:* which odds p/(1 - p) belong to z = 2, and to z = 4?

# %%
z = np.linspace(-8, 8, 401)[:, None]
layer = Sigmoid()
p, slope = layer.forward(z), layer.backward(np.ones_like(z))
slope_error = abs(slope - (sigmoid(z + 1e-5) - sigmoid(z - 1e-5)) / 2e-5).max()

fig, ax = plt.subplots(layout="constrained", num="sigmoid")
ax.plot(z, p, label="σ(z), probability of class 1")
ax.plot(z, slope, label="σ'(z) = σ(1 - σ)")
ax.axvline(0, color="k", linewidth=0.8, linestyle=":", label="z = 0: the classes are even")
ax.set(xlabel="score z", ylabel="σ(z), σ'(z)", title="All of the change is within a few units of zero")
ax.legend()
plt.show()
print(f"(27) is off by {slope_error:.0e}")
for score in (2.0, 4.0):
    chance = float(sigmoid(np.array(score)))
    print(f"z = {score}: p = {chance:.4f}, odds {chance / (1 - chance):.2f} = exp(z) = {np.exp(score):.2f}")

# %% [markdown]
# The score is the logarithm of the odds: two more units of z multiply the odds by exp(2) = 7.4,
# wherever we start.
#
# **The score is an inner product.** The slides' page on notation has c'b = |c∘b|². *Predict:* with
# that formula for x'θ, which class would every sample get?

# %%
rng = np.random.default_rng(6)
samples, weights = rng.standard_normal((1000, 3)), np.array([1.0, -2.0, 0.5])
inner = samples @ weights
printed_inner = ((samples * weights) ** 2).sum(axis=1)
sum_error = abs(inner - (samples * weights) @ np.ones(3)).max()  # 1'(c∘b)
ones_inner, ones_printed = np.mean(inner >= 0), np.mean(printed_inner >= 0)
print(f"c'b = 1'(c∘b) to {sum_error:.0e}; c'b gives class 1 to {ones_inner:.0%} of the samples,")
print(f"|c∘b|² to {ones_printed:.0%}")

# %% [markdown]
# A sum of squares is never negative; c'b is the plain sum of the products.
#
# ## 2. Where is the decision boundary?
#
# Where p = 1/2, that is w'x + b = 0: with two features a straight line, in general a plane. To have
# something to compare with, we draw each class from a normal distribution with unit variance, about
# its own centre. The true log odds are then exactly linear (write down the two densities: in their
# ratio |x|² cancels), with
#
#     w = μ₁ - μ₀,      b = (|μ₀|² - |μ₁|²) / 2
#
# *Predict:* will the fit find these numbers? How well, with 200 samples?

# %%
centres = np.array([[-0.5, 0.0], [1.5, 1.0]])
y = np.arange(M_SAMPLES) % 2
X = centres[y] + rng.standard_normal((M_SAMPLES, 2))
truth = np.append(centres[1] - centres[0], (centres[0] @ centres[0] - centres[1] @ centres[1]) / 2)


def train(X, y, **options):
    return LogisticRegression(**options).fit(asarray(X, BACKEND), asarray(y, BACKEND))


def predict(model, X):
    return to_numpy(model.predict(asarray(X, BACKEND)))


def parameters(model):
    return np.append(to_numpy(model.coef_), to_numpy(model.intercept_))


def objective(X, y, C=None):
    """The loss of `LogisticRegression` as a function of θ, with ones as the last column."""
    decay = np.append(np.full(X.shape[1], 1 / (C * len(X)) if C else 0.0), 0.0)
    return Objective(np, np.column_stack([X, np.ones(len(X))]), y, len(np.unique(y)), decay)


clouds = train(X, y, penalty=None, tol=1e-10)
theta = parameters(clouds)
L = objective(X, y)
spread = np.sqrt(np.diag(np.linalg.inv(M_SAMPLES * L.hessian(theta[:, None]))))
for name, value, error, true in zip(("w₁", "w₂", "b"), theta, spread, truth, strict=True):
    print(f"{name} = {value:6.3f} ± {error:.3f}, truth {true:6.3f}")
w, b = theta[:2], theta[2]
length = np.linalg.norm(w)
example_norm = np.linalg.norm([2, 2.1, 8, 5])
print(f"|w| = {length:.3f} (and the slides' example of a norm, |(2, 2.1, 8, 5)| = {example_norm:.8f})")

# %% [markdown]
# As well as the error bars say; they come from the curvature of the loss, (M H)⁻¹ with the Hessian H
# of section 4.
#
# A sample lies at the distance (w'x + b)/|w| from the boundary, and its probability depends on
# nothing else. So the lines p = 0.1 and p = 0.9 run parallel to the boundary, ln 9/|w| away.
#
# **Why not least squares?** Fit y = 0 or 1 by linear regression, cut at 1/2: that has a closed form,
# and often works. *Predict:* what happens to each boundary if class 1 gets 30 more samples, far out
# on its own side, where nobody doubts their class?

# %%
far = np.array([9.0, 3.0]) + 0.7 * rng.standard_normal((30, 2))
X_far, y_far = np.vstack([X, far]), np.append(y, np.ones(30, dtype=int))
logistic_far = train(X_far, y_far, penalty=None, tol=1e-10)
squares = {"without far": LinearRegression().fit(X, y), "with far": LinearRegression().fit(X_far, y_far)}


def boundary_line(ax, w, b, style, label, level=0.0):
    """The line w'x + b = level across the axes; its slope -w₁/w₂ is not infinite here."""
    ends = np.array(ax.get_xlim())
    ax.plot(ends, (level - b - w[0] * ends) / w[1], style, label=label, scalex=False, scaley=False)


fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", num="boundary")
for ax, points, labels in zip(axes, (X, X_far), (y, y_far), strict=True):
    for k, marker in ((0, "C0o"), (1, "C1s")):
        ax.plot(*points[labels == k].T, marker, markersize=3, alpha=0.6, label=f"class {k}")
    ax.set(xlabel="x₁", ylabel="x₂")
axes[0].set_ylim(-4.5, 4)
axes[1].set_ylim(-7, 7)
boundary_line(axes[0], w, b, "k", "p = 1/2")
boundary_line(axes[0], w, b, "k:", "p = 0.1 and 0.9", level=-np.log(9))
boundary_line(axes[0], w, b, "k:", None, level=np.log(9))
axes[0].set_title(f"p = 0.1 and p = 0.9 lie ln 9/|w| = {np.log(9) / length:.2f} from the boundary")
*w_far, b_far = parameters(logistic_far)
boundary_line(axes[1], w_far, b_far, "k", "logistic, with far")
for (name, line), style in zip(squares.items(), ("C2:", "C3--"), strict=True):
    boundary_line(axes[1], line.coef_, line.intercept_ - 0.5, style, f"squares, {name}")
axes[1].set_title("Far samples pull the line of least squares, not ours")
for ax in axes:
    ax.legend(fontsize=8, loc="lower left")
plt.show()
cloud_scores = {
    "logistic": [accuracy(y, predict(model, X)) for model in (clouds, logistic_far)],
    "squares": [accuracy(y, (line.predict(X) > 0.5).astype(int)) for line in squares.values()],
}
print("accuracy on the two clouds, fitted to them, and to them with the far samples")
for name, found in cloud_scores.items():
    print(f"  {name:<9}", *(f"{value:.3f}" for value in found))

# %% [markdown]
# Least squares wants every label to be *hit*: a score of 5 is as wrong as one of -3. The sigmoid
# calls a score of 5 certain, and lets it rest.
#
# ## 3. How wrong is a probability?
#
# The model says p; the label says 0 or 1. The loss of a sample is minus the logarithm of the
# probability that the model gave to what happened: -ln p if y = 1, -ln(1 - p) if y = 0. In one line,
# and averaged, it is the **cross-entropy**
#
#     L = -1/M Σ_m [y ln p + (1 - y) ln(1 - p)]      (32)
#
# Two slips on the way there in the slides. The entropy of a label is first written as y ln p₁ + y ln
# p₀, with the same y twice and no minus. And in (32) the brackets are missing: read as it stands,
# the minus and the sum end at the plus, and class 0 enters with the wrong sign. *Predict:* of a
# hundred labels 30 are ones, and the model says the same p for all. Which p minimises each of the
# three?

# %%
share = 0.3
p = np.linspace(0.001, 0.999, 999)
bernoulli = {
    "with brackets": -(share * np.log(p) + (1 - share) * np.log(1 - p)),
    "without brackets": -share * np.log(p) + (1 - share) * np.log(1 - p),
    "y twice, -[y ln p + y ln(1 - p)]": -share * (np.log(p) + np.log(1 - p)),
}
best_p = {name: p[values.argmin()] for name, values in bernoulli.items()}
entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))

fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", num="loss")
for (name, values), style in zip(bernoulli.items(), ("C0", "C3--", "C1-."), strict=True):
    axes[0].plot(p, values, style, label=name)
    axes[0].plot(best_p[name], values.min(), style[:2] + "o")
axes[0].set(xlabel="p, the same for all samples", ylabel="mean loss", ylim=(-5, 5),
            title="30 % are ones: only the loss with brackets finds 0.3")  # fmt: skip
axes[0].legend(fontsize=8, loc="lower left")
t = np.linspace(-10, 10, 401)
slices = {"cross-entropy": [], "square (p - y)²": []}
for scale in t:
    scores = L.X @ (scale * theta[:, None])
    slices["cross-entropy"].append(BinaryCrossEntropy().forward(scores, y))
    slices["square (p - y)²"].append(MeanSquaredError().forward(sigmoid(scores), y))
for name, values in slices.items():
    axes[1].plot(t, np.array(values) / values[0], label=name)
axes[1].set(xlabel="t, for the parameters t θ of the two clouds", ylabel="mean loss / that at t = -10",
            title="A valley, and a cliff below a plateau")  # fmt: skip
axes[1].legend(fontsize=8)
plt.show()
for name, value in best_p.items():
    print(f"{name:<34} lowest at p = {value:.3f}, where it is {bernoulli[name].min():.3f}")
print(f"entropy of the labels, -Σ p ln p = {entropy:.3f}")
steepness = {name: abs(values[1] - values[0]) / (t[1] - t[0]) for name, values in slices.items()}
print(f"slope at t = -10: cross-entropy {steepness['cross-entropy']:.2f}, ", end="")
print(f"square {steepness['square (p - y)²']:.4f}")

# %% [markdown]
# With brackets the best p is the frequency of the ones, and the lowest loss is the entropy of the
# labels: nobody who knows only the frequency can do better. "y twice" says 1/2 whatever the labels
# are; without brackets the loss falls to minus infinity as p → 1.
#
# The right panel answers "why not the square of p - y?" At t = -10 nearly all is wrong, with great
# confidence. The cross-entropy is steep there; the square hardly changes, since its derivative
# carries the slope σ' of a saturated sigmoid. And it is no bowl.
#
# **In matrix form**, with the logarithm element by element,
#
#     L = -1/M (y' ln σ(Xθ) + (1 - y)' ln(1 - σ(Xθ)))   (33),     dL/dθ = 1/M X'(σ(Xθ) - y)   (34)
#
# (33) has its brackets. (34) looks like that of linear regression, 1/M X'(Xθ - y), since σ' cancels:
# d ln σ/dz = 1 - σ. *Predict:* what does (33) give for a sample with y = 0 and z = 40?

# %%
start = rng.standard_normal((3, 1))
p = sigmoid(L.X @ start).ravel()
one_by_one = -np.mean([np.log(q) if label else np.log(1 - q) for q, label in zip(p, y, strict=True)])
matrix_form = -(y @ np.log(p) + (1 - y) @ np.log(1 - p)) / M_SAMPLES  # S4 (33)
value, gradient = L(start)
by_hand = L.X.T @ (p - y)[:, None] / M_SAMPLES  # S4 (34)
shift = 1e-5 * np.eye(3)[:, :, None]
differences = np.array([(L(start + d)[0] - L(start - d)[0]) / 2e-5 for d in shift])[:, None]
loss_error = max(abs(matrix_form - one_by_one), abs(matrix_form - value))
gradient_error = max(abs(by_hand - gradient).max(), abs(by_hand - differences).max())
print(f"(32), (33) and the library agree to {loss_error:.0e}; (34) and differences to {gradient_error:.0e}")
with np.errstate(divide="ignore"):
    naive = -np.log(1 - sigmoid(np.array([40.0])))[0]
stable = BinaryCrossEntropy().forward(np.array([[40.0]]), np.array([[0.0]]))
print(f"y = 0, z = 40: (33) as written gives {naive}, from the score {stable}")

# %% [markdown]
# 1 - σ(40) is rounded to zero. The library takes scores, not probabilities, and computes -ln(1 - σ(z))
# as ln(1 + exp z).
#
# What would training do *without the brackets*? First ask the gradient checker whether (34) is the
# derivative of that loss; then give the loss its own derivative and descend on the two clouds.


# %%
class WithoutBrackets(BinaryCrossEntropy):
    def compute(self, prediction, target):
        super().compute(prediction, target)
        return float(np.mean(target * softplus(-prediction) - (1 - target) * softplus(prediction)))


class AndItsDerivative(WithoutBrackets):
    def backward(self):
        p = sigmoid(self.prediction)
        return (-self.target * (1 - p) - (1 - self.target) * p) / len(p)


scores = L.X[:6] @ start
verdicts = [check_loss(loss, scores, y[:6, None]).ok for loss in (BinaryCrossEntropy(), WithoutBrackets(),
                                                                  AndItsDerivative())]  # fmt: skip
print("(34) is the derivative with brackets:", verdicts[0], "- and without:", verdicts[1])
wrong = objective(X, y)
wrong.loss = AndItsDerivative()
for steps in (10, 100, 1000):
    theta_wrong = gradient_descent(wrong, 0.0, steps)[0]
    ones_wrong = np.mean(wrong.X @ theta_wrong >= 0)
    loss_wrong = wrong(theta_wrong)[0]
    print(f"without brackets, {steps:4d} steps: loss {loss_wrong:8.2f}, class 1 for {ones_wrong:.0%}")

# %% [markdown]
# Nearly everything becomes class 1, with ever more confidence, and the loss has no lower bound.
#
# ## 4. Why is there no formula for the best θ?
#
# Because θ is inside σ. Setting the gradient to zero gives X'σ(Xθ) = X'y: n + 1 equations that are
# not linear. For linear regression the same line reads X'Xθ = X'y, and one inversion, or one step of
# Newton's method, solves it. The Hessian shows the difference:
#
#     linear: H = X'X / M        logistic: H = X' diag(p(1 - p)) X / M
#
# The second changes with θ. It has no negative eigenvalue anywhere (v'Hv is a sum of squares with
# weights p(1 - p) ≥ 0), so there are no false valleys: where the slope is zero, the loss is lowest.
# *Predict:* how does the gradient shrink from step to step in gradient descent, and how in Newton's
# method?

# %%
curvatures = [np.linalg.eigvalsh(L.hessian(point)) for point in (L.start, theta[:, None], 3 * theta[:, None])]
for name, eigenvalues in zip(("0", "the best θ", "three times that"), curvatures, strict=True):
    print(f"eigenvalues of H at {name}:", eigenvalues.round(4))
convex = min(np.linalg.eigvalsh(L.hessian(rng.standard_normal((3, 1))))[0] for _ in range(100))
H_linear = L.X.T @ L.X / M_SAMPLES
linear_step = np.linalg.solve(H_linear, L.X.T @ y / M_SAMPLES)  # from θ = 0
linear_left = abs(L.X.T @ (L.X @ linear_step - y) / M_SAMPLES).max()

decades = np.unique(np.geomspace(1, STEPS, 40).astype(int))  # steps at which to look
left = {"Newton": [(k, newton(L, 0.0, k)[2]) for k in range(1, 8)],
        "gradient descent": [(k, gradient_descent(L, 0.0, k)[2]) for k in decades]}  # fmt: skip
fig, ax = plt.subplots(layout="constrained", num="newton")
for (name, points), style in zip(left.items(), ("o-", ".-"), strict=True):
    ax.loglog(*np.array(points).T.clip(1e-17), style, label=f"logistic, {name}")
ax.loglog(1, max(linear_left, 1e-17), "k*", markersize=12, label="linear, Newton: one step, done")
ax.set(xlabel="step", ylabel="largest component of dL/dθ",
       title="Newton doubles the digits, descent adds them slowly")  # fmt: skip
ax.legend(loc="upper right")
plt.show()
newton_left = [value for _, value in left["Newton"]]
print("gradient after each Newton step:", *(f"{value:.0e}" for value in newton_left))

# %% [markdown]
# No formula, but a handful of Newton steps. Two borders of that statement.
#
# *Where there is a formula.* If the only feature is a switch, 0 or 1, the model has a score of its
# own for each of the two positions, and the best probability is the frequency there: b = ln(f₀/(1 -
# f₀)), w = ln(f₁/(1 - f₁)) - b.
#
# *Where there is no best θ.* Move the clouds apart until a line separates them. Then every larger
# multiple of a separating θ is better than θ itself. *Predict:* where does the descent stop?

# %%
switch = rng.integers(0, 2, 400)
outcome = (rng.uniform(size=400) < np.where(switch, 0.8, 0.3)).astype(int)
f0, f1 = outcome[switch == 0].mean(), outcome[switch == 1].mean()
formula = np.array([np.log(f1 / (1 - f1)) - np.log(f0 / (1 - f0)), np.log(f0 / (1 - f0))])
formula_error = abs(parameters(train(switch[:, None], outcome, penalty=None, tol=1e-12)) - formula).max()
print(f"formula for a switch: w, b = {formula.round(3)}, off by {formula_error:.0e}")

X_apart = X + 6 * (2 * y - 1)[:, None] * w / length
sizes = {}
for name, penalty in (("without penalty", None), ("with penalty, C = 1", "l2")):
    sizes[name] = []
    for tol in (1e-2, 1e-4, 1e-6, 1e-8):
        model = train(X_apart, y, penalty=penalty, tol=tol)
        sizes[name].append(np.linalg.norm(to_numpy(model.coef_)))
    print(f"{name:<20} |w| for ever smaller gradients:", *(f"{size:.3f}" for size in sizes[name]))

# %% [markdown]
# Wherever the rule stops it: every hundredth of the tolerance makes |w| larger, and it never settles.
# A penalty λ/2 |w|² makes the minimum exist (lesson 3 has penalties; here λ = 1/(C M), with
# scikit-learn's C). From now on C = 1, unless said otherwise.
#
# ## 5. Why scale the features?
#
# The slides' advice is right: x_sc = (x - μ)/σ_std (35), with the mean and the standard deviation of
# each feature. Their formula for the latter, √(|x - μ|/N) for N samples, lacks a square:
#
#     σ_std = √(|x - μ|²/N)
#
# *Predict:* suppose that the first feature, the radius of cell nuclei, is in micrometres, and is
# rewritten in nanometres. What becomes of x_sc with either formula?

# %%
X_cancer, y_cancer = load_breast_cancer(return_X_y=True)  # 569 tumours, 30 features of their cells
X_wine, y_wine = load_wine(return_X_y=True)  # 178 wines, 3 growers, 13 chemical features
deviation = X_cancer - X_cancer.mean(axis=0)


def printed_std(x):
    return np.sqrt(np.linalg.norm(x - x.mean()) / len(x))


scaled = StandardScaler().fit(X_cancer).transform(X_cancer)
printed = np.column_stack([column / printed_std(column) for column in deviation.T])
print("standard deviation of the 30 scaled features, smallest and largest")
print(f"  as it should be: {scaled.std(axis=0).min():.3f} {scaled.std(axis=0).max():.3f}")
print(f"  as printed:      {printed.std(axis=0).min():.3f} {printed.std(axis=0).max():.3f}")
radius = X_cancer[:, :1]
rescaled = StandardScaler().fit(1000 * radius).transform(1000 * radius)
change = {"right": (rescaled / scaled[:, :1]).mean(),
          "printed": 1000 * printed_std(radius) / printed_std(1000 * radius)}  # fmt: skip
print("change of x_sc under µm → nm: factor", {name: f"{factor:.4g}" for name, factor in change.items()})

# %% [markdown]
# The printed one has the unit √µm, so x_sc keeps a unit, and features stay unlike. The right one
# does what the slides promise: mean 0, standard deviation 1.
#
# And the *reason*? The slides say: the sigmoid is flat except near zero, so for large features the
# gradient is zero. *Predict* for the unscaled tumours: the mean slope σ'(z) at θ = 0, and at a θ drawn
# at random; and the gradients of the cross-entropy and of the mean square of p - y.

# %%
steep = {}
print("                   mean σ'   largest gradient: cross-entropy   mean square")
for name, features in (("unscaled", X_cancer), ("scaled", scaled)):
    L_cancer = objective(features, y_cancer)
    random = np.random.default_rng(2).standard_normal((31, 1))
    for place, point in (("θ = 0", L_cancer.start), ("random θ", random)):
        p = sigmoid(L_cancer.X @ point)
        slopes = p * (1 - p)
        error = (p - y_cancer[:, None]) / len(p)
        steep[name, place] = found = (slopes.mean(), abs(L_cancer(point)[1]).max(),
                                      abs(2 * L_cancer.X.T @ (error * slopes)).max())  # fmt: skip
        print(f"{name:<9} {place:<9} {found[0]:7.4f} {found[1]:33.3g} {found[2]:13.3g}")

# %% [markdown]
# At θ = 0 every score is zero, whatever the features are, and the slope is at its largest. At the
# random θ the unscaled model is saturated, and the gradient of the mean square is indeed gone (as
# it would be in a hidden layer of sigmoids: lesson 9). But in (34) σ' has cancelled, and the gradient
# of the cross-entropy is *larger* without scaling, at both places.
#
# What then is slow? As in lessons 1 and 2: the largest feature sets the largest safe rate, and
# along the others that rate moves nothing. The condition number of H measures it. *Predict:* which
# of the two methods cares?


# %%
NAMES = {"gradient_descent": "gradient descent", "newton": "Newton"}


def compare(X, y):
    """Loss above its minimum by steps, condition number and slope there, for features raw and scaled."""
    curves, condition, slope = {}, {}, {}
    for name, features in (("unscaled", X), ("scaled", StandardScaler().fit(X).transform(X))):
        L = objective(features, y, C=1.0)
        best, _, slope[name] = newton(L, 1e-12, 30)
        lowest = L(best)[0]
        H, (rows, K) = L.hessian(best), best.shape
        if K > 1:  # without the curvature the library adds along the shift of all scores
            H -= np.kron(np.ones((K, K)), np.eye(rows)) / K
        values = np.linalg.eigvalsh(H)
        condition[name] = values[-1] / values[values > 1e-10 * values[-1]][0]
        for solver, steps in ((gradient_descent, decades), (newton, range(1, 10))):
            excess = [L(solver(L, 0.0, int(k))[0])[0] - lowest for k in steps]
            curves[name, solver.__name__] = np.array(steps), np.maximum(excess, 1e-16)
    return curves, condition, slope


fig, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained", num="scaling")
excesses, conditions, end_slopes = {}, {}, {}
for ax, name, data in zip(axes, ("tumours", "wines"), ((X_cancer, y_cancer), (X_wine, y_wine)), strict=True):
    curves, conditions[name], end_slopes[name] = compare(*data)
    for ((scaling, solver), points), style in zip(curves.items(), ("C3", "C3o:", "C0", "C0o:"), strict=True):
        ax.loglog(*points, style, markersize=4, label=f"{NAMES[solver]}, {scaling}")
        excesses[name, scaling, solver] = points[1][-1]
    ax.set(xlabel="step", title=f"{name.capitalize()}: κ = {conditions[name]['unscaled']:.0e} unscaled, "
                                f"{conditions[name]['scaled']:.0e} scaled")  # fmt: skip
axes[0].set_ylabel("loss above its minimum")
axes[0].legend(fontsize=8)
fig.suptitle("Scaling decides over gradient descent; Newton's method hardly notices")
plt.show()
print(f"loss above the minimum after {STEPS} steps of gradient descent / 9 of Newton's method")
for name in ("tumours", "wines"):
    for scaling in ("unscaled", "scaled"):
        pair = [excesses[name, scaling, solver] for solver in ("gradient_descent", "newton")]
        print(f"  {name:<8} {scaling:<9} {pair[0]:.1e} / {pair[1]:.1e}")

# %% [markdown]
# Newton's step divides by the curvature, each direction by its own: the units drop out. Its price is
# a linear system for all K (n + 1) parameters in every step; that is 42 for the wines, but 7850 for
# the images of section 6.
#
# ## 6. More than two classes
#
# Each of K classes gets a score of its own, z = W x + b, and **softmax** makes them probabilities:
#
#     p_k = exp(z_k) / Σ_j exp(z_j),      L = -1/M Σ_m y_m · ln p_m
#
# with one-hot labels y_m. On the slide the sum runs over i, and i is also the index of the
# numerator. *Predict:* if i means the same in both places, what is the sum, and what are the
# probabilities of the four scores below?

# %%
scores = np.log(np.array([[0.15, 0.01, 0.04, 0.80]])) + 3
p_right = softmax(scores)
K = scores.shape[1]
p_printed = np.array([np.exp(z) / sum(np.exp(z) for _ in range(K)) for z in scores[0]])
label = one_hot([3], n_classes=K)
example = CrossEntropy().forward(scores, label)
example_printed = -float(label[0] @ np.log(p_printed))
print("own index:  ", p_right.round(2), f"cross-entropy {example:.4f}")
print("index twice:", p_printed, f"cross-entropy {example_printed:.4f}, whatever the scores")

two = rng.standard_normal((5, 2))
two_error = abs(softmax(two)[:, 1] - sigmoid(two[:, 1] - two[:, 0])).max()
print(f"two classes: softmax(z)₁ = σ(z₁ - z₀) to {two_error:.0e}")

# %% [markdown]
# With an own index this is the slides' example, -ln 0.80 = 0.2231 (lesson 8 meets it again); with
# one index the four terms are equal, and all probabilities are 1/4.
#
# For two classes only the difference of the scores counts, and softmax regression is logistic
# regression. In general a constant added to all scores changes nothing, so K scores have one too
# many; the penalty chooses among the weights; the biases it leaves alone, and both methods keep their
# sum at zero.
#
# **Boundaries.** Between classes i and j: p_i = p_j, a straight line z_i = z_j. Here are the wines, with
# two of their features. *Predict:* the numbers for proline are hundreds of times larger than those
# for flavanoids, and than the ones that go with the bias. How far has the unscaled descent come
# after 1000 steps?

# %%
pair = X_wine[:, [6, 12]]
scaler = StandardScaler().fit(pair)
g0, g1 = np.meshgrid(np.linspace(0, 5.5, 300), np.linspace(200, 1750, 300))
grid = np.column_stack([g0.ravel(), g1.ravel()])
pair_scaled, grid_scaled = scaler.transform(pair), scaler.transform(grid)
panels = (("1000 steps of descent, unscaled", pair, grid, gradient_descent, 1000),
          ("1000 steps of descent, scaled", pair_scaled, grid_scaled, gradient_descent, 1000),
          ("Newton, scaled", pair_scaled, grid_scaled, newton, 10))  # fmt: skip
colors = plt.get_cmap("tab10").colors[:3]
fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharex=True, sharey=True, layout="constrained", num="wine")
pair_scores = {}
for ax, (name, features, points, solver, steps) in zip(axes, panels, strict=True):
    L_pair = objective(features, y_wine, C=1.0)
    W = solver(L_pair, 1e-10, steps)[0]
    regions = (points @ W[:-1] + W[-1]).argmax(axis=1).reshape(g0.shape)
    pair_scores[name] = accuracy(y_wine, (L_pair.X @ W).argmax(axis=1))
    print(f"{name:<31} {pair_scores[name]:.1%} right; biases", *(f"{value:8.4f}" for value in W[-1]))
    ax.contourf(g0, g1, regions, levels=(-0.5, 0.5, 1.5, 2.5), colors=colors, alpha=0.25)
    for k, marker in enumerate("os^"):
        ax.plot(*pair[y_wine == k].T, marker, color=colors[k], markersize=4, label=f"grower {k}")
    ax.set(xlabel="flavanoids (unit not given)", title=f"{name}: {pair_scores[name]:.0%} right")
axes[0].set_ylabel("proline (unit not given)")
axes[2].legend(fontsize=8, framealpha=1)
fig.suptitle("Softmax regression: straight boundaries, and what the missing scaling costs")
plt.show()

# %% [markdown]
# The unscaled biases have hardly left zero, so all boundaries pass near the origin, far below the
# samples, and every wine gets the same grower. Scaled, the descent has arrived.
#
# **On wines the model has not seen**, with all 13 features. The scaler is fitted on the training part
# only: whatever is learned from test data, be it a mean, makes them less of a test.

# %%
test_scores = {}
for seed in SEEDS:
    parts = train_test_split(X_wine, y_wine, test_size=0.3, random_state=seed)
    X_train, X_test, y_train, y_test = parts
    scaler = StandardScaler().fit(X_train)
    for scaling, A, B in (("unscaled", X_train, X_test),
                          ("scaled", scaler.transform(X_train), scaler.transform(X_test))):  # fmt: skip
        for solver, steps in ((gradient_descent, STEPS), (newton, 30)):
            W = solver(objective(A, y_train, C=1.0), 1e-6, steps)[0]
            found = accuracy(y_test, (B @ W[:-1] + W[-1]).argmax(axis=1))
            test_scores.setdefault((scaling, solver.__name__), []).append(found)
for (scaling, solver), values in test_scores.items():
    print(f"wines, test: {scaling:<9} {solver:<17} {np.mean(values):.3f}  ({len(values)} splits)")

# %% [markdown]
# The descent without scaling is the odd one out. Newton's method finds the minimum either way, but
# not the same one: the penalty |w|² depends on the units too.
#
# **Digits.** 64 pixels, 10 classes, 650 parameters. What does a linear classifier look for? Its
# weights have the shape of an image. Beside it the closed form: linear regression on the one-hot
# labels, taking the largest of ten outputs.

# %%
data = digits()
linear = {"softmax": [], "squares": []}
for seed in SEEDS:
    X_train, X_test, y_train, y_test = train_test_split(data.X, data.y, test_size=0.3, random_state=seed)
    digit_model = train(X_train, y_train)
    linear["softmax"].append(accuracy(y_test, predict(digit_model, X_test)))
    closed = Ridge(alpha=1.0).fit(X_train, one_hot(y_train))
    linear["squares"].append(accuracy(y_test, closed.predict(X_test).argmax(axis=1)))
print("digits, test accuracy:", {name: f"{np.mean(values):.3f}" for name, values in linear.items()})

fig, axes = plt.subplots(2, 5, figsize=(9, 4.2), layout="constrained", num="weights")
patterns = to_numpy(digit_model.coef_)
for k, ax in enumerate(axes.flat):
    image = ax.imshow(patterns[k].reshape(8, 8), cmap="RdBu_r", vmin=-2.5, vmax=2.5)
    ax.set(xticks=[], yticks=[], title=str(k))
fig.colorbar(image, ax=axes, label="weight")
fig.suptitle("Ink on red speaks for the digit, ink on blue against it")
plt.show()

# %% [markdown]
# The 0 asks for an empty middle. The network of lesson 8, with a hidden layer, gets 98 %: a linear
# classifier is not far behind, and it is the number that any network has to beat.
#
# **MNIST.** For 28 x 28 pixels a published linear classifier has 88.0 %. *Predict:* is that a limit of
# straight boundaries, or of the loss? Newton's method would need a 7850 x 7850 Hessian, half a
# gigabyte; so this is a network of one layer, trained on batches.

# %%
large = {}
if MNIST:
    try:
        images, test = mnist()
        network = Sequential(Dense(784, 10), rng=0, backend=BACKEND)
        steps = MNIST_EPOCHS * int(np.ceil(len(images) / 64))
        fit(network, images, loss=CrossEntropy(), optimizer=Adam(CosineDecay(2e-3, steps)),
            epochs=MNIST_EPOCHS, batch_size=64, rng=0, progress=False)  # fmt: skip
        logits = to_numpy(network.predict(asarray(test.X, BACKEND)))
        large["softmax"] = accuracy(test.y, logits.argmax(axis=1))
        closed = Ridge(alpha=1.0).fit(images.X, one_hot(images.y))
        large["squares"] = accuracy(test.y, closed.predict(test.X).argmax(axis=1))
        print("MNIST, test accuracy:", {name: f"{value:.4f}" for name, value in large.items()})
    except DatasetError as error:
        print(f"MNIST is left out: {error}")
else:
    print("left out: set TINYNN_DATA to a folder with mnist/, or MNIST = True")

# %% [markdown]
# With the data at hand: the squares stay at 86 %, the cross-entropy gets above 92 % with boundaries
# that are just as straight. The published 88.0 % lies in between.
#
# ## 7. What if no line separates the classes?
#
# Bend the line, by giving the model products of features. A boundary that is linear in x₁², x₁x₂, x₂²
# is a conic in the plane of x₁ and x₂ (37). The slides have two examples, [1, x₁², x₂²] and
#
#     φ(x) = [x₁², √2 x₁x₂, x₂²]      (38)
#
# and the general list of all products. *Predict:* class 1 is the inside of a tilted ellipse, first
# about the origin, then shifted. Which lists suffice for the first, which for the second?


# %%
def phi(X):
    return np.column_stack([X[:, 0] ** 2, np.sqrt(2) * X[:, 0] * X[:, 1], X[:, 1] ** 2])  # S4 (38)


def all_products(degree):
    return lambda X: PolynomialFeatures(degree, include_bias=False).fit_transform(X)


LISTS = {"x₁, x₂": lambda X: X, "x₁², x₂²": lambda X: X**2, "φ(x) of (38)": phi,
         "all up to degree 2": all_products(2)}  # fmt: skip


def inside(X, centre):
    d = X - centre
    return ((d**2).sum(axis=1) - 1.5 * d[:, 0] * d[:, 1] < 0.8).astype(int)


def draw_regions(ax, model, features, X, y):
    """Shade the two classes by the score of features(x), with the boundary between, and the samples."""
    (low0, low1), (high0, high1) = X.min(axis=0) - 0.2, X.max(axis=0) + 0.2
    g0, g1 = np.meshgrid(np.linspace(low0, high0, 200), np.linspace(low1, high1, 200))
    points = features(np.column_stack([g0.ravel(), g1.ravel()]))
    score = to_numpy(model.decision_function(asarray(points, BACKEND))).reshape(g0.shape)
    ax.contourf(g0, g1, score > 0, levels=(-0.5, 0.5, 1.5), colors=("C0", "C1"), alpha=0.2)
    ax.contour(g0, g1, score, levels=(0,), colors="k", linewidths=1)
    for k, marker in ((0, "C0o"), (1, "C1s")):
        ax.plot(*X[y == k].T, marker, markersize=2.5, label=f"class {k}")


PLACES = {"centred": (0, 0), "shifted": (0.6, 0.4)}
fig, axes = plt.subplots(2, 4, figsize=(13, 6), sharex=True, sharey=True, layout="constrained", num="conics")
conics, majority = {}, {}
X_square, X_test = rng.uniform(-2, 2, (300, 2)), rng.uniform(-2, 2, (4000, 2))
for row, (place, centre) in zip(axes, PLACES.items(), strict=True):
    labels, test_labels = inside(X_square, centre), inside(X_test, centre)
    majority[place] = max(np.mean(test_labels), 1 - np.mean(test_labels))
    for ax, (name, features) in zip(row, LISTS.items(), strict=True):
        model = train(features(X_square), labels, C=100.0)
        conics[place, name] = accuracy(test_labels, predict(model, features(X_test)))
        draw_regions(ax, model, features, X_square, labels)
        ax.set_title(f"{place}, {name}: {conics[place, name]:.1%}", fontsize=10)
for ax in axes[1]:
    ax.set_xlabel("x₁")
for ax in axes[:, 0]:
    ax.set_ylabel("x₂")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
fig.suptitle("Accuracy on 4000 other samples: the list of features decides which shapes there are")
plt.show()
print("always the larger class:", {place: f"{value:.3f}" for place, value in majority.items()})

# %% [markdown]
# x₁² and x₂² know only ellipses along the axes; (38) knows the tilted ones, but it takes the same value
# at x and -x, so all its boundaries are symmetric about the origin. The shift needs the linear terms.
#
# And the √2? It changes no boundary that a model without penalty can draw, since it is absorbed in w.
# It is there for another reason: φ(x)·φ(x̃) = (x·x̃)², on which lessons 7 and 12 build.
#
# **How many products?** n features have binomial(n + d, d) - 1 of degree 1 to d.

# %%
phi_error = abs(phi(X_square) @ phi(X_square).T - (X_square @ X_square.T) ** 2).max()
print(f"φ(x)·φ(x̃) = (x·x̃)² to {phi_error:.0e}")
counts = {}
for name, n_features in (("plane", 2), ("wines", 13), ("tumours", 30), ("digits", 64)):
    counts[name] = [all_products(d)(np.ones((1, n_features))).shape[1] for d in (2, 3)]
    print(f"{name:<8} {n_features:3d} features: degree 2 {counts[name][0]:6d}, degree 3 {counts[name][1]:6d}")

# %% [markdown]
# That is why lesson 7 computes with (x·x̃)² instead of φ. And as in lesson 3, more is not better.
# *Predict* train and test accuracy on two crescents, for degrees 1, 3 and 12 and hardly any penalty.

# %%
X_moons, y_moons = make_moons(100, noise=0.3, random_state=0)
X_test, y_test = make_moons(4000, noise=0.3, random_state=1)
moons = {}
fig, axes = plt.subplots(1, 4, figsize=(14, 3.8), sharex=True, sharey=True, layout="constrained", num="moons")
for ax, (degree, C) in zip(axes, ((1, 1e4), (3, 1e4), (12, 1e4), (12, 1.0)), strict=True):
    expand = all_products(degree)
    scaler = StandardScaler().fit(expand(X_moons))

    def features(X, expand=expand, scaler=scaler):
        return scaler.transform(expand(X))

    model = train(features(X_moons), y_moons, C=C)
    moons[degree, C] = [accuracy(labels, predict(model, features(points)))
                        for points, labels in ((X_moons, y_moons), (X_test, y_test))]  # fmt: skip
    draw_regions(ax, model, features, X_moons, y_moons)
    ax.set(xlabel="x₁", title=f"degree {degree}, C = {C:g}\ntrain {moons[degree, C][0]:.1%}, "
                              f"test {moons[degree, C][1]:.1%}")  # fmt: skip
axes[0].set_ylabel("x₂")
axes[0].legend(fontsize=8, framealpha=1)
fig.suptitle("Too stiff, right, too flexible, and held by a penalty")
plt.show()

# %% [markdown]
# Degree 12 has 90 features for 100 samples, and bends around single ones. A penalty takes that back.
#
# ## Results

# %%
results = ResultsTable("Lesson 6: classification")
results.add("norm of (2, 2.1, 8, 5)", example_norm, seed=9.86965045, tolerance=1e-9)
results.add("softmax example: cross-entropy", example, seed=0.2231, tolerance=1e-3)
results.add("c'b as a score: share of class 1", ones_inner, seed="|c∘b|²", corrected=True,
            at_least=0.3, at_most=0.7,
            note=f"it is 1'(c∘b); with |c∘b|² class 1 for {ones_printed:.0%}")  # fmt: skip
results.add("(27): slope of the sigmoid - difference quotient", slope_error, at_most=1e-8)
deviation = abs(theta - truth) / spread
for name, value, true, error, far_off in zip(("w₁", "w₂", "b"), theta, truth, spread, deviation, strict=True):
    results.add(f"two clouds, {name}: standard errors from the truth", far_off, at_most=2,
                note=f"{value:.3f} ± {error:.3f}, truth {true:.3f}")  # fmt: skip
for name, (without, with_far) in cloud_scores.items():
    criterion = {"at_most": 0.02} if name == "logistic" else {"at_least": 0.03}
    results.add(f"accuracy lost to far samples, {name}", without - with_far, **criterion)
results.add(
    "(32) with brackets: best p for 30 % ones", best_p["with brackets"], at_least=0.2999, at_most=0.3001
)
results.add("(32) without brackets: best p", best_p["without brackets"], seed="no brackets", corrected=True,
            at_least=0.99,
            note=f"no minimum; two clouds: loss {loss_wrong:.0f}, class 1 for {ones_wrong:.0%}")  # fmt: skip
results.add("y ln p₁ + y ln p₀: best p", best_p["y twice, -[y ln p + y ln(1 - p)]"],
            seed="y twice", corrected=True, at_least=0.4999, at_most=0.5001,
            note="1/2 for any labels; y ln p₁ + (1 - y) ln p₀")  # fmt: skip
results.add("(32), (33) and library agree to", loss_error, at_most=1e-12)
results.add("(34) - difference quotient", gradient_error, at_most=1e-8)
results.add("smallest eigenvalue of 100 Hessians", convex, at_least=0, note="no false valleys")
results.add("gradient after 1 Newton step, linear", linear_left, at_most=1e-12, note="closed form")
results.add("gradient after 1 Newton step, logistic", newton_left[0], at_least=1e-3, note="no closed form")
results.add("gradient after 7 Newton steps, logistic", newton_left[6], at_most=1e-12)
results.add("formula for a switch - Newton", formula_error, at_most=1e-8)
growth, held = (sizes[name][-1] / sizes[name][-2] for name in sizes)
results.add("separable: |w| at tol 1e-8 / 1e-6", growth, at_least=1.2, note="no best θ")
results.add("separable, C = 1: |w| at tol 1e-8 / 1e-6", held, at_most=1.0001, note="the penalty makes one")
results.add("µm → nm: x_sc times", change["right"], seed="√(|x-μ|/N)", corrected=True,
            at_least=0.9999, at_most=1.0001,
            note=f"√(|x-μ|²/N); as printed times {change['printed']:.1f}")  # fmt: skip
results.add("unscaled, saturated: largest gradient", steep["unscaled", "random θ"][1], seed="zero",
            corrected=True, at_least=100,
            note=f"σ' cancels; square {steep['unscaled', 'random θ'][2]:.0e}")  # fmt: skip
for name in ("tumours", "wines"):
    factor = excesses[name, "unscaled", "gradient_descent"] / excesses[name, "scaled", "gradient_descent"]
    results.add(f"{name}: loss left by descent, unscaled / scaled", factor, at_least=30)
    results.add(f"{name}: loss left by Newton, unscaled", excesses[name, "unscaled", "newton"], at_most=1e-8)
    results.add(f"{name}: slope where Newton ends, unscaled", end_slopes[name]["unscaled"], at_most=1e-9)
results.add("softmax, index twice: every probability", p_printed[0], seed="index i twice", corrected=True,
            at_least=0.2499, at_most=0.2501,
            note=f"an own index gives {p_right[0, 3]:.2f} for the last")  # fmt: skip
results.add("two classes: softmax - sigmoid", two_error, at_most=1e-14)
for (scaling, solver), values in test_scores.items():
    results.add(f"wines, test: {solver}, {scaling}", np.mean(values), note=f"{len(values)} splits")
results.add("digits, softmax regression", np.mean(linear["softmax"]), at_least=0.95,
            note=f"{len(SEEDS)} splits; squares {np.mean(linear['squares']):.3f}")  # fmt: skip
if large:
    results.add("MNIST, softmax regression", large["softmax"], at_least=0.915,
                note="published: a linear classifier 0.880")  # fmt: skip
    results.add("MNIST, squares on one-hot labels", large["squares"], at_least=0.85)
for (place, name), value in conics.items():
    results.add(f"{place} ellipse, {name}", value, note=f"larger class alone: {majority[place]:.3f}")
results.add("φ(x)·φ(x̃) - (x·x̃)²", phi_error, at_most=1e-12)
for (degree, C), (on_train, on_test) in moons.items():
    results.add(f"crescents, degree {degree}, C = {C:g}: test", on_test, note=f"train {on_train:.3f}")
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Another threshold.* A missed tumour costs more than a false alarm, so let us call class 1 of the
#    two clouds from p ≥ 0.1 on. By how much does the boundary move, and in which direction? Check
#    with the figure "boundary", and count with `confusion_matrix` how many of class 1 are missed now.
# 2. *Exclusive or.* Draw 400 samples from [-1, 1]² with the label 1 where x₁x₂ > 0. Show that logistic
#    regression on x₁ and x₂ stays below 75 %, and that a single feature, of your choice, gets above
#    95 % (C = 100). Which lists of `LISTS` contain it?
# 3. *Too long a step.* At x = 1 there are two samples with y = 1 and one with y = 0; the score is θ
#    alone. Derive θ = ln 2, and Newton's step θ - (σ(θ) - 2/3) / (σ(θ)(1 - σ(θ))). It converges from
#    θ = 0; find by trial the θ > 0 from which on it does not. How does `newton` in
#    `tinynn/linear_model/logistic.py` prevent that? Set `L.start` of an `Objective` to 5 and see.
