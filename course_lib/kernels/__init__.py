"""The only place that knows about speed: compiled steps, flat buffers, Triton, devices."""

from course_lib.kernels.compiling import compile_step

__all__ = ["compile_step"]
