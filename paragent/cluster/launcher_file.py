"""Is a cluster file in order? Told with the line at fault, and without contacting anything.

Two kinds of file: a configuration of Ray's cluster launcher (`ray up`), and a RayCluster manifest
for the KubeRay operator. The launcher's is checked against the schema in the installed Ray and by
Ray's own preparation; the manifest against the structure that the CRD `ray.io/v1` of KubeRay 1.7
requires (its field reference), since Ray ships no schema of it. Core Ray is enough for both.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.cluster.session import the_ray
from paragent.errors import ConfigError, UsageError, nearest
from paragent.yaml_file import Document, parse

#: The manifest's version that is understood.
CRD = "ray.io/v1"
#: Addresses set aside for documentation (RFC 5737): nobody's machines.
_EXAMPLES = ("192.0.2.", "198.51.100.", "203.0.113.")
_PROVIDERS = ("local", "aws", "gcp", "azure", "aliyun", "vsphere", "external", "readonly")


def check_file(path: Path) -> list[str]:
    """Notes on a file that is in order. Raises ConfigError with the line at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start + 1} is no UTF-8 text") from None
    return check_text(text, str(path), path.parent)


def check_text(text: str, source: str, folder: Path = Path()) -> list[str]:
    """As `check_file`, of a text; relative paths in it start at `folder`."""
    document = parse(text, source)
    if not isinstance(document.data, Mapping):
        document.fail((), "wanted a mapping: a cluster file of Ray or a RayCluster manifest")
    if "kind" in document.data or "apiVersion" in document.data:
        return _manifest(document)
    return _launcher(document, folder)


# -- the launcher's file ----------------------------------------------------------------------


def _launcher(document: Document, folder: Path) -> list[str]:
    config = document.data
    _provider_name(document)
    _schema(document)
    _provider(document)
    _as_ray_prepares(document)
    notes = []
    provider = config["provider"]
    hosts = [provider.get("head_ip", ""), *provider.get("worker_ips", ())]
    if any(str(host).startswith(_EXAMPLES) for host in hosts):
        notes.append("the addresses are those of documentation: put your own machines there")
    for target, local in (config.get("file_mounts") or {}).items():
        if not (folder / Path(str(local)).expanduser()).exists():
            notes.append(f"file_mounts {target}: {local} is not there yet")
    return notes


def _schema(document: Document) -> None:
    jsonschema: Any = importlib.import_module("jsonschema")
    place = Path(the_ray().__file__).parent / "autoscaler" / "ray-schema.json"
    schema = json.loads(place.read_text(encoding="utf-8"))
    given = dict(document.data)
    if isinstance(given.get("provider"), Mapping) and given["provider"].get("type") == "local":
        given.pop("min_workers", None)  # the launcher takes it for such machines before it checks
    errors = list(jsonschema.Draft7Validator(schema).iter_errors(given))
    if not errors:
        return
    error = min(errors, key=lambda e: [str(step) for step in e.absolute_path])
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        wrong = next(key for key in error.instance if key not in known)
        near = nearest(str(wrong), known)
        hint = f". Did you mean {near!r}?" if near else ""
        document.fail([*path, wrong], f"Ray knows no key {wrong!r} here{hint}")
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        document.fail(path, f"{missing[0]!r} is missing here")
    document.fail(path, error.message)


def _provider_name(document: Document) -> None:
    """First of all: which other keys are right depends on it."""
    provider = document.data.get("provider")
    if not isinstance(provider, Mapping) or "type" not in provider:
        return  # which the schema tells
    kind = provider["type"]
    if kind not in _PROVIDERS:
        near = nearest(str(kind), _PROVIDERS)
        hint = f" Did you mean {near!r}?" if near else f" Known: {', '.join(_PROVIDERS)}"
        document.fail(("provider", "type"), f"no provider is called {kind!r}.{hint}")


def _provider(document: Document) -> None:
    """What Ray tells late, unclearly, or not at all."""
    config = document.data
    provider, kind = config["provider"], config["provider"]["type"]
    if kind == "local":
        _machines(document)
        return
    if "head_node_type" in config and "available_node_types" in config:
        head, types = config["head_node_type"], config["available_node_types"]
        if head not in types:
            document.fail(
                ("head_node_type",),
                f"no node type is called {head!r}; there are {', '.join(map(str, types))}",
            )
        least = sum(kind.get("min_workers", 0) for kind in types.values())
        if least > config.get("max_workers", least):
            document.fail(
                ("max_workers",), f"max_workers is below the {least} that node types ask for"
            )
    if kind in ("aws", "gcp") and not (provider.get("region")):
        document.fail(("provider",), f"'region' is missing here: {kind} needs one")


