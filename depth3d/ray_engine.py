"""The engine `ray`: tasks of `run_many` in processes that Ray Data places, here or on a cluster."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from depth3d.accel.ahead import mapped_ahead
from depth3d.errors import Depth3DError, DeviceError, InputError
from depth3d.many_files import Carry, EndOfRunError, Engine, Task, TaskResult

__all__ = ["RayEngine", "having_ray"]

_log = logging.getLogger("depth3d")

_CHUNK = 8
"""Tasks that go to a process together, so that it can read the next photo while it works on one."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}


@dataclass(frozen=True)
class RayEngine:
    """Does tasks in processes that Ray Data places; each loads the network once.

    A Ray that this process has started already is used and left running; otherwise one is started on this
    machine, or a cluster is joined, for as long as results are asked for. Where a process dies (a decoder
    that crashes, memory that runs out), its tasks get a second chance one by one, and only the one at fault
    fails.

    Attributes:
        address: `local` for this machine, `auto` for the cluster that it belongs to, or the HOST:PORT of its
            head; None is RAY_ADDRESS where that is set, else `local`.
        workers: How many processes at most; None is what there is room for: one a GPU, or one a core.
        device: `cpu` keeps off GPUs; `cuda` waits for one; `auto` takes them where there are some.
        inner: What runs some of the tasks in a process; None is two threads. It is pickled.
        chunk: How many tasks go to a process together.

    Raises:
        InputError: A number is less than 1, or Ray is not installed.
    """

    address: str | None = None
    workers: int | None = None
    device: str = "auto"
    inner: Engine | None = None
    chunk: int = _CHUNK

    def __post_init__(self) -> None:
        for name in ("workers", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if find_spec("ray") is None:
            raise InputError("--engine ray needs Ray; install it: pip install 'depth3d[ray]'")

    def __call__(self, carry: Carry, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Do the tasks.

        Args:
            carry: From `run_many`; it, the tasks and the results are pickled.
            tasks: Every machine must reach the files that they name, by the same names.

        Yields:
            One result a task, as they come.

        Raises:
            EndOfRunError: No cluster is at the address, or Ray does not start.
        """
        if not tasks:
            return
        with having_ray(self.address, self.workers) as ray:
            left = dict(enumerate(tasks))
            for chunk in (min(self.chunk, -(-len(tasks) // self._room(ray))), 1):
                with closing(self._results(ray, carry, left, chunk)) as results:
                    for number, result in results:
                        task = left.pop(number, None)
                        if task is not None:
                            yield replace(result, task=task)
                if not left:
                    return
        reason = "its process died, perhaps for want of memory; try it alone with --engine local"
        yield from (TaskResult(task, error=DeviceError(reason)) for task in left.values())

    def _room(self, ray: Any) -> int:
        """Tell how many processes may run at once."""
        there = ray.cluster_resources()
        room = int(there.get("GPU" if self._wants_gpu(there) else "CPU", 1)) or 1
        return min(room, self.workers or room)

    def _wants_gpu(self, there: dict[str, float]) -> bool:
        return self.device.startswith("cuda") or (self.device == "auto" and there.get("GPU", 0) >= 1)

    def _results(
        self, ray: Any, carry: Carry, tasks: dict[int, Task], chunk: int
    ) -> Generator[tuple[int, TaskResult], None, None]:
        """Run tasks in chunks; the results of chunks whose process died are left out."""
        from ray import cloudpickle
        from ray.data import ActorPoolStrategy, from_items

        there = ray.cluster_resources()
        gpu = self._wants_gpu(there)
        if gpu and not there.get("GPU"):
            _log.warning("no machine of the Ray cluster has a GPU yet: waiting for one")
        rows = [{"number": number, "task": cloudpickle.dumps(task)} for number, task in tasks.items()]
        chunks = -(-len(rows) // chunk)
        work = cloudpickle.dumps((carry, self.inner or _two_at_once, str(Path.cwd())))
        done = iter(
            from_items(rows, override_num_blocks=chunks)
            .map_batches(
                _Process,
                fn_constructor_args=(work,),
                compute=ActorPoolStrategy(
                    min_size=min(chunks, self._room(ray)),
                    max_size=min(chunks, self.workers or chunks),
                    max_tasks_in_flight_per_actor=2 if chunk > 1 else 1,
                ),
                batch_size=chunk,
                num_gpus=1 if gpu else 0,
                ray_remote_args_fn=partial(_lives, alone=chunk == 1),
            )
            .iter_rows()
        )
        try:
            for row in done:
                yield int(row["number"]), cloudpickle.loads(bytes(row["result"]))
        finally:
            done.close()  # else it would ask a Ray that is no more, and start another one for it


def _lives(*, alone: bool) -> dict[str, int]:
    """Start dead processes again, but not for ever with what they died of.

    Tasks that wait for a process when it dies fail with it, unless they may be tried again.
    """
    return {"max_restarts": -1, "max_task_retries": 1 if alone else 0}


def _two_at_once(carry: Carry, tasks: Sequence[Task]) -> Iterator[TaskResult]:
    """Read or save one photo while another one is in the network."""
    return mapped_ahead(carry, tasks, threads=2)


class _Process:
    """What Ray keeps in each process; the network stays in `loaded_estimator`'s memory."""

    def __init__(self, work: bytes) -> None:
        from ray import cloudpickle

        self.carry, self.inner, folder = cloudpickle.loads(work)
        with suppress(OSError):  # another machine, where relative names mean nothing
            os.chdir(folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        from ray import cloudpickle

        tasks = [cloudpickle.loads(bytes(task)) for task in batch["task"]]
        numbers = {id(task): int(number) for task, number in zip(tasks, batch["number"], strict=True)}
        done = [(numbers[id(result.task)], _pickled(result)) for result in self.inner(self.carry, tasks)]
        return {"number": [number for number, _ in done], "result": [result for _, result in done]}


def _pickled(result: TaskResult) -> bytes:
    from ray import cloudpickle

    result = replace(result, task=None)  # type: ignore[arg-type]  # who asked has it
    try:
        pickled: bytes = cloudpickle.dumps(result)
        cloudpickle.loads(pickled)
    except Exception:  # an error of another package that can't be pickled
        error = result.error
        result = replace(result, error=Depth3DError(f"a bug in depth3d ({type(error).__name__}: {error})"))
        pickled = cloudpickle.dumps(result)
    return pickled


@contextmanager
def having_ray(address: str | None, workers: int | None) -> Iterator[Any]:
    """Have Ray: the running one, or one for the length of a block."""
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    with ExitStack() as stack:
        stack.enter_context(_environment(is_local=address == "local"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
        ray._raylet.Config.initialize("")  # one that was imported earlier has looked at the environment then
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"ray\b")  # about itself
        warnings.filterwarnings("ignore", category=ray.util.annotations.RayDeprecationWarning)
        stack.enter_context(_silence(ray))
        if not ray.is_initialized():
            stack.callback(ray.shutdown)
            _start(ray, address, workers)
        stack.enter_context(_settings(ray.data.DataContext.get_current()))
        yield ray


def _start(ray: Any, address: str, workers: int | None) -> None:
    is_local = address == "local"
    own: dict[str, Any] = {
        "num_cpus": workers or _cores(),
        "include_dashboard": False,
        "object_store_memory": 100 * 2**20,  # nothing but names and facts goes through it
    }
    try:
        _knock(address)
        with _stderr_closed():  # it says there that it was told to be quiet
            ray.init(
                address,
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                **own if is_local else {},
            )
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, its own
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if is_local:
            sentence = f"Ray does not start here: {reason}; use --engine local"
        else:
            sentence = (
                f"no Ray cluster answers at {address}: {reason}; start one with ray start --head, or use "
                "--ray-address local"
            )
        raise EndOfRunError(sentence) from error


def _knock(address: str) -> None:
    """Raise an error where nothing listens; Ray itself would try for minutes and then end the process."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache
def _secret() -> str:
    return secrets.token_hex(32)


@contextmanager
def _environment(*, is_local: bool) -> Iterator[None]:
    """Keep Ray quiet; give one of our own a secret of its own, which its ports ask for."""
    wanted = dict(_QUIET)
    if is_local and "RAY_AUTH_MODE" not in os.environ:
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _secret()}
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def _silence(ray: Any) -> Iterator[None]:
    """Keep Ray's own words off the terminal; they still go to its log files."""
    handlers = [
        handler
        for name in ("ray", "ray.data")
        for handler in logging.getLogger(name).handlers
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
    ]
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    # Else it would tell on stdout, where results go, of every process that dies.
    told = getattr(ray._private.worker, "_worker_logs_enabled", None)
    ray._private.worker._worker_logs_enabled = False
    try:
        yield
    finally:
        ray._private.worker._worker_logs_enabled = told
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Send what libraries write to the file descriptor of stderr nowhere."""
    with ExitStack() as stack:
        with suppress(OSError):  # there is no stderr
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield


@contextmanager
def _settings(context: Any) -> Iterator[None]:
    wanted = {
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "max_errored_blocks": -1,
        "execution_no_progress_timeout_s": -1,  # a network may be fetched, a cluster may grow
    }
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    for name in before:
        setattr(context, name, wanted[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
