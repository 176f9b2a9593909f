"""Numerical checks of hand-written gradients that name the mistake."""

from tinynn.gradcheck.checks import check_layer, check_loss, check_model, check_tangents
from tinynn.gradcheck.comparison import (
    GradientBatchWarning,
    GradientFlatWarning,
    GradientKinkWarning,
    GradientReport,
)

__all__ = [
    "GradientBatchWarning",
    "GradientFlatWarning",
    "GradientKinkWarning",
    "GradientReport",
    "check_layer",
    "check_loss",
    "check_model",
    "check_tangents",
]
