import inspect

import numpy as np
import pytest


class OnDevice:
    """A GPU version that takes NumPy's arrays: they are copied to the device, and what it made of them back."""

    def __init__(self, module, xp):
        self.module, self.xp = module, xp
        self.flushes = not hasattr(xp, "EMULATOR")  # CuPy has float32 numbers below 1.2e-38 taken for 0
        self.on_host = {"tape"}  # what the launcher reads itself

    def __getattr__(self, name):
        function = getattr(self.module, name)

        def call(*args, **kwargs):
            on_device = {}

            def up(value):
                if not isinstance(value, np.ndarray):
                    return value
                if id(value) not in on_device:
                    on_device[id(value)] = value, self.xp.asarray(np.ascontiguousarray(value).reshape(value.shape))
                return on_device[id(value)][1]

            given = inspect.signature(function).bind(*args, **kwargs).arguments
            found = function(**{key: value if key in self.on_host else up(value) for key, value in given.items()})
            for host, device in on_device.values():
                if host.flags.writeable:
                    host[...] = self.xp.asnumpy(device)
            return float(found) if isinstance(found, self.xp.ndarray) else found

        return call


@pytest.fixture(scope="module")
def version(request):
    """A version of an operation; the GPU's on a device where there is one, else on the emulator."""
    if request.param.__name__.endswith(".gpu"):
        return OnDevice(request.param, request.getfixturevalue("cupy"))
    return request.param
