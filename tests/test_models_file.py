"""models.yaml: what a user may write, and the line and column of what they may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paragent.component import Price
from paragent.errors import ConfigError, UsageError
from paragent.registry import component_of, components
from paragent.runtime.limits import Limits
from paragent.runtime.models_file import (
    STARTER,
    ModelSpec,
    all_models,
    read_models,
    register_models,
    require_keys,
)
from paragent.yaml_file import parse

EXAMPLE = """\
endpoints:
  here:
    base_url: http://localhost:8000/v1/
    api_key_env: HERE_KEY
    limits: {concurrency: 64, requests_per_minute: 600}
    headers: {X-Title: paragent, Authorization: "Token ${HERE_TOKEN}"}
models:
  small:
    endpoint: here
    model: org/small-8b
    usd_per_mtok: {in: 0.05, cached: null, out: 0.08}
    prices_as_of: "2025-08"
    context: 32768
  own:
    base_url: https://example.org/v1
    tools: text
    logprobs: false
    timeout_s: 30
"""


def test_an_example_by_hand() -> None:
    """A model takes what its endpoint says; what is not said is unknown, never free."""
    models = read_models(EXAMPLE, "models.yaml")
    assert models == {
        "small": ModelSpec(
            name="small",
            base_url="http://localhost:8000/v1",
            model="org/small-8b",
            api_key_env="HERE_KEY",
            price=Price(0.05, 0.08, None),
            prices_as_of="2025-08",
            context=32768,
            limits=Limits(requests_per_minute=600, concurrency=64),
            headers={"X-Title": "paragent", "Authorization": "Token ${HERE_TOKEN}"},
        ),
        "own": ModelSpec(
            name="own",
            base_url="https://example.org/v1",
            tools="text",
            logprobs=False,
            timeout_s=30.0,
        ),
    }
    assert models["own"].price.usd(1, 1) is None
    assert models["own"].model_id == "own"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "context: 32768",
            "contxt: 32768",
            "line 13, column 5: unknown key 'contxt'. Did you mean",
        ),
        ("context: 32768", "context: many", "line 13, column 5: got 'many'; wanted a whole"),
        ("endpoint: here", "endpoint: hera", "line 9, column 5: no endpoint is called 'hera'."),
        ("in: 0.05", "in: -1", "line 11, column 20: got -1; wanted dollars per million"),
        ("in: 0.05", "in: .nan", "line 11, column 20: got nan; wanted dollars"),
        ("concurrency: 64", "concurrency: 0", "line 5, column 5: the limit concurrency must be"),
        ("https://example", "ftp://example", "line 15, column 5: got ftp; wanted http"),
        ("https://example.org", "https://me:pw@example.org", "no user or password in a URL"),
        ("api_key_env: HERE_KEY", "api_key_env: sk-12345", "line 4, column 5: wanted the name of"),
        ("Token ${HERE_TOKEN}", "Token abcdef", "Authorization looks like a secret; write ${"),
        ("tools: text", "tools: maybe", "line 16, column 5: got 'maybe'; wanted native or text"),
        ("logprobs: false", "logprobs: 0", "line 17, column 5: got 0; wanted true or false"),
        ("timeout_s: 30", "timeout_s: 0", "line 18, column 5: got 0; wanted a number above 0"),
        (
            "base_url: https://example.org/v1",
            "summary: x",
            "line 14, column 3: model 'own' needs a",
        ),
        ("  own:", "  small:", "line 14, column 3: the key 'small' is given twice"),
        ("models:", "modles:", "line 7, column 1: unknown key 'modles'. Did you mean 'models'?"),
        ("models:", "models: [", "line 9, column 13: expected ',' or ']'"),
        ("context: 32768", "context: 32768\n\tx: 1", "line 14, column 1: found character"),
    ],
)
def test_mistakes_are_told_with_line_and_column(old: str, new: str, said: str) -> None:
    """One line, with the file, the place, what was given and what was wanted."""
    assert old in EXAMPLE
    with pytest.raises(ConfigError) as told:
        read_models(EXAMPLE.replace(old, new, 1), "my.yaml")
    text = str(told.value)
    assert text.startswith("my.yaml: ")
    assert "\n" not in text
    if "expected ','" in said:  # the parser's own words differ by version: the place counts
        said = said.partition(":")[0]
    assert said in text


@pytest.mark.parametrize("text", ["- a\n", "models: 3\n", "models: {a: 3}\n", "models: {a: }\n"])
def test_other_shapes_are_refused(text: str) -> None:
    """A list, a number or nothing where a mapping is wanted."""
    with pytest.raises(ConfigError, match="wanted a mapping"):
        read_models(text, "my.yaml")


def test_an_empty_file_has_no_models() -> None:
    """Nothing but comments is no mistake."""
    assert read_models("# nothing yet\n", "my.yaml") == {}


def test_a_mistyped_key_is_never_shown() -> None:
    """Whoever puts a key into the file by mistake does not read it in an error."""
    planted = EXAMPLE.replace("HERE_KEY", "sk-planted-0123456789abcdef", 1)
    with pytest.raises(ConfigError) as told:
        read_models(planted, "my.yaml")
    assert "planted" not in str(told.value)


def test_the_starter_table_is_sound() -> None:
    """Every model has an endpoint; a known price has both halves and a date; no key is in it."""
    models = read_models(STARTER.read_text(encoding="utf-8"), "starter")
    assert "gpt-4o-mini" in models
    # 1,000 tokens in at $0.15 and 500 out at $0.60 per million.
    assert models["gpt-4o-mini"].price.usd(1000, 500) == pytest.approx(0.00045)
    for spec in models.values():
        price = spec.price
        assert spec.base_url.startswith("https://") and spec.api_key_env
        assert (price.usd_per_mtok_in is None) == (price.usd_per_mtok_out is None)
        if price.usd_per_mtok_in is not None:
            assert re.fullmatch(r"20\d\d-\d\d", spec.prices_as_of)
        if price.usd_per_mtok_cached is not None:
            assert price.usd_per_mtok_cached < (price.usd_per_mtok_in or 0)


@pytest.fixture
def clean_registry() -> Iterator[None]:
    """Endpoint models registered by a test are gone after it."""
    before = set(components.names())
    yield
    for name in set(components.names()) - before:
        components.unregister(name)


def test_the_users_file_replaces_and_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_registry: None
) -> None:
    """`models.yaml` in the working folder is found; its models win; all are components."""
    monkeypatch.delenv("PARAGENT_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("models.yaml").write_text(EXAMPLE.replace("  own:", "  gpt-4o-mini:", 1), encoding="utf-8")
    names = [c.name for c in register_models()]
    assert "small" in names and "gpt-4.1" in names
    mini = component_of("model", "gpt-4o-mini")
    assert mini.price == Price()
    assert mini.version == "gpt-4o-mini@https://example.org/v1"
    assert component_of("model", "small").build().name == "small"
    assert [c.name for c in register_models()] == names  # again: replaced, no error


def test_a_built_in_models_name_is_taken(tmp_path: Path, clean_registry: None) -> None:
    """Nobody can pass an endpoint off as a built-in component."""
    path = tmp_path / "models.yaml"
    path.write_text("models: {direct: {base_url: 'http://x'}}", encoding="utf-8")
    with pytest.raises(ConfigError, match="'direct' is taken"):
        register_models(path)


def test_a_named_file_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PARAGENT_MODELS that names nothing is told; so are unreadable files."""
    monkeypatch.setenv("PARAGENT_MODELS", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match=r"none\.yaml', which is no file"):
        all_models()
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"models: {} # caf\xe9\n")
    with pytest.raises(ConfigError, match="byte 17 is no UTF-8"):
        all_models(path)
    with pytest.raises(ConfigError, match="Is a directory"):
        all_models(tmp_path)


