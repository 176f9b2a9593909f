# %% [markdown]
# # Lesson 8: A neural network, forward and backward
#
# A network is a chain of two simple things: a weighted sum and a bent line. What makes it learn is
# the chain rule, applied from the end to the beginning. In this lesson we do both passes by hand,
# once, on a network small enough to print; then we let the library do the same for handwritten
# digits.
#
# After this lesson you can
# * write down the forward and the backward pass of a network of any depth, with all shapes,
# * say where a 1/M belongs in a gradient, and find out when it is missing,
# * train, validate and test a classifier, and read its confusion matrix.
#
# It builds on lesson 1 (loss, batches, gradient descent). "The slides" are those of the lecture that
# this lesson follows (S4 in the comments of the library); their four equations of back propagation
# are quoted as BP1 to BP4 where they are used. A prime transposes a matrix, W'; σ'(z) is a
# derivative.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from tinynn.backend import asarray, to_numpy
from tinynn.data import Dataset, split
from tinynn.datasets import DatasetError, digits, fashion_mnist, mnist
from tinynn.gradcheck import check_loss, check_model
from tinynn.metrics import accuracy, confusion_matrix
from tinynn.nn import CrossEntropy, Dense, MeanSquaredError, ReLU, Sequential, Sigmoid, Softmax, Tanh
from tinynn.optim import Adam, CosineDecay
from tinynn.plotting import plot_losses
from tinynn.preprocessing import one_hot
from tinynn.results import ResultsTable
from tinynn.training import EarlyStopping, fit

# %% [markdown]
# **Knobs.** A value after "quick:" is for a fast look.

# %%
BACKEND = "numpy"  # "cupy" computes on a GPU
HIDDEN = 64  # neurons in the hidden layer for the 8 x 8 digits
EPOCHS = 60  # the accuracy is flat by then
BATCH_SIZE = 32  # larger is faster per epoch and needs more epochs
RATE = 3e-3  # Adam's usual 1e-3 works too and takes longer
SEEDS = (0, 1, 2)  # quick: (0,); independent splits and initial weights
LARGE_IMAGES = "TINYNN_DATA" in os.environ  # quick: False; True downloads what is missing (40 MB)
LARGE_EPOCHS = 10  # passes over the 60,000 images

# %% [markdown]
# ## 1. What does a neuron compute?
#
# It weighs its inputs, adds a bias, and bends the result: a = σ(w · x + b). Without the bend a chain
# of layers would be a single matrix. Three bends, with their slopes (a fourth follows); every layer
# of the library can draw its own, since `backward` multiplies by the slope.

# %%
z = np.linspace(-5, 5, 401)[:, None]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharex=True, layout="constrained", num="activations")
for ax, activation in zip(axes, (Sigmoid(), Tanh(), ReLU()), strict=True):
    ax.plot(z, activation.forward(z), label="σ(z)")
    ax.plot(z, activation.backward(np.ones_like(z)), label="slope σ'(z)")
    ax.set(xlabel="z", ylabel="σ(z), σ'(z)", title=type(activation).__name__)
    ax.legend(loc="upper left", framealpha=1)
fig.suptitle("Three activations: where the slope is near zero, nothing is learned")
plt.show()

# %% [markdown]
# The fourth, softmax, takes all outputs together and returns probabilities. It is the Boltzmann
# distribution with energies -z and kT = 1:
#
#     a_i = exp(z_i) / Σ_j exp(z_j)
#
# (The sum needs an index of its own; on the slide it is i as well, which would cancel everything.)
#
# *Predict:* what happens to the probabilities if 100 is added to every z?

# %%
logits = np.array([[1.0, -1.7, -0.3, 2.7]])
print("softmax(z)      ", Softmax().forward(logits).round(3))
print("sum of the probabilities:", Softmax().forward(logits).sum())
print("softmax(z + 100)", Softmax().forward(logits + 100).round(3), "<- energies have no zero")

