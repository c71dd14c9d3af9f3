"""Every error that npgan raises on purpose.

Each message names the thing, says what came and what was expected, and what to do about it. The command line
prints the message alone; a traceback there is a bug.
"""


class NpganError(Exception):
    """Base of all errors that a user can cause or meet."""


class ShapeError(NpganError, ValueError):
    """An array has the wrong shape. npgan never broadcasts a value against its gradient."""


class DTypeError(NpganError, TypeError):
    """An array has the wrong dtype. npgan never converts one silently."""


class ConfigError(NpganError, ValueError):
    """A setting, an option or a combination of them makes no sense."""


class StalePassError(NpganError, RuntimeError):
    """A Pass was read after its weights or its memory had changed."""


class SecondOrderError(NpganError, NotImplementedError):
    """Second order was asked of a layer that does not have it."""


class NonFiniteError(NpganError, FloatingPointError):
    """A NaN or an infinity appeared; the message names the first tensor that held one."""


class ConvergenceError(NpganError, RuntimeError):
    """An iteration, such as an eigen-solver's, did not reach its tolerance."""


class DataError(NpganError, ValueError):
    """A data file is missing, truncated, mislabelled or hostile."""


class CheckpointError(NpganError, ValueError):
    """A checkpoint or a run folder cannot be read, written or trusted."""


class RunLockedError(NpganError, RuntimeError):
    """Another process is using the run folder."""


class BackendError(NpganError, RuntimeError):
    """A backend cannot be used on this machine."""


class DeviceMemoryError(BackendError, MemoryError):
    """A device's memory does not hold what was asked for."""