def _machines(document: Document) -> None:
    config = document.data
    provider = config["provider"]
    for key in ("available_node_types", "head_node_type"):
        if key in config:
            document.fail((key,), f"machines of one's own have no {key}: remove it")
    if "coordinator_address" in provider:
        return
    for key in ("head_ip", "worker_ips"):
        if key not in provider:
            document.fail(("provider",), f"{key!r} is missing here: local machines need it")
    workers = provider["worker_ips"]
    for i, address in enumerate(workers):
        if not isinstance(address, str):
            document.fail(("provider", "worker_ips", i), f"{address!r} is no address")
        if address in [provider["head_ip"], *workers[:i]]:
            document.fail(("provider", "worker_ips", i), f"{address} is given twice")
    for key in ("min_workers", "max_workers"):
        count = config.get(key, 0)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            document.fail((key,), f"{key} is {count!r}; wanted a whole number of at least 0")
        if config.get(key, 0) > len(workers):
            document.fail((key,), f"{key} is {config[key]}, but worker_ips has {len(workers)}")
    if config.get("min_workers", 0) > config.get("max_workers", len(workers)):
        document.fail(("min_workers",), "min_workers is above max_workers")


def _as_ray_prepares(document: Document) -> None:
    """Ray's own way: fill in defaults, then validate. Its modules are private, hence the guard."""
    try:
        util: Any = importlib.import_module("ray.autoscaler._private.util")
        prepare, validate = util.prepare_config, util.validate_config
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"this Ray cannot check cluster files ({error}); pip install 'paragent[cluster]'"
        ) from None
    said = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            validate(prepare(copy.deepcopy(dict(document.data))))
    except (SystemExit, Exception) as error:  # it raises, or prints and leaves
        why = re.sub(r"\x1b\[[0-9;]*m", "", f"{error} {said.getvalue()}")
        words = re.findall(r"[a-z_]+", why)
        place = next((key for key in document.data if key in words), "provider")
        document.fail((place,), " ".join(why.split())[:300] or type(error).__name__)
    finally:
        logging.disable(before)


# -- the operator's manifest ------------------------------------------------------------------


def _manifest(document: Document) -> list[str]:
    data = document.data
    if data.get("apiVersion") != CRD:
        document.fail(("apiVersion",), f"apiVersion is {data.get('apiVersion')!r}; wanted {CRD}")
    if data.get("kind") != "RayCluster":
        document.fail(("kind",), f"kind is {data.get('kind')!r}; wanted RayCluster")
    _need(document, ("metadata",), "name", str)
    spec = _need(document, (), "spec", Mapping)
    head = _need(document, ("spec",), "headGroupSpec", Mapping)
    images = {_image(document, ("spec", "headGroupSpec"), head)}
    groups = spec.get("workerGroupSpecs", [])
    if not isinstance(groups, list):
        document.fail(("spec", "workerGroupSpecs"), "wanted a list of worker groups")
    names: list[str] = []
    for i, group in enumerate(groups):
        place = ("spec", "workerGroupSpecs", i)
        if not isinstance(group, Mapping):
            document.fail(place, f"got {group!r}; wanted a worker group")
        name = _need(document, place, "groupName", str)
        if name in names:
            document.fail((*place, "groupName"), f"the group {name!r} is given twice")
        names.append(name)
        low = _need(document, place, "minReplicas", int)
        high = _need(document, place, "maxReplicas", int)
        now = _need(document, place, "replicas", int) if "replicas" in group else low
        if not 0 <= low <= now <= high:
            document.fail(
                (*place, "maxReplicas"), "wanted 0 <= minReplicas <= replicas <= maxReplicas"
            )
        images.add(_image(document, place, group))
    notes = []
    if len(images) > 1:
        notes.append(f"nodes run different images: {', '.join(sorted(images))}")
    options = spec.get("authOptions")
    if not isinstance(options, Mapping) or options.get("mode") != "token":
        notes.append("without authOptions mode token, whoever reaches the cluster can run code")
    return notes


def _image(document: Document, place: Sequence[str | int], group: Mapping[str, Any]) -> str:
    """The image of the group's first container, which is Ray's."""
    _need(document, place, "template", Mapping)
    _need(document, (*place, "template"), "spec", Mapping)
    inside = (*place, "template", "spec")
    containers = _need(document, inside, "containers", list)
    if not containers:
        document.fail((*inside, "containers"), "wanted at least one container: Ray's")
    _need(document, (*inside, "containers", 0), "name", str)
    return str(_need(document, (*inside, "containers", 0), "image", str))


def _need(document: Document, place: Sequence[str | int], key: str, kind: type) -> Any:
    found: Any = document.data
    for step in place:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            document.fail(place, f"{step!r} is missing here")
    if not isinstance(found, Mapping) or key not in found:
        document.fail(place, f"{key!r} is missing here")
    if not isinstance(found[key], kind) or isinstance(found[key], bool):
        document.fail((*place, key), f"{key} is {found[key]!r}; that is no {kind.__name__.lower()}")
    return found[key]
