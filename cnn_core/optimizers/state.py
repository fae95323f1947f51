"""The variables of an optimizer: making, naming, saving and loading them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import initializers
from ..graph import Variable


class OptimizerState:
    """Keeps state variables in the order they are made, or assigned as attributes."""

    name: str
    built: bool

    def __init__(self) -> None:
        self._variables: list[Variable] = []

    @property
    def variables(self) -> list[Variable]:
        """The state: the step count, the learning rate, then what `build` makes."""
        self._check_init()
        return list(self._variables)

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a state variable.

        Args:
            shape: its shape.
            initializer: its values at first; a name or an initializer.
            dtype: its dtype, `floatx()` by default.
            aggregation: how replicas are combined.
            layout: must be None.
            name: its name.
        """
        self._check_init()
        if layout is not None:
            raise ValueError("add_variable: there are no tensor layouts")
        variable = Variable(
            initializers.get(initializer),
            shape=shape,
            dtype=dtype,
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self,
        reference_variable: Variable,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> Variable:
        """Make a state variable shaped like another variable, and named after it."""
        prefix = reference_variable.path.replace("/", "_")
        return self.add_variable(
            reference_variable.shape,
            initializer,
            reference_variable.dtype,
            name=f"{prefix}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: Any,
        initializer: Any = "zeros",
    ) -> Any:
        """Make state for each variable.

        Args:
            trainable_variables: the variables.
            name: the name of the state, or several names.
            initializer: an initializer for all, or one for each name.

        Returns:
            A list with one state variable for each variable; with several names, a
            tuple of such lists.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        initial = list(initializer) if several else [initializer] * len(names)
        if len(initial) != len(names):
            raise ValueError(
                "add_optimizer_variables: expected an initializer for each of "
                f"{len(names)} names, got {len(initial)}"
            )
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for one_name, one_initial, store in zip(names, initial, made, strict=True):
                store.append(
                    self.add_variable_from_reference(variable, one_name, one_initial)
                )
        return made[0] if isinstance(name, str) else made

    def assign(self, variable: Variable, value: Any) -> None:
        """Replace the values of a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to the values of a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from the values of a variable."""
        variable.assign_sub(value)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state.

        Args:
            weights: one array for each entry of `variables`.

        Raises:
            ValueError: if the optimizer is not built or the arrays do not fit.
        """
        who = f"{type(self).__name__} '{self.name}'"
        if not self.built:
            raise ValueError(f"{who}: call build(variables) before set_weights()")
        if len(weights) != len(self._variables):
            raise ValueError(
                f"{who}: expected {len(self._variables)} arrays, got {len(weights)}"
            )
        self._assign_all(weights)

    def _assign_all(self, arrays: Sequence[Any]) -> None:
        """Set the whole state, or raise before any of it changes."""
        for variable, array in zip(self._variables, arrays, strict=True):
            if tuple(np.shape(array)) != variable.shape:
                raise ValueError(
                    f"{type(self).__name__} '{self.name}': variable '{variable.path}' "
                    f"has shape {variable.shape}, got an array of shape "
                    f"{np.shape(array)}"
                )
        for variable, array in zip(self._variables, arrays, strict=True):
            variable.assign(array)

    def save_own_variables(self, store: Any) -> None:
        """Write the state into `store`, a mapping from "0", "1" ... to arrays."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read the state from `store`; with another number of arrays, warn and skip."""
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"{type(self).__name__} '{self.name}': the state is not loaded, "
                f"because the optimizer has {len(self.variables)} variables and the "
                f"file has {len(store.keys())}; build the optimizer first",
                stacklevel=2,
            )
            return
        self._assign_all([np.asarray(store[str(i)]) for i in range(len(store.keys()))])

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._check_init()
            if not any(value is known for known in self._variables):
                self._variables.append(value)
        super().__setattr__(name, value)

    def _check_init(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call super().__init__() at the start of "
                "__init__()"
            )