# %% [markdown]
# ## 2. The forward pass, by hand
#
# A network 2 - 3 - 2, tanh inside, softmax at the end, and a batch of M = 5 samples. On the slides a
# sample is a *column* and z = W a + b. Data sets are tables with a sample a *row*, so we transpose:
#
#     A⁰ = X (M, 2),    Z¹ = A⁰ W¹' + b¹ (M, 3),    A¹ = tanh Z¹,    Z² = A¹ W²' + b² (M, 2)

# %%
rng = np.random.default_rng(0)
X, labels = rng.standard_normal((5, 2)), np.array([0, 1, 1, 0, 1])
network = Sequential(Dense(2, 3), Tanh(), Dense(3, 2), rng=1, dtype="float64")
W1, b1, W2, b2 = network.parameters().values()

Z1 = X @ W1.T + b1
A1 = np.tanh(Z1)
Z2 = A1 @ W2.T + b2
A2 = np.exp(Z2) / np.exp(Z2).sum(axis=1, keepdims=True)
print("probabilities by hand:\n", A2.round(4))
forward_error = abs(Z2 - network.forward(X)).max()
print("difference between our logits and the library's:", forward_error)

# %% [markdown]
# ## 3. How wrong is it?
#
# A label k becomes a row with a single 1 at place k, *one-hot*: a probability distribution that is
# sure. Two losses compare it with the prediction a:
#
#     quadratic      L_Q  =  1/M Σ_m |a - y|²
#     cross-entropy  L_CE = -1/M Σ_m y · ln a
#
# The slides' example: the label is 4 of {1, 2, 3, 4} and the network says [0.15 0.01 0.04 0.80]. Only
# the probability of the right answer counts: L = -ln 0.80.

# %%
probabilities = np.array([[0.15, 0.01, 0.04, 0.80]])
example = CrossEntropy().forward(np.log(probabilities), one_hot([3], n_classes=4))
print(f"cross-entropy of the example: {example:.4f}")

Y = one_hot(labels, n_classes=2)
L = -(Y * np.log(A2)).sum() / len(X)
print(f"loss of our batch by hand {L:.6f}, by the library {CrossEntropy().forward(Z2, labels):.6f}")

# %% [markdown]
# `CrossEntropy` takes the logits z, not the probabilities: ln(softmax(z)) can then be computed
# without ever forming a probability that rounds to zero. That is why the network above ends without a
# softmax.
#
# ## 4. The backward pass, by hand
#
# From the loss back to the weights, one factor of the chain rule at a time. Write dZ for dL/dZ.
#
#     dZ² = (A² - Y) / M                    BP1, with the 1/M that belongs to the mean in L
#     dW² = dZ²' A¹,   db² = Σ_m dZ²        BP3, BP4
#     dZ¹ = (dZ² W²) ∘ (1 - tanh² Z¹)       BP2, ∘ is element by element
#     dW¹ = dZ¹' X,    db¹ = Σ_m dZ¹        BP3, BP4, for the first layer as for the last

# %%
dZ2 = (A2 - Y) / len(X)
dW2, db2 = dZ2.T @ A1, dZ2.sum(axis=0)
dZ1 = (dZ2 @ W2) * (1 - A1**2)
dW1, db1 = dZ1.T @ X, dZ1.sum(axis=0)

loss = CrossEntropy()
loss.forward(network.forward(X), labels)
network.backward(loss.backward())
by_hand = np.concatenate([g.ravel() for g in (dW1, db1, dW2, db2)])
backward_error = abs(by_hand - network.grad).max()
print("difference between our gradient and the library's:", backward_error)
print(check_model(network, X, labels, CrossEntropy()))

# %% [markdown]
# The last lines come from the gradient checker: it compares the backward pass with differences of the
# forward pass, L(θ + h) - L(θ - h) over 2h. It needs no theory, so it can judge one.
#
# **What the slides leave out.** As printed there, BP1 reads A - Y for cross-entropy, without 1/M, and
# (A - Y) ∘ σ' for the quadratic loss, without 2/M. *Predict:* by which factor is the gradient of a
# batch of five samples wrong in either case? Ask the checker.


