from linalg.matrices import flops  # noqa: F401  a fixture
