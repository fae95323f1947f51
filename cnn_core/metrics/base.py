"""The Metric base class: state variables, updates and results."""

from __future__ import annotations

from typing import Any

from .. import initializers, naming, ops
from ..graph import Variable
from ..losses.base import compute_dtype
from ..serialization import builtin


@builtin("keras.metrics")
class Metric:
    """Base class of metrics: values accumulated over batches.

    Subclasses make variables in `__init__` with `add_variable`, add a batch to them in
    `update_state` and return the value in `result`. Written with `ops`, both run as
    part of a traced step.

    Args:
        dtype: dtype of the state and the result, `floatx()` by default.
        name: name; by default that of the class in snake case, numbered.
    """

    name: str
    _direction: str | None = None  # "up" where more is better, "down" where less is

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or naming.unique_name(naming.snake_case(type(self).__name__))
        self._dtype = compute_dtype(dtype)
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    @property
    def dtype(self) -> str:
        """Dtype of the state and the result."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics held as attributes included."""
        self._check_init()
        variables = list(self._variables)
        for metric in self._metrics:
            variables.extend(metric.variables)
        return variables

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a state variable.

        Args:
            shape: its shape.
            initializer: its values at first; a name or an initializer.
            dtype: its dtype, `floatx()` by default.
            aggregation: how replicas are combined.
            name: its name.
        """
        self._check_init()
        variable = Variable(
            initializers.get(initializer if initializer is not None else "zeros"),
            shape=shape,
            dtype=dtype,
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a state variable; the older name of `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the state."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state()")

    def result(self) -> Any:
        """Return the value for everything since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset_state(self) -> None:
        """Set the state back to zeros."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch to the state and return the value so far."""
        self._check_init()
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from `get_config()`'s result."""
        return cls(**config)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Variable, Metric)):
            self._check_init()
            store: list[Any] = (
                self._variables if isinstance(value, Variable) else self._metrics
            )
            if not any(value is known for known in store):
                store.append(value)
        super().__setattr__(name, value)

    def _check_init(self) -> None:
        if "_metrics" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call super().__init__() at the start of "
                "__init__()"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