# %%
class PrintedCrossEntropy(CrossEntropy):
    def backward(self):
        return super().backward() * len(self.prediction)


class PrintedQuadratic(MeanSquaredError):
    def backward(self):
        return self.prediction - self.target


printed = {}
for slide in (PrintedCrossEntropy(), PrintedQuadratic()):
    report = check_loss(slide, Z2, Y)
    printed[type(slide).__name__] = report.diagnosis[0]
    print(type(slide).__name__, "->", report.diagnosis[0])

# %% [markdown]
# (The σ' of the quadratic case belongs to the layer, so the loss returns A - Y alone.) A constant
# factor does not turn the gradient, it rescales the rate: a rate that was tuned with it hides it,
# until the batch size changes. In an epoch with batches of 32 and a last one of 5, that last step is
# then six times too small beside the others.
#
# Two more. For a single layer the slides write (a - y)(σ')(x), a product of things that do not fit.
# The shapes tell how it has to be read: dW (n_out, n_in) is the outer product ((a - y) ∘ σ') x',
# times 2/M. And the last slide lets BP3 and BP4 stop at layer L - 1. What would become of the last
# layer then?

# %%
one_layer, targets = Sequential(Dense(2, 3), Sigmoid(), rng=2, dtype="float64"), one_hot([0, 1, 2, 1, 0])
A = one_layer.forward(X)
quadratic = MeanSquaredError()
quadratic.forward(A, targets)
one_layer.backward(quadratic.backward())
outer_product = 2 / len(X) * ((A - targets) * A * (1 - A)).T @ X
one_layer_error = abs(outer_product - one_layer.gradients()["0.weight"]).max()
print("one layer: difference between the outer product and the library's gradient:", one_layer_error)


class StopsBeforeTheLastLayer(Sequential):
    def backward(self, dY):
        dX = super().backward(dY)
        for name in ("2.weight", "2.bias"):
            self.gradients()[name][...] = 0
        return dX


stopped = check_model(
    StopsBeforeTheLastLayer(*network.layers, dtype="float64"), X, labels, CrossEntropy()
).diagnosis  # fmt: skip
print("BP3 and BP4 up to L - 1 only ->", *stopped, sep="\n  ")
network = Sequential(*network.layers, dtype="float64")

# %% [markdown]
# The last layer would never learn. BP3 and BP4 hold for *every* layer, 1 ≤ l ≤ L.
#
# ## 5. Does it learn to read?
#
# 1797 handwritten digits of 8 x 8 pixels. 60 % to train, 20 % to validate (to decide when to stop),
# 20 % to test (looked at once, at the very end).

# %%
data = digits()
fig, axes = plt.subplots(2, 8, figsize=(8, 2.6), layout="constrained", num="digits")
for ax, image, label in zip(axes.flat, data.X, data.y, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title=str(label))
fig.suptitle("The first 16 digits and their labels")
plt.show()


# %%
def classify(network, X):
    return to_numpy(network.predict(asarray(X, BACKEND))).argmax(axis=1)


def train_digits(activation, loss, seed, *last):
    train, validation, test = split(data, (0.6, 0.2, 0.2), rng=seed)
    network = Sequential(Dense(64, HIDDEN), activation, Dense(HIDDEN, 10), *last, rng=seed, backend=BACKEND)
    if isinstance(loss, MeanSquaredError):
        train, validation = (Dataset(part.X, one_hot(part.y, n_classes=10)) for part in (train, validation))
    history = fit(
        network, train, loss=loss, optimizer=Adam(RATE), epochs=EPOCHS, batch_size=BATCH_SIZE,
        validation=validation, callbacks=[EarlyStopping(patience=15)], rng=seed, progress=False,
    )  # fmt: skip
    return network, history, split(data, (0.6, 0.2, 0.2), rng=seed)[1], test


