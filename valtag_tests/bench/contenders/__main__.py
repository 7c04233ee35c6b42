"""One contender: ``python -m valtag_tests.bench.contenders NAME INPUTS.json AS_OF INTO SPILL`` builds all tags."""

import importlib
import json
import sys
from datetime import date
from pathlib import Path


def main() -> None:
    name, inputs, as_of, into, spill = sys.argv[1:]
    files = {table: [Path(file) for file in found] for table, found in json.loads(Path(inputs).read_text()).items()}
    build = importlib.import_module(f"valtag_tests.bench.contenders.{name}").build
    build(files, date.fromisoformat(as_of), Path(into), Path(spill))


if __name__ == "__main__":
    main()
