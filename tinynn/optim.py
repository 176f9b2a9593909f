"""Update rules on one flat parameter vector, each a few lines, all in place.

``optimizer.step(theta, grad)`` changes theta (n_parameters,). Defaults and results are torch's; the
equations are those of the papers named. The rate `lr` is a number, or a schedule: a function of the
number of the step t = 0, 1, 2, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinynn.backend import Array, OnBackend, get_array_module, to_numpy
from tinynn.validation import check_array, check_integer, check_number

Rate = float | Callable[[int], float]


class Schedule:
    """A rate that depends on the number of the step."""

    def __call__(self, t: int) -> float:
        """Rate at step t = 0, 1, 2, ..."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
        )


class StepDecay(Schedule):
    """The rate lr, multiplied by `factor` after every `every` steps."""

    def __init__(self, lr: float, every: int, factor: float = 0.1) -> None:
        self.lr = check_number(lr, "lr", low=0, closed="left")
        self.every = check_integer(every, "every", low=1)
        self.factor = check_number(factor, "factor", low=0, closed="neither")

    def __call__(self, t: int) -> float:
        return self.lr * self.factor ** (t // self.every)


class ExponentialDecay(Schedule):
    """The rate lr exp(-t / decay_steps)."""

    def __init__(self, lr: float, decay_steps: float) -> None:
        self.lr = check_number(lr, "lr", low=0, closed="left")
        self.decay_steps = check_number(decay_steps, "decay_steps", low=0, closed="neither")

    def __call__(self, t: int) -> float:
        return self.lr * math.exp(-t / self.decay_steps)


class CosineDecay(Schedule):
    """From lr down to `final` along half a cosine in `steps` steps, then `final`.

    Source: Loshchilov and Hutter 2017, "SGDR", eq. (5), without restarts.
    """

    def __init__(self, lr: float, steps: int, final: float = 0.0) -> None:
        self.lr = check_number(lr, "lr", low=0, closed="left")
        self.steps = check_integer(steps, "steps", low=1)
        self.final = check_number(final, "final", low=0, closed="left")

    def __call__(self, t: int) -> float:
        done = min(t / self.steps, 1.0)
        return self.final + (self.lr - self.final) * (1 + math.cos(math.pi * done)) / 2


class Optimizer(OnBackend):
    """What the rules share: the rate, the step count t, and state vectors shaped like theta.

    A rule of your own names its `vectors` and defines `update`, which changes theta in place; if more than
    the rate depends on t, also `coefficients`.
    """

    vectors: tuple[str, ...] = ()

    def __init__(self, lr: Rate, weight_decay: float = 0.0) -> None:
        self.lr = lr if callable(lr) else check_number(lr, "lr", low=0, closed="left")
        self.weight_decay = check_number(weight_decay, "weight_decay", low=0, closed="left")
        self.t = 0
        self.scratch: Array = None

    def step(self, theta: Array, grad: Array) -> None:
        """Change theta (n,) in place along -grad (n,), the gradient of the loss at theta.

        Raises
        ------
        TypeError, ValueError
            At the first step, if theta and grad differ in library, shape or dtype; later, if one of
            them is not the size that the state was made for.
        """
        self.start(theta, grad)
        self.update(theta, grad, *self.advance())

    def start(self, theta: Array, grad: Array) -> None:
        """Make the state for theta and grad, or make sure that it is theirs; errors as in `step`."""
        if self.scratch is not None:
            if not theta.shape == grad.shape == self.scratch.shape:
                raise ValueError(
                    f"theta has shape {theta.shape} and grad {grad.shape}, but this optimizer began with "
                    f"{self.scratch.shape}; use a new optimizer for every network"
                )
            return
        for name, x in (("theta", theta), ("grad", grad)):
            if not hasattr(x, "dtype"):
                raise TypeError(f"{name} must be an array, such as model.{name}; got {type(x).__name__}")
        self.xp = get_array_module(theta=theta, grad=grad)
        if theta.shape != grad.shape or theta.dtype != grad.dtype:
            raise ValueError(
                f"theta is {theta.shape} {theta.dtype} but grad is {grad.shape} {grad.dtype}; they must agree"
            )
        if theta.dtype.kind != "f":
            raise TypeError(f"theta has dtype {theta.dtype}; wanted floating point: it is changed in place")
        self.scratch = self.xp.empty_like(theta)
        for name in self.vectors:
            if getattr(self, name, None) is None:
                setattr(self, name, self.xp.zeros_like(theta))

    def advance(self) -> tuple[float, ...]:
        """Count one step more; its `coefficients`."""
        lr = check_number(self.lr(self.t), "lr(t)", low=0, closed="left") if callable(self.lr) else self.lr
        self.t += 1
        return self.coefficients(lr)

    def coefficients(self, lr: float) -> tuple[float, ...]:
        """The numbers that `update` takes in step self.t = 1, 2, ...; by default the rate alone."""
        return (lr,)

    def update(self, theta: Array, grad: Array, *coefficients: Any) -> None:
        """Change theta by one step."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def _decayed(self, theta: Array, grad: Array) -> Array:
        """Gradient of the loss plus its penalty, weight_decay/2 |theta|²."""
        if not self.weight_decay:
            return grad
        return grad + self.weight_decay * theta  # ∇(L + λ/2 |θ|²) = ∇L + λ θ               S4 (18)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The state: t and copies of the vectors (before the first step: t alone)."""
        vectors = {name: getattr(self, name, None) for name in self.vectors}
        return {"t": np.asarray(self.t)} | {
            k: to_numpy(v).copy() for k, v in vectors.items() if v is not None
        }

    def load_state_dict(self, state: Mapping[str, Any], theta: Array) -> None:
        """Continue from a state of the same rule, for the parameter vector `theta`.

        Raises
        ------
        ValueError
            If names or shapes do not fit; then nothing is changed.
        """
        t = int(state["t"]) if "t" in state else -1
        wanted = {"t", *self.vectors} if t else {"t"}
        if set(state) != wanted:
            raise ValueError(f"state has {sorted(state)}; {self!r} wants {sorted(wanted)}")
        xp = get_array_module(theta)
        arrays = {
            name: check_array(state[name], name, shape=theta.shape, dtype=theta.dtype)
            for name in wanted - {"t"}
        }
        self.t, self.scratch = t, None
        for name in self.vectors:
            setattr(self, name, xp.array(arrays[name]) if name in arrays else None)

    def settings(self) -> dict[str, str]:
        """What was chosen when it was made, in words: the rate and the other constants."""
        state = {"t", "scratch", "xp", "vectors", *self.vectors}
        chosen = {name: repr(value) for name, value in vars(self).items() if name not in state}
        if callable(self.lr) and not isinstance(self.lr, Schedule):
            chosen["lr"] = getattr(self.lr, "__qualname__", type(self.lr).__name__)
        return chosen

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in self.settings().items())
        return f"{type(self).__name__}({chosen})"


