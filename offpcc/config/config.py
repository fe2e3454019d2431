"""Config: what bindings come to, and every check of them before anything is built.

Refused, with its place and the nearest name: what is unknown, what is of the wrong type, what the
run itself fills in, and what nothing would use. A file's macro may go unused if it is known.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offpcc.config.names import nearest
from offpcc.config.ranges import complaint as out_of_range
from offpcc.config.registry import REGISTRY, ROOTS, bindable, complaint
from offpcc.config.synonyms import hint
from offpcc.config.type_check import Macro, Reference, in_words, leaves, matches
from offpcc.errors import ConfigError


@dataclass(frozen=True)
class Binding:
    """One line of a config: `scope/selector.argument = value`; without argument, a macro."""

    scope: str
    selector: str
    argument: str
    value: Any
    place: str  # file:line
    via: str = ""  # file:line of the outermost include that it came by

    @property
    def key(self) -> str:
        """What stands before the equals sign."""
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{self.selector}" + (f".{self.argument}" if self.argument else "")


@dataclass(frozen=True)
class Setting:
    """An argument of something that the run makes."""

    written: Any  # as bound, or the default
    value: Any  # what that comes to without macros
    place: str  # of the value
    source: str = ""  # the key of the binding; empty for a default


class Config:
    """What a run makes, and the arguments of that by key (`used`), defaults too.

    A binding of a class holds for the classes that derive from it, too, unless a nearer one binds
    the same argument.

    Raises ConfigError for a macro that is not set, or leads back to itself.
    """

    def __init__(self, bindings: Mapping[str, Binding]) -> None:
        self.bindings = bindings
        self.used: dict[str, Setting] = {}
        self.made: list[Reference] = []
        waiting = [Reference("", root) for root in ROOTS]
        while waiting:
            reference = waiting.pop(0)
            if reference not in self.made and reference.name in REGISTRY:
                self.made.append(reference)
                arguments = self._arguments(reference)
                self.used |= arguments
                waiting += [r for used in arguments.values() for r in leaves(used.value, Reference)]

    @property
    def values(self) -> dict[str, Any]:
        """Every value by its key, macros replaced, defaults too."""
        return {key: used.value for key, used in self.used.items()}

    @property
    def plain_values(self) -> dict[str, Any]:
        """The same without references, which become their text, such as "@LSTM"."""
        return {
            key: repr(value) if any(leaves(value, Reference)) else value
            for key, value in self.values.items()
        }

    @property
    def macros(self) -> set[str]:
        """The names of the macros that something in the run is bound to."""
        return {name for used in self.used.values() for name in self._macros(used.written)}

    def text(self) -> str:
        """The same as a file: imports, the macros in use, then all arguments, defaults too."""
        modules = {REGISTRY[reference.name].module for reference in self.made}
        own = sorted(m for m in modules if not m.startswith("offpcc.") and m != "__main__")
        lines = [f"import {module}" for module in own]
        lines += [f"{name} = {self.bindings[name].value!r}" for name in sorted(self.macros)]
        for section, used in self._sections():
            lines += ["", f"# {section}", *(f"{key} = {each.written!r}" for key, each in used)]
        return "\n".join(lines) + "\n"

    def explained(self) -> str:
        """All arguments with their values, each with the place that the value is from."""
        width = max(len(f"{key} = {used.value!r}") for key, used in self.used.items())
        lines = []
        for section, used in self._sections():
            lines += ["", f"# {section}"]
            lines += [f"{f'{key} = {each.value!r}':{width}}  # {each.place}" for key, each in used]
        return "\n".join(lines[1:]) + "\n"

    def _sections(self) -> Iterator[tuple[str, list[tuple[str, Setting]]]]:
        """What the run makes, each with its arguments by key."""
        for reference in self.made:
            section = repr(reference)[1:]
            own = [(k, used) for k, used in self.used.items() if k.rpartition(".")[0] == section]
            yield section, own

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
            unknown = [r for r in leaves(binding.value, Reference) if r.name not in REGISTRY]
            if unknown:
                near = hint(unknown[0].name, REGISTRY)
                own = (
                    "" if near else "; @configurable of offpcc.config.registry makes your own known"
                )
                raise ConfigError(f"{binding.place}: unknown class {unknown[0]!r}{near}{own}")
            if not binding.argument:
                self._check_macro(binding, macros)
            elif wrong := complaint(binding.selector, binding.argument):
                raise ConfigError(f"{binding.place}: {wrong}")
            else:
                self._check_use(binding, {other.key for other in layer})

    def check_asked(self, lines: Sequence[Binding]) -> None:
        """Raises ConfigError for a macro of these lines that this run does not use.

        Macros of files that a line includes, which serve several algorithms, may go unused.
        """
        for binding in lines:
            if not binding.via and not binding.argument and binding.key not in self.macros:
                near = hint(binding.key, self.macros)
                raise ConfigError(f"{binding.place}: nothing in this run uses {binding.key}{near}")

    def check_values(self) -> None:
        """Raises ConfigError for a value of the wrong kind, and for one that is out of range."""
        for key, used in self.used.items():
            section, _, argument = key.rpartition(".")
            kind = REGISTRY[section.rpartition("/")[2]].parameters[argument].annotation
            if not matches(used.value, kind, REGISTRY):
                wanted = in_words(used.value, kind)
                raise ConfigError(f"{used.place}: {key} is {used.value!r}, which is not {wanted}")
            if wrong := out_of_range(used.value, kind):
                raise ConfigError(f"{used.place}: {key} is {used.value!r}; {wrong}")

    def _arguments(self, reference: Reference) -> dict[str, Setting]:
        """What the arguments of something are bound to, or their defaults."""
        found = {}
        for argument, parameter in bindable(reference.name).items():
            key = f"{reference.scope}/{reference.name}.{argument}".lstrip("/")
            binding = self._nearest_binding(reference, argument)
            if binding:
                value, place = self._resolve(binding.value, binding.place)
                found[key] = Setting(binding.value, value, place, binding.key)
            elif parameter.default is not parameter.empty:
                default = _as_written(parameter.default)
                found[key] = Setting(default, default, "default")
        return found

    def _nearest_binding(self, reference: Reference, argument: str) -> Binding | None:
        """The binding of the class or its nearest ancestor, under the reference's scope first."""
        for name in REGISTRY[reference.name].lineage or (reference.name,):
            for scope in dict.fromkeys((reference.scope, "")):
                key = f"{scope}/{name}.{argument}".lstrip("/")
                if key in self.bindings:
                    return self.bindings[key]
        return None

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
            near = hint(value.name, [b.key for b in self.bindings.values() if not b.argument])
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
            near = hint(binding.key, self.macros) or nearest(binding.key, known)
            raise ConfigError(f"{binding.place}: unknown setting {binding.key!r}{near}")

    def _check_use(self, binding: Binding, layer: Collection[str]) -> None:
        """Raises ConfigError for what the run does not make, or an earlier layer binds nearer."""
        place, key = binding.place, binding.key
        if binding.via:  # the line that is one's own
            place, key = binding.via, f"{key}, from {place},"
        held = [
            self._nearest_binding(reference, binding.argument)
            for reference in self.made
            if binding.selector in (reference.name, *REGISTRY[reference.name].lineage)
            and binding.scope in ("", reference.scope)
        ]
        if not held:
            wanted = Reference(binding.scope, binding.selector)
            near = nearest(repr(wanted), [repr(reference) for reference in self.made])
            raise ConfigError(f"{place}: {key} is never used: the run makes no {wanted!r}{near}")
        nearer = {other.key: other.place for other in held if other is not None}
        if not nearer.keys() & layer:
            name, where = next(iter(nearer.items()))
            raise ConfigError(f"{place}: {key} has no effect: {name} is bound at {where}")


def _as_written(default: Any) -> Any:
    """A default as a config would write it: a class as a reference to it."""
    known = isinstance(default, type) and default.__name__ in REGISTRY
    return Reference("", default.__name__) if known else default
