"""How often a solver looks at a whole row: torch tells, the solver is as it is."""

from torch.overrides import TorchFunctionMode


class Sweeps(TorchFunctionMode):
    """Counts the exponentials of whole rows."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += function.__name__ == "exp" and args[0].shape[-1] > 1
        return function(*args, **(kwargs or {}))