# %% [markdown]
# Which choice matters more, the activation or the loss? Write down your guess. (The quadratic loss
# compares probabilities, so its network ends in a softmax. `EarlyStopping` ends a training when the
# validation loss has not improved for 15 epochs, and puts the best parameters back. To *choose* among
# the four we may look at validation data only; the test accuracy beside it is the report.)

# %%
choices = {
    "ReLU, cross-entropy": lambda: (ReLU(), CrossEntropy()),
    "tanh, cross-entropy": lambda: (Tanh(), CrossEntropy()),
    "sigmoid, cross-entropy": lambda: (Sigmoid(), CrossEntropy()),
    "sigmoid, quadratic": lambda: (Sigmoid(), MeanSquaredError(), Softmax()),
}
scores, histories = {}, {}
for name, choice in choices.items():
    scores[name], held_out = [], []
    for seed in SEEDS:
        activation, loss, *last = choice()
        classifier, history, validation, test = train_digits(activation, loss, seed, *last)
        held_out.append(accuracy(validation.y, classify(classifier, validation.X)))
        scores[name].append(accuracy(test.y, classify(classifier, test.X)))
    histories[name] = history
    print(f"{name:<24} accuracy: validation {np.mean(held_out):.3f}, test {np.mean(scores[name]):.3f}")

fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", num="training")
plot_losses({name: h.train_loss for name, h in histories.items()}, ax=axes[0], title="Training loss")
plot_losses({name: h.validation_loss for name, h in histories.items()}, ax=axes[1], title="Validation loss")
fig.suptitle("The training loss keeps falling, the validation loss bends (compare shapes, not heights)")
plt.show()

# %% [markdown]
# The accuracies differ by less than the splits do. A test part of 360 digits has a standard error of
# √(0.02 · 0.98 / 360), about 0.7 %: three digits more or less mean nothing.
#
# Which digits are mistaken for which?

# %%
classifier, _, _, test = train_digits(ReLU(), CrossEntropy(), SEEDS[0])
predicted = classify(classifier, test.X)
confusion = confusion_matrix(test.y, predicted)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", num="confusion")
axes[0].imshow(confusion, cmap="Blues")
for (i, j), count in np.ndenumerate(confusion):
    if count:
        axes[0].text(j, i, count, ha="center", va="center", color="w" if count > 20 else "k")
axes[0].set(xlabel="predicted digit", ylabel="true digit", title="Confusion: all off the diagonal is wrong")
axes[0].set(xticks=range(10), yticks=range(10))
wrong = np.flatnonzero(predicted != test.y)[:6]
tiles = [np.pad(test.X[i].reshape(8, 8), 1) for i in wrong] + [np.zeros((10, 10))] * (6 - len(wrong))
axes[1].imshow(np.block([tiles[:3], tiles[3:]]), cmap="gray_r")
axes[1].set(xticks=[], yticks=[], title="Some of the mistakes: would you have known?")
for place, i in enumerate(wrong):
    row, column = divmod(place, 3)
    axes[1].text(10 * column, 10 * row, f"{test.y[i]} read as {predicted[i]}", va="top", color="C3")
plt.show()

# %% [markdown]
# ## 6. Real images
#
# The slides' task: MNIST, 28 x 28 pixels, above 95 %. The network is 784 - 128 - 10. Fashion-MNIST
# has the same format and shows clothing, not digits. *Predict:* will it reach 95 % too?

# %%
large = {}
if LARGE_IMAGES:
    for name, load in (("MNIST", mnist), ("Fashion-MNIST", fashion_mnist)):
        try:
            train, test = load()
        except DatasetError as error:
            print(f"{name} is left out: {error}")
            continue
        network = Sequential(Dense(784, 128), ReLU(), Dense(128, 10), rng=0, backend=BACKEND)
        steps = LARGE_EPOCHS * int(np.ceil(len(train) / 64))
        fit(
            network, train, loss=CrossEntropy(), optimizer=Adam(CosineDecay(2e-3, steps)),
            epochs=LARGE_EPOCHS, batch_size=64, rng=0,
        )  # fmt: skip
        large[name] = accuracy(test.y, classify(network, test.X))
        print(f"{name}: test accuracy {large[name]:.4f}")
