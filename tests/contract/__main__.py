"""`python -m tests.contract FILE`: live the year, check it, write what came of it.

Exits with 1 when something was found that no fact allows, or a listed deviation did not
occur.
"""

import json
import sys
from pathlib import Path

from settled.logs import configure_logs
from tests.contract.report import check
from tests.contract.traffic import record


def main(file: Path) -> int:
    configure_logs("error")
    report = check(record())
    file.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    return 1 if report.unlisted or report.unused else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
