"""Makes a realistic store on disk without any container tool: for the demo, for tests and benchmarks.

``write_store`` writes a whole store from a seeded ``SampleSpec`` and returns the ``Sample``: what is true of it.
``SampleWriter`` changes a store afterwards as another tool would.
"""

from .disk import write_store
from .facts import Sample
from .spec import FLEET_HOST, SHAPES, SampleSpec, Shape
from .writer import SampleWriter

__all__ = ["FLEET_HOST", "SHAPES", "Sample", "SampleSpec", "SampleWriter", "Shape", "write_store"]
