"""SQL as an answer: its result set on the task's SQLite database, compared with the expected one.

Both queries run in the cage, on a database built in memory from its script. Rows are compared as
multisets, in order where the expected query orders them; numbers to six digits. As in
defog-ai/sql-eval (`eval/eval.py`, subset match), an answer may hold further columns and any order
of columns. Of several expected queries, any one will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from paragent.grading.code import CodeGrader, blocks_in
from paragent.runtime.sandbox import CodeLimits

LIMITS = CodeLimits(wall_s=10.0, cpu_s=10, memory_mb=512, processes=4, disk_mb=16)
#: A longer answer is no query that a task asks for.
MOST_CHARACTERS = 20_000

_SQL_FENCE = re.compile(
    r"```[ \t]*(?:sql|sqlite)?[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE
)


def query_in(text: str) -> str:
    """The query in a model's words: the last fenced block, else from the first line that begins
    with WITH or SELECT (or "Answer:" and these) to a blank line, without a final semicolon."""
    text = text[-MOST_CHARACTERS:]
    blocks = [code for language, code in blocks_in(text) if language in ("", "sql", "sqlite")]
    if blocks:
        return _bare(blocks[-1])
    lines = [re.sub(r"(?i)^(?:answer|sql):", "", line.strip()).strip() for line in text.split("\n")]
    starts = [i for i, line in enumerate(lines) if re.match(r"(?i)(?:select|with)\b", line)]
    if not starts:
        return _bare(text)
    first = next((i for i in starts if lines[i][:4].lower() == "with"), starts[0])
    end = next((i for i in range(first, len(lines)) if not lines[i]), len(lines))
    return _bare("\n".join(lines[first:end]))


def _bare(query: str) -> str:
    return query.strip().rstrip(";").strip()


async def sql_score(grader: CodeGrader, script: str, expected: Sequence[str], given: str) -> float:
    """1.0 where the query in `given` returns what one of `expected` returns, else 0.0.

    Raises ValueError where no expected query runs: such a task cannot be scored.
    """
    payload = json.dumps([script, list(expected), query_in(given)])
    ran = await grader.run(f"{_RUNNER}\nmain({payload!r})\n")
    verdict = ran.stdout.strip()
    if verdict in ("0", "1"):
        return float(verdict)
    if "no expected query runs" in verdict:
        raise ValueError("no expected query of the task runs on its database")
    return 0.0  # the given query ran out of time or memory


#: The cage's side: sqlite3 with its file and extension doors shut, and the comparison.
_RUNNER = r"""
import json, re, sqlite3, sys
from collections import Counter

def guard(action, first, second, database, trigger):
    # 24, 25: ATTACH and DETACH; pragmas and writes could change what the comparison sees.
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION,
               sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

def cell(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (int, float)):
        return float(f"{value:.6g}")
    return value

def rows(db, query):
    found = db.execute(query).fetchmany(20000)
    return [tuple(cell(v) for v in row) for row in found]

def key(row):
    return tuple((v is None, isinstance(v, str), v if v is not None else 0) for v in row)

def same(wanted, found, ordered):
    if len(wanted) != len(found):
        return False
    if not wanted:
        return True
    if len(found[0]) < len(wanted[0]) or len(found[0]) > 40:
        return False
    # Each expected column must be one of the found columns (further ones are allowed).
    def column(table, i):
        return [row[i] for row in table]
    choices = []
    for i in range(len(wanted[0])):
        want = Counter(map(str, column(wanted, i)))
        there = range(len(found[0]))
        fits = [j for j in there if Counter(map(str, column(found, j))) == want]
        if not fits:
            return False
        choices.append(fits)
    tried = 0
    def search(i, taken):
        nonlocal tried
        if i == len(choices):
            tried += 1
            part = [tuple(row[j] for j in taken) for row in found]
            if ordered:
                return part == wanted
            return sorted(part, key=key) == sorted(wanted, key=key)
        for j in choices[i]:
            if j not in taken and tried < 200:
                if search(i + 1, [*taken, j]):
                    return True
        return False
    return search(0, [])

def main(payload):
    script, expected, given = json.loads(payload)
    db = sqlite3.connect(":memory:")
    db.executescript(script)
    db.commit()
    wanted = []
    for query in expected:
        try:
            ordered = re.search(r"order\s+by(?![\s\S]*\))", query, re.I)
            wanted.append((rows(db, query), bool(ordered)))
        except sqlite3.Error:
            pass
    if not wanted:
        print("no expected query runs")
        return
    db.set_authorizer(guard)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
    try:
        found = rows(db, given)
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError, OverflowError):
        print(0)
        return
    print(int(any(same(want, found, ordered) for want, ordered in wanted)))
"""