def test_missing_keys_are_named_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of a model counts: its key's and its headers'."""
    models = list(read_models(EXAMPLE, "models.yaml").values())
    monkeypatch.setenv("HERE_KEY", "x")
    monkeypatch.delenv("HERE_TOKEN", raising=False)
    with pytest.raises(UsageError, match=r"'small' needs its key in .* HERE_TOKEN"):
        require_keys(models)
    monkeypatch.setenv("HERE_TOKEN", "y")
    require_keys(models)


def test_endpoints_are_shown_without_what_is_private() -> None:
    """Query strings and credentials never enter what is shown or stored."""
    spec = ModelSpec("m", "https://me:pw@host:8443/v1/?key=secret")
    assert spec.endpoint == "https://host:8443/v1"


def test_places_in_yaml() -> None:
    """Lines and columns count from one, of keys in mappings and of items in lists."""
    document = parse("a:\n  - x\n  - {b: 1}\n", "f")
    assert document.place(("a",)) == "line 1, column 1"
    assert document.place(("a", 1)) == "line 3, column 5"
    assert document.place(("a", 1, "b")) == "line 3, column 6"
    assert document.place(("a", 9, "zz")) == "line 1, column 1"


@pytest.mark.parametrize(
    "text", ["a: &x [*x]\n", "a: 2020-13-45\n", "&a [" + "[" * 1200, "a: !!python/object:x {}\n"]
)
def test_hostile_yaml_is_a_plain_error_or_data(text: str) -> None:
    """Cycles, impossible dates, towers of brackets and object tags end in data or one line."""
    try:
        parse(text, "f")
    except ConfigError as error:
        assert "\n" not in str(error)
