"""Random edits on both sides, as many as are asked for; what came of them, as JSON."""

import argparse
import json
from dataclasses import asdict

from tests.edits.two_sides import random_edits

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    figures = random_edits(parser.parse_args().count)
    print(json.dumps(asdict(figures)))  # noqa: T201 it is read by who asked