class SGD(Optimizer):
    """Gradient descent θ ← θ - η ∇L, with momentum v ← μ v + ∇L, θ ← θ - η v. S4 (16); S3 10.1.

    Parameters
    ----------
    lr : float or schedule
        Rate η. On a quadratic loss stable for η < 2 (1 + μ) / λ_max of its Hessian.
    momentum : float
        μ in [0, 1). Source: Polyak 1964, the heavy ball.
    nesterov : bool
        Step along ∇L + μ v instead of v. Source: Sutskever et al. 2013.
    weight_decay : float
        λ of the penalty λ/2 |θ|², S4 (18).
    """

    velocity: Array

    def __init__(
        self, lr: Rate, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum = check_number(momentum, "momentum", low=0, high=1, closed="left")
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.nesterov = nesterov
        self.vectors = ("velocity",) if momentum else ()

    def update(self, theta: Array, grad: Array, lr: Any) -> None:
        xp, change = self.xp, self.scratch
        grad = self._decayed(theta, grad)
        if not self.momentum:
            theta -= xp.multiply(grad, lr, out=change)  # θ ← θ - η ∇L                         S4 (16)
            return
        self.velocity *= self.momentum
        self.velocity += grad
        if self.nesterov:
            xp.multiply(self.velocity, self.momentum, out=change)
            change += grad
            change *= lr
        else:
            xp.multiply(self.velocity, lr, out=change)
        theta -= change


class Adagrad(Optimizer):
    """θ ← θ - η g / (√G + ε), G the sum of all g². Source: Duchi et al. 2011."""

    vectors = ("sum_squares",)
    sum_squares: Array

    def __init__(self, lr: Rate = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.eps = check_number(eps, "eps", low=0, closed="neither")

    def update(self, theta: Array, grad: Array, lr: Any) -> None:
        xp, change = self.xp, self.scratch
        grad = self._decayed(theta, grad)
        self.sum_squares += xp.multiply(grad, grad, out=change)
        xp.sqrt(self.sum_squares, out=change)
        change += self.eps
        xp.divide(grad, change, out=change)
        change *= lr
        theta -= change


class RMSProp(Optimizer):
    """θ ← θ - η g / (√v + ε), v the running mean of g²: v ← α v + (1 - α) g². Source: Hinton 2012."""

    vectors = ("mean_square",)
    mean_square: Array

    def __init__(
        self, lr: Rate = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.alpha = check_number(alpha, "alpha", low=0, high=1, closed="left")
        self.eps = check_number(eps, "eps", low=0, closed="neither")

    def update(self, theta: Array, grad: Array, lr: Any) -> None:
        xp, change = self.xp, self.scratch
        grad = self._decayed(theta, grad)
        xp.multiply(grad, grad, out=change)
        change *= 1 - self.alpha
        self.mean_square *= self.alpha
        self.mean_square += change
        xp.sqrt(self.mean_square, out=change)
        change += self.eps
        xp.divide(grad, change, out=change)
        change *= lr
        theta -= change


class Adadelta(Optimizer):
    """θ ← θ - η Δ with Δ = √(u + ε) / √(v + ε) g: v and u are the running means of g² and Δ².

    Δ has the unit of θ, so that η = 1 fits. Source: Zeiler 2012, algorithm 1.
    """

    vectors = ("mean_square", "mean_square_change")
    mean_square: Array
    mean_square_change: Array

    def __init__(
        self, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.rho = check_number(rho, "rho", low=0, high=1, closed="left")
        self.eps = check_number(eps, "eps", low=0, closed="neither")

    def update(self, theta: Array, grad: Array, lr: Any) -> None:
        xp = self.xp
        grad = self._decayed(theta, grad)
        self.mean_square *= self.rho
        self.mean_square += (1 - self.rho) * grad * grad
        change = xp.sqrt(
            (self.mean_square_change + self.eps) / (self.mean_square + self.eps), out=self.scratch
        )
        change *= grad
        self.mean_square_change *= self.rho
        self.mean_square_change += (1 - self.rho) * change * change
        theta -= lr * change


class Adam(Optimizer):
    """θ ← θ - η m / (√v + ε), with m and v weighted means of all g and g² so far.

    A gradient k steps old has the weight β^k. Here ``sum_g`` = Σ β₁^k g and ``sum_g2`` = Σ β₂^k g² are
    kept without the factors 1 - β of the paper, and divided by the sum of the weights,
    Σ β^k = (1 - β^t) / (1 - β): that mean is the paper's bias-corrected one.

    Parameters
    ----------
    lr : float or schedule
    betas : (float, float)
        β₁ for the mean of g, β₂ for the mean of g², each in [0, 1).
    eps : float
        ε.
    weight_decay : float
        λ of the penalty λ/2 |θ|².

    Source: Kingma and Ba 2015, algorithm 1.
    """

    vectors = ("sum_g", "sum_g2")
    sum_g: Array
    sum_g2: Array

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        if np.shape(betas) != (2,):
            raise ValueError(f"betas must be two numbers; got {betas!r}")
        beta1, beta2 = (
            check_number(b, f"betas[{i}]", low=0, high=1, closed="left") for i, b in enumerate(betas)
        )
        self.betas = beta1, beta2
        self.eps = check_number(eps, "eps", low=0, closed="neither")

    def coefficients(self, lr: float) -> tuple[float, ...]:
        beta1, beta2 = self.betas
        weights1 = (1 - beta1**self.t) / (1 - beta1)
        weights2 = math.sqrt((1 - beta2**self.t) / (1 - beta2))
        # η m / (√v + ε) with m = sum_g / weights1 and √v = √sum_g2 / weights2
        return beta1, beta2, self.eps * weights2, lr * weights2 / weights1

    def update(self, theta: Array, grad: Array, beta1: Any, beta2: Any, eps: Any, rate: Any) -> None:
        self._adam(theta, self._decayed(theta, grad), beta1, beta2, eps, rate)

    def _adam(self, theta: Array, grad: Array, beta1: Any, beta2: Any, eps: Any, rate: Any) -> None:
        xp, change = self.xp, self.scratch
        self.sum_g *= beta1
        self.sum_g += grad
        self.sum_g2 *= beta2
        self.sum_g2 += xp.multiply(grad, grad, out=change)
        xp.sqrt(self.sum_g2, out=change)
        change += eps
        xp.divide(self.sum_g, change, out=change)
        change *= rate
        theta -= change


class AdamW(Adam):
    """Adam with the weight decay taken out of the gradient: θ ← (1 - η λ) θ, then Adam's step.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)

    def coefficients(self, lr: float) -> tuple[float, ...]:
        return 1 - lr * self.weight_decay, *super().coefficients(lr)

    def update(self, theta: Array, grad: Array, decay: Any, *adam: Any) -> None:
        theta *= decay
        self._adam(theta, grad, *adam)
