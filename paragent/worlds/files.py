"""A file system for agents: folders, files, and a place in it (see `paragent.worlds.service`)."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from paragent.worlds.service import Fault, Service

Folder = dict[str, Any]  # {"type": "directory", "contents": {name: Folder or file}}


class Files(Service):
    """A tree of folders and files, and a place in it. `root` is as in a scenario."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self.root: dict[str, Any] = copy.deepcopy(dict(scenario.get("root", {})))
        if not self.root:
            self.root = {"workspace": {"type": "directory", "contents": {}}}
        self.place: list[str] = [next(iter(self.root))]

    def _here(self) -> dict[str, Any]:
        found: dict[str, Any] = self.root[self.place[0]]["contents"]
        for name in self.place[1:]:
            found = found[name]["contents"]
        return found

    def _file(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self._here().get(name)
        if found is None:
            raise Fault(f"no such file: {name}")
        if found["type"] != "file":
            raise Fault(f"{name} is a directory")
        return found

    @staticmethod
    def _plain(name: str) -> str:
        if not name or "/" in name or name in (".", ".."):
            raise Fault(f"{name!r} is no name in the current directory")
        return name

    def pwd(self) -> Any:
        return {"current_working_directory": "/" + "/".join(self.place)}

    def ls(self, a: bool = False) -> Any:
        names = [n for n in self._here() if a or not n.startswith(".")]
        return {"current_directory_content": names}

    def cd(self, folder: str) -> Any:
        if folder == "..":
            if len(self.place) == 1:
                raise Fault("this is the top directory")
            self.place.pop()
            return {"current_working_directory": "/" + "/".join(self.place)}
        if folder not in (".", "./"):
            found = self._here().get(folder.rstrip("/"))
            if found is None or found["type"] != "directory":
                raise Fault(f"no such directory: {folder}")
            self.place.append(folder.rstrip("/"))
        return {"current_working_directory": self.place[-1]}

    def mkdir(self, dir_name: str) -> Any:
        self._new(dir_name, {"type": "directory", "contents": {}})

    def touch(self, file_name: str) -> Any:
        self._new(file_name, {"type": "file", "content": ""})

    def _new(self, name: str, made: dict[str, Any]) -> None:
        if self._plain(name) in self._here():
            raise Fault(f"{name} exists")
        self._here()[name] = made

    def echo(self, content: str, file_name: str = "None") -> Any:
        if file_name in ("None", ""):
            return {"terminal_output": content}
        known = self._here().get(self._plain(file_name))
        if known is not None and known["type"] != "file":
            raise Fault(f"{file_name} is a directory")
        self._here()[file_name] = {"type": "file", "content": content}
        return {"terminal_output": None}

    def cat(self, file_name: str) -> Any:
        return {"file_content": self._file(file_name)["content"]}

    def find(self, path: str = ".", name: str = "None") -> Any:
        folder = self._here()
        if path.rstrip("/") not in (".", ""):
            inside = folder.get(path.removeprefix("./").rstrip("/"))
            if inside is None or inside["type"] != "directory":
                raise Fault(f"no such directory: {path}")
            folder = inside["contents"]
        wanted = "" if name == "None" else name
        return {"matches": list(_found(folder, path.rstrip("/") or ".", wanted))}

    def wc(self, file_name: str, mode: str = "l") -> Any:
        text = self._file(file_name)["content"]
        counts = {
            "l": (len(text.splitlines()), "lines"),
            "w": (len(text.split()), "words"),
            "c": (len(text), "characters"),
        }
        if mode not in counts:
            raise Fault(f"mode must be l, w or c, not {mode!r}")
        return dict(zip(("count", "type"), counts[mode], strict=True))

    def sort(self, file_name: str) -> Any:
        return {"sorted_content": "\n".join(sorted(self._file(file_name)["content"].splitlines()))}

    def grep(self, file_name: str, pattern: str) -> Any:
        lines = self._file(file_name)["content"].splitlines()
        return {"matching_lines": [line for line in lines if pattern in line]}

    def tail(self, file_name: str, lines: int = 10) -> Any:
        found = self._file(file_name)["content"].splitlines()
        return {"last_lines": "\n".join(found[-lines:] if lines > 0 else [])}

    def diff(self, file_name1: str, file_name2: str) -> Any:
        one = self._file(file_name1)["content"].splitlines()
        two = self._file(file_name2)["content"].splitlines()
        lines = difflib.ndiff(one, two)
        return {"diff_lines": "\n".join(line for line in lines if line[:1] in "+-")}

    def du(self, human_readable: bool = False) -> Any:
        size = float(_size(self._here()))
        if not human_readable:
            return {"disk_usage": f"{size:.0f} bytes"}
        units = iter(("B", "KB", "MB", "GB"))
        unit = next(units)
        while size >= 1024 and unit != "GB":
            size, unit = size / 1024, next(units)
        return {"disk_usage": f"{size:.2f} {unit}"}

    def mv(self, source: str, destination: str) -> Any:
        return self._bring(source, destination, keep=False)

    def cp(self, source: str, destination: str) -> Any:
        return self._bring(source, destination, keep=True)

    def _bring(self, source: str, destination: str, *, keep: bool) -> Any:
        here = self._here()
        if source not in here:
            raise Fault(f"no such file or directory: {source}")
        self._plain(destination)
        into, name = here, destination
        known = here.get(destination)
        if known is not None and known["type"] == "directory":
            if destination == source:
                raise Fault(f"{source} cannot be put into itself")
            into, name = known["contents"], source
        if name in into:
            raise Fault(f"{name} exists there")
        into[name] = copy.deepcopy(here[source])
        if not keep:
            del here[source]
        done = "copied" if keep else "moved"
        return {"result": f"{source} was {done} to {destination}"}

    def rm(self, file_name: str) -> Any:
        if file_name not in self._here():
            raise Fault(f"no such file or directory: {file_name}")
        del self._here()[file_name]
        return {"result": f"{file_name} was removed"}

    def rmdir(self, dir_name: str) -> Any:
        found = self._here().get(dir_name)
        if found is None or found["type"] != "directory":
            raise Fault(f"no such directory: {dir_name}")
        if found["contents"]:
            raise Fault(f"{dir_name} is not empty")
        del self._here()[dir_name]
        return {"result": f"{dir_name} was removed"}


def _found(folder: Mapping[str, Any], path: str, wanted: str) -> Iterator[str]:
    for name, item in folder.items():
        if wanted in name:
            yield f"{path}/{name}"
        if item["type"] == "directory":
            yield from _found(item["contents"], f"{path}/{name}", wanted)


def _size(folder: Mapping[str, Any]) -> int:
    return sum(
        _size(item["contents"]) if item["type"] == "directory" else len(item["content"])
        for item in folder.values()
    )