else:
    print("left out: set TINYNN_DATA to a folder with mnist/ and fashion-mnist/, or LARGE_IMAGES = True")

# %% [markdown]
# With the data at hand: MNIST gets to about 98 %. Fashion-MNIST does not come near 95 %, and that is
# not the fault of the training: published networks of this kind reach 87 to 90 %. Shirts, pullovers
# and coats of 28 x 28 grey pixels look alike.
#
# ## Results

# %%
results = ResultsTable("Lesson 8: a neural network")
# two numbers from the slides on notation
a = np.array([2, 2.1, 8, 5])
results.add("norm of (2, 2.1, 8, 5)", np.linalg.norm(a), seed=9.86965045, tolerance=1e-9)
b, c = rng.standard_normal((2, 4))
squares = ((c * b) ** 2).sum()
results.add("c'b of two vectors", c @ b, seed="|c∘b|²", corrected=True,
            note=f"it is the sum of c∘b, {(c * b).sum():.3f}; |c∘b|² is {squares:.3f}")  # fmt: skip
results.add("cross-entropy of the example", example, seed=0.2231, tolerance=1e-3)
results.add("logits, by hand - library", forward_error, at_most=1e-14)
results.add("gradient, by hand - library", backward_error, at_most=1e-14)
results.add("one layer: outer product - library", one_layer_error, seed="(a - y) σ' x", corrected=True,
            note="2/M ((a - y) ∘ σ') x', shaped like W")  # fmt: skip
results.add("BP3, BP4", "1 ≤ l ≤ L", seed="1 ≤ l ≤ L - 1", corrected=True, note=stopped[0])
results.add("softmax: sum over all outputs", float(A2.sum(axis=1).mean()), seed="index i twice",
            corrected=True, note="the denominator has an index of its own")  # fmt: skip
results.add(
    "BP1, cross-entropy", "(a - y) / M", seed="a - y", corrected=True, note=printed["PrintedCrossEntropy"]
)
results.add(
    "BP1, quadratic", "2/M (a - y) σ'", seed="(a - y) σ'", corrected=True, note=printed["PrintedQuadratic"]
)
for name, values in scores.items():
    results.add(f"digits, {name}", np.mean(values), at_least=0.97, note=f"{len(values)} splits")
if "MNIST" in large:
    results.add("MNIST, 784-128-10", large["MNIST"], seed="> 0.95", at_least=0.975,
                note="published: linear 0.88, 784-30-10 0.954, 784-100-10 to 0.980, SVM 0.986")  # fmt: skip
if "Fashion-MNIST" in large:
    results.add("Fashion-MNIST, 784-128-10", large["Fashion-MNIST"], seed="> 0.95", corrected=True,
                note="clothing, not digits; published: such networks 0.87 to 0.90, SVM 0.897")  # fmt: skip
print(results)

# %% [markdown]
# ## Exercises
#
# 1. *Shapes.* For a network 64 - 32 - 16 - 10 and batches of 20, write down the shapes of Z², dZ²,
#    dW² and db². Check the last two with `network.gradients()`, the first with
#    `network.layers[2].forward`.
# 2. *The gradient checker as a judge.* Write `class MySoftplus(tinynn.nn.Layer)` with the forward
#    pass ln(1 + exp z), give it the derivative of the *sigmoid* by mistake, and let
#    `tinynn.gradcheck.check_layer` judge it. Repair it until the check passes; which of the library's
#    layers is its derivative?
# 3. *Sum instead of mean.* The slides update with the *sum* over the batch. Train the digits for 30
#    epochs with `SGD(0.1)` on batches of 16 and of 256, once with the mean and once with the sum (a
#    loss like `PrintedCrossEntropy`). Which of the four stay near chance, 10 %? Which rate repairs
#    each? The answer is one formula.
