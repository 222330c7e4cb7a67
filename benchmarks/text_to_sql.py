r"""Questions to small SQLite databases; the answer is a query, its rows decide.

Source: github.com/defog-ai/sql-eval at b833324 and defog-ai/defog-data at 856295d, PostgreSQL
brought to SQLite with the clock at 2025-01-30 12:00:00. Licence: Apache-2.0. 314 questions over 11
databases, divided by hash of their ids. Version 1. One raw example:

    {"id": "defog-gen-0", "db_id": "academic", "category": "group_by", "question": "Which authors
    have written publications in both the domain "Machine Learning" and the domain "Data
    Science"?", "instructions": "", "gold_sql": ["SELECT author.name FROM author WHERE ...", ...]}

A folder has `questions.jsonl` and `db/<db_id>.sql`, a script that makes each database; any folder
of that form is a benchmark. Scored by the rows that the query returns in the cage
(`paragent.grading.sql`): those of any one of the expected queries, further columns allowed.
"""

from __future__ import annotations

import re
from pathlib import Path

from paragent.benchmark import Task
from paragent.errors import ConfigError
from paragent.grading.code import CodeGrader, missing_cage
from paragent.grading.sql import LIMITS, sql_score
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"

SOURCE = Source(
    "defog_sql",
    (Part("questions", 314),),
    ("db_id", "question", "gold_sql"),
    where="questions.jsonl and db/*.sql, made from github.com/defog-ai/sql-eval",
)


def load(data: str | Path | None = None) -> RowsBenchmark:
    """The benchmark; queries run in two cages."""
    scripts: dict[str, str] = {}
    expected: dict[str, tuple[str, list[str]]] = {}
    grader = CodeGrader(LIMITS)

    def script(database: str) -> str:
        if database not in scripts:
            place = SOURCE.place(data)
            base = place.parent if place is not None and place.is_file() else place
            file = Path(base or ".") / "db" / f"{database}.sql"
            try:
                scripts[database] = file.read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"{file}: {error.strerror or error}") from None
        return scripts[database]

    def task(part: str, row: Row, place: int) -> Task:
        name = str(row.get("id", f"sql-{place}"))
        gold = [row["gold_sql"]] if isinstance(row["gold_sql"], str) else list(row["gold_sql"])
        database = str(row["db_id"])
        expected[name] = (database, [str(query) for query in gold])
        note = f"\nNote: {row['instructions']}" if row.get("instructions") else ""
        question = (
            f"Tables of a SQLite database:\n{_tables(script(database))}\n\n"
            f"Question: {row['question']}{note}\nAnswer with one SQL query."
        )
        return Task(name, question, f"```sql\n{gold[0]}\n```", {"database": database})

    async def score(task: Task, answer: str) -> float:
        database, queries = expected[task.id]
        return await sql_score(grader, script(database), queries, answer)

    return RowsBenchmark(
        SOURCE,
        VERSION,
        task,
        score,
        test="questions",
        data=data,
        reads_all=True,
        close=grader.aclose,
    )


def _tables(script: str) -> str:
    """The CREATE TABLE statements of a script, one line each."""
    found = re.findall(r"CREATE TABLE[^;]+;", script, re.IGNORECASE)
    return "\n".join(" ".join(statement.split()) for statement in found)


DEFOG_SQL = BenchmarkPlugin(
    "defog_sql",
    "questions to SQLite databases, answered by a query",
    load,
    source="github.com/defog-ai/sql-eval",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 158, "test": 156},
    scorer="same rows in the cage",
    needs="bubblewrap",
    missing=lambda: SOURCE.missing() or missing_cage(),
    data=SOURCE,
)
