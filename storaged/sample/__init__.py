"""Generates realistic stores on disk without any container tool: for the demo, tests and benchmarks.

``write_store`` writes a whole store from a seeded ``SampleSpec`` and returns a ``Sample``: the facts about it.
``SampleWriter`` changes a store afterwards as another tool would.
"""

from .disk import write_store
from .facts import Sample
from .spec import FLEET_HOST, SHAPES, SampleSpec, Shape
from .writer import SampleWriter

__all__ = ["FLEET_HOST", "SHAPES", "Sample", "SampleSpec", "SampleWriter", "Shape", "write_store"]
