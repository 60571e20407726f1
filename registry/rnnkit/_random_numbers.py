"""Random numbers that do not come from torch's global generators, which all threads of a process share."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode, _push_mode

from rnnkit._meta_operators import call_operator


class LocalRandomNumbers(TorchDispatchMode):
    """Draw the random numbers of a block from generators of its own, one for each device.

    ```python
    with LocalRandomNumbers(seed):
        model = build_model(spec)  # the weights that it has after torch.manual_seed(seed)
    ```

    Torch keeps dispatch modes for each thread, so the block has no effect on other threads. Seeding the global
    generator and restoring it afterwards would change the numbers that they draw meanwhile, and repeat some.

    Numbers that are drawn with an explicit generator do not change. A few operators take no generator, such as the
    dropout of cuDNN, and draw from the global one.

    Args:
        seed: the seed of each generator.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self._seed = seed
        self._generators: dict[torch.device, Generator] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True, the default, imports torch's compiler

    # Those of the base class also set global flags, which two threads may leave set.
    def __enter__(self) -> Self:
        _push_mode(self)
        return self

    def __exit__(self, *error: object) -> None:
        _pop_mode()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return call_operator(func, args, kwargs)
        seeded, device = _taking_generator(func), _device(args, kwargs)
        if device.type == "meta":
            # without values to draw, an operator in place has no effect; torch would import its compiler for it
            return args[0] if func.overloadpacket.__name__.endswith("_") else func(*args, **kwargs)
        if seeded is None:
            return func(*args, **kwargs)
        return seeded(*args, **{**kwargs, "generator": self._generator(device)})

    def _generator(self, device: torch.device) -> Generator:
        if device not in self._generators:
            self._generators[device] = Generator(device).manual_seed(self._seed)
        return self._generators[device]


@cache
def _taking_generator(func: Any) -> Any:
    """Return the overload with the same arguments and a generator; None: there is none."""
    packet = func.overloadpacket
    overloads = [func, *(getattr(packet, name) for name in packet.overloads())]
    wanted = _arguments(func) | {"generator"}
    return next((each for each in overloads if _arguments(each) == wanted), None)


def _arguments(func: Any) -> set[str]:
    return {each.name for each in func._schema.arguments}  # noqa: SLF001  # torch has no public signature


def _device(args: Any, kwargs: Any) -> torch.device:
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    return next((each.device for each in args if isinstance(each, Tensor)), torch.device("cpu"))
