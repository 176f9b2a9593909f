"""Kernels k(x, y), inner products of features that are never formed, and estimators made of them."""

from tinynn.kernels.base import Constant, Kernel, Product, Sum, White
from tinynn.kernels.functions import (
    DotProductKernel,
    Gaussian,
    Laplacian,
    Linear,
    Matern32,
    Matern52,
    Polynomial,
    RadialKernel,
)
from tinynn.kernels.gaussian_process import GaussianProcessRegressor
from tinynn.kernels.names import get_kernel
from tinynn.kernels.ridge import KernelRidge
from tinynn.kernels.svc import SVC

__all__ = [
    "SVC",
    "Constant",
    "DotProductKernel",
    "Gaussian",
    "GaussianProcessRegressor",
    "Kernel",
    "KernelRidge",
    "Laplacian",
    "Linear",
    "Matern32",
    "Matern52",
    "Polynomial",
    "Product",
    "RadialKernel",
    "Sum",
    "White",
    "get_kernel",
]
