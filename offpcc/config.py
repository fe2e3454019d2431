"""Config: what bindings come to, and every check of them before anything is built.

Refused, with its place and the nearest name: what is unknown, what is of the wrong type, what the
run itself fills in, and what nothing would use. A file's macro may go unused if it is known.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offpcc.catalog import nearest
from offpcc.faults import ConfigError
from offpcc.kinds import Macro, Reference, annotations, fits, leaves, said
from offpcc.served import ROOTS, SERVED, bindable, complaint


@dataclass(frozen=True)
class Binding:
    """One line of a config: `scope/selector.argument = value`; without argument, a macro."""

    scope: str
    selector: str
    argument: str
    value: Any
    place: str  # file:line

    @property
    def key(self) -> str:
        """What stands before the equals sign."""
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{self.selector}" + (f".{self.argument}" if self.argument else "")


@dataclass(frozen=True)
class Used:
    """An argument of something that the run makes."""

    written: Any  # as bound, or the default
    value: Any  # what that comes to without macros
    place: str  # of the value


class Config:
    """What a run makes, and the arguments of that by key (`used`), defaults too.

    Raises ConfigError for a macro that is not set, or leads back to itself.
    """

    def __init__(self, bindings: Mapping[str, Binding]) -> None:
        self.bindings = bindings
        self.used: dict[str, Used] = {}
        self.made: list[Reference] = []
        waiting = [Reference("", root.__name__) for root in ROOTS]
        while waiting:
            reference = waiting.pop(0)
            if reference not in self.made and reference.name in SERVED:
                self.made.append(reference)
                arguments = self._arguments(reference)
                self.used |= arguments
                waiting += [r for used in arguments.values() for r in leaves(used.value, Reference)]

    @property
    def values(self) -> dict[str, Any]:
        """Every value by its key, macros replaced, defaults too."""
        return {key: used.value for key, used in self.used.items()}

    @property
    def macros(self) -> set[str]:
        """The names of the macros that something in the run is bound to."""
        return {name for used in self.used.values() for name in self._macros(used.written)}

    def text(self) -> str:
        """The same as a file: imports, the macros in use, then all arguments, defaults too."""
        modules = {SERVED[reference.name].__module__ for reference in self.made}
        own = sorted(m for m in modules if not m.startswith("offpcc.") and m != "__main__")
        lines = [f"import {module}" for module in own]
        lines += [f"{name} = {self.bindings[name].value!r}" for name in sorted(self.macros)]
        for reference in self.made:
            section = repr(reference)[1:]
            lines += ["", f"# {section}"]
            lines += [
                f"{key} = {used.written!r}"
                for key, used in self.used.items()
                if key.rpartition(".")[0] == section
            ]
        return "\n".join(lines) + "\n"

    def with_value(self, key: str, value: Any) -> "Config":
        """Another config, in which this key, and a macro that it is bound to, has this value."""
        name, written = key, self.used[key].written
        while isinstance(written, Macro):
            name, written = written.name, self.bindings[written.name].value
        section, _, argument = name.rpartition(".") if name == key else (name, "", "")
        scope, _, selector = section.rpartition("/")
        binding = Binding(scope, selector, argument, value, self.used[key].place)
        return Config({**self.bindings, name: binding})

    def fixed(self, free: Collection[str]) -> dict[str, str]:
        """Values by key, to compare configs by, without those in `free`.

        free: keys, or names of arguments, whatever has them. A macro that a free key is bound to
        may differ, too, and stays a name wherever it is used.
        """
        free = {key for key in self.used if key in free or key.rpartition(".")[2] in free}
        loose = {m for key in free for m in self._macros(self.used[key].written)}
        return {
            key: repr(self._resolve(used.written, used.place, keep=loose)[0])
            for key, used in self.used.items()
            if key not in free
        }

    def check_layer(self, layer: Sequence[Binding], macros: Collection[str]) -> None:
        """Raises ConfigError for a binding of these that is unknown, or that nothing uses.

        macros: the names that may go unused.
        """
        for binding in layer:
            unknown = [r for r in leaves(binding.value, Reference) if r.name not in SERVED]
            if unknown:
                near = nearest(unknown[0].name, SERVED)
                raise ConfigError(f"{binding.place}: unknown class {unknown[0]!r}{near}")
            if not binding.argument:
                self._check_macro(binding, macros)
            elif wrong := complaint(binding.selector, binding.argument):
                raise ConfigError(f"{binding.place}: {wrong}")
            else:
                self._check_use(binding)

    def check_asked(self, lines: Sequence[Binding]) -> None:
        """Raises ConfigError for a macro of these lines that this run does not use."""
        for binding in lines:
            if not binding.argument and binding.key not in self.macros:
                near = nearest(binding.key, self.macros)
                raise ConfigError(f"{binding.place}: nothing in this run uses {binding.key}{near}")

    def check_kinds(self) -> None:
        """Raises ConfigError for a value that is not of the kind that its argument wants."""
        for key, used in self.used.items():
            section, _, argument = key.rpartition(".")
            kind = annotations(SERVED[section.rpartition("/")[2]]).get(argument, Any)
            if not fits(used.value, kind, SERVED):
                wanted = said(used.value, kind)
                raise ConfigError(f"{used.place}: {key} is {used.value!r}, which is not {wanted}")

    def _arguments(self, reference: Reference) -> dict[str, Used]:
        """What the arguments of something are bound to: under its scope, without one, or not."""
        found = {}
        for argument, parameter in bindable(reference.name).items():
            anywhere = f"{reference.name}.{argument}"
            key = f"{reference.scope}/{anywhere}".lstrip("/")
            binding = self.bindings.get(key, self.bindings.get(anywhere))
            if binding:
                found[key] = Used(binding.value, *self._resolve(binding.value, binding.place))
            elif parameter.default is not parameter.empty:
                default = _as_written(parameter.default)
                found[key] = Used(default, default, "default")
        return found

    def _resolve(
        self, value: Any, place: str, keep: Collection[str] = (), seen: tuple[str, ...] = ()
    ) -> tuple[Any, str]:
        """A value without macros, but those to keep; and where the value itself stands."""
        if isinstance(value, (list, tuple)):
            return type(value)(self._resolve(part, place, keep, seen)[0] for part in value), place
        if not isinstance(value, Macro) or value.name in keep:
            return value, place
        binding = self.bindings.get(value.name)
        if binding is None:
            near = nearest(value.name, [b.key for b in self.bindings.values() if not b.argument])
            raise ConfigError(f"{place}: unknown macro {value!r}{near}")
        if value.name in seen:
            raise ConfigError(f"{place}: the macro {value!r} leads back to itself")
        return self._resolve(binding.value, binding.place, keep, (*seen, value.name))

    def _macros(self, value: Any) -> set[str]:
        """The macros that a value leads to, one through another."""
        names = {macro.name for macro in leaves(value, Macro)}
        return names.union(*(self._macros(self.bindings[name].value) for name in names))

    def _check_macro(self, binding: Binding, macros: Collection[str]) -> None:
        named = {macro.name for b in self.bindings.values() for macro in leaves(b.value, Macro)}
        if binding.key not in (known := {*macros, *named}):
            near = nearest(binding.key, known)
            raise ConfigError(f"{binding.place}: unknown macro {binding.key!r}{near}")

    def _check_use(self, binding: Binding) -> None:
        wanted = Reference(binding.scope, binding.selector)
        anywhere = {reference.name for reference in self.made} if not binding.scope else set()
        if wanted in self.made or binding.selector in anywhere:
            return
        near = nearest(repr(wanted), [repr(reference) for reference in self.made])
        raise ConfigError(
            f"{binding.place}: {binding.key} is never used: the run makes no {wanted!r}{near}"
        )


def _as_written(default: Any) -> Any:
    """A default as a config would write it: a class as a reference to it."""
    served = isinstance(default, type) and default.__name__ in SERVED
    return Reference("", default.__name__) if served else default
