"""What there is: environments, algorithms, suites, configs; and the check of an environment."""


def list_all() -> int:
    """Prints the catalog."""
    from offpcc.config import catalog
    from offpcc.domains import HIDDEN

    print("environments (any other gymnasium id works, too), and what is hidden from the agent")
    width = max(map(len, HIDDEN))
    for name, what in HIDDEN.items():
        print(f"  {name:{width}s}  {what}")
    print("\nalgorithms\n  " + " ".join(catalog.algorithms()))
    print("\nsuites\n  " + " ".join(catalog.suites()))
    print("\nspaces\n  " + " ".join(catalog.spaces()))
    print("\nconfigs\n  " + "\n  ".join(catalog.configs()))
    return 0


def check(env: str) -> int:
    """Prints what the checks of an environment say; 6 if one fails."""
    from offpcc.config import catalog

    catalog.check_id(env)
    from offpcc.envs.checker import check_environment

    said = check_environment(env)
    for what, verdict in said.items():
        print(f"{what}: {verdict}")
    return 6 if any(verdict.startswith("NO") for verdict in said.values()) else 0
