"""Numerical checks of hand-written gradients that name the mistake."""

from tinynn.gradcheck.checks import (
    GradientKinkWarning,
    GradientReport,
    check_layer,
    check_loss,
    check_model,
)

__all__ = ["GradientKinkWarning", "GradientReport", "check_layer", "check_loss", "check_model"]
