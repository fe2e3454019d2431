"""What pyproject.toml can't say: the packages, and the README as a page of a package index.

domains/ and configs/ are inside offpcc in the wheel. A package index has none of the files that the
README links to. With a `Repository` under [project.urls], links lead there and pictures come from
there; without one, links are plain text, and pictures their descriptions.
"""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
DOMAINS = [f"offpcc.{name}" for name in find_packages(include=["domains", "domains.*"])]
PICTURE = r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)"
LINK = r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)"


def long_description(readme: str, repository: str | None) -> str:
    """The README without links and pictures that would lead nowhere on a package index."""
    if repository is None:
        return re.sub(LINK, r"\1", re.sub(PICTURE, r"*Picture in the repository: \1.*", readme))
    files = repository.rstrip("/")
    readme = re.sub(PICTURE, rf"![\1]({files}/raw/HEAD/\2)", readme)
    return re.sub(LINK, rf"[\1]({files}/blob/HEAD/\2)", readme)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        packages=[*find_packages(include=["offpcc", "offpcc.*"]), *DOMAINS, "offpcc.configs"],
        package_dir={"offpcc.domains": "domains", "offpcc.configs": "configs"},
        long_description=long_description(
            (ROOT / "README.md").read_text(encoding="utf-8"),
            project.get("urls", {}).get("Repository"),
        ),
        long_description_content_type="text/markdown",
    )
