"""Packages of the wheel: domains/ and configs/ are inside offpcc. pyproject.toml has the rest."""

from setuptools import find_packages, setup

DOMAINS = [f"offpcc.{name}" for name in find_packages(include=["domains", "domains.*"])]

setup(
    packages=[*find_packages(include=["offpcc", "offpcc.*"]), *DOMAINS, "offpcc.configs"],
    package_dir={"offpcc.domains": "domains", "offpcc.configs": "configs"},
)
