"""CUDA graphs: what a GPU is told for a pass, recorded once for each size of input and repeated in one call.

A pass of Small is some 300 kernels, and starting one takes the processor longer than a fast GPU needs to run
it on a single picture. A graph starts them all at once. It reads and writes the memory that it was recorded
with: pictures are copied into it, and maps out of it.

References:
    PyTorch notes, CUDA semantics: "CUDA Graphs"; NVIDIA, CUDA C++ Programming Guide, "CUDA Graphs".
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from depth3d.estimate.depth_anything import DepthAnythingOutput

__all__ = ["CapturedNetwork"]

_log = logging.getLogger("depth3d")

_PASSES_BEFORE = 8
"""Passes of a size, kernel by kernel, before one is recorded: a recording takes as long as some ten of them
may lose, and it is not known how many are to come."""

_MOST_GRAPHS = 8
"""Sizes of input. The first that come back often stay: to record another for each new size, and forget one,
would take longer than it saves where sizes change all the time."""

_LARGEST_PX = 1 << 22
"""Pixels of a batch, nine of 4:3 at 518 or eight of 16:9: of larger ones a GPU has work for longer than the
processor takes to start it, and the memory that a graph holds would grow."""

_WARM_UP = 2
"""Passes before the recording, in its stream: libraries choose their kernels and take their memory then."""

_TOLERANCE = 1e-2
"""Largest departure of a graph's map, as a share of the span; none at all is usual."""

_RECORDING = threading.Lock()
"""A process records one graph at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """A recorded pass, with the memory that it reads and the memory that it writes."""

    graph: torch.cuda.CUDAGraph
    pixels: torch.Tensor
    depth: torch.Tensor


class CapturedNetwork(torch.nn.Module):
    """A network on a CUDA device that repeats its passes as graphs; called as the network is.

    A size of input runs kernel by kernel at first; when it keeps coming back its pass is recorded. Where that
    fails, or where the graph's map is another one, all goes on kernel by kernel. Calls must come one after
    the other, in inference mode; they may come from several threads and streams.

    Args:
        network: One that `can_be_exported`, in the format that it is to compute in, on a CUDA device.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.config: Any = getattr(network, "config", None)
        self._device = next(network.parameters()).device
        self._graphs: dict[tuple[int, ...], _Graph] = {}
        self._passes: Counter[tuple[int, ...]] = Counter()
        self._records = True
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        # One store for all graphs: they never run at the same time, and what one has written is copied
        # before another runs.
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: torch.Tensor) -> DepthAnythingOutput:
        """Run it; takes and gives what the network does."""
        size = tuple(pixel_values.shape)
        if size not in self._graphs and not self._recorded(size, pixel_values):
            depth: torch.Tensor = self.network(pixel_values=pixel_values).predicted_depth
            return DepthAnythingOutput(depth)
        return DepthAnythingOutput(self._repeated(self._graphs[size], pixel_values))

    def float(self) -> torch.nn.Module:  # type: ignore[override]
        """Give the network in float32, without graphs, whose weights those would not be."""
        torch.cuda.synchronize(self._device)
        self._graphs.clear()
        self._records = False
        return self.network.float()

    def _recorded(self, size: tuple[int, ...], pixels: torch.Tensor) -> bool:
        """Record a pass if its size has come often enough, there is room for it, and it can be done."""
        is_small = size[0] * size[2] * size[3] <= _LARGEST_PX
        if not self._records or not is_small or len(self._graphs) >= _MOST_GRAPHS:
            return False
        self._passes[size] += 1
        if self._passes[size] <= _PASSES_BEFORE:
            return False
        try:
            self._graphs[size] = self._record(pixels)
        except RuntimeError as error:  # of CUDA, or of memory; kernel by kernel it may still be done
            self._records = False
            reason = (str(error).splitlines() or [""])[0]
            _log.info("no CUDA graph of %s (%s); going on kernel by kernel", size, reason)
        return size in self._graphs

    def _record(self, pixels: torch.Tensor) -> _Graph:
        current = torch.cuda.current_stream(self._device)
        # A recording that fails leaves its stream the current one; the outer block puts the old one back.
        with _RECORDING, torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            self._stream.wait_stream(current)
            own = pixels.clone()
            for _ in range(_WARM_UP):
                expected = self.network(pixel_values=own).predicted_depth
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile, for views and bokeh.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                depth = self.network(pixel_values=own).predicted_depth
            graph.replay()
            off = (depth - expected).abs().max()
            if not bool(off <= _TOLERANCE * (expected.max() - expected.min())):
                raise RuntimeError("it gives another map")
        current.wait_stream(self._stream)
        return _Graph(graph, own, depth)

    def _repeated(self, graph: _Graph, pixels: torch.Tensor) -> torch.Tensor:
        current = torch.cuda.current_stream(self._device)
        current.wait_event(self._copied)  # another stream may have been the last
        graph.pixels.copy_(pixels)
        graph.graph.replay()
        depth = graph.depth.clone()
        self._copied.record(current)
        return depth
