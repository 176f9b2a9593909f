"""A bank of layers, losses and networks, each with one deliberate mistake and the words that name it."""

import numpy as np

from tinynn.nn import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Dropout,
    Hinge,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from tinynn.nn.activations import sigmoid, softmax
from tinynn.nn.layers import Cached

WRONG_LAYERS = []
WRONG_LOSSES = []
WRONG_MODELS = []


def wrong(bank, words, *arguments, **options):
    """Put a class into a bank: how to build it, and what the diagnosis has to say."""

    def enter(cls):
        bank.append((cls, arguments, options, words))
        return cls

    return enter


@wrong(WRONG_LAYERS, "W: the sign is wrong", 4, 3, rng=0)
class SignOfWeights(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.dW = -self.dW


@wrong(WRONG_LAYERS, "X: the sign is wrong")
class SignOfInput(Tanh):
    def backward(self, dA):
        return -super().backward(dA)


@wrong(WRONG_LAYERS, "W: 1/M is there twice, or a mean", 4, 3, rng=0)
class MeanOfWeights(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.dW = self.dW / len(dY)


@wrong(WRONG_LAYERS, "b: 1/M is there twice, or a mean", 4, 3, rng=0)
class MeanOfBias(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.db = dY.mean(axis=0)


@wrong(WRONG_LAYERS, "W: 1/M is missing", 4, 3, rng=0)
class SumOfWeights(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.dW = self.dW * len(dY)


@wrong(WRONG_LAYERS, "W: factor 2: the gradient is twice", 4, 3, rng=0)
class TwiceTheWeights(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.dW = 2 * self.dW


@wrong(WRONG_LAYERS, "X: factor 2: the gradient is half")
class HalfTheInput(Sigmoid):
    def backward(self, dA):
        return super().backward(dA) / 2


@wrong(WRONG_LAYERS, "X: off by the constant factor 3")
class ThreeTimesTheInput(Sigmoid):
    def backward(self, dA):
        return super().backward(dA) * 3


@wrong(WRONG_LAYERS, "W: transposed", 4, 3, rng=0)
class TransposedWeights(Dense):
    def backward_parameters(self, dY):
        self.dW, self.db = self.X.T @ dY, dY.sum(axis=0)


@wrong(WRONG_LAYERS, "W: transposed", 4, 4, rng=0)
class TransposedSquareWeights(TransposedWeights):
    pass


@wrong(WRONG_LAYERS, "b: not summed over the batch: every", 4, 3, rng=0)
class BiasNotSummed(Dense):
    def backward_parameters(self, dY):
        self.dW, self.db = dY.T @ self.X, dY


@wrong(WRONG_LAYERS, "b: not summed over the batch: it holds the contribution of one", 4, 3, rng=0)
class BiasOfOneSample(Dense):
    def backward_parameters(self, dY):
        self.dW, self.db = dY.T @ self.X, dY[0]


@wrong(WRONG_LAYERS, "b: the gradient is zero", 4, 3, rng=0)
class BiasForgotten(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.db = np.zeros_like(self.b)


@wrong(WRONG_LAYERS, "X: the gradient has shape (5, 3), the variable has shape (5, 4)", 4, 3, rng=0)
class InputOfWrongShape(Dense):
    def backward(self, dY):
        super().backward(dY)
        return dY


@wrong(WRONG_LAYERS, "W: taken at the wrong variable: the layer's output", 4, 4, rng=0)
class WeightsFromOutput(Dense):
    def forward(self, X):
        self.Y = super().forward(X)
        return self.Y

    def backward_parameters(self, dY):
        super().backward_parameters(dY)
        self.dW = dY.T @ self.Y


@wrong(WRONG_LAYERS, "X: taken at the wrong variable: f' at the output")
class SlopeAtOutput(Sigmoid):
    def backward(self, dA):
        s = sigmoid(self.A)
        return dA * s * (1 - s)


@wrong(WRONG_LAYERS, "X: taken at the wrong variable: f' written in terms of the output")
class OutputFormulaAtInput(Tanh):
    def forward(self, Z):
        self.Z = Z
        return super().forward(Z)

    def backward(self, dA):
        return dA * (1 - self.Z**2)


@wrong(WRONG_LAYERS, "X: the mask is forgotten: entries")
class MaskForgotten(ReLU):
    def backward(self, dA):
        return dA * 1.0


@wrong(WRONG_LAYERS, "X: the mask is forgotten: dX = dY", 0.4, rng=1)
class DropoutPassesAll(Dropout):
    def backward(self, dA):
        return dA * 1.0


@wrong(WRONG_LAYERS, "X: the mask is forgotten: entries", 0.4, rng=1)
class DropoutMaskForgotten(Dropout):
    def backward(self, dA):
        return dA / (1 - self.p)


@wrong(WRONG_LAYERS, "X: the derivative of this layer is left out")
class DerivativeLeftOut(Tanh):
    def backward(self, dA):
        return dA * 1.0


@wrong(WRONG_LAYERS, "X: off-diagonal terms are missing")
class DiagonalSoftmax(Softmax):
    def backward(self, dA):
        return dA * self.A * (1 - self.A)


@wrong(WRONG_LAYERS, "X: a term is left out: the skip connection", Dense(4, 4, rng=0), Tanh())
class SkipLeftOut(Residual):
    def backward(self, dY):
        return super().backward(dY) - dY


@wrong(WRONG_LAYERS, "X: a term too many", Dense(4, 4, rng=0), Tanh())
class SkipTwice(Residual):
    def backward(self, dY):
        return super().backward(dY) + dY


@wrong(WRONG_LAYERS, "X: wrong derivative of an elementwise layer: a term of it is left out")
class ProductRuleForgotten(SiLU):
    def backward(self, dA):
        return dA * self.S


@wrong(WRONG_LAYERS, "X: stale cache", 4, 3, rng=0)
class StaleInput(Dense):
    X = Cached()

    def forward(self, X):
        Y = super().forward(X)
        self.first = self.X = getattr(self, "first", X)
        return Y

    def backward(self, dY):
        return super().backward(dY) * (1 + 0.1 * self.X.mean())


@wrong(WRONG_LAYERS, "W: stale cache", 4, 3, rng=0)
class StaleWeights(Dense):
    def forward(self, X):
        Y = super().forward(X)
        self.first = self.X = getattr(self, "first", X)
        return Y


@wrong(WRONG_LAYERS, "W: gradients of an earlier batch are added", 4, 3, rng=0)
class AddsUp(Dense):
    def backward_parameters(self, dY):
        before = 0 if self.dW is None else self.dW.copy()
        super().backward_parameters(dY)
        self.dW = self.dW + before


@wrong(WRONG_LAYERS, "X is changed in place")
class ChangesInput(ReLU):
    def forward(self, Z):
        np.maximum(Z, 0, out=Z)
        self.A = Z
        return Z.copy()


@wrong(WRONG_LAYERS, "dY is changed in place")
class ChangesUpstream(Tanh):
    def backward(self, dA):
        dA *= 1 - self.A**2
        return dA


@wrong(WRONG_LAYERS, "X: wrong, but by none of the known mistakes", 4, 3, rng=0)
class Scrambled(Dense):
    def backward(self, dY):
        return np.sin(super().backward(dY))


@wrong(WRONG_LAYERS, "X: the gradient contains NaN")
class NotANumber(Tanh):
    def backward(self, dA):
        return super().backward(dA) * np.nan


@wrong(WRONG_LAYERS, "W: forward changes it", 4, 3, rng=0)
class ForwardChangesWeights(Dense):
    def forward(self, X):
        Y = super().forward(X)
        self.W += 0.1
        return Y


@wrong(WRONG_LAYERS, "W: backward changes it", 4, 3, rng=0)
class UpdatedBeforeInputGradient(Dense):
    def backward(self, dY):
        self.backward_parameters(dY)
        self.W -= 0.1 * self.dW
        return dY @ self.W


@wrong(WRONG_LAYERS, "X: backward called twice")
class SpoilsCache(Tanh):
    def backward(self, dA):
        self.A *= self.A
        return dA * (1 - self.A)


@wrong(WRONG_LAYERS, "0.W: the sign is wrong", SignOfWeights(4, 4, rng=0), Tanh())
class WrongInsideResidual(Residual):
    pass


@wrong(WRONG_LAYERS, "X: dY is left out")
class UpstreamLeftOut(Tanh):
    def backward(self, dA):
        return 1 - self.A**2


@wrong(WRONG_LAYERS, "W: dY is left out", 4, 3, rng=0)
class UpstreamLeftOutOfWeights(Dense):
    def backward_parameters(self, dY):
        super().backward_parameters(np.ones_like(dY))
        self.db = dY.sum(axis=0)


@wrong(WRONG_LAYERS, "X: transposed: for Y = X W'", 4, 4, rng=0)
class InputTransposed(Dense):
    def backward(self, dY):
        super().backward(dY)
        return dY @ self.W.T


@wrong(WRONG_LAYERS, "X: the derivative of this layer is left out: dX = dY")
class SoftmaxLeftOut(Softmax):
    def backward(self, dA):
        return dA * 1.0


@wrong(WRONG_LAYERS, "X: the derivative of this layer is left out: dX = dY", Dense(4, 4, rng=0), Tanh())
class BranchLeftOut(Residual):
    def backward(self, dY):
        super().backward(dY)
        return dY * 1.0


@wrong(WRONG_LAYERS, "X: backward returned no dX", 4, 3, rng=0)
class ReturnForgotten(Dense):
    def backward(self, dY):
        super().backward(dY)


@wrong(WRONG_LAYERS, "W: backward does not set dW", 4, 3, rng=0)
class WeightsNotSet(Dense):
    def backward_parameters(self, dY):
        self.db = dY.sum(axis=0)


@wrong(WRONG_LAYERS, "forward returned nothing")
class ForwardReturnForgotten(Tanh):
    def forward(self, Z):
        super().forward(Z)


@wrong(WRONG_LAYERS, "forward returns shape (4,); wanted 5 rows")
class ForwardOfWrongShape(Tanh):
    def forward(self, Z):
        return super().forward(Z).sum(axis=0)


@wrong(WRONG_LAYERS, "forward returns NaN or inf")
class ForwardNotANumber(Tanh):
    def forward(self, Z):
        return super().forward(Z) * np.inf


@wrong(WRONG_LAYERS, "forward is not repeatable: draw from an rng attribute")
class GlobalRandomness(Tanh):
    def forward(self, Z):
        return Z + np.random.standard_normal(Z.shape)  # noqa: NPY002

    def backward(self, dA):
        return 17 * dA + 3


@wrong(WRONG_LOSSES, "prediction: the sign is wrong")
class LossSign(MeanSquaredError):
    def backward(self):
        return -super().backward()


@wrong(WRONG_LOSSES, "prediction: 1/M is missing")
class LossWithoutMean(CrossEntropy):
    def backward(self):
        return softmax(self.prediction) - self.target


@wrong(WRONG_LOSSES, "prediction: 1/M is there twice")
class LossMeanTwice(CrossEntropy):
    def backward(self):
        return super().backward() / len(self.prediction)


@wrong(WRONG_LOSSES, "prediction: factor 2: the gradient is half")
class LossWithoutTwo(MeanSquaredError):
    def backward(self):
        return super().backward() / 2


@wrong(WRONG_LOSSES, "prediction: taken at the wrong variable: with respect to the probability σ(z)")
class GradientOfProbability(BinaryCrossEntropy):
    def backward(self):
        p = sigmoid(self.prediction)
        return (p - self.target) / (p * (1 - p)) / len(p)


@wrong(WRONG_LOSSES, "prediction: taken at the wrong variable: with respect to the probability softmax(z)")
class GradientOfSoftmax(CrossEntropy):
    def backward(self):
        return -self.target / softmax(self.prediction) / len(self.prediction)


@wrong(WRONG_LOSSES, "prediction: stale cache")
class StaleLoss(MeanSquaredError):
    def compute(self, prediction, target):
        value = super().compute(prediction, target)
        self.first = self.error = getattr(self, "first", self.error)
        return value


@wrong(WRONG_LOSSES, "prediction: the gradient is zero")
class LossForgotten(MeanSquaredError):
    def backward(self):
        return 0 * super().backward()


@wrong(WRONG_LOSSES, "prediction: 1/n too much: averaged over the n = 3 outputs")
class LossAveragedOverOutputs(MeanSquaredError):
    def backward(self):
        return super().backward() / self.prediction.shape[1]


@wrong(WRONG_LOSSES, "prediction: the target is left out")
class TargetLeftOut(CrossEntropy):
    def backward(self):
        return self.p / len(self.p)


@wrong(WRONG_LOSSES, "prediction: wrong, but by none of the known mistakes")
class TargetTwice(CrossEntropy):
    def backward(self):
        return (self.p - 2 * self.target) / len(self.p)


@wrong(WRONG_LOSSES, "prediction: the softmax is left out")
class SoftmaxLeftOutOfLoss(CrossEntropy):
    def backward(self):
        return (self.prediction - self.target) / len(self.p)


@wrong(WRONG_LOSSES, "prediction: the sigmoid is left out")
class SigmoidLeftOutOfLoss(BinaryCrossEntropy):
    def backward(self):
        return (self.prediction - self.target) / len(self.target)


@wrong(WRONG_LOSSES, "prediction: the sign is left out")
class AbsoluteErrorWithoutSign(MeanAbsoluteError):
    def backward(self):
        return (self.prediction - self.target) / len(self.target)


@wrong(WRONG_LOSSES, "prediction: the clip of large errors is left out")
class HuberWithoutClip(Huber):
    def backward(self):
        return (self.prediction - self.target) / len(self.target)


@wrong(WRONG_LOSSES, "prediction: the mask is forgotten")
class HingeWithoutMask(Hinge):
    def check_target(self, target, shape, dtype):
        return 2 * np.asarray(target) - 1

    def backward(self):
        return -self.target / len(self.target)


@wrong(WRONG_LOSSES, "prediction is changed in place")
class LossChangesPrediction(MeanSquaredError):
    def compute(self, prediction, target):
        value = super().compute(prediction, target)
        prediction -= target
        return value


@wrong(WRONG_LOSSES, "prediction: backward called twice")
class LossSpoilsCache(MeanSquaredError):
    def backward(self):
        self.error *= 2 / len(self.error)
        return self.error


@wrong(WRONG_LOSSES, "prediction: backward returned no dprediction")
class LossReturnForgotten(MeanSquaredError):
    def backward(self):
        super().backward()


@wrong(WRONG_LOSSES, "forward returns shape (5,), not one number")
class LossPerSample(MeanSquaredError):
    def compute(self, prediction, target):
        super().compute(prediction, target)
        return (self.error**2).sum(axis=1)


class StaleTanh(Tanh):
    def forward(self, Z):
        A = super().forward(Z)
        self.first = self.A = getattr(self, "first", A)
        return A


class WrongShape(Dense):
    def backward_parameters(self, dY):
        self.dW, self.db = dY.T @ dY, dY.sum(axis=0)


class ReturnsNothing(Tanh):
    def backward(self, dA):
        super().backward(dA)


def network(cls):
    layers = Dense(4, 5), Tanh(), Dense(5, 5), Sigmoid(), Dense(5, 3)
    return cls(*layers, rng=0, dtype="float64")


@wrong(WRONG_MODELS, "layer 3, Sigmoid(), is left out of the backward pass")
class LayerLeftOut(Sequential):
    def backward(self, dY):
        for i in (4, 2, 1, 0):
            dY = self.layers[i].backward(dY)
        return dY


@wrong(WRONG_MODELS, "layer 1, SignOfInput(): X: the sign is wrong")
class LayerInsideWrong(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(layers[0], SignOfInput(), *layers[2:], **options)


@wrong(WRONG_MODELS, "layer 3, StaleTanh(): X: stale cache")
class StaleInside(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(*layers[:3], StaleTanh(), *layers[4:], **options)


@wrong(WRONG_MODELS, "layer 2, Dense(5, 5): W: gradients of an earlier batch are added")
class AddsUpInside(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(*layers[:2], AddsUp(5, 5), *layers[3:], **options)


@wrong(WRONG_MODELS, "0.weight: 1/M is there twice")
class DividedByBatch(Sequential):
    def backward(self, dY):
        dX = super().backward(dY)
        self.grad[:] /= len(dY)
        return dX


@wrong(WRONG_MODELS, "layer 0, Dense(4, 5): W: the gradient has shape (5, 5)")
class WrongShapeInside(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(WrongShape(4, 5), *layers[1:], **options)


@wrong(WRONG_MODELS, "layer 1, ReturnsNothing(): X: backward returned no dX")
class NothingInside(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(layers[0], ReturnsNothing(), *layers[2:], **options)


@wrong(WRONG_MODELS, "the network raises ValueError")
class DenseLeftOut(Sequential):
    def backward(self, dY):
        for i in (3, 2, 1, 0):
            dY = self.layers[i].backward(dY)
        return dY


@wrong(WRONG_MODELS, "layer 3, Sigmoid(), is left out of the backward pass")
class LeftOutWithDropout(LayerLeftOut):
    def __init__(self, *layers, **options):
        super().__init__(layers[0], Dropout(0.5), *layers[2:], **options)


@wrong(WRONG_MODELS, "layer 4, Sigmoid(), is left out of the backward pass")
class ActivationAfterOtherWidthLeftOut(Sequential):
    """Skipping the Dense layers on the way to the culprit would hand on a dY of the wrong width."""

    def __init__(self, *layers, **options):
        super().__init__(Dense(4, 6), Tanh(), Dense(6, 5), Dense(5, 3), Sigmoid(), **options)

    def backward(self, dY):
        for layer in reversed(self.layers[:4]):
            dY = layer.backward(dY)
        return dY


@wrong(WRONG_MODELS, "layer 1, DerivativeLeftOut(): X: the derivative of this layer is left out")
class DerivativeLeftOutInside(Sequential):
    def __init__(self, *layers, **options):
        super().__init__(layers[0], DerivativeLeftOut(), *layers[2:], **options)
