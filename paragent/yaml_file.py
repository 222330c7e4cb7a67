"""YAML with places: whatever is wrong in a file is told with its line and column.

`parse` reads text (YAML or JSON); mistakes of syntax and keys given twice raise `ConfigError`.
`Document.fail(path, why)` raises one for a mistake of meaning, at the place of that value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from paragent.errors import ConfigError

if TYPE_CHECKING:
    import yaml

Step = str | int


@dataclass(frozen=True)
class Document:
    """Plain data, and where each value stands. `source` is what messages call the file."""

    data: Any
    source: str
    root: yaml.Node | None

    def place(self, path: Sequence[Step] = ()) -> str:
        """`line L, column C` (from 1) of the value at `path`, or of its nearest parent."""
        import yaml

        node, mark = self.root, self.root.start_mark if self.root else None
        for step in path:
            found: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                        found, mark = value, key.start_mark
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                found = node.value[step] if 0 <= step < len(node.value) else None
                mark = found.start_mark if found else mark
            if found is None:
                break
            node = found
        return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "empty file"

    def fail(self, path: Sequence[Step], why: str) -> NoReturn:
        """Raise ConfigError: source, place and `why`."""
        raise ConfigError(f"{self.source}: {self.place(path)}: {why}")


def parse(text: str, source: str) -> Document:
    """Read one YAML document. Raises ConfigError with line and column."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "unknown place"
        raise ConfigError(f"{source}: {where}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deep") from None
    except ValueError as error:  # e.g. a date that does not exist
        raise ConfigError(f"{source}: {error}") from None
    document = Document(data, source, root)
    _no_doubles(document, root)
    return document


def _no_doubles(document: Document, node: yaml.Node | None) -> None:
    import yaml

    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:  # aliases make a graph, maybe with cycles
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                stack.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        mark = key.start_mark
                        raise ConfigError(
                            f"{document.source}: line {mark.line + 1}, column {mark.column + 1}: "
                            f"the key {key.value!r} is given twice"
                        )
                    keys.add(key.value)
