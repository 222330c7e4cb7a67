"""Search in the benchmark's passages by BM25 (Robertson and Zaragoza 2009, section 3; retrieval as
a tool: Nakano et al. 2021, WebGPT, section 2).

Returns the `k` best passages that share a word with the query, each cut at `MOST_CHARACTERS`.
No model calls of its own. Requires "steps", "tools" and "corpus".
"""

from __future__ import annotations

from dataclasses import replace

from paragent.component import Component, Context, Tool
from paragent.retrieval import bm25

MOST_CHARACTERS = 1200


def search(passages: tuple[str, ...], query: str, k: int) -> str:
    """The passages, numbered from 1 by rank. Raises ValueError where none shares a word."""
    found = bm25(passages).best(query, k)
    if not found:
        raise ValueError(f"no passage has a word of {query!r}")
    return "\n".join(f"[{n}] {passages[i][:MOST_CHARACTERS]}" for n, i in enumerate(found, 1))


def search_tool(passages: tuple[str, ...], k: int, name: str = "search") -> Tool:
    """The tool over these passages."""

    def call(query: str) -> str:
        if not passages:
            raise LookupError("there is no corpus to search here")
        return search(passages, query, k)

    return Tool(
        name=name,
        description=f"Searches the documents by words; returns up to {k} passages.",
        call=call,
        instruction=". Search the documents by writing <<words>>",
        native_instruction=". Search the documents for what you do not know",
        schema={
            "type": "object",
            "properties": {"query": {"type": "string", "description": "a few telling words"}},
            "required": ["query"],
            "additionalProperties": False,
        },
        argument="query",
    )


def build(k: int) -> Tool:
    """The tool, over the corpus of whichever benchmark is answered."""

    def over(context: Context) -> Tool:
        return search_tool(context.corpus, k)

    return replace(search_tool((), k), over=over)


BM25_SEARCH = Component(
    name="bm25_search",
    kind="tool",
    summary="searches the benchmark's documents by words (BM25)",
    build=build,
    params={"k": (3, 5)},
    calls=lambda params, inner: 0,
    requires=("steps", "tools", "corpus"),
    paper="Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, section 3",
)
