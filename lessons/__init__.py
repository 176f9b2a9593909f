"""The lessons of the course, one script each, and the command that runs them: ``python -m lessons``."""
