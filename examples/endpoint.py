"""Search over models behind an OpenAI-compatible endpoint (vLLM, Ollama, a hosted one, ...).

BASE_URL=http://localhost:11434/v1 MODEL=qwen3:8b python examples/endpoint.py [DESIGNS]
"""

import os
import sys
from pathlib import Path

import paragent

# What a models.yaml in the working folder says. Prices are dollars per million tokens; leave them
# out where you do not know them. A key is named, never written: api_key_env: MY_KEY
Path("models.yaml").write_text(
    f"""
models:
  mine:
    base_url: {os.environ["BASE_URL"]}
    model: {os.environ.get("MODEL", "my-model")}
    usd_per_mtok: {{in: 0.10, out: 0.40}}
"""
)

run = paragent.optimize(
    "pocket",
    models=["mine"],
    evals=int(sys.argv[1]) if len(sys.argv) > 1 else 30,
    tasks=20,
    confirm=10,
    test_tasks=30,
    usd=0.50,  # a hard cap: no call is made that could exceed it
)
for point in run.front():
    print(f"{point.best_known.score:.2f}  {point.design.label}")
print(f"spent ${run.spent.usd:.4f} in {run.spent.calls} calls")
